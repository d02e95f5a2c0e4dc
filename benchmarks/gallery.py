"""Which of the paper's figures can be drawn of which models, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfcodec.benchmarks.figures.paper import FIGURES, Figure
from selfcodec.benchmarks.figures.subject import Subject
from selfcodec.benchmarks.published import table_1
from selfcodec.errors import InputError
from selfcodec.models.recipe import load_recipe
from selfcodec.zoo import available_models

PHOTOGRAPHS = "scikit-image"
"""Figures without a model are drawn of these images where no others are asked for."""


@dataclass(frozen=True)
class Picture:
    """One file: a figure of one model, or of none."""

    figure: Figure
    subject: Subject

    @property
    def stem(self) -> str:
        """Return the file's name without its suffix."""
        return "-".join(filter(None, (self.figure.name, self.subject.title)))


@dataclass(frozen=True)
class Plan:
    """What is drawn, and what is not, for which reason: one line each."""

    pictures: tuple[Picture, ...]
    skipped: tuple[str, ...]


def figures_named(names: Sequence[str]) -> tuple[Figure, ...]:
    """Return the figures of these names, all of them for none; InputError for other names."""
    known = {figure.name: figure for figure in FIGURES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"no figure {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(figure for figure in FIGURES if not names or figure.name in names)


def _papers(figure: Figure) -> tuple[str, ...]:
    """Return the paper's models that a figure is about, there or not; "" where it needs none."""
    if not figure.needs:
        return ("",)
    return tuple(model.name for model in table_1() if figure.suits(load_recipe(model.name).model))


def _choose(figure: Figure, model: str | None, dataset: str) -> tuple[list[Picture], str]:
    """Return a figure's pictures, and why there are not more, "" if there is no reason."""
    if not figure.needs:
        return [Picture(figure, Subject("", dataset or PHOTOGRAPHS))], ""
    if model is not None:
        subject = Subject(model, dataset)
        if figure.suits(subject.recipe.model):
            return [Picture(figure, subject)], ""
        return [], f"figure {figure.name} needs {figure.needs}, which model {subject.title} has not"
    there, papers = available_models(), _papers(figure)
    missing = ", ".join(name for name in papers if name not in there)
    problem = f"figure {figure.name}: no model {missing}: add its folder to $SELFCODEC_MODELS" if missing else ""
    return [Picture(figure, Subject(name, dataset)) for name in papers if name in there], problem


def plan(names: Sequence[str], model: str | None, dataset: str) -> Plan:
    """Return what can be drawn.

    Args:
        names: of figures; none for all.
        model: name or folder of a model; None for the paper's, as far as they are there.
        dataset: images to draw them of; "" for those that each model was trained on.

    Raises:
        InputError: there is no such figure or model, or one asked for by name cannot be drawn of any model.
    """
    pictures, skipped = list[Picture](), list[str]()
    for figure in figures_named(names):
        found, problem = _choose(figure, model, dataset)
        if problem and names and not found:
            raise InputError(problem)
        pictures += found
        skipped += [problem] if problem else []
    return Plan(tuple(pictures), tuple(skipped))


def section(folder: Path, suffix: str, below: str) -> str:
    """Return Markdown that shows every picture in a folder, figure by figure, in the order of the paper.

    Args:
        folder: where the pictures are.
        suffix: of the pictures.
        below: the folder as the page's links have it.
    """
    return "\n".join(part for figure in FIGURES for part in _figure_section(figure, folder, suffix, below))


def _figure_section(figure: Figure, folder: Path, suffix: str, below: str) -> Iterator[str]:
    pictures = [Picture(figure, Subject(name)) for name in _papers(figure)]
    shown = [picture for picture in pictures if (folder / f"{picture.stem}{suffix}").is_file()]
    if shown:
        yield f"### {figure.title} ({figure.number})\n\n{figure.caption}\n"
    for picture in shown:
        if picture.subject.name:
            yield f"`{picture.subject.name}`:\n"
        yield f"![{picture.stem}]({below}/{picture.stem}{suffix})\n"
