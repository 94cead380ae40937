import json
import random
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.kinds import polygon
from tessera.shapes import nested, overlaps, rings
from tessera.shapes.boxes import as_boxes
from tests.seeds import examples

seeds = st.integers(0, 10_000)


def areas(*geometries: Any) -> nested.Areas:
    return rings.solid(np.array(geometries, dtype=object))


def blob(rng: np.random.Generator, points: int = 40, radius: float = 30) -> Any:
    """Around (50, 50), with up to two holes."""
    around = (np.arange(points) + rng.uniform(-0.3, 0.3, points)) * 2 * np.pi / points
    wave = 1 + 0.2 * np.sin(3 * around + rng.uniform(0, 6)) + rng.normal(0, 0.02, points)
    outline = 50 + radius * wave[:, None] * np.column_stack((np.cos(around), np.sin(around)))
    holes = [shapely.Point(38, 50).buffer(4), shapely.Point(60, 52).buffer(5)]
    return shapely.Polygon(outline) - shapely.union_all(holes[: rng.integers(0, 3)])


def shuffled(part: list[Any], chance: random.Random) -> list[Any]:
    """The same part, drawn differently."""
    drawn = []
    for ring in [part[0], *chance.sample(part[1:], len(part) - 1)]:
        start = chance.randrange(len(ring))
        drawn.append((ring[start:] + ring[:start])[:: chance.choice((1, -1))])
    return drawn


@given(seeds, st.randoms())
def test_equal_areas_are_written_down_alike_however_they_were_drawn(
    seed: int, chance: random.Random
) -> None:
    rng = np.random.default_rng(seed)
    several = shapely.MultiPolygon([blob(rng), shapely.box(0, 0, 3, 4), shapely.box(90, 0, 95, 9)])
    written = nested.lists_of(areas(several, blob(rng)))
    drawn = [
        [shuffled(part, chance) for part in chance.sample(area, len(area))] for area in written
    ]
    assert json.dumps(nested.lists_of(nested.areas_of(drawn))) == json.dumps(written)
    assert len(written[0]) == 3


@given(seeds, st.floats(0, 100_000))
def test_measuring_areas_as_arrays_says_what_their_geometries_say(seed: int, away: float) -> None:
    rng = np.random.default_rng(seed)
    several = shapely.MultiPolygon([blob(rng), shapely.box(0, 0, 3, 4), shapely.box(90, 0, 95, 9)])
    drawn = shapely.transform(areas(several, blob(rng), blob(rng)), lambda points: points + away)
    boxes, square_pixels = nested.measured(nested.ragged(nested.lists_of(rings.on_grid(drawn))))
    np.testing.assert_array_equal(boxes, shapely.bounds(rings.on_grid(drawn)))
    np.testing.assert_allclose(square_pixels, shapely.area(rings.on_grid(drawn)), atol=1e-5)


# as an earner drew a coin along the pixels of an enlarged picture
COIN = """
103.5 72, 113.5 71, 121.5 67, 125 63.5, 126 60.5, 129 56.5, 129 49.5, 127 46.5, 127 44.5, 119.5 36,
115.5 34, 113.5 34, 112.5 33, 106.5 33, 105.5 34, 103.5 34, 102.5 35, 94.5 37, 89 42.5, 87 46.5,
86 54.5, 87 55.5, 87 58.5, 88 59.5, 89 63.5, 95.5 70, 97.5 70, 98.5 71, 102.5 71, 103.5 72
"""


def agreed(one: Any, right: float, down: float) -> None:
    """Of two drawings so far apart, what lies between is decided: about as if drawn midway."""
    first, second, between = (
        polygon.moved(areas(one), right * share, down * share) for share in (0, 1, 0.5)
    )
    (found,) = rings.voted(np.concatenate((first, second)), np.ones(2))
    assert found.is_valid
    off = float(shapely.area(shapely.symmetric_difference(found, between[0])))
    assert off < 0.5 * float(shapely.length(between[0]))


@pytest.mark.parametrize(("right", "down"), [(-1, 0), (1, 0), (0, 1), (0, -1), (1, 1), (-2, 1)])
def test_two_drawings_along_the_same_pixels_are_agreed_upon(right: int, down: int) -> None:
    agreed(shapely.from_wkt(f"POLYGON (({COIN}))"), right, down)


@settings(max_examples=examples(60))
@given(seeds, st.integers(-2, 2), st.integers(-2, 2))
def test_two_drawings_on_one_lattice_are_agreed_upon(seed: int, right: int, down: int) -> None:
    rng = np.random.default_rng(seed)
    outline = blob(rng, points=30, radius=float(rng.uniform(8, 40))).exterior
    agreed(
        shapely.transform(shapely.Polygon(outline), lambda at: np.round(2 * at) / 2), right, down
    )


def test_outlines_go_clockwise_on_the_screen_from_the_top_left_and_holes_the_other_way() -> None:
    frame = shapely.box(0, 0, 9, 9) - shapely.box(3, 3, 6, 6)
    assert nested.lists_of(areas(frame)) == [
        [[[[0, 0], [9, 0], [9, 9], [0, 9]], [[3, 3], [3, 6], [6, 6], [6, 3]]]]
    ]


