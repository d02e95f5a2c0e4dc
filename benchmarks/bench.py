"""The benchmark behind `selfcodec bench`: data set, coders, runner, reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import runner
from selfcodec.benchmarks.coders import Coder, choose_peers
from selfcodec.benchmarks.figures.crops import matched_crops
from selfcodec.benchmarks.figures.plots import save_plots
from selfcodec.benchmarks.journal import Journal
from selfcodec.benchmarks.own import Own, own_coders
from selfcodec.benchmarks.provenance import environment
from selfcodec.benchmarks.reports.html import write_html
from selfcodec.benchmarks.reports.summary import write_summary
from selfcodec.benchmarks.results import RESULTS, Record, Run
from selfcodec.benchmarks.sources import dataset_name, load_pictures
from selfcodec.errors import InputError
from selfcodec.modes import Mode
from selfcodec.zoo import DEFAULT_MODELS, available_models, find_model

ALL = "all"


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        dataset: as for `load_pictures`.
        models: names or folders; none for those that suit the data set, `("all",)` for all installed ones.
        modes: of the models; none for all that they offer.
        qualities: of the lossy modes.
        efforts: of the lossy modes of models whose encoders have something to look for.
        peers: as for `choose_peers`.
        limit: images; None for all.
        seed: None takes the first ones, a number draws them with it.
        jobs: processes.
    """

    dataset: str
    models: tuple[str, ...]
    modes: tuple[Mode, ...]
    qualities: tuple[int, ...]
    efforts: tuple[int, ...]
    peers: tuple[str, ...]
    limit: int | None
    seed: int | None
    jobs: int


def suitable_models(dataset: str) -> tuple[str, ...]:
    """Return the default models, and those whose names begin with the data set's."""
    defaults = dict.fromkeys(chain.from_iterable(DEFAULT_MODELS.values()))
    return tuple(dict.fromkeys([*(n for n in available_models() if n.split("-")[0] == dataset), *defaults]))


def choose_coders(plan: Plan) -> dict[str, Coder]:
    """Return the models' coders, then the peers'; InputError where a model or a peer does not exist."""
    models = plan.models or suitable_models(plan.dataset)
    if models == (ALL,):
        models = tuple(available_models())
    coders: dict[str, Coder] = {}
    if len({Path(name).name for name in models}) < len(models):
        raise InputError("two of the models have one name")
    for name in models:
        coders |= own_coders(name, plan.modes, plan.qualities, plan.efforts)
    coders |= choose_peers(plan.peers)
    if not coders:
        raise InputError("nothing to measure: the models offer none of these modes, and there are no peers")
    return coders


def choose_pictures(dataset: str, limit: int | None, seed: int | None) -> dict[str, UInt8]:
    """Return images (H, W, 3) by name: the first `limit`, or as many drawn at random, in the order of the data set."""
    if seed is None or limit is None:
        return load_pictures(dataset, limit)
    pictures = load_pictures(dataset)
    names = list(pictures)
    drawn = sorted(np.random.default_rng(seed).choice(len(names), min(limit, len(names)), replace=False))
    return {names[i]: pictures[names[i]] for i in drawn}


def models_of(coders: Mapping[str, Coder]) -> dict[str, str]:
    """Return the SHA-256 of every model that coders use, by the name that is part of their keys."""
    used = {coder.model for coder in coders.values() if isinstance(coder, Own)}
    return {Path(model).name: find_model(model).digest for model in sorted(used)}


def run_plan(
    plan: Plan,
    output: Path,
    command: str,
    *,
    force: bool = False,
    progress: Callable[[int], AbstractContextManager[Callable[[], None]]],
) -> Run:
    """Measure, and write results, summary, plots and a report into a folder.

    Args:
        plan: what to measure.
        output: folder, made where missing; a run that was stopped there goes on.
        command: for the reports.
        force: begin anew whatever is in the folder.
        progress: given the number of images, a context in which to call what it gives once an image.

    Raises:
        InputError: images, models or peers do not exist, or the folder holds something else.
    """
    coders = choose_coders(plan)
    pictures = choose_pictures(plan.dataset, plan.limit, plan.seed)
    about = environment() | {"models": models_of(coders)}
    dataset = dataset_name(plan.dataset)
    # Speeds depend on the machine, and on how many processes share it.
    what = {"dataset": dataset, "jobs": plan.jobs} | {key: about[key] for key in ("machine", "models", "versions")}
    journal = Journal(output, what, Record, force=force)
    with progress(len(pictures)) as advance:
        records = runner.run(pictures, coders, journal, plan.jobs, advance)
    run = Run({"command": command, **about}, dataset, {key: coder.info for key, coder in coders.items()}, records)
    run.save(output / RESULTS)
    write_summary(run, output)
    plots = save_plots(run, output)
    write_html(run, plots, list(matched_crops(pictures, coders, run)), output)
    return run
