"""Tiles cover an image, are about equally large, and are shared out evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfcodec import tiles


@given(width=st.integers(1, 300), height=st.integers(1, 300), tile=st.sampled_from([8, 32, 40, 64]))
def test_tiles_cover_an_image_once(width: int, height: int, tile: int) -> None:
    count = np.zeros((height, width, 1), np.int64)
    boxes = tiles.tile_boxes(width, height, tile)
    for box in boxes:
        part = box.of(count)
        assert part.shape[:2] == (box.height, box.width)
        assert max(box.height, box.width) <= tile
        part += 1
    assert (count == 1).all()
    assert [box.index for box in boxes] == list(range(len(boxes)))
    assert len(boxes) <= -(-width // tile) * -(-height // tile)


def test_tiles_are_about_equally_large() -> None:
    boxes = tiles.tile_boxes(451, 300, 256)
    assert [(box.height, box.width) for box in boxes] == [(160, 240), (160, 211), (140, 240), (140, 211)]
    assert {(box.height, box.width) for box in tiles.tile_boxes(768, 512, 256)} == {(256, 256)}


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    most=st.sampled_from([1, 3, 16]),
    workers=st.integers(1, 4),
    at_once=st.sampled_from([500, 5000, tiles.BATCH_PIXELS]),
)
def test_tiles_are_shared_out_among_workers(width: int, height: int, most: int, workers: int, at_once: int) -> None:
    boxes = tiles.tile_boxes(width, height, 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "BATCH_PIXELS", at_once)
        shares = tiles.shares(boxes, most, workers)
    assert all(shares)
    assert sorted(box.index for share in shares for box in share) == list(range(len(boxes)))
    assert len(shares) >= min(workers, len(boxes))
    pixels = [sum(box.height * box.width for box in share) for share in shares]
    assert max(pixels) - min(pixels) <= 32 * 32
    for share in shares:
        batches = list(tiles.by_size(share, most))
        assert sorted(box.index for batch in batches for box in batch) == sorted(box.index for box in share)
        assert all(len({(box.height, box.width) for box in batch}) == 1 for batch in batches)
        assert max(map(len, batches)) <= most
