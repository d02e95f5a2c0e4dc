"""Our own entropy coder does what constriction's does, whatever it is given, and is there where constriction is not."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_released import FILES, MODES, encode, golden

from selfcodec.arrays import Float64, Words
from selfcodec.coding import ans, stack
from selfcodec.decoding import decode_file
from selfcodec.modes import Mode
from selfcodec.zoo import find_model

constriction = pytest.importorskip("constriction")
THEIRS = constriction.stream.model.Categorical(perfect=False)
OURS = ans.Categorical(perfect=False)

words = st.lists(st.integers(0, 2**32 - 1), max_size=12).map(lambda values: np.array(values, np.uint32))
"""They may end in 0, which no coder writes."""


@st.composite
def frequencies(draw: st.DrawFn) -> Float64:
    """Of up to 40 symbols, (n, 2..256): all numbers of 16 bits, or integers up to 2**46 of every magnitude."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(0, 40)), draw(st.one_of(st.sampled_from([2, 4, 7, 16]), st.integers(2, 256)))
    if draw(st.booleans()):
        return rng.integers(1, 2**16, shape, np.uint16).astype(np.float64)
    return np.floor(2.0 ** rng.uniform(0, draw(st.integers(1, 46)), shape))


steps = st.lists(st.tuples(st.booleans(), frequencies(), st.integers(0, 2**32)), max_size=6)
"""Each encodes or decodes, symbols drawn with a seed."""


def pair(compressed: Words) -> tuple[Any, ans.AnsCoder] | None:
    """Both coders of the same words, or none if they are refused by both."""
    try:
        theirs = constriction.stream.stack.AnsCoder(compressed)
    except ValueError:
        with pytest.raises(ValueError, match="top word"):
            ans.AnsCoder(compressed)
        return None
    return theirs, ans.AnsCoder(compressed)


@given(words, steps)
@settings(max_examples=300, deadline=None)
def test_words_and_symbols_are_those_of_constriction(
    compressed: Words, course: list[tuple[bool, Float64, int]]
) -> None:
    """In any order, on any words: also past their end, and where they were damaged or cut short."""
    coders = pair(compressed)
    if coders is None:
        assert compressed[-1] == 0
        return
    theirs, ours = coders
    for encodes, weights, seed in course:
        if encodes:
            symbols = np.random.default_rng(seed).integers(0, weights.shape[1], len(weights), np.int32)
            theirs.encode_reverse(symbols, THEIRS, weights)
            ours.encode_reverse(symbols, OURS, weights)
        else:
            decoded = ours.decode(OURS, weights)
            assert decoded.dtype == np.int32
            assert decoded.tolist() == theirs.decode(THEIRS, weights).tolist()
        assert ours.get_compressed().dtype == np.uint32
        assert ours.get_compressed().tolist() == theirs.get_compressed().tolist()
        assert ours.num_words() == theirs.num_words()
        assert ours.is_empty() == theirs.is_empty()


@given(frequencies().filter(len), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_symbols_come_back(weights: Float64, seed: int) -> None:
    """The last symbol is the last of its alphabet: a coder in its initial state has no bits for the first."""
    symbols = np.random.default_rng(seed).integers(0, weights.shape[1], len(weights), np.int32)
    symbols[-1] = weights.shape[1] - 1
    coder = ans.AnsCoder()
    coder.encode_reverse(symbols, OURS, weights)
    assert not coder.is_empty()
    again = ans.AnsCoder(coder.get_compressed())
    assert again.decode(OURS, weights).tolist() == symbols.tolist()
    assert again.is_empty()


@pytest.mark.parametrize("symbol", [-1, 3])
def test_symbols_without_frequencies_are_refused(symbol: int) -> None:
    for coder, model in (constriction.stream.stack.AnsCoder(), THEIRS), (ans.AnsCoder(), OURS):
        with pytest.raises(KeyError):
            coder.encode_reverse(np.array([symbol], np.int32), model, np.ones((1, 3)))


def test_the_words_given_stay_as_they_are() -> None:
    given_words = np.arange(1, 6, dtype=np.uint32)
    coder = ans.AnsCoder(given_words)
    coder.decode(OURS, np.ones((4, 16)))
    coder.encode_reverse(np.full(30, 7, np.int32), OURS, np.ones((30, 16)))
    assert given_words.tolist() == [1, 2, 3, 4, 5]


def test_it_takes_the_place_of_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is not installed, and only there."""
    assert stack.AnsCoder is constriction.stream.stack.AnsCoder
    for name in [name for name in sys.modules if name.split(".")[0] == "constriction"]:
        monkeypatch.setitem(sys.modules, name, None)
    spec = find_spec("selfcodec.coding.stack")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.AnsCoder is ans.AnsCoder
    assert module.MODEL == OURS


@pytest.mark.parametrize(("name", "mode"), FILES)
def test_files_are_read_the_same(name: str, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    data = golden(name, mode).read_bytes()
    expected = decode_file(data)
    monkeypatch.setattr(stack, "AnsCoder", ans.AnsCoder)
    assert decode_file(data).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", MODES)
def test_files_are_written_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the mode that codes most variables."""
    monkeypatch.setattr(stack, "AnsCoder", ans.AnsCoder)
    mode = MODES[name][-1]
    assert encode(find_model(name), mode) == golden(name, mode).read_bytes()
