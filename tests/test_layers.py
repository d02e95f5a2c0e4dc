"""A file imports only from the layers below it.

    selfcodec  <-  selfcodec.models  <-  selfcodec.benchmarks  <-  selfcodec.cli  <-  what runs as a program

Within `selfcodec` and within `selfcodec.models` the tables below give each module a number, and a module
imports only from smaller ones. A new module of `selfcodec` needs a line here. Imports in functions count too.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfcodec.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = (
    "selfcodec",
    "selfcodec.models",
    "selfcodec.benchmarks",
    "selfcodec.cli",
    "selfcodec.benchmarks.commands",
    "selfcodec.benchmarks.__main__",
)
"""Lowest first."""

FOLDERS = {
    "selfcodec": ROOT / "selfcodec",
    "selfcodec.models": ROOT / "models",
    "selfcodec.benchmarks": ROOT / "benchmarks",
    "selfcodec.cli": ROOT / "cli",
}

CORE_LAYERS = {
    "selfcodec.errors": 0,
    "selfcodec.arrays": 0,
    "selfcodec.fidelity": 0,
    "selfcodec.signals": 0,
    "selfcodec.atomic": 1,
    "selfcodec.together": 1,
    "selfcodec.compiled": 1,
    "selfcodec.vectors": 1,
    "selfcodec.files": 2,
    "selfcodec.fixed_point": 1,
    "selfcodec.modes": 1,
    "selfcodec.parallel": 1,
    "selfcodec.processes": 2,
    "selfcodec.schedule": 2,
    "selfcodec.tiles": 1,
    "selfcodec.transforms": 1,
    "selfcodec.transparency": 1,
    "selfcodec.coding": 2,
    "selfcodec.coding.ans": 3,
    "selfcodec.coding.tables": 2,
    "selfcodec.coding.mixture": 3,
    "selfcodec.coding.stack": 4,
    "selfcodec.coding.symbols": 4,
    "selfcodec.coding.notes": 5,
    "selfcodec.coding.encoder": 6,
    "selfcodec.coding.decoder": 6,
    "selfcodec.coding.sampler": 7,
    "selfcodec.coding.grid": 7,
    "selfcodec.networks": 4,
    "selfcodec.networks.fields": 4,
    "selfcodec.networks.graph": 4,
    "selfcodec.networks.products": 4,
    "selfcodec.networks.integer": 5,
    "selfcodec.networks.flow": 7,
    "selfcodec.networks.pointwise": 6,
    "selfcodec.networks.nodes": 3,
    "selfcodec.networks.microkernel": 4,
    "selfcodec.networks.pointwise_loops": 5,
    "selfcodec.networks.real": 6,
    "selfcodec.networks.windows": 6,
    "selfcodec.likelihoods": 8,
    "selfcodec.likelihoods.layout": 8,
    "selfcodec.likelihoods.likelihood": 8,
    "selfcodec.likelihoods.posterior": 8,
    "selfcodec.likelihoods.groups": 9,
    "selfcodec.likelihoods.latent": 9,
    "selfcodec.likelihoods.pixels": 9,
    "selfcodec.likelihoods.prior": 10,
    "selfcodec.likelihoods.phases": 10,
    "selfcodec.likelihoods.reconstruction": 11,
    "selfcodec.likelihoods.context": 9,
    "selfcodec.likelihoods.context.mixture": 9,
    "selfcodec.likelihoods.context.neighbours": 9,
    "selfcodec.likelihoods.context.order": 9,
    "selfcodec.likelihoods.context.rank_update": 9,
    "selfcodec.likelihoods.context.least_squares": 10,
    "selfcodec.likelihoods.context.adapting": 11,
    "selfcodec.likelihoods.context.predicting": 11,
    "selfcodec.likelihoods.context.passes": 12,
    "selfcodec.likelihoods.context.coder": 13,
    "selfcodec.likelihoods.context.likelihood": 14,
    "selfcodec.likelihoods.families": 15,
    "selfcodec.format": 13,
    "selfcodec.format.boxes": 12,
    "selfcodec.format.bytereader": 13,
    "selfcodec.format.png": 13,
    "selfcodec.format.jpegxl": 13,
    "selfcodec.format.metadata": 14,
    "selfcodec.format.samples": 14,
    "selfcodec.format.sidedata": 14,
    "selfcodec.format.header": 14,
    "selfcodec.format.container": 15,
    "selfcodec.format.stored": 15,
    "selfcodec.settings": 15,
    "selfcodec.spec": 15,
    "selfcodec.zoo": 16,
    "selfcodec.images": 20,
    "selfcodec.images.apart": 18,
    "selfcodec.images.colour": 1,
    "selfcodec.images.deep": 1,
    "selfcodec.images.deep_reading": 15,
    "selfcodec.images.exif": 1,
    "selfcodec.images.fitting": 16,
    "selfcodec.images.formats": 1,
    "selfcodec.images.gathering": 16,
    "selfcodec.images.jpeg": 1,
    "selfcodec.images.loading": 19,
    "selfcodec.images.opening": 16,
    "selfcodec.images.picture": 17,
    "selfcodec.images.png": 16,
    "selfcodec.images.png_parts": 15,
    "selfcodec.images.properties": 15,
    "selfcodec.images.saving": 18,
    "selfcodec.images.storing": 16,
    "selfcodec.images.targets": 17,
    "selfcodec.images.tiff": 16,
    "selfcodec.images.turning": 2,
    "selfcodec.shards": 21,
    "selfcodec.shards.shard": 19,
    "selfcodec.shards.array": 20,
    "selfcodec.shards.tar": 20,
    "selfcodec.walk": 17,
    "selfcodec.synthesis": 18,
    "selfcodec.refining": 19,
    "selfcodec.streams": 20,
    "selfcodec.decoding": 21,
    "selfcodec.encoding": 22,
    "selfcodec.generation": 23,
    "selfcodec.rate_control": 23,
    "selfcodec.advice": 24,
    "selfcodec.many": 24,
    "selfcodec.api": 25,
    "selfcodec.pillow": 26,
    "selfcodec": 27,
    "selfcodec.__main__": 27,
}

MODELS_LAYERS = {
    "selfcodec.models.parsing": 0,
    "selfcodec.models.draws": 0,
    "selfcodec.models.budget": 0,
    "selfcodec.models.progress": 0,
    "selfcodec.models.spikes": 0,
    "selfcodec.models.distributed": 1,
    "selfcodec.models.affine": 1,
    "selfcodec.models.lifting": 0,
    "selfcodec.models.mosaic": 0,
    "selfcodec.models.datasets": 0,
    "selfcodec.models.training_config": 1,
    "selfcodec.models.config": 2,
    "selfcodec.models.recipe": 3,
    "selfcodec.models.data": 2,
    "selfcodec.models.crops": 3,
    "selfcodec.models.image_sets": 4,
    "selfcodec.models.distributions": 2,
    "selfcodec.models.layers": 2,
    "selfcodec.models.networks": 3,
    "selfcodec.models.transform_coding": 2,
    "selfcodec.models.priors": 4,
    "selfcodec.models.likelihoods": 4,
    "selfcodec.models.likelihoods.likelihood": 4,
    "selfcodec.models.likelihoods.quality": 4,
    "selfcodec.models.likelihoods.neighbours": 5,
    "selfcodec.models.likelihoods.predictions": 5,
    "selfcodec.models.likelihoods.latent": 5,
    "selfcodec.models.likelihoods.prior": 6,
    "selfcodec.models.likelihoods.posterior": 6,
    "selfcodec.models.likelihoods.phases": 6,
    "selfcodec.models.likelihoods.context": 6,
    "selfcodec.models.likelihoods.groups": 6,
    "selfcodec.models.likelihoods.reconstruction": 6,
    "selfcodec.models.likelihoods.transform": 7,
    "selfcodec.models.likelihoods.families": 8,
    "selfcodec.models.selfvae": 9,
    "selfcodec.models.block_transform": 10,
    "selfcodec.models.checkpoint": 10,
    "selfcodec.models.computing": 10,
    "selfcodec.models.evaluation": 10,
    "selfcodec.models.optimizers": 10,
    "selfcodec.models.starting": 10,
    "selfcodec.models.exported": 11,
    "selfcodec.models.objectives": 11,
    "selfcodec.models.objectives.objective": 11,
    "selfcodec.models.calibration": 12,
    "selfcodec.models.objectives.likelihood": 12,
    "selfcodec.models.objectives.rate_distortion": 12,
    "selfcodec.models.objectives.choice": 13,
    "selfcodec.models.train": 14,
    "selfcodec.models.export": 15,
    "selfcodec.models.pictures": 15,
}

TOP = "selfcodec.__main__"
"""`python -m selfcodec` runs the module of this name, which Python looks for in the lowest package; it does nothing but
start the command line, so it stands above every package and nothing imports it."""

LAYERS = CORE_LAYERS | MODELS_LAYERS


def find_modules() -> dict[str, Path]:
    """Dotted name -> file, for every module of the four packages; links between them are not followed."""
    modules = {}
    for package, folder in FOLDERS.items():
        for directory, _, files in os.walk(folder):
            for file in files:
                if file.endswith(".py"):
                    path = Path(directory, file)
                    parts = (package, *path.relative_to(folder).with_suffix("").parts)
                    modules[".".join(parts).removesuffix(".__init__")] = path
    return modules


MODULES = find_modules()


def imports_of(source: str) -> Iterator[str]:
    """Dotted names of what `source` imports: modules, or names in them where `from` leaves that open."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: relative import")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_module(name: str, modules: dict[str, Path] = MODULES) -> str | None:
    """The module of ours that the import of `name` names or reads from, or None for other people's."""
    if name.split(".")[0] != "selfcodec":
        return None
    while name not in modules and name not in PACKAGES:
        name = name.rpartition(".")[0]
    return name


