"""Families of likelihoods: trainer and codec agree on them, copies own theirs, and nothing else tells them apart."""

from __future__ import annotations

import ast
import copy
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import variants
from recipe_changes import changed

from selfcodec.arrays import UInt8
from selfcodec.likelihoods.families import FAMILIES
from selfcodec.likelihoods.posterior import Posterior
from selfcodec.models.config import (
    HeadConfig,
    LikelihoodConfig,
    PosteriorConfig,
    Recipe,
    XLikelihoodConfig,
    ZLikelihoodConfig,
)
from selfcodec.models.data import with_transformations
from selfcodec.models.likelihoods.families import LATENTS, PIXELS, POSTERIORS
from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.likelihoods.prior import TopLatent
from selfcodec.models.parsing import kinds
from selfcodec.models.selfvae import SelfVAE

ROOT = Path(__file__).resolve().parents[2]
WORDS = {*FAMILIES, *PIXELS, *LATENTS, *POSTERIORS, *kinds(XLikelihoodConfig)}
"""Names of the kinds."""
CLASSES = {
    kind.__name__
    for kind in (
        *FAMILIES.values(),
        *PIXELS.values(),
        *LATENTS.values(),
        *POSTERIORS.values(),
        *kinds(ZLikelihoodConfig).values(),
        *kinds(XLikelihoodConfig).values(),
        *kinds(PosteriorConfig).values(),
        HeadConfig,
        TopLatent,
    )
}
"""Names of the families, and of the tables of recipes that describe them."""
VARIABLES = {"target", "parent", "variable"}
"""What code calls a variable of the schedule. The `kind` of one is `pixels` or `latent`, which is no family."""
ALLOWED = (
    "selfcodec/likelihoods/*.py",
    "selfcodec/likelihoods/context/*.py",
    "models/likelihoods/*.py",
    "selfcodec/spec.py",  # reads older specifications
    "models/config*.py",
    "models/lifting.py",  # reads older recipes
    "card.py",  # puts recipes into words
)


# Trainer and codec.


def test_every_kind_of_a_recipe_has_a_family_and_every_family_a_twin_in_the_codec() -> None:
    assert set(PIXELS) == {*kinds(LikelihoodConfig), *kinds(XLikelihoodConfig)} - {"same"}
    assert set(POSTERIORS) == set(kinds(PosteriorConfig))
    assert set(LATENTS) == set(kinds(ZLikelihoodConfig))
    assert set(FAMILIES) == {*PIXELS, *LATENTS, TopLatent.kind}


@pytest.mark.parametrize("name", ["tiny", *variants.VARIANTS])
def test_the_codec_s_families_ask_for_the_networks_that_the_trainer_s_wrote(name: str, tiny_recipe: Recipe) -> None:
    model = SelfVAE(changed(tiny_recipe, model=variants.VARIANTS.get(name, {})).model)
    found = set()
    for step in model.steps:
        if step.name in model.pixels:
            settings = model.pixels[step.name].settings()
        else:
            settings = model.latents[step.name].settings([1] * step.target.channels)
        found.update(FAMILIES[settings["kind"]].networks(step, settings))
        if step.inferred_from is not None:
            found.update(Posterior.networks(step))
    assert found == {name for name, _ in model.graphs()}


