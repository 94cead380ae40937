"""Filled as Pillow decodes it, and OpenCV traces it; outlined and filled again it is the same."""

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import painting
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size
from tessera.shapes import nested, rasters, rle
from tests.formats import areas

Pixels = np.ndarray[Any, Any]


@st.composite
def pictures(draw: st.DrawFn, values: int = 2) -> Pixels:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    flat = draw(st.lists(st.integers(0, values - 1), min_size=height * width, max_size=81))
    return np.array(flat[: height * width]).reshape(height, width)


def strokes_of(mask: Pixels) -> rasters.Strokes:
    return rasters.from_counts(rle.encode(mask.astype(bool)), mask.shape[0])


def pixels_of(strokes: rasters.Strokes, mask: Pixels) -> Pixels:
    height, width = mask.shape
    return areas.painted(strokes, Size(width, height)).astype(np.uint8)


@given(pictures())
def test_outlines_enclose_just_the_pixels(mask: Pixels) -> None:
    if not mask.any():
        return
    parts = painting.outlined(strokes_of(mask))
    area = nested.areas_of([parts])[0]
    assert area.is_valid
    assert area.area == mask.sum()
    y, x = np.nonzero(mask)
    assert shapely.contains_xy(area, x + 0.5, y + 0.5).all()
    labels, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(parts) == labels - 1
    size = Size(mask.shape[1], mask.shape[0])
    np.testing.assert_array_equal(pixels_of(painting.filled(parts, size), mask), mask)


@given(st.lists(st.tuples(st.integers(-200, 1_200), st.integers(-200, 1_200)), min_size=3))
def test_a_pixel_is_filled_if_its_middle_is_inside(ring: list[tuple[int, int]]) -> None:
    points = [[x / 100, y / 100] for x, y in ring]
    found = pixels_of(painting.filled([[points]], Size(10, 9)), np.zeros((9, 10)))
    y, x = np.mgrid[:9, :10] + 0.5
    for row, column in np.ndindex(9, 10):
        at = column + 0.5, row + 0.5
        near = shapely.LinearRing(points).distance(shapely.Point(at)) < 1e-9
        assert near or found[row, column] == crossed(points, *at) % 2
    del x, y


def crossed(ring: list[list[float]], x: float, y: float) -> int:
    """How many edges lie above a point."""
    pairs = zip(ring, ring[1:] + ring[:1], strict=True)
    return sum(
        min(a[0], b[0]) <= x < max(a[0], b[0])
        and a[1] + (x - a[0]) * (b[1] - a[1]) / (b[0] - a[0]) < y
        for a, b in pairs
    )


@given(st.lists(pictures(), min_size=1, max_size=3))
def test_together_is_what_any_has(drawn: list[Pixels]) -> None:
    height = max(each.shape[0] for each in drawn)
    width = max(each.shape[1] for each in drawn)
    whole = np.zeros((height, width), dtype=np.uint8)
    for each in drawn:
        whole[: each.shape[0], : each.shape[1]] |= each.astype(np.uint8)
    found = painting.together([strokes_of(each) for each in drawn], height)
    np.testing.assert_array_equal(pixels_of(found, whole), whole)
    assert found.pixels == whole.sum()


@given(pictures(5))
def test_masks_are_those_of_each_number(picture: Pixels) -> None:
    found = dict(painting.masks(picture))
    assert list(found) == [number for number in np.unique(picture).tolist() if number]
    for number, mask in found.items():
        strokes = rasters.from_json(mask)
        assert strokes.as_json() == mask, "as small as can be"
        np.testing.assert_array_equal(pixels_of(strokes, picture), picture == number)


@given(st.lists(pictures(), max_size=4), st.integers(1, 81))
def test_strips_are_one_picture_of_what_is_drawn_last(drawn: list[Pixels], pixels: int) -> None:
    size = Size(max([each.shape[1] for each in drawn], default=4), 9)
    whole = np.zeros((size.height, size.width), dtype=int)
    for number, each in enumerate(drawn, 1):
        whole[: each.shape[0], : each.shape[1]][each > 0] = number
    seen, made = painting.Seen(len(drawn)), painting.Png(size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting, "_IN_STRIP", pixels)
        strips = [*painting.strips([strokes_of(each) for each in drawn], size)]
    for strip in strips:
        seen.add(strip)
        made.add(strip.astype(np.uint8))
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    assert made.whole() == painting.png(whole.astype(np.uint8)), "however it is cut"
    assert seen.numbers() == [number for number in np.unique(whole).tolist() if number]
    for number in seen.numbers():
        rows, columns = np.nonzero(whole == number)
        left, top, width, height = seen.box(number)
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
        assert seen.area[number] == len(rows)


PALETTE = {0: (0, 0, 0), 1: (1, 2, 3), 4: (255, 254, 253)}


@given(pictures(5), st.sampled_from(["grey", "wide", "palette", "colours"]))
def test_pillow_reads_what_is_written_and_it_is_read_back(picture: Pixels, sort: str) -> None:
    numbers = (picture * 16_000).astype(np.uint16) if sort == "wide" else picture.astype(np.uint8)
    if sort == "palette":
        numbers[(numbers == 2) | (numbers == 3)] = 0
    colours = np.stack([numbers, numbers * 2, numbers * 3], axis=2)
    image = colours if sort == "colours" else numbers
    written = painting.png(image, PALETTE if sort == "palette" else None)
    with Image.open(io.BytesIO(written)) as opened:
        opened.load()
        np.testing.assert_array_equal(np.asarray(opened), image)
        if sort == "palette":
            expected = np.array([PALETTE.get(i, (0, 0, 0)) for i in range(5)])[numbers]
            np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), expected)
    found = painting.numbers_of(io.BytesIO(written), Size(picture.shape[1], picture.shape[0]))
    expected = numbers if sort != "colours" else colours.astype(int) @ [1, 2**8, 2**16]
    np.testing.assert_array_equal(found, expected)


