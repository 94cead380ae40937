"""Lists of numbers and points are read all at once, and mean what they do one by one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import InvalidAnswer, Size, fields
from tessera.kinds.places import point, points

TILE = Size(200, 160)
MOST = 5
coordinates: st.SearchStrategy[Any] = (
    st.floats(-1, 161)
    | st.integers(-1, 161)
    | st.integers(0, 32_000).map(lambda n: n / 200)
    | st.sampled_from([-0.0, 0.005, 1.005, 2.675, -0.004, 160.999])
)
hostile: st.SearchStrategy[Any] = (
    coordinates
    | st.floats()
    | st.integers()
    | st.sampled_from([True, None, "9", [], {}, 10**400, -(2**53), 2**53 + 1])
)


def said(read: Any) -> str:
    """What it reads, byte by byte, or where and why it refuses to."""
    try:
        return json.dumps(read())
    except InvalidAnswer as error:
        return json.dumps(error.facts)


@given(st.lists(st.lists(coordinates, min_size=2, max_size=2), max_size=MOST))
def test_points_are_read_as_each_of_them_is(value: list[Any]) -> None:
    assert said(lambda: points(value, "at", TILE, most=MOST)) == said(
        lambda: [point(each, f"at[{i}]", TILE) for i, each in enumerate(value)]
    )


@given(st.lists(st.lists(hostile, min_size=1, max_size=3) | hostile, max_size=MOST))
def test_the_first_point_that_is_none_is_named(value: list[Any]) -> None:
    assert said(lambda: points(value, "at", TILE, most=MOST)) == said(
        lambda: [point(each, f"at[{i}]", TILE) for i, each in enumerate(value)]
    )


@given(st.lists(hostile, max_size=MOST))
def test_numbers_are_read_as_each_of_them_is(value: list[Any]) -> None:
    assert said(lambda: fields.numbers(value, "at", InvalidAnswer, most=MOST)) == said(
        lambda: [fields.number(each, f"at[{i}]", InvalidAnswer) for i, each in enumerate(value)]
    )


@pytest.mark.parametrize("value", [None, "no list", {"0": [1, 1]}, [[1, 1]] * (MOST + 1)])
def test_what_is_no_list_or_too_long_is_refused(value: Any) -> None:
    for read in (
        lambda: points(value, "at", TILE, most=MOST),
        lambda: fields.numbers(value, "at", InvalidAnswer, most=MOST),
    ):
        assert json.loads(said(read))["at"] == "at"
