"""A pass over the pixels of some planes, step after step, in compiled loops: one for encoder and decoder.

A step's pixels, a wavefront, are coded together: their heads see what the steps before gave. Where the values are
known, the heads of many steps run at once.
"""

from __future__ import annotations

from typing import NamedTuple

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt32
from selfcodec.coding.ans import StackArrays
from selfcodec.compiled import compiled
from selfcodec.likelihoods.context.adapting import Memory, Workspace, conclude, look, move, observe, stretch
from selfcodec.likelihoods.context.mixture import Terms, advance, expected, note, read
from selfcodec.likelihoods.context.neighbours import Scene, gather, put, take
from selfcodec.likelihoods.context.predicting import Predictor, foresee, learn
from selfcodec.networks.nodes import Nodes
from selfcodec.networks.pointwise_loops import run


class Found(NamedTuple):
    """What is known of the pixels whose heads run together, at most S.

    Attributes:
        inputs, params: (S, I) and (S, P), of the heads.
        bases, activity: (S, C) and (S,), see `neighbours.gather`.
        values: (S, C).
        slots: of the heads' nodes.
    """

    inputs: Float32
    params: Float32
    bases: Int64
    activity: Int64
    values: Int64
    slots: Int16


class Pass(NamedTuple):
    """A pass over some planes.

    Attributes:
        scene: the planes.
        places: (N, 3), plane, row and column of every pixel, in coding order.
        starts: (T + 1,), where each step begins.
        nodes: of the heads.
        terms: of their outputs.
        coded: channels that are coded, 1 of a grey image.
        adapting: mixtures are corrected by what is learned on the way.
        memory: what was learned.
        work, found: room for steps.
        predicted: so many of the heads' inputs, the last, tell of predictions.
        predictor: makes them.
    """

    scene: Scene
    places: Int32
    starts: Int64
    nodes: Nodes
    terms: Terms
    coded: int
    adapting: bool
    memory: Memory
    work: Workspace
    found: Found
    predicted: int
    predictor: Predictor


@compiled
def _look_around(p: Pass, first: int, last: int, shown: bool) -> None:
    """Sets what heads see of the pixels first..last - 1 in `p.found`, without predictions."""
    found = p.found
    inputs = found.inputs[: last - first]
    gather(p.scene, p.places[first:last], shown, inputs, found.bases, found.activity)
    inputs[:, inputs.shape[1] - p.predicted :] = 0.0


@compiled
def _foresee(p: Pass, first: int, last: int, known: bool) -> None:
    """Sets what heads see of predictions of the pixels of the steps first..last - 1."""
    found, starts = p.found, p.starts[first : last + 1]
    inputs = found.inputs[:, found.inputs.shape[1] - p.predicted :]
    foresee(p.scene, p.places, starts, found.bases, found.activity, found.values, known, p.predictor, inputs)


@compiled
def _run_heads(p: Pass, count: int) -> None:
    run(p.nodes, p.found.slots, p.found.inputs[:count], p.found.params[:count])


@compiled
def _code(
    p: Pass, step: int, found_from: int, reading: bool, streams: StackArrays, starts: UInt32, sizes: UInt32
) -> None:
    """One step of `coded`, with what was found of its pixels in `p.found`, which begins with pixel `found_from`."""
    first, last = p.starts[step], p.starts[step + 1]
    places, a, b, n = p.places[first:last], first - found_from, last - found_from, last - first
    bases, activity, values = p.found.bases[a:b], p.found.activity[a:b], p.found.values[a:b]
    if p.adapting:
        look(p.scene, places, bases, p.memory, p.work)
    for channel in range(p.coded):
        if p.adapting:
            stretch(channel, places, activity, p.memory, p.work)
        state = p.work.state[:n]
        advance(p.found.params[a:b], p.terms, bases, activity, values, channel, p.work.stretches, state)
        if p.adapting:
            move(channel, places, bases, activity, p.memory, p.work)
        if reading:
            read(places, channel, p.terms, state, streams, values)
        else:
            to = p.coded * first + channel * n
            note(channel, p.terms, state, values, starts[to : to + n], sizes[to : to + n])
        if p.adapting:
            observe(channel, places, bases, activity, values, p.memory, p.work)
    if p.adapting:
        conclude(places, p.memory, p.work)
    if reading:
        for channel in range(p.coded, values.shape[1]):
            values[:, channel] = values[:, 0]
        put(values, places, p.scene.planes)
        if p.predicted:
            learn(places, bases, values, p.predictor)


@compiled
def coded(p: Pass, first: int, last: int, reading: bool, streams: StackArrays, starts: UInt32, sizes: UInt32) -> None:
    """Reads the pixels of the steps first..last - 1, or notes them, which are in the planes then.

    Args:
        p: the pass.
        reading: what is wanted.
        streams: the images', to read from.
        starts, sizes: of one image, (coded N,), the values' intervals, set where they are noted: of each step, for
            each channel, those of its pixels.
    """
    begin = first
    while begin < last:
        end = begin + 1
        while not reading and end < last and p.starts[end + 1] - p.starts[begin] <= len(p.found.values):
            end += 1
        a, b, found = p.starts[begin], p.starts[end], p.found
        _look_around(p, a, b, True)
        if not reading:
            take(p.scene.planes, p.places[a:b], found.values)
        if p.predicted:
            _foresee(p, begin, end, not reading)
        _run_heads(p, b - a)
        for step in range(begin, end):
            _code(p, step, p.starts[begin], reading, streams, starts, sizes)
        begin = end


@compiled
def expect(p: Pass) -> None:
    """Sets all pixels to their mixtures' means where nothing of the variable is known."""
    for first in range(0, len(p.places), len(p.found.values)):
        last = min(first + len(p.found.values), len(p.places))
        count, found = last - first, p.found
        _look_around(p, first, last, False)
        _run_heads(p, count)
        mixtures = p.work.state.shape[2]
        expected(found.params[:count], p.terms, found.bases, found.activity, p.coded, mixtures, found.values[:count])
        put(found.values[:count], p.places[first:last], p.scene.planes)
