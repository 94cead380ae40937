"""Open lines: how they compare, what several come to, how runs are joined."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.shapes import curves
from tessera.shapes.boxes import as_boxes
from tessera.shapes.curves import Lines, Measures

NEAR = 8.0
STRAIGHT = [[0.0, 50.0], [100.0, 50.0]]
BENT = [[0.0, 0.0], [40.0, 10.0], [60.0, 60.0], [100.0, 70.0]]


def moved(line: list[list[float]], right: float, down: float) -> list[list[float]]:
    return [[x + right, y + down] for x, y in line]


def close(off: Measures) -> Measures:
    return (off <= NEAR).astype(np.float64)


def shared(first: list[list[float]], second: list[list[float]]) -> float:
    return float(curves.shared(curves.as_lines([first]), curves.as_lines([second]), close)[0])


def hausdorff(first: shapely.Geometry, second: shapely.Geometry) -> float:
    """Of the lines, not only of their points."""
    return float(
        shapely.hausdorff_distance(shapely.segmentize(first, 1), shapely.segmentize(second, 1))
    )


def test_lines_share_what_both_have() -> None:
    assert shared(STRAIGHT, STRAIGHT) == 1
    assert shared(STRAIGHT, moved(STRAIGHT, 0, 7)) == 1
    assert shared(STRAIGHT, moved(STRAIGHT, 0, 9)) == 0
    assert shared(STRAIGHT, [[0.0, 52.0], [50.0, 52.0]]) == pytest.approx(2 * 50 / 150)


def test_a_line_drawn_to_and_fro_shares_no_more_than_one_drawn_once() -> None:
    assert shared([*STRAIGHT, *STRAIGHT], STRAIGHT) == pytest.approx(2 * 100 / 400)


points = st.tuples(st.floats(0, 100), st.floats(0, 100)).map(list)
lines = st.lists(points, min_size=2, max_size=6).filter(
    lambda line: shapely.LineString(line).length > 1
)


@given(lines, lines)
def test_neither_order_nor_direction_changes_what_lines_share(
    first: list[list[float]], second: list[list[float]]
) -> None:
    once = shared(first, second)
    assert 0 <= once <= 1
    assert shared(second, first) == once
    assert shared(first[::-1], second) == pytest.approx(once, abs=1 / curves.STATIONS)


def middle(*drawn: list[list[float]], weights: list[float] | None = None) -> shapely.LineString:
    trust = np.ones(len(drawn)) if weights is None else np.array(weights)
    found: shapely.LineString = curves.middle(curves.as_lines(drawn), trust, NEAR)[0]
    return found


def test_the_middle_of_two_is_half_way() -> None:
    found = middle(STRAIGHT, moved(STRAIGHT, 0, 4)[::-1])
    assert hausdorff(found, shapely.LineString(moved(STRAIGHT, 0, 2))) < 1e-6


@pytest.mark.parametrize("off", [(0, 7), (0, -7), (6, 0), (0, 40)])
def test_of_three_one_that_is_off_moves_nothing(off: tuple[float, float]) -> None:
    assert hausdorff(middle(BENT, BENT, moved(BENT, *off)), shapely.LineString(BENT)) < 0.6


def test_who_stops_half_way_does_not_cut_the_line_short() -> None:
    half = BENT[:2]
    assert hausdorff(middle(BENT, half, BENT), shapely.LineString(BENT)) < 0.6
    between = middle(BENT, half)
    assert half[1][0] < max(between.xy[0]) < BENT[-1][0], "of two nobody knows who is right"
    assert shapely.distance(shapely.Point(between.coords[-1]), shapely.LineString(BENT)) < 0.5


def test_a_ring_is_closed_though_all_began_elsewhere() -> None:
    angle = np.linspace(0, 2 * np.pi, 61)
    ring = np.stack((50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)), axis=1)
    drawn = [np.vstack((ring[k:], ring[1 : k + 1])).tolist() for k in (0, 20, 45)]
    assert hausdorff(middle(*drawn), shapely.LineString(ring)) < 1


def test_the_middle_does_not_depend_on_order_or_direction() -> None:
    rng = np.random.default_rng(0)
    drawn = [(np.array(BENT) + rng.normal(0, 1.5, (4, 2))).tolist() for _ in range(4)]
    weights = [0.9, 0.6, 0.7, 0.8]
    once = middle(*drawn, weights=weights)
    for order in itertools.permutations(range(4)):
        again = middle(*[drawn[i] for i in order], weights=[weights[i] for i in order])
        assert again.equals_exact(once, 1e-9)
    assert hausdorff(middle(*[each[::-1] for each in drawn], weights=weights), once) < 1e-6


def within(line: list[list[float]], *edges: float) -> list[list[list[float]]]:
    runs, of = curves.within(curves.as_lines([line]), as_boxes([edges]))
    assert not of.any()
    return [shapely.get_coordinates(run).tolist() for run in runs]


def test_runs_inside_a_box_come_in_their_order_and_keep_their_direction() -> None:
    zigzag = [[0.0, 10.0], [100.0, 10.0], [100.0, 20.0], [0.0, 20.0]]
    assert within(zigzag, 20, 0, 60, 30) == [[[20, 10], [60, 10]], [[60, 20], [20, 20]]]
    assert within(zigzag, 20, 30, 60, 40) == []


def test_a_line_that_crosses_itself_does_not_fall_apart_there() -> None:
    eight = [[10.0, 10.0], [50.0, 50.0], [50.0, 10.0], [10.0, 50.0]]
    assert within(eight, 0, 0, 60, 60) == [eight]


def test_what_runs_along_the_edge_of_a_box_is_inside() -> None:
    assert within([[0.0, 10.0], [90.0, 10.0]], 20, 10, 60, 30) == [[[20, 10], [60, 10]]]


@given(lines, st.floats(-10, 60), st.floats(-10, 60), st.floats(5, 60))
def test_runs_inside_a_box_are_its_intersection(
    line: list[list[float]], left: float, top: float, side: float
) -> None:
    area = shapely.box(left, top, left + side, top + side)
    runs, _ = curves.within(curves.as_lines([line]), as_boxes([area.bounds]))
    segments = shapely.linestrings(np.stack((line[:-1], line[1:]), axis=1))
    expected = shapely.length(shapely.intersection(segments, area)).sum()
    assert shapely.length(runs).sum() == pytest.approx(expected, abs=1e-6)


LEFT, RIGHT = (0, 0, 50, 100), (50, 0, 100, 100)


def joined(
    *runs: tuple[int, tuple[float, ...], list[list[float]]], near: float = 10
) -> shapely.LineString:
    drawn: Lines = curves.as_lines([line for *_, line in runs])
    tiles = np.array([tile for tile, *_ in runs])
    return curves.joined(drawn, tiles, as_boxes([core for _, core, _ in runs]), near)


def test_where_cores_meet_runs_change_over() -> None:
    found = joined(
        (0, LEFT, [[0.0, 20.0], [60.0, 20.0]]), (1, RIGHT, [[100.0, 23.0], [40.0, 23.0]])
    )
    assert hausdorff(found, shapely.LineString([[0, 20], [50, 20], [50, 23], [100, 23]])) < 1.5
    assert found.length == pytest.approx(100, abs=3.5)


@pytest.mark.parametrize(("first", "second"), [(48.0, 52.0), (52.0, 48.0)])
def test_a_line_along_a_seam_is_there_once_wherever_both_have_it(
    first: float, second: float
) -> None:
    """Going by its own drawing alone, both tiles would take it, or neither."""
    one, other = ([[x, 5.0], [x, 95.0]] for x in (first, second))
    found = joined((0, LEFT, one), (1, RIGHT, other))
    assert found.length == pytest.approx(90, abs=2)
    assert min(hausdorff(found, shapely.LineString(each)) for each in (one, other)) < 2


def test_what_no_core_of_theirs_holds_is_taken_from_the_first() -> None:
    elsewhere = (0, 200, 50, 300)
    found = joined((0, elsewhere, STRAIGHT), (1, elsewhere, moved(STRAIGHT, 0, 2)))
    assert found.equals_exact(shapely.LineString(STRAIGHT), 1e-6)


def test_of_a_fork_the_longest_way_is_the_line() -> None:
    found = joined(
        (0, LEFT, [[0.0, 20.0], [50.0, 20.0]]),
        (1, RIGHT, [[50.0, 20.0], [100.0, 20.0]]),
        (1, RIGHT, [[50.0, 21.5], [70.0, 60.0]]),
    )
    assert hausdorff(found, shapely.LineString([[0, 20], [100, 20]])) < 1.5


@given(st.integers(0, 1_000))
def test_runs_of_hardly_a_pixel_are_a_line_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    middles = rng.uniform(49, 51, (2, 2)).tolist()
    one, other = ([[x - 0.6, y], [x + 0.6, y]] for x, y in middles)
    assert joined((0, LEFT, one), (1, RIGHT, other)).length > 0
