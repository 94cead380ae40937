"""Boxes in space and as a camera sees them."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tessera.shapes import solids

Rows = NDArray[np.float64]
CAMERA = np.array([[700.0, 0, 600, 0], [0, 700, 200, 0], [0, 0, 1, 0]])
"""700 px focal length, the optical axis at (600, 200)."""
CAR = np.array([[0.0, 1, 20, 4, 1.5, 2, 0]])


def test_a_car_that_drives_to_the_right_has_its_front_there() -> None:
    at = solids.corners_in_space(CAR)[0]
    assert (at[:4, 0] == 2).all()
    assert (at[4:, 0] == -2).all()
    assert (at[[0, 1, 4, 5], 1] == 0.25).all(), "the tops, as y goes down"


def turned(row: Rows, angle: float) -> Rows:
    return np.asarray(row + np.array([0, 0, 0, 0, 0, 0, angle]))


def test_who_stands_before_it_sees_the_corners_in_their_order() -> None:
    either = [turned(CAR, angle) for angle in (np.pi / 2, -np.pi / 2)]
    towards, away = sorted(either, key=lambda row: solids.corners_in_space(row)[0, :4, 2].mean())
    (left_top, right_top, right_bottom, left_bottom), depth = (
        each[0, :4] for each in solids.projected(towards, CAMERA)
    )
    assert left_top[0] < right_top[0]
    assert left_bottom[0] < right_bottom[0]
    assert left_top[1] < left_bottom[1]
    assert right_top[1] < right_bottom[1]
    assert (depth < 20).all(), "the camera stands before it"
    seen_through = solids.projected(away, CAMERA)[0][0, :4]
    assert seen_through[0][0] > seen_through[1][0], "its left is our right"


def test_a_metre_at_twenty_metres_is_thirty_five_pixels() -> None:
    flat = np.array([[0.0, 0, 20, 2, 1, 1e-9, 0]])
    pixels, _ = solids.projected(flat, CAMERA)
    assert np.ptp(pixels[0, :, 0]) == pytest.approx(70)
    assert np.ptp(pixels[0, :, 1]) == pytest.approx(35)
    assert pixels[0].mean(axis=0) == pytest.approx((600, 200))


rows = st.tuples(
    *[st.floats(-5, 5)] * 2,
    st.floats(15, 30),
    *[st.floats(0.5, 6)] * 3,
    st.floats(-3.1, 3.1),
).map(lambda row: np.array([row]))


@given(rows)
def test_a_solid_is_itself_and_from_behind_the_same_volume(row: Rows) -> None:
    assert solids.ious(row, row) == pytest.approx(1)
    behind = turned(row, np.pi)
    assert solids.ious(row, behind) == pytest.approx(1)
    front, rear = solids.corners_in_space(row)[0], solids.corners_in_space(behind)[0]
    assert np.allclose(front[solids.FROM_BEHIND], rear)


def by_polygons(first: Rows, second: Rows) -> float:
    """What shapely finds of the ground, times the height that both have."""
    one, other = (solids.corners_in_space(row)[0] for row in (first, second))
    ground, of_other = (shapely.Polygon(each[[0, 1, 5, 4]][:, [0, 2]]) for each in (one, other))
    top, bottom = (max(one[0, 1], other[0, 1]), min(one[2, 1], other[2, 1]))
    shared = ground.intersection(of_other).area * max(bottom - top, 0)
    return float(shared / (first[0, 3:6].prod() + second[0, 3:6].prod() - shared))


@given(rows, rows)
def test_the_overlap_in_space_is_what_polygons_on_the_ground_have(
    first: Rows, second: Rows
) -> None:
    second = second.copy()
    second[0, :3] = first[0, :3] + (second[0, :3] - np.array([0, 0, 20])) / 5
    assert solids.ious(first, second)[0] == pytest.approx(by_polygons(first, second), abs=1e-6)
    assert solids.ious(first, second) == pytest.approx(solids.ious(second, first))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1),
        ({0: 2}, 1 / 3),
        ({0: 4}, 0),
        ({0: 40}, 0),
        ({1: 1.75}, 1 / 3),
        ({1: 2.5}, 0),
        ({6: np.pi / 2}, 1 / 3),
        ({6: np.pi}, 1),
        ({3: 2}, 1 / 2),
        ({3: 2, 4: 0.75, 5: 1}, 1 / 8),
    ],
)
def test_edges_that_coincide_are_counted_once(changes: dict[int, float], expected: float) -> None:
    other = CAR.copy()
    for column, value in changes.items():
        other[0, column] = value
    assert solids.ious(CAR, other)[0] == pytest.approx(expected, abs=1e-9)


def test_no_solids_have_no_overlap() -> None:
    assert solids.ious(np.empty((0, 7)), np.empty((0, 7))).shape == (0,)


def test_what_lies_behind_the_camera_has_no_depth() -> None:
    _, depth = solids.projected(CAR - np.array([0, 0, 40, 0, 0, 0, 0]), CAMERA)
    assert (depth < 0).all()


def test_corners_off_by_their_spread_are_right_in_part() -> None:
    corners, _ = solids.projected(CAR, CAMERA)
    shifts = (0, 2, 5, 20, 500)
    found = [solids.corner_similarity(corners + by, corners, 0.05)[0] for by in shifts]
    assert found[0] == 1
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0, abs=1e-6)
