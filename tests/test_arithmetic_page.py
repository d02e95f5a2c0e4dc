"""The numbers in docs/arithmetic.md are the code's: phrases written with the code's constants stand on the page."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from selfcodec import fixed_point, spec
from selfcodec.coding import grid, mixture, symbols, tables
from selfcodec.coding.tables import load_tables
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods import groups, latent, layout, phases, reconstruction
from selfcodec.likelihoods.context import adapting, least_squares, predicting
from selfcodec.likelihoods.context import mixture as joint
from selfcodec.likelihoods.families import FAMILIES
from selfcodec.modes import (
    DEFAULT_QUALITY,
    MAX_QUALITY,
    MAX_SEED,
    MAX_TRANSFORMS,
    MIN_QUALITY,
    UPPER_HALVINGS,
    centred,
)
from selfcodec.networks import flow
from selfcodec.schedule import Shape, build_schedule

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "arithmetic.md").read_text(encoding="utf-8").split())
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def up(number: int) -> str:
    """As an exponent."""
    return str(number).translate(SUPERSCRIPTS)


def same(*values: int) -> int:
    """What the page says once, of several constants."""
    assert len(set(values)) == 1, values
    return values[0]


def log2(power: int) -> int:
    return power.bit_length() - 1


def listed(indices: tuple[int, ...]) -> str:
    """Neighbours by where they lie: W, N, NW and NE."""
    places = [layout.NEIGHBOURS[i] for i in indices]
    names = ["N" * -row + "WE"[column > 0] * abs(column) for row, column in places]
    return f"{', '.join(names[:-1])} and {names[-1]}"


SYMBOLS = symbols.ALPHABET
LAST = SYMBOLS**2 - 1
UNIT = round(tables.LOG_SCALE_STEP * 2**PARAM_FRACTION)
COEFFICIENT = up(same(phases._COEFFICIENT_DROP, joint._COEFFICIENT_DROP))
SIXTEENTHS = up(-same(tables.INVERSE_BITS, tables.WEIGHT_BITS, tables.COUPLING_BITS, tables.QUALITY_BITS))
DISTANCE = INPUT_FRACTION + layout.ACTIVITY_UNIT
CDF, PROBABILITY, INPUT = up(tables.CDF_BITS), up(tables.PRECISION), up(-INPUT_FRACTION)
BETWEEN = mixture.INTERPOLATION_BITS
GREY = 1 << layout.PIXEL_BITS
NEUTRAL, FLAG = layout.NEUTRAL, same(phases.FLAG, 1 << INPUT_FRACTION)
WEIGHT_DROP, COUPLING_DROP = PARAM_FRACTION - tables.WEIGHT_STEP_BITS, PARAM_FRACTION - tables.COUPLING_STEP_BITS
COUPLING_HALF = len(load_tables().coupling) // 2
REACH, (LOW, HIGH) = layout.CONTEXT_REACH, layout.ACTIVITY_RANGE
FOLD, CELL = layout.CONTEXT_FOLD, len(layout.phase_offsets(4))
REFILL = f"{tables.RENEWED:,}"
MEAN_STEPS = 1 << grid.MEAN_BITS
COARSEST = tables.GRID_HIGHEST + grid.MOST_SHIFT * tables.GRID_STEPS
FINER = 1 << (latent.LATENT_BITS - LATENT_FRACTION)
SEVERAL = next(k for k in range(MAX_TRANSFORMS) if centred(DEFAULT_QUALITY - 1, k))
SCALES = same(len(load_tables().pixel_inverse_scale), len(load_tables().latent_inverse_scale)) - 1


def scale_offset(bounds: tuple[float, float], added: float = 0.0) -> int:
    return round((added - bounds[0]) * 2**PARAM_FRACTION)


PHRASES = (
    # Fixed point.
    f"network: value − {NEUTRAL} | 2{INPUT} | −{fixed_point.PIXEL_MAX}..{fixed_point.PIXEL_MAX - 1};",
    f"context flags are 0 or {FLAG} |",
    f"| latent input of a network | 2{INPUT} | ±{ACTIVATION_MAX} |",
    f"| plane: a network's input that is one number an image and channel | 2{INPUT} | ±{ACTIVATION_MAX} |",
    f"| hidden activation | 2⁻ᶠ, f by node | ±{ACTIVATION_MAX} |",
    f"| network output | 2{up(-PARAM_FRACTION)} | ±{fixed_point.PARAM_MAX} |",
    f"fraction bits, from −{fixed_point.FRACTION_MAX} to {fixed_point.FRACTION_MAX}.",
    f"| weight of a convolution | 2⁻ᵉ, e by output channel | ±{fixed_point.WEIGHT_MAX} |",
    f"| latent u, v, z and width of a grid | 2{up(-LATENT_FRACTION)} |",
    f"| pixel mean and edge | 2{up(-layout.PIXEL_BITS)} grey levels |",
    f"| latent mean and edge | 2{up(-latent.LATENT_BITS)} |",
    f"| mean of a group's number | 2{up(-grid.MEAN_BITS)} widths of its grid |",
    f"| inverse scale, mixture weight, exp(s), scale of widths | 2{SIXTEENTHS} |",
    f"| CDF | 2{up(-tables.CDF_BITS)} |",
    # Networks.
    f"Σ|w| · (largest |input|) + |b| < 2{up(log2(fixed_point.EXACT_LIMIT))}.",
    f"(leaky ReLU: max(x, x/{round(1 / fixed_point.LEAKY_SLOPE)}))",
    f"`planes`, the quality {MIN_QUALITY} to {MAX_QUALITY} as networks see it, in 2{INPUT};",
    f"which is {DEFAULT_QUALITY} where the quality tunes nothing.",
    # Families.
    f"A model's specification, version {spec.SPEC_VERSION}, names",
    f"rhu(a / 2{up(PARAM_FRACTION - INPUT_FRACTION)}) clamped to ±{ACTIVATION_MAX}.",
    f"reads the others as version {spec.SPEC_VERSION}.",
    f"Version {spec.SPEC_VERSION - 1} and those before coded values in `context` as two symbols,",
    f"the phases before, value − {NEUTRAL}, and the flag.",
    # A number's distribution.
    f"F(0) = 0, F({LAST + 1}) = 2{CDF} · Σ_m w_m C is",
    f"shifted right to {BETWEEN} bits below the table's step of 2{up(-tables.CDF_STEP_BITS)},",
    f"offset by {tables.CDF_RANGE}, clamped into the table, split into index i and rest t of {BETWEEN}",
    f"C = T[i] + ((T[i+1] − T[i]) · t >> {BETWEEN}).",
    f"`weight[min({tables.WEIGHT_RANGE << tables.WEIGHT_STEP_BITS},",
    f"(max logit − logit + {1 << WEIGHT_DROP >> 1}) >> {WEIGHT_DROP})]`",
    f"A number 0..{LAST} is coded",
    f"the sixteen frequencies F({SYMBOLS}(h+1)) − F({SYMBOLS}h) + 1,",
    f"given h the frequencies F({SYMBOLS}h+l+1) − F({SYMBOLS}h+l) + 1.",
    f"(E_{{i+1}} − E_i + 1) / 2{PROBABILITY}, its interval beginning at (E_i + i) / 2{PROBABILITY},",
    f"E_n = 2{PROBABILITY} − n and otherwise E_i = ⌊W_i · s⌋ with s = (2{PROBABILITY} − n) / W_n;",
    # Escapes.
    f"number 0 stands for 0 − d and {LAST} for {LAST} + d with any d below {SYMBOLS}{up(symbols.ESCAPE_DIGITS)}.",
    f"a run of at most {symbols.CHUNK:,} numbers, the d of every 0 and {LAST} among them",
    f"as symbols 0 to {symbols.ESCAPE_DIGITS - 1} with frequencies {', '.join(f'{n:.0f}' for n in symbols.LENGTHS)}.",
    f"with sixteen frequencies of {same(*symbols.UNIFORM.astype(int).tolist())}.",
    # Pixels in phases.
    f"edge(b) = {GREY} b − {GREY // 2}.",
    f"⌊(raw + {scale_offset(tables.PIXEL_LOG_SCALES, layout.LOG_SCALE_OFFSET)} + {UNIT // 2}) / {UNIT}⌋",
    f"clamped to 0..{SCALES}, into `pixel_inverse_scale`;",
    f"c = {GREY} · base_c + mean + Σ_{{e<c}} rhu(coefficient · (x_e − base_e) / 2{COEFFICIENT}).",
    f"A cell's phases, {len(layout.phase_offsets(1))} or {CELL}, are coded in the order",
    f"{', '.join(f'({row},{column})' for row, column in layout.phase_offsets(4))} of (row, column)",
    f"for the last of {CELL} phases under `known_sum` four times y minus the other three,",
    f"and {NEUTRAL} elsewhere.",
    f"a flag of {FLAG} at every position;",
    f"y = (sum of the cell + {CELL // 2}) >> {log2(CELL)},",
    f"w = clip(base − {layout.WINDOW_BELOW}, 0, {LAST + 1 - mixture.WINDOW})",
    f"with d = 0..{mixture.WINDOW - 1} the value is w + d, with frequencies F(w+d+1) − F(w+d) + 1,",
    # Pixels in context.
    f"step t = c + {REACH + 1} r;",
    f"rows r − {REACH} .. r and columns c − {REACH} .. c + {REACH} that come before it in reading order,",
    f"{len(layout.NEIGHBOURS)} in all,",
    f"⌊(2 Σ + n) / 2n⌋ over the n known ones of {listed(layout.BASE_NEIGHBOURS)}; where n = 0,",
    f"y's value or {NEUTRAL} as in `phases`;",
    f"⌊{layout.ACTIVITY_CHANNELS} Σ|x − base| / C⌋ over the known ones of {listed(layout.ACTIVITY_NEIGHBOURS)}",
    f"and all C channels, at least {LOW} and at most {HIGH}; where n = 0, {layout.ACTIVITY_WITHOUT}.",
    f"into {FOLD}×{FOLD} positions (channel {FOLD**2} f + {FOLD} i + j is feature f at row i, column j)",
    f"(x − base) · 2^({DISTANCE} − a), rounded half up and clamped to ±{ACTIVATION_MAX}, and 0 where",
    f"then {1 << (INPUT_FRACTION - 1)} (a − {layout.ACTIVITY_CENTRE}); then base − {NEUTRAL} of each channel;",
    f"then {FLAG} where n > 0, else 0.",
    f"c = {GREY} · base_c + mean · 2^(a − {joint._MEAN_ACTIVITY}), rounded half up,",
    f"+ Σ_{{e<c}} rhu(coefficient · (x_e − base_e) / 2{COEFFICIENT}); scale index",
    f"⌊(raw + {layout.ACTIVITY_LOG_SCALE} (a − {layout.ACTIVITY_UNIT}) + {scale_offset(tables.PIXEL_LOG_SCALES)} +"
    f" {joint._LOG_SCALE_OFFSET - scale_offset(tables.PIXEL_LOG_SCALES)}) / {joint._LOG_SCALE_UNIT}⌋, clamped.",
    f"w_m (F_m(b + 1) − F_m(b)), F_m being component m's own CDF with F_m(0) = 0 and F_m({LAST + 1}) = 2{CDF};",
    f"the largest has {joint.MIXTURE_BITS + 1} binary digits, and are at least 1.",
    f"A value is one symbol of {(1 << tables.PRECISION) - round(joint._FREE)}, with the frequencies",
    # Predictions.
    f"a row f of {len(predicting.SEEN) + 1} C + 1 numbers.",
    f"For each of the {len(predicting.SEEN)} neighbours at squared distance"
    f" {max(r * r + c * c for r, c in (layout.NEIGHBOURS[n] for n in predicting.SEEN))} or less, in reading order, x −",
    f"With k = {len(predicting.SEEN)} C + 1 and the",
    f"clamped to ±{predicting._MOST_VALUE:g}, and its residual",
    f"the residuals at {listed(layout.BASE_NEIGHBOURS)}, of each",
    f"all times 2^({DISTANCE} − a); then for each channel its slopes on the channels before, times"
    f" {predicting._SLOPE_UNIT:g}; each number t of these is ⌊t + 0.5⌋, clamped to ±{predicting._MOST:g}.",
    f"rounded toward zero to 2{up(-layout.PIXEL_BITS)}.",
    f"ω = 1 / (({predicting.VARIANCE} · v + {predicting.SQUARE} · (y / C)) + {predicting.NOISE}): v is",
    f"of the known ones of {listed(layout.ACTIVITY_NEIGHBOURS)} and all channels,"
    f" {predicting.FIRST_VARIANCE:g} where none is known;",
    f"Once {predicting.SOLVED_AFTER} or more pixels were added since the last time, A is made of P as below,"
    f" and P multiplied by {predicting.KEPT}.",
    # Learning.
    f"a row f of n = {2 * len(adapting.SEEN) + 2} C + 1 numbers.",
    f"For each of the {len(adapting.SEEN)} neighbours at squared",
    f"distance {max(r * r + c * c for r, c in (layout.NEIGHBOURS[n] for n in adapting.SEEN))} or less,",
    f"clamped to 0..{LAST * GREY}; the residual is x − e / {GREY}.",
    f"the first k = {2 * len(adapting.SEEN)} C + 2 c + 2 numbers,",
    f"s = (S / R) · {1 << tables.INVERSE_BITS}.",
    f"clamped to ±(s + {adapting.MOST_MOVE}).",
    f"⌊d · gain · {GREY} + 0.5⌋,",
    f"the stretch ⌊{adapting._STEPS} · stretch + 0.5⌋,",
    f"which begin at {adapting.FIRST_GAIN} and 0.",
    f"b = C(l) / 2{CDF}, but 0 for x = 0; t = C(h) / 2{CDF}, but 1 for x = {LAST};",
    f"l and h divided by 2{up(tables.INVERSE_BITS + layout.PIXEL_BITS)} and clamped to ±{tables.CDF_RANGE}:",
    f"((B − T) (r / {1 << tables.INVERSE_BITS}))",
    f"p is at least 2{up(-tables.CDF_BITS)}.",
    f"the gain grows by {adapting.GAIN_RATE} times that, and is clamped to 0..{adapting.MOST_GAIN:g}.",
    f"with p_stretch / p clamped to ±{adapting.STRETCH_GRADIENT:g} the stretch grows by"
    f" max({adapting.STRETCH_RATE}, 1 / (N + {adapting.STRETCH_BEGIN})) times that,"
    f" and is clamped to ±{adapting.MOST_STRETCH}.",
    f"ω = 1 / (({adapting.VARIANCE:g} · (v / C) + {adapting.SQUARE} · (y / C)) + {adapting.NOISE:g}),",
    f"Once {adapting.SOLVED_AFTER} or more pixels were added since the last time, the filters are found anew.",
    f"P with {least_squares.RIDGE:g} added to each diagonal element; P is then multiplied by {adapting.KEPT}.",
    f"the pivot is max(A_jj, {least_squares.RIDGE / 2:g});",
    # Pixels that are a network's, and latents.
    f"{NEUTRAL} + rhu(output / 2{up(reconstruction._DROP)}), clamped to 0..{LAST};",
    f"μ = {GREY} · {NEUTRAL} + output,",
    f"Δ = max(1, rhu(width · `quality`[q] / 2{up(tables.QUALITY_BITS)})), or of the width itself where"
    f" that is at least {latent.IDLE_WIDTH}.",
    f"μ̄ in 2{up(-latent.LATENT_BITS)}, rounded down, and D = {FINER}Δ,",
    f"c = ⌊(2 μ̄ + D) / 2D⌋ and number b means index c + b − {latent.CENTRE};",
    f"edge(b) = (c + b − {latent.CENTRE}) D − ⌊D/2⌋.",
    f"Where K ≥ {SEVERAL} and q < {DEFAULT_QUALITY}, the grid lies around the mean instead: number b stands for"
    f" m + (b − {latent.CENTRE}) Δ with m = ⌊μ̄ / {FINER}⌋, and edge(b) = {FINER} m + (b − {latent.CENTRE}) D − ⌊D/2⌋.",
    f"⌊(raw + {scale_offset(tables.LATENT_LOG_SCALES)} + {UNIT // 2}) / {UNIT}⌋ clamped to 0..{SCALES},"
    " into `latent_inverse_scale`.",
    f"in bands of {groups.BAND} rows,",
    f"a flag of {1 << INPUT_FRACTION} at every even position,",
    f"Latents are rhu(a / 2{up(LATENT_FRACTION - INPUT_FRACTION)}), clamped to ±{ACTIVATION_MAX}, and 0 beyond",
    f"m = ⌊(2{up(LATENT_FRACTION - PARAM_FRACTION + grid.MEAN_BITS + 1)} · mean + Δ) / 2Δ⌋"
    f" is the mean in 2{up(-grid.MEAN_BITS)} widths",
    f"ℓ = {groups.LOG_SCALE_UNIT} raw + `log_scales` the logarithm of the deviation in widths, in"
    f" 2{up(-PARAM_FRACTION)}.",
    f"s = clamp(({grid._OCTAVES} ℓ + 2{up(2 * PARAM_FRACTION - 1)}) >> {2 * PARAM_FRACTION},"
    f" −{-tables.GRID_LOWEST}, {COARSEST})",
    f"k = max(0, ⌈(s − {tables.GRID_HIGHEST}) / {tables.GRID_STEPS}⌉), at most {grid.MOST_SHIFT},",
    f"c = (m + {grid._HALF}) >> {grid.MEAN_BITS}, and the place p = (m − {MEAN_STEPS} c + {grid._HALF}) >> k.",
    f"clamped to ±{groups.MOST},",
    f"t = s − {tables.GRID_STEPS} k from −{-tables.GRID_LOWEST} to {tables.GRID_HIGHEST} and place p,",
    f"T_0 = 0, T_{SYMBOLS} = 2{CDF},",
    f"({MEAN_STEPS} (i − {grid._CENTRE}) − {grid._HALF} − (p − {grid._HALF})) ·"
    f" `grid_inverse_scale`[t + {-tables.GRID_LOWEST}],",
    f"shifted right by {tables.INVERSE_BITS + grid.MEAN_BITS - tables.CDF_STEP_BITS - mixture.INTERPOLATION_BITS} to"
    f" 2{up(-tables.CDF_STEP_BITS - mixture.INTERPOLATION_BITS)}.",
    f"that of symbol {grid._CENTRE}, each without its 1, sum to less than 2{up(tables.CDF_BITS - grid.CERTAIN_BITS)},",
    f"clamp((d >> k) + {grid._CENTRE}, 0, {SYMBOLS - 1}),",
    f"for each symbol that is 0 or {SYMBOLS - 1}, how far (d >> k) + {grid._CENTRE} lies beyond,",
    f"Where K ≥ {SEVERAL} and the file's quality f is below {DEFAULT_QUALITY},"
    f" q is {DEFAULT_QUALITY} − ⌊({DEFAULT_QUALITY} − f) / {1 << UPPER_HALVINGS}ⁱ⌋",
    f"q is {DEFAULT_QUALITY} for all others",
    f"s and t from rhu(a / 2{up(LATENT_FRACTION - INPUT_FRACTION)});",
    f"`coupling[clamp((s + {1 << COUPLING_DROP >> 1}) >> {COUPLING_DROP}, ±{COUPLING_HALF}) + {COUPLING_HALF}]`;",
    f"rhu(b · exp(s) / 2{up(tables.COUPLING_BITS)}) + {1 << (LATENT_FRACTION - PARAM_FRACTION)} t,",
    f"clamped to ±2{up(log2(flow.LIMIT))};",
    # What is not sent, and tables.
    f"with key (seed << {MAX_SEED.bit_length()}) + tile index. A coder starts with {REFILL} such words,",
    f"fewer than n + {tables.STATE_WORDS} words left, state included, is replaced by one of {REFILL} + n new words.",
    "computed with {}-bit arithmetic".format(*re.findall(r"prec = (\d+)", inspect.getsource(tables._compute))),
)
"""Sentences of the page around its numbers, each of which stands there once."""


NOTATION = (  # of names, indices, types
    "2 2 ⁻¹ 32 2 2 2 64 4 2 2 2 2 2 2 2 0 2 1 1 0 1 1 1 0 1 1 0 1 0 1 0 0 0 0 64 0 0 1 64 0 1 64 0 1 0 0 "
    "0 0 1 1 64 754 2 ⁻⁵ 0 1 0 1 2 3 4 4 0 1 2 3 0 1 1 1 1 1 0 1 1 1 2 3 6 0 0 0 1 1 0 1 2 1 1 0 64 4 64 0 256"
)
"""All other numbers on the page, in order: one that is added there belongs into a phrase, or here."""


def wrong(page: str) -> list[str]:
    """Phrases that the page lacks or repeats, and its other numbers where they are not NOTATION."""
    bad, rest = [phrase for phrase in PHRASES if page.count(phrase) != 1], page
    for phrase in PHRASES:
        rest = rest.replace(phrase, re.sub(NUMBER, "", phrase))
    others = " ".join(NUMBER.findall(rest))
    return bad if others == NOTATION else [*bad, others]


def changed(number: str) -> str:
    """Another number, written alike."""
    if number[-1].isascii():
        return str(int(number.replace(",", "")) + 1)
    return up(int(number.translate({to: chr(plain) for plain, to in SUPERSCRIPTS.items()})) + 1)


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert wrong(PAGE) == []


def test_any_number_that_is_changed_on_the_page_is_noticed() -> None:
    for number in NUMBER.finditer(PAGE):
        assert wrong(PAGE[: number.start()] + changed(number[0]) + PAGE[number.end() :])


def test_the_page_has_all_families_and_their_networks() -> None:
    steps = {step.name: step for step in build_schedule(Shape(1, 2, 3, 8, 2, 8, 2))}
    rows = dict(re.findall(r"\| `(\w+)` \|[^|]*\| ([^|]*) \|", PAGE.split("networks, of u, z1 or x |")[1]))
    assert list(rows) == list(FAMILIES)
    settings: dict[str, Any] = {"couplings": 2, "phases": 2, "groups": [3, 5]}
    of = {"prior": "u", "latent": "z1", "groups": "z1"}
    for kind, family in FAMILIES.items():
        assert re.findall(r"`(\w+)`", rows[kind]) == list(family.networks(steps[of.get(kind, "x")], settings))