@pytest.mark.parametrize("name", ["tiny", *variants.VARIANTS])
def test_a_copy_s_families_compute_with_the_copy_s_parameters(name: str, tiny_recipe: Recipe, patches: UInt8) -> None:
    config = changed(tiny_recipe, model=variants.VARIANTS.get(name, {})).model
    model = SelfVAE(config)
    other = copy.deepcopy(model)
    arrays = with_transformations(patches[:2, :16, :16], config.transformation, config.levels)
    ys = [torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).float() for y in arrays]
    torch.stack([rate.mean() for rate in other(ys, Withheld.nothing(2, torch.device("cpu"))).values()]).sum().backward()
    assert all(parameter.grad is not None for parameter in other.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    before = model.generate((16, 16), {}, draw=False, batch=1), model.infer(ys)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    after = model.generate((16, 16), {}, draw=False, batch=1), model.infer(ys)
    moved = other.generate((16, 16), {}, draw=False, batch=1), other.infer(ys)
    for old, new, copied in zip(before, after, moved, strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)
        assert not torch.equal(old["u"], copied["u"]) or config.prior.kind != "realnvp"
    assert not torch.equal(before[1]["u"], moved[1]["u"])
    assert not torch.equal(before[0]["x"], moved[0]["x"])


# Nothing else branches on them.


def words_of(node: ast.expr) -> Iterator[str]:
    """The strings that an operand is, or is a tuple, list or set of."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def names_of(node: ast.AST) -> set[str]:
    """The last names of what an expression refers to: of a class, of classes joined by commas or bars."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
    return found


def is_of_another_kind(node: ast.expr) -> bool:
    """Whether an expression is a network node's operation, or the `kind` of a variable of the schedule."""
    if not isinstance(node, ast.Attribute):
        return False
    owner = node.value
    last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return node.attr == "op" or (node.attr == "kind" and last in VARIABLES)


def tells_kinds(operands: list[ast.expr], words: set[str]) -> bool:
    """Whether a comparison of operands, with `words` among them, depends on the kind of a likelihood."""
    if any(map(is_of_another_kind, operands)):
        words = words - {"latent"}
    return bool(words & WORDS) or any(names_of(operand) & CLASSES for operand in operands)


def branches(source: str) -> list[int]:
    """The lines on which code depends on the kind of a likelihood: comparisons, cases, `isinstance`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass") and names_of(node.args[1]) & CLASSES:
                found.append(node.lineno)
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            if tells_kinds(operands, {word for operand in operands for word in words_of(operand)}):
                found.append(node.lineno)
        elif isinstance(node, ast.Match):
            for pattern in (part for case in node.cases for part in ast.walk(case.pattern)):
                if isinstance(pattern, ast.MatchClass) and names_of(pattern.cls) & CLASSES:
                    found.append(pattern.lineno)
                if isinstance(pattern, ast.MatchValue):
                    operands = [node.subject, pattern.value]
                    if tells_kinds(operands, set(words_of(pattern.value))):
                        found.append(pattern.lineno)
    return sorted(found)


def sources() -> Iterator[Path]:
    """Every module that must not branch, relative to the root; links between packages are not followed."""
    for package in ("selfcodec", "models", "cli", "benchmarks"):
        for directory, _, files in os.walk(ROOT / package):
            for path in (Path(directory, file).relative_to(ROOT) for file in files if file.endswith(".py")):
                if not any(path.match(pattern) for pattern in ALLOWED):
                    yield path


@pytest.mark.parametrize("path", sorted(sources()), ids=str)
def test_no_code_but_the_families_depends_on_a_likelihood_s_kind(path: Path) -> None:
    lines = branches((ROOT / path).read_text(encoding="utf-8"))
    assert not lines, f"{path}: lines {lines} ask for the kind of a likelihood: make it a method of the families"


@pytest.mark.parametrize(
    "planted",
    [
        "if settings['kind'] == 'phases': pass",
        "x = 1 if 'context' == kind else 2",
        "assert config.likelihood.kind in ('context', 'phases')",
        "while spec.variables[name].get('kind') != 'reconstruction': pass",
        "y = [v for v in variables if settings[v]['kind'] == 'latent']",
        "z = likelihood.kind == 'prior'",
        "z = config.posterior.kind == 'uniform'",
        "if isinstance(config.likelihood, PhasesConfig): pass",
        "f(isinstance(x, (int, config.ContextConfig)))",
        "f(issubclass(x, Reconstruction | Context))",
        "if type(likelihood) is Phases: pass",
        "if likelihood.kind == Context.kind: pass",
        "match kind:\n    case 'phases' | 'context': pass",
        "match likelihood:\n    case Phases(): pass",
    ],
)
def test_a_branch_is_found(planted: str) -> None:
    source = f"import this\n\n\ndef f(x):\n    return x\n\n\n{planted}\n"
    assert branches(source)[0] in (8, 9)


@pytest.mark.parametrize(
    "innocent",
    [
        "if step.target.kind == 'latent': pass",
        "if parent.kind == 'pixels': pass",
        "if node.op in ('pixels', 'latent', 'conv'): pass",
        "settings = {'kind': 'phases', 'phases': 4}",
        "family = FAMILIES[settings['kind']]",
        "if isinstance(config.prior, RealNVPConfig): pass",
        "if settings['kind'] == theirs['kind']: pass",
    ],
)
def test_what_is_no_branch_is_not_found(innocent: str) -> None:
    assert not branches(innocent)
