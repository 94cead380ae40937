from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds.polygon import moved
from tessera.shapes import overlaps, rings
from tests.shapes.test_rings import areas, blob

seeds = st.integers(0, 10_000)
FRAME = shapely.box(0, 0, 90, 90) - shapely.box(10, 10, 80, 80)


@given(seeds, st.integers(4, 80), st.floats(-70, 70), st.floats(0, 100_000))
def test_shared_areas_are_those_of_an_overlay(
    seed: int, points: int, aside: float, away: float
) -> None:
    rng = np.random.default_rng(seed)
    several = shapely.union_all([blob(rng), shapely.box(0, 0, 3, 4), shapely.box(90, 0, 95, 9)])
    one = areas(blob(rng, points), blob(rng, points), several, several, FRAME)
    other = areas(blob(rng, points), several, several, FRAME, blob(rng, points))
    one, other = moved(one, away, away), moved(other, away + aside, away)
    exactly = shapely.area(np.asarray(shapely.intersection(one, other)))
    np.testing.assert_allclose(overlaps.shared_areas(one, other), exactly, atol=1e-5)
    np.testing.assert_allclose(overlaps.shared_areas(other, one), exactly, atol=1e-5)


@given(seeds)
def test_what_a_zone_shows_may_touch_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = areas(FRAME, blob(rng), FRAME), areas(FRAME, FRAME, blob(rng))
    zone = np.array([[0.0, 40.0, 60.0, 200.0]] * 3)
    one, other = rings.within(one, zone), rings.within(other, zone)
    sound = shapely.make_valid(one), shapely.make_valid(other)
    exactly = shapely.area(np.asarray(shapely.intersection(sound[0], sound[1])))
    np.testing.assert_allclose(overlaps.shared_areas(one, other), exactly, atol=1e-6)


def test_equals_have_an_iou_of_exactly_one_and_strangers_of_none() -> None:
    rng = np.random.default_rng(1)
    some = areas(*(blob(rng, points) for points in (4, 9, 30, 200)), FRAME)
    assert overlaps.ious(some, some).tolist() == [1] * 5
    assert overlaps.ious(some, moved(some, 100, 0)).tolist() == [0] * 5


def test_what_only_touches_shares_nothing() -> None:
    one = areas(shapely.box(0, 0, 9, 9), FRAME, shapely.box(0, 0, 9, 9))
    other = areas(shapely.box(9, 0, 20, 9), shapely.box(10, 10, 80, 80), shapely.box(9, 9, 20, 20))
    assert overlaps.shared_areas(one, other).tolist() == [0, 0, 0]


@pytest.mark.parametrize("none", [shapely.MultiPolygon(), shapely.GeometryCollection()])
def test_what_has_no_area_shares_none(none: Any) -> None:
    one, other = areas(FRAME), np.array([none], dtype=object)
    assert overlaps.ious(one, other).tolist() == overlaps.ious(other, one).tolist() == [0]
    assert overlaps.ious(other, other).tolist() == [0]


def test_no_rows_are_no_areas() -> None:
    assert overlaps.shared_areas(areas(), areas()).tolist() == []
