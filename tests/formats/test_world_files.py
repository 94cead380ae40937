"""World files are what GIS tools take them for."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import affinity

from tessera.formats import world_files
from tessera.formats.world_files import PIXELS, World

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


@given(worlds())
def test_what_is_written_is_parsed(world: World) -> None:
    assert World.parse(world.text()) == world


def test_the_middle_of_the_first_pixel_is_where_the_last_two_lines_say() -> None:
    world = World.parse("0.5\r\n0\r\n0\r\n-0.5\r\n1000\r\n2000\r\n")
    assert world.on_map([[0.5, 0.5], [1.5, 2.5]]).tolist() == [[1000, 2000], [1000.5, 1999]]
    assert PIXELS.text() == "1.0\n0.0\n0.0\n1.0\n0.5\n0.5\n"


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 0 0 1 0", "1 0 0 1 0 0 0", "1 0 0 x 0 0", "1 0 0 nan 0 0", "1 0 0 1e999 0 0"),
        *("0 0 0 0 0 0", "1 1 1 1 0 0", "1 0 0 0 0 0", "1e300 0 1e300 1e-300 0 0"),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|could not"):
        World.parse(text)


def test_they_are_called_after_their_images() -> None:
    names = ["a/b.jpg", "b.c.TIF", "c.jpeg", "d", "e.png"]
    assert [world_files.name_of(each) for each in names] == [
        *("a/b.jgw", "b.c.tfw", "c.jgw", "d.wld", "e.pgw"),
    ]
    assert "images/a/b.jgw" in world_files.names_of("a/b.jpg")
    assert "a/b.jpgw" in world_files.names_of("a/b.jpg")