def package_of(module: str) -> str:
    return max((p for p in PACKAGES if module == p or module.startswith(p + ".")), key=len)


def may_import(importer: str, imported: str) -> bool:
    """Whether the layers allow it."""
    if TOP in (importer, imported):
        return importer == TOP
    here, there = package_of(importer), package_of(imported)
    if here != there:
        return PACKAGES.index(there) < PACKAGES.index(here)
    if importer in LAYERS and imported in LAYERS:
        return LAYERS[imported] < LAYERS[importer]
    return here != "selfcodec"


def test_every_module_of_the_core_has_a_layer() -> None:
    missing = [m for m in MODULES if package_of(m) == "selfcodec" and m not in CORE_LAYERS]
    assert not missing, f"no layer in {Path(__file__).name} for {', '.join(missing)}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_from_below(module: str) -> None:
    names = imports_of(MODULES[module].read_text(encoding="utf-8"))
    imported = {own for name in names if (own := own_module(name)) is not None}
    assert not [name for name in sorted(imported) if not may_import(module, name)]


def test_commands_import_no_other_commands() -> None:
    commands = {place.partition(":")[0] for place in COMMANDS.values()}
    for module in (module for module in MODULES if package_of(module) == "selfcodec.cli"):
        names = imports_of(MODULES[module].read_text(encoding="utf-8"))
        assert not commands & {own_module(name) for name in names}, module


