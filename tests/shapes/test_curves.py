"""Open lines: how they compare, what several come to, how pieces chain."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.shapes import curves

STRAIGHT = np.array([[0.0, 50], [100, 50]])
BENT = np.array([[0.0, 0], [40, 10], [60, 60], [100, 70]])


def test_lengths_and_places_along_a_line() -> None:
    assert curves.length(STRAIGHT) == 100
    assert curves.at(STRAIGHT, np.array([0.0, 25, 100])).tolist() == [[0, 50], [25, 50], [100, 50]]


def test_overlap_is_the_share_of_both_that_is_close() -> None:
    half = np.array([[0.0, 52], [50, 52]])
    assert curves.overlap(STRAIGHT, STRAIGHT, 8) == 1
    assert curves.alongside(half, STRAIGHT, 8) == 1
    assert curves.alongside(STRAIGHT, half, 8) == pytest.approx(0.58, abs=0.02)
    assert curves.overlap(STRAIGHT, half, 8) == pytest.approx(2 * 0.58 / 1.58, abs=0.02)
    assert curves.overlap(STRAIGHT, STRAIGHT + np.array([0, 20]), 8) == 0


@given(st.floats(0, 7.5), st.booleans())
def test_parallel_lines_are_as_far_apart_as_they_are_whatever_their_direction(
    off: float,
    turned: bool,  # noqa: FBT001
) -> None:
    other = STRAIGHT + np.array([0, off])
    other = other[::-1] if turned else other
    assert curves.apart(STRAIGHT, other, 8) == pytest.approx(off, abs=1e-6)
    assert curves.apart(STRAIGHT + np.array([0, 99]), other, 8) == 8


def test_the_middle_of_two_is_half_way_and_of_three_one_spoiler_moves_nothing() -> None:
    other = STRAIGHT[::-1] + np.array([0, 4])
    two = curves.middle([STRAIGHT, other], np.ones(2), 8)
    assert np.abs(two[:, 1] - 52).max() < 0.1
    far = STRAIGHT + np.array([0, 7])
    three = curves.middle([STRAIGHT, STRAIGHT, far], np.ones(3), 8)
    assert np.abs(three[:, 1] - 50).max() < 0.1
    assert three[[0, -1]].tolist() == STRAIGHT.tolist()


@given(st.permutations(range(4)))
def test_the_middle_does_not_depend_on_direction(order: list[int]) -> None:
    rng = np.random.default_rng(0)
    drawn = [BENT + rng.normal(0, 1.5, BENT.shape) for _ in range(4)]
    one = curves.middle(drawn, np.ones(4), 8)
    other = curves.middle(
        [each[::-1] if i in order[:2] else each for i, each in enumerate(drawn)], np.ones(4), 8
    )
    apart = shapely.hausdorff_distance(shapely.LineString(one), shapely.LineString(other))
    assert apart < 1.0


def test_runs_inside_an_area_come_in_their_order_and_keep_their_direction() -> None:
    zigzag = np.array([[0.0, 10], [100, 10], [100, 20], [0, 20]])
    runs = curves.parts_within(zigzag, shapely.box(20, 0, 60, 30))
    assert [run.tolist() for run in runs] == [[[20, 10], [60, 10]], [[60, 20], [20, 20]]]
    eight = np.array([[10.0, 10], [50, 50], [50, 10], [10, 50]])
    (whole,) = curves.parts_within(eight, shapely.box(0, 0, 60, 60))
    assert whole.tolist() == eight.tolist(), "a line that crosses itself stays one"
    assert curves.parts_within(eight, shapely.box(70, 0, 90, 60)) == []


def test_pieces_chain_at_their_closest_ends_and_what_is_too_far_stays_out() -> None:
    pieces = [
        np.array([[60.0, 0], [40, 0]]),
        np.array([[0.0, 0], [38, 1]]),
        np.array([[61.0, 0], [90, 0]]),
        np.array([[150.0, 0], [160, 0]]),
    ]
    chained = curves.chained(pieces, 10)
    assert curves.length(chained) == pytest.approx(90, abs=0.5)
    assert sorted(chained[[0, -1], 0].tolist()) == [0, 90]
