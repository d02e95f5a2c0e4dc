"""The search for the quality that meets a target."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.cli.search import largest_within, smallest_reaching
from selfcodec.errors import InputError


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=100, max_size=100).map(sorted), st.integers(0, 1000))
def test_search_finds_the_best_quality(values: list[int], target: int) -> None:
    fitting = [q for q in range(1, 101) if values[q - 1] <= target]
    reaching = [q for q in range(1, 101) if values[q - 1] >= target]
    if fitting:
        assert largest_within(lambda q: values[q - 1], target) == fitting[-1]
    else:
        with pytest.raises(InputError, match=f"quality 1 takes {values[0]}"):
            largest_within(lambda q: values[q - 1], target)
    if reaching:
        assert smallest_reaching(lambda q: values[q - 1], target) == reaching[0]
    else:
        with pytest.raises(InputError, match=f"reaches {values[-1]}.00"):
            smallest_reaching(lambda q: values[q - 1], target)


def test_few_qualities_are_tried() -> None:
    tried: list[int] = []

    def size_at(quality: int) -> int:
        tried.append(quality)
        return 10 * quality

    assert largest_within(size_at, 375) == 37
    assert len(tried) == len(set(tried)) <= 7


def test_a_result_fits_even_where_sizes_do_not_rise() -> None:
    sizes = [(37 * q) % 101 for q in range(1, 101)]
    assert sizes[largest_within(lambda q: sizes[q - 1], 60) - 1] <= 60
    assert sizes[smallest_reaching(lambda q: sizes[q - 1], 60) - 1] >= 60