def test_no_areas_are_no_lists() -> None:
    assert nested.lists_of(nested.areas_of([])) == []


def test_parts_and_holes_of_less_than_a_pixel_are_dropped_and_the_rest_stays() -> None:
    pierced = shapely.box(0, 0, 9, 9) - shapely.box(4, 4, 4.9, 4.9) - shapely.box(6, 6, 7, 7)
    speck = shapely.box(20, 20, 20.9, 21)
    made = areas(shapely.union(pierced, speck), speck, shapely.LineString([(0, 0), (9, 9)]))
    assert [each.area for each in made] == [80, 0, 0]
    assert [len(each.geoms) for each in made] == [1, 0, 0]


def test_what_rounding_makes_cross_becomes_the_nearest_area_that_does_not() -> None:
    spike = shapely.Polygon([(0, 0), (9, 0), (9, 9), (4.506, 0.004), (4.496, 9), (0, 9)])
    assert spike.is_valid
    (found,) = rings.on_grid(np.array([shapely.MultiPolygon([spike])]))
    assert found.is_valid
    assert found.area == pytest.approx(spike.area, abs=0.1)
    assert nested.lists_of(rings.on_grid(np.array([found]))) == nested.lists_of(np.array([found]))


@pytest.mark.parametrize("teeth", [1, 7, 60])
def test_a_comb_is_crossed_twice_per_tooth(teeth: int) -> None:
    combs = [shapely.box(10 * i, 0, 10 * i + 5, 50) for i in range(teeth)]
    comb = shapely.union_all([shapely.box(0, 0, 10 * teeth, 4), *combs])
    assert rings.most_crossed(areas(comb)) == 2 * teeth
    turned = shapely.transform(comb, lambda points: points[:, ::-1])
    assert rings.most_crossed(areas(turned)) == 2 * teeth


@given(seeds, st.floats(0.1, 4), st.floats(0.1, 4))
def test_outlines_agree_up_to_the_tolerance_and_not_beyond(
    seed: int, shift: float, tolerance: float
) -> None:
    inner = areas(shapely.box(10, 10, 60, 60))
    outer = areas(shapely.box(10 - shift, 10 - shift, 60 + shift, 60 + shift))
    agreed = rings.boundary_agreement(inner, outer, np.array([tolerance]))[0]
    if shift * 2**0.5 < tolerance - 0.02:
        assert agreed == 1
    if shift > tolerance + 0.02:
        assert agreed == 0
    same = areas(blob(np.random.default_rng(seed)))
    assert rings.boundary_agreement(same, same, np.array([tolerance]))[0] == 1


def test_half_an_outline_that_is_right_counts_half() -> None:
    """Of the left square only one side lies near the right one, and the other way round."""
    left, right = areas(shapely.box(0, 0, 40, 40)), areas(shapely.box(40, 0, 80, 40))
    agreed = rings.boundary_agreement(left, right, np.array([0.5]))
    assert agreed == pytest.approx([0.25], abs=0.02)


@given(seeds, st.integers(3, 6), st.randoms())
def test_the_vote_is_the_ground_that_most_weight_covers(
    seed: int, people: int, chance: random.Random
) -> None:
    rng = np.random.default_rng(seed)
    drawn = areas(*[blob(rng) for _ in range(people)])
    weights = rng.uniform(0.5, 1, people)
    (won,) = rings.voted(drawn, weights)
    points = np.asarray(shapely.points(rng.uniform(10, 90, (400, 2))))
    share = weights @ shapely.contains(drawn[:, None], points[None]) / weights.sum()
    clear = (shapely.distance(won.boundary, points) > 2 * rings.DETAIL) & (abs(share - 0.5) > 1e-3)
    assert clear.sum() > 200
    assert ((share > 0.5) == shapely.contains(won, points))[clear].all()
    order = chance.sample(range(people), people)
    (again,) = rings.voted(drawn[order], weights[order])
    assert won.symmetric_difference(again).area < 2 * rings.DETAIL * won.length


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_even_odds_are_settled_midway_to_within_a_pixel(shift: float) -> None:
    small, middle, large = (
        shapely.box(20 - by, 20 - by, 60 + by, 60 + by) for by in (0, shift / 2, shift)
    )
    (found,) = rings.voted(areas(small, large), np.ones(2))
    assert middle.buffer(1).covers(found)
    assert found.buffer(1).covers(middle)
    assert shapely.area(found) == pytest.approx(middle.area, rel=0.04)


def shaken(rng: np.random.Generator, area: Any) -> Any:
    """As an unsteady hand draws it."""
    rough = [
        shapely.Polygon(
            shapely.get_coordinates(ring)[:-1] + rng.normal(0, 1.5, (len(ring.coords) - 1, 2))
        )
        for ring in (area.exterior, *area.interiors)
    ]
    outline, *holes = (each.buffer(0) for each in rough)
    return outline - shapely.union_all(holes)


