"""GDAL's own transformer, in rasterio, finds the same places on earth."""

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from rasterio import warp
from shapely import affinity

from tessera.shapes.georeference import PIXELS, Georeference, World, is_known

sides = st.floats(1e-6, 100).map(lambda side: round(side, 9)) | st.sampled_from([1.0, 0.2])
far = st.floats(-1e7, 1e7)
pixels = st.lists(st.tuples(st.floats(0, 3e4), st.floats(0, 3e4)), min_size=1, max_size=9)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Turned and mirrored pixels, perhaps a little leaning."""
    angle, lean = draw(st.floats(0, 6.3)), draw(st.floats(-0.7, 0.7))
    across, down = draw(sides), draw(sides) * draw(st.sampled_from([1, -1]))
    cos, sin = np.cos([angle, angle + lean]), np.sin([angle, angle + lean])
    a, d, b, e = across * cos[0], across * sin[0], -down * sin[1], down * cos[1]
    return World(float(a), float(d), float(b), float(e), draw(far), draw(far))


@given(worlds(), pixels)
def test_what_goes_to_the_map_comes_back(world: World, points: list[tuple[float, float]]) -> None:
    on_map = world.on_map(points)
    assert on_map.shape == (len(points), 2)
    smallest = np.hypot(world.a, world.d), np.hypot(world.b, world.e)
    exact = 1e-14 * (abs(on_map).max() + abs(world.c) + abs(world.f)) / min(smallest)
    assume(exact < 0.01)
    np.testing.assert_allclose(world.in_pixels(on_map), points, atol=1e-6 + 100 * exact)


@given(worlds(), pixels)
def test_shapely_lays_them_there_too(world: World, points: list[tuple[float, float]]) -> None:
    """Its matrix is of corners of pixels, as GDAL has it."""
    a, d, b, e, c, f = world
    matrix = [a, b, d, e, c - (a + b) / 2, f - (d + e) / 2]
    expected = affinity.affine_transform(shapely.MultiPoint(points), matrix)
    np.testing.assert_allclose(
        world.on_map(points), shapely.get_coordinates(expected), rtol=1e-9, atol=1e-6
    )


UTM, LAMBERT, DEGREES, SOUTHWARD, FEET = 32633, 3034, 4326, 2046, 2263
PLACES = {
    UTM: World(0.2, 0.0, 0.0, -0.2, 500_000.1, 5_000_000.9),
    LAMBERT: World(8.0, 6.0, 6.0, -8.0, 4_000_000.0, 2_800_000.0),
    DEGREES: World(1e-6, 0.0, 0.0, -1e-6, 15.0, 50.0),
    SOUTHWARD: World(0.5, 0.0, 0.0, 0.5, 5_000.0, 2_900_000.0),
    FEET: World(1.0, 0.0, 0.0, -1.0, 980_000.0, 200_000.0),
}


@pytest.mark.parametrize("epsg", PLACES)
def test_gdal_has_the_same_places_on_earth(epsg: int) -> None:
    there = Georeference(PLACES[epsg], epsg)
    pixels = np.random.default_rng(epsg).uniform(0, 2_000, (50, 2))
    found = there.on_earth(pixels)
    x, y = there.world.on_map(pixels).T
    expected = np.transpose(warp.transform(f"EPSG:{epsg}", "EPSG:4326", x, y)[:2])
    np.testing.assert_allclose(found, expected, atol=2e-8)
    np.testing.assert_allclose(there.in_pixels(found), pixels, atol=1e-3)
    assert there.is_on_earth(2_000, 2_000)


@pytest.mark.parametrize("epsg", PLACES)
def test_places_of_any_other_map_are_taken_to_the_same_pixels(epsg: int) -> None:
    there = Georeference(PLACES[epsg], epsg)
    pixels = np.array([[0.0, 0.0], [300.5, 20.25]])
    x, y = there.world.on_map(pixels).T
    mercator = np.transpose(warp.transform(f"EPSG:{epsg}", "EPSG:3857", x, y)[:2])
    np.testing.assert_allclose(there.in_pixels(mercator, 3857), pixels, atol=0.05)
    np.testing.assert_allclose(there.in_pixels(np.column_stack([x, y]), epsg), pixels, atol=1e-6)


@pytest.mark.parametrize("epsg", PLACES)
def test_which_way_around_a_ring_goes_on_earth_is_known_before(epsg: int) -> None:
    there = Georeference(PLACES[epsg], epsg)
    ring = shapely.LinearRing([[10, 10], [90, 10], [90, 90], [10, 90]])
    laid = shapely.transform(ring, there.on_earth)
    assert shapely.is_ccw(laid) == (shapely.is_ccw(ring) != there.flips(100, 100))
    assert there.flips(100, 100) is (epsg != SOUTHWARD)


@pytest.mark.parametrize(
    ("world", "epsg", "why"),
    [
        (PIXELS, None, "nobody knows which map that is"),
        (PIXELS, 999_999, "there is no such map"),
        (PIXELS, 5703, "it is one of heights"),
        (PIXELS, 4978, "it is none of a surface"),
        (World(1.0, 0.0, 0.0, -1.0, 1e9, 1e9), UTM, "it lies outside the map"),
        (World(0.1, 0.0, 0.0, -0.1, 175.0, 0.0), DEGREES, "it lies beyond 180 degrees"),
        (World(1.0, 0.0, 0.0, 1.0, 0.0, 60.0), DEGREES, "it lies beyond the pole"),
    ],
)
def test_not_every_image_of_a_map_is_on_earth(world: World, epsg: int, why: str) -> None:
    assert not Georeference(world, epsg).is_on_earth(100, 100), why


def test_an_image_across_the_line_of_dates_is_not_laid_out() -> None:
    """UTM zone 1 begins there; RFC 7946, 3.1.9, would have it in two parts."""
    world = World(100.0, 0.0, 0.0, -100.0, 166_000.0, 100_000.0)
    assert not Georeference(world, 32601).is_on_earth(100, 100)
    assert Georeference(world._replace(c=400_000.0), 32601).is_on_earth(100, 100)
    pole = World(1e4, 0.0, 0.0, -1e4, -5e5, 5e5)
    assert not Georeference(pole, 3995).is_on_earth(100, 100)
    assert Georeference(pole._replace(c=5e5), 3995).is_on_earth(100, 100)
    all_there_is = World(0.36, 0.0, 0.0, -0.18, -179.82, 89.91)
    assert Georeference(all_there_is, DEGREES).is_on_earth(1000, 1000)


@given(worlds(), st.none() | st.sampled_from(sorted(PLACES)))
def test_what_is_said_of_one_is_understood(world: World, epsg: int | None) -> None:
    there = Georeference(world, epsg)
    assert Georeference.of(there.as_json()) == there


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, {"world": [1, 0, 0, 1, 0]}, {"world": "100100"}, {"world": [1] * 6}),
        *({"world": [1, 0, 0, 1, 0, "0"]}, {"world": [1, 0, 0, math.inf, 0, 0]}),
        *({"world": [1, 0, 0, 1, 0, True]}, {"world": [1, 0, 0, 1, 0, 0], "epsg": "4326"}),
        {"world": [1, 0, 0, 1, 0, 0], "epsg": 4326.0},
    ],
)
def test_what_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        Georeference.of(value)


def test_maps_are_known_by_their_numbers() -> None:
    assert [is_known(epsg) for epsg in (*PLACES, 5703, 999_999)] == [True] * 5 + [False] * 2