def test_only_the_stack_imports_constriction() -> None:
    users = [
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == "constriction" for name in imports_of(path.read_text(encoding="utf-8")))
    ]
    assert set(users) <= {"selfcodec.coding.stack"}


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("selfcodec.modes", "selfcodec.errors", True),
        ("selfcodec.errors", "selfcodec.modes", False),
        ("selfcodec.modes", "selfcodec.transforms", False),
        ("selfcodec.schedule", "selfcodec.modes", True),
        ("selfcodec.coding.symbols", "selfcodec.coding.mixture", True),
        ("selfcodec.coding.mixture", "selfcodec.coding.symbols", False),
        ("selfcodec.api", "selfcodec.encoding", True),
        ("selfcodec.decoding", "selfcodec.encoding", False),
        ("selfcodec.api", "selfcodec.models.selfvae", False),
        ("selfcodec", "selfcodec.cli.main", False),
        ("selfcodec.__main__", "selfcodec.cli.main", True),
        ("selfcodec.cli.main", "selfcodec.__main__", False),
        ("selfcodec", "selfcodec.__main__", False),
        ("selfcodec.unheard_of", "selfcodec.errors", False),
        ("selfcodec.models.train", "selfcodec.models.selfvae", True),
        ("selfcodec.models.selfvae", "selfcodec.models.train", False),
        ("selfcodec.models.selfvae", "selfcodec.schedule", True),
        ("selfcodec.models.train", "selfcodec.benchmarks.metrics", False),
        ("selfcodec.benchmarks.runner", "selfcodec.benchmarks.metrics", True),
        ("selfcodec.benchmarks.runner", "selfcodec.models.export", True),
        ("selfcodec.benchmarks.runner", "selfcodec.cli.main", False),
        ("selfcodec.cli.main", "selfcodec.cli.encode", True),
        ("selfcodec.cli.bench", "selfcodec.benchmarks.runner", True),
        ("selfcodec.benchmarks.commands.rates", "selfcodec.cli.output", True),
        ("selfcodec.benchmarks.reports.rates", "selfcodec.benchmarks.commands.rates", False),
    ],
)
def test_rule(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy as np", {None}),
        ("import selfcodec", {"selfcodec"}),
        ("from selfcodec import errors", {"selfcodec.errors"}),
        ("from selfcodec import encode, errors", {"selfcodec", "selfcodec.errors"}),
        ("from selfcodec.errors import InputError", {"selfcodec.errors"}),
        ("def f():\n    import selfcodec.models.train", {"selfcodec.models.train"}),
        ("if TYPE_CHECKING:\n    from selfcodec.models.train import fit", {"selfcodec.models.train"}),
        ("from selfcodec.models import fit", {"selfcodec.models"}),
    ],
)
def test_imports_are_found(source: str, expected: set[str | None]) -> None:
    modules = dict.fromkeys(("selfcodec.errors", "selfcodec.models.train"), ROOT)
    assert {own_module(name, modules) for name in imports_of(source)} == expected


def test_relative_imports_are_refused() -> None:
    with pytest.raises(ValueError, match="line 2: relative import"):
        list(imports_of("\nfrom . import errors"))