@given(pictures(5), st.sampled_from(["1", "L", "P", "LA", "RGBA"]))
def test_pictures_of_others_are_read(picture: Pixels, mode: str) -> None:
    grey = Image.fromarray((picture > 0).astype(np.uint8) * 255)
    file = io.BytesIO()
    grey.convert(mode).save(file, "png")
    file.seek(0)
    found = painting.numbers_of(file, Size(*grey.size))
    assert found.shape == picture.shape
    np.testing.assert_array_equal(
        found != found.flat[0], picture.astype(bool) != picture.flat[0].astype(bool)
    )


def test_what_is_no_picture_of_that_size_is_refused() -> None:
    for content, why in (
        (b"", "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "not a PNG"),
        (painting.png(np.zeros((2, 3), np.uint8)), "3 x 2"),
        (painting.png(np.zeros((9, 9), np.uint8))[:40], "not a PNG"),
        (painting.png(np.zeros((9, 9, 3), np.uint16)), "more than 8 bits"),
    ):
        with pytest.raises(InvalidAnswer, match=why):
            painting.numbers_of(io.BytesIO(content), Size(9, 9))


SORTS: dict[str, tuple[type[np.unsignedinteger[Any]], int]] = {
    "grey": (np.uint8, 2),
    "wide": (np.uint16, 2),
    "palette": (np.uint8, 2),
    "colours": (np.uint8, 3),
}


@pytest.mark.parametrize("sort", SORTS)
@given(at=st.floats(0, 1, exclude_max=True), how=st.one_of(st.none(), st.integers(1, 255)))
def test_a_damaged_picture_is_refused_or_nothing_is_amiss(
    sort: str, at: float, how: int | None
) -> None:
    """Cut off there, or with other bits in that byte."""
    type_, ndim = SORTS[sort]
    rows = np.random.default_rng(0).integers(0, 5, (20, 20, 3)[:ndim]).astype(type_)
    palette = {i: (i, 2 * i, 3 * i) for i in range(5)} if sort == "palette" else None
    content = bytearray(painting.png(rows, palette))
    place = int(at * len(content))
    content[place:] = b"" if how is None else bytes([content[place] ^ how]) + content[place + 1 :]
    intact = painting.numbers_of(io.BytesIO(painting.png(rows, palette)), Size(20, 20))
    with suppress(InvalidAnswer):
        found = painting.numbers_of(io.BytesIO(content), Size(20, 20))
        np.testing.assert_array_equal(found, intact)


def test_half_a_picture_and_one_with_another_byte_are_damaged() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (100, 100)).astype(np.uint8)
    whole = painting.png(noise)
    other = bytearray(whole)
    other[len(whole) // 2] ^= 255
    for content in (whole[: len(whole) // 2], bytes(other)):
        with pytest.raises(InvalidAnswer, match="damaged"):
            painting.numbers_of(io.BytesIO(content), Size(100, 100))


@given(pictures(4), st.sampled_from([1, 2, 4, 8]), st.integers(0, 4))
def test_indices_are_told_apart_whatever_their_colours(
    picture: Pixels, bits: int, count: int
) -> None:
    """Of the same colour, or of none, as those are that the palette ends before."""
    indices = (picture % 2**bits).astype(np.uint8)
    file = io.BytesIO()
    made = Image.fromarray(indices, "P")
    made.putpalette([7, 7, 7] * max(count, 1))
    made.save(file, "png", bits=bits, transparency=0)
    file.seek(0)
    found = painting.numbers_of(file, Size(*made.size))
    np.testing.assert_array_equal(found, indices)


def a_grey(bits: int, *rows: int) -> io.BytesIO:
    """A PNG of eight bits of samples in each row."""
    size = struct.pack(">II", 8 // bits, len(rows))
    pixels = zlib.compress(b"".join(bytes([0, row]) for row in rows))
    parts = (b"IHDR", size + bytes([bits, 0, 0, 0, 0])), (b"IDAT", pixels), (b"IEND", b"")
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def test_of_greys_of_one_bit_white_is_1_and_of_a_few_nobody_knows_what_they_are() -> None:
    found = painting.numbers_of(a_grey(1, 0b10010110), Size(8, 1))
    assert found.tolist() == [[1, 0, 0, 1, 0, 1, 1, 0]]
    for bits in (2, 4):
        with pytest.raises(InvalidAnswer, match=f"greys of {bits} bits"):
            painting.numbers_of(a_grey(bits, 0b11000110), Size(8 // bits, 1))


def test_a_picture_that_is_far_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "MOST_PIXELS", 80)
    with pytest.raises(InvalidAnswer, match="more than 80 pixels"):
        painting.numbers_of(io.BytesIO(painting.png(np.zeros((9, 9), np.uint8))), Size(9, 9))


def test_an_outline_that_crosses_columns_without_end_is_refused() -> None:
    ring = [[0.0, 0.0], [30_000.0, 1.0]] * 1_000
    with pytest.raises(InvalidAnswer, match="far too long"):
        painting.filled([[ring]], Size(30_000, 10))


def test_no_two_classes_have_one_colour() -> None:
    names = ("#000000", "#000001", "#ff0000", "#ff0000", "#ffffff", "#ffffff")
    schema = LabelSchema(tuple(LabelClass(i, str(i), c) for i, c in enumerate(names, 1)))
    found = painting.colours(schema, taken=[(0, 0, 0)])
    assert list(found.values()) == [
        (0, 0, 1),
        (0, 0, 2),
        (255, 0, 0),
        (255, 0, 1),
        (255, 255, 255),
        (0, 0, 3),
    ]
