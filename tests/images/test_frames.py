import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tessera.images.frames import (
    Box,
    BoxInImage,
    BoxInTile,
    Point,
    PointInImage,
    PointInOriginal,
    PointInTile,
    Upright,
    image_box_to_original,
    image_box_to_tile,
    image_point_to_original,
    image_point_to_tile,
    original_box_to_image,
    original_point_to_image,
    tile_box_to_image,
    tile_point_to_image,
)
from tessera.images.tiling import Rect

# whole and half pixels, so that the way back is exact and not only close
places = st.integers(0, 2000).map(lambda half: half / 2)
points = st.builds(Point, places, places)
uprights = st.builds(Upright, st.integers(1, 8), st.integers(1, 2000), st.integers(1, 2000))
windows = st.builds(
    lambda left, top: Rect(left, top, left + 64, top + 64),
    st.integers(0, 60_000),
    st.integers(0, 60_000),
)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(places), draw(places)
    return Box(left, top, left + draw(places), top + draw(places))


@given(points, windows)
def test_tile_to_image_and_back_is_nothing(point: Point, window: Rect) -> None:
    there = tile_point_to_image(PointInTile(point), window)
    assert image_point_to_tile(there, window) == PointInTile(point)
    back = image_point_to_tile(PointInImage(point), window)
    assert tile_point_to_image(back, window) == PointInImage(point)


@given(boxes(), windows)
def test_a_box_goes_to_the_image_and_back(box: Box, window: Rect) -> None:
    there = tile_box_to_image(BoxInTile(box), window)
    assert image_box_to_tile(there, window) == BoxInTile(box)
    assert there[:2] == tile_point_to_image(PointInTile(Point(box.left, box.top)), window)


@given(points, uprights)
def test_original_to_image_and_back_is_nothing(point: Point, upright: Upright) -> None:
    there = original_point_to_image(PointInOriginal(point), upright)
    assert image_point_to_original(there, upright) == PointInOriginal(point)
    back = image_point_to_original(PointInImage(point), upright)
    assert original_point_to_image(back, upright) == PointInImage(point)


@given(boxes(), uprights)
def test_a_turned_box_is_still_a_box_and_turns_back(box: Box, upright: Upright) -> None:
    there = image_box_to_original(BoxInImage(box), upright)
    assert there.left <= there.right
    assert there.top <= there.bottom
    assert original_box_to_image(there, upright) == BoxInImage(box)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_land_where_an_independent_reader_puts_them(orientation: int) -> None:
    stored = np.arange(5 * 3, dtype=np.uint8).reshape(3, 5)
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    seen = np.asarray(ImageOps.exif_transpose(picture))
    upright = Upright(orientation, width=5, height=3)
    assert upright.size == (seen.shape[1], seen.shape[0])
    for y, x in np.ndindex(3, 5):
        middle = original_point_to_image(PointInOriginal(Point(x + 0.5, y + 0.5)), upright)
        assert seen[int(middle.y), int(middle.x)] == stored[y, x]
