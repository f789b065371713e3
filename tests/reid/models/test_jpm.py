"""Which patches each part of the jigsaw sees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.models.jpm import jigsaw_order, part_token_ids


@pytest.mark.parametrize(
    ("tokens", "shift", "start", "end"),
    [
        pytest.param(8, 3, [3, 7, 4, 8, 5, 1, 6, 2], [], id="whole order, even"),
        pytest.param(9, 3, [3, 8, 4, 9, 5, 1, 6, 2, 7, 1], [], id="whole order, odd: patch 1 comes twice"),
        pytest.param(128, 5, [5, 69, 6, 70, 7, 71], [65, 1, 66, 2, 67, 3, 68, 4], id="256x128, stride 16"),
        pytest.param(210, 5, [5, 110, 6, 111], [106, 1, 107, 2, 108, 3, 109, 4], id="256x128, stride 12"),
        pytest.param(256, 8, [8, 136, 9, 137], [132, 4, 133, 5, 134, 6, 135, 7], id="256x256, stride 16"),
        pytest.param(441, 8, [8, 229, 9, 230], [225, 5, 226, 6, 227, 7, 228, 6], id="256x256, stride 12: odd"),
    ],
)
def test_golden_orders(tokens: int, shift: int, start: list[int], end: list[int]) -> None:
    order = jigsaw_order(tokens, shift=shift, groups=2)
    assert order[: len(start)] == start
    assert order[len(order) - len(end) :] == end
    assert len(order) == tokens + tokens % 2


@settings(deadline=None)  # wall time says nothing on a busy machine
@given(st.data(), st.integers(2, 500), st.integers(1, 6))
def test_the_order_holds_every_patch(data: st.DataObject, tokens: int, groups: int) -> None:
    order = jigsaw_order(tokens, shift=data.draw(st.integers(1, tokens)), groups=groups)
    assert set(order) == set(range(1, tokens + 1))
    assert len(order) % groups == 0
    assert len(order) - tokens < groups


def test_parts_are_consecutive_pieces_and_the_rest_is_dropped() -> None:
    def parts(rearrange: bool) -> list[list[int]]:
        return part_token_ids(9, parts=4, shift=3, groups=2, rearrange=rearrange)

    assert parts(True) == [[3, 8], [4, 9], [5, 1], [6, 2]]
    assert parts(False) == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_a_length_divided_by_more_than_the_parts_leaves_the_end_out() -> None:
    def parts(divide_length: int | None) -> list[list[int]]:
        return part_token_ids(17, parts=4, shift=1, groups=2, rearrange=False, divide_length=divide_length)

    assert parts(8) == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert parts(4) == parts(None) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]
