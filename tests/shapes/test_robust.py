"""Estimates that one bad value does not move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.shapes.robust import geometric_median, weighted_median


def test_a_median_has_half_of_the_weight_on_either_side() -> None:
    assert weighted_median(np.array([1.0, 2, 9]), np.ones(3)) == 2
    assert weighted_median(np.array([1.0, 2, 9]), np.array([1, 1, 5])) == 9
    assert weighted_median(np.array([1.0, 3]), np.ones(2)) == 2


places = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=8
)


@given(places)
def test_no_other_point_is_closer_to_all_than_the_geometric_median(
    rows: list[tuple[int, int, int]],
) -> None:
    table = np.array(rows, dtype=np.float64)
    points, weights = table[:, :2], table[:, 2]

    def far(at: np.ndarray) -> float:
        return float(weights @ np.linalg.norm(points - at, axis=1))

    found = geometric_median(points, weights)
    if len(points) < 3:
        assert np.allclose(found, np.average(points, axis=0, weights=weights))
        return
    for by in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
        assert far(found) <= far(found + np.array(by)) + 0.05
    assert far(found) <= min(map(far, points)) + 0.05


def test_one_point_far_off_moves_it_hardly_at_all() -> None:
    close = np.array([[10, 10], [11, 10], [10, 11], [11, 11.0]])
    off = np.vstack((close, [[500, 500]]))
    moved = geometric_median(off, np.ones(5)) - geometric_median(close, np.ones(4))
    assert np.linalg.norm(moved) < 0.6
    assert np.linalg.norm(off.mean(axis=0) - close.mean(axis=0)) > 100


@pytest.mark.parametrize("count", [1, 3, 4])
def test_of_equal_points_it_is_that_point(count: int) -> None:
    assert geometric_median(np.full((count, 2), 7.0), np.ones(count)).tolist() == [7, 7]