@settings(max_examples=examples(40))
@given(seeds, st.integers(2, 6))
def test_several_shaky_hands_draw_better_than_one(seed: int, people: int) -> None:
    """Two of them on average, and more of them each time."""
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(5 if people == 2 else 1):
        truth = areas(blob(rng))
        drawn = areas(*[shaken(rng, truth[0].geoms[0]) for _ in range(people)])
        together = overlaps.ious(rings.voted(drawn, np.ones(people)), truth)[0]
        gains.append(together - overlaps.ious(drawn, truth.repeat(people)).mean())
    assert np.mean(gains) > 0


@given(seeds)
def test_one_spoiler_among_three_moves_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, spoilt = areas(blob(rng), blob(rng, radius=rng.uniform(10, 60)))
    (found,) = rings.voted(np.array([truth, spoilt, truth]), np.ones(3))
    assert truth.buffer(0.75).covers(found)
    assert found.buffer(0.75).covers(truth)
    assert len(found.geoms[0].interiors) == len(truth.geoms[0].interiors)


def test_a_hole_that_two_of_three_drew_stays_a_hole() -> None:
    solid = shapely.box(10, 10, 60, 60)
    pierced = solid - shapely.box(20, 20, 40, 40)
    assert rings.voted(areas(pierced, solid, pierced), np.ones(3))[0].equals(pierced)
    assert rings.voted(areas(pierced, solid, solid), np.ones(3))[0].equals(solid)


def test_a_part_or_a_hole_that_only_one_of_two_drew_is_not_there() -> None:
    solid, apart = shapely.box(0, 0, 40, 40), shapely.box(60, 0, 70, 10)
    pierced = solid - shapely.box(10, 10, 20, 20)
    for each in (pierced, solid | apart):
        (won,) = rings.voted(areas(solid, each), np.ones(2))
        assert won.equals(solid)


def test_drawings_that_share_nothing_come_to_nothing() -> None:
    apart = areas(shapely.box(0, 0, 9, 9), shapely.box(20, 0, 29, 9))
    assert rings.voted(apart, np.ones(2))[0].is_empty


def test_faces_that_do_not_fit_together_exactly_are_joined_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(faces: Any) -> Any:
        raise shapely.GEOSException(f"{len(faces)} faces")

    drawn = areas(*[blob(np.random.default_rng(i)) for i in range(4)])
    (usual,) = rings.voted(drawn, np.ones(4))
    monkeypatch.setattr(shapely, "coverage_union_all", refuse)
    (found,) = rings.voted(drawn, np.ones(4))
    assert found.symmetric_difference(usual).area < 0.01 * usual.area


def test_an_overlay_that_rounding_errors_break_is_done_on_the_grid() -> None:
    def fragile(first: Any, second: Any, *, grid_size: float | None = None) -> Any:
        if grid_size is None:
            raise shapely.GEOSException("side location conflict")
        return shapely.intersection(first, second, grid_size=grid_size)

    shared = rings.overlay(fragile, shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3))
    assert shared.equals(shapely.box(1, 1, 2, 2))


WINDOWS = as_boxes([[0, 0, 60, 100], [40, 0, 100, 100]])
CORES = as_boxes([[0, 0, 50, 100], [50, 0, 100, 100]])
ONE_AREA = np.zeros(2, dtype=np.int64)


@given(seeds)
def test_what_two_windows_cut_is_stitched_without_a_trace(seed: int) -> None:
    whole = areas(blob(np.random.default_rng(seed)))
    pieces = rings.solid(shapely.intersection(whole, shapely.box(*WINDOWS.T)))
    found = rings.stitched(pieces, ONE_AREA, WINDOWS, CORES)
    assert whole[0].buffer(0.05).covers(found[0])
    assert found[0].buffer(0.05).covers(whole[0])
    assert len(found[0].geoms) == 1
    assert len(found[0].geoms[0].interiors) == len(whole[0].geoms[0].interiors)


def test_each_tile_speaks_for_its_own_core() -> None:
    pieces = areas(shapely.box(10, 10, 60, 40), shapely.box(40, 12, 90, 42))
    (found,) = rings.stitched(pieces, ONE_AREA, WINDOWS, CORES)
    assert found.equals(shapely.box(10, 10, 50, 40) | shapely.box(50, 12, 90, 42))


def test_the_crack_is_closed_where_windows_end_at_the_seam() -> None:
    pieces = areas(shapely.box(10, 10, 48.5, 40), shapely.box(51.2, 10, 90, 40))
    (found,) = rings.stitched(pieces, ONE_AREA, CORES, CORES)
    assert found.equals(shapely.box(10, 10, 90, 40))


def test_where_both_windows_saw_the_gap_it_is_there() -> None:
    pieces = areas(shapely.box(10, 10, 48.5, 40), shapely.box(51.2, 10, 90, 40))
    (found,) = rings.stitched(pieces, ONE_AREA, WINDOWS, CORES)
    assert len(found.geoms) == 2
