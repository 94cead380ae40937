"""Areas as pixels and pixels as areas, and pictures of numbers, for the formats that have those.

A pixel belongs to an area if its middle does. Outlines of pixels run along their edges, so that an
area which is filled again is the same pixels.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from struct import pack, unpack
from typing import Any, BinaryIO

import numpy as np
import pyvips
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from tessera.formats.archive import Files
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.kinds import InvalidAnswer, LabelSchema, Size
from tessera.shapes import nested, rasters, rle
from tessera.shapes.nested import Nested
from tessera.shapes.rasters import Strokes

Picture = NDArray[np.integer[Any]]
"""Shape (height, width)."""
Colour = tuple[int, int, int]

MOST_CROSSINGS = 20_000_000
"""Of the edges of an area with columns of pixels; more take gigabytes."""
MOST_PIXELS = 2**27
"""Of a picture that is read, which takes some twenty bytes for each."""
_IN_STRIP = 2**21
"""Pixels that are painted at once: some tens of bytes are needed for each."""
_FAR = 2**31
_SHOWN = 300
_NO_STROKES = Strokes(*np.zeros((3, 0), dtype=np.int64))
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _KIND = 24, 25
"""Where a PNG says them."""
_GREY, _RGB, _PALETTE = 0, 2, 3
_CHANNELS, _WHITE = 3, 255
_FEW_BITS = (2, 4)
"""Of greys that some spread out to 8 bits, so that 1 becomes 85 or 17, and others do not."""


def filled(parts: Nested, size: Size) -> Strokes:
    """The pixels of an area in an image; rings may cross, and what an even number holds is out.

    Raises:
        InvalidAnswer: Its rings are so long that nobody drew them.
    """
    rings_ = [np.array(ring, dtype=np.float64) for part in parts for ring in part]
    start = np.concatenate(rings_)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings_])
    left, right = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.clip(np.ceil(left - 0.5), 0, size.width).astype(np.int64)
    last = np.clip(np.ceil(right - 0.5), 0, size.width).astype(np.int64)
    if (last - first).sum() > MOST_CROSSINGS:
        raise InvalidAnswer("", "has an outline that is far too long")
    edge, within = rasters.spread(last - first)
    column = first[edge] + within
    slope = (end[edge, 1] - start[edge, 1]) / (end[edge, 0] - start[edge, 0])
    level = start[edge, 1] + (column + 0.5 - start[edge, 0]) * slope
    order = np.lexsort((level, column))
    row = np.clip(np.ceil(level[order] - 0.5), 0, size.height).astype(np.int64)
    return _some(column[order][::2], row[::2], row[1::2])


def together(drawn: Sequence[Strokes], height: int) -> Strokes:
    """What any of them has; there must be some."""
    every = rasters.joined(drawn)
    foot = every.columns * height
    order = np.argsort(foot + every.tops, kind="stable")
    starts, ends = (foot + every.tops)[order], (foot + every.bottoms)[order]
    reached = np.maximum.accumulate(ends)
    begins = np.flatnonzero(starts >= np.concatenate((starts[:1], reached[:-1])))
    columns = every.columns[order][begins]
    lasts = np.append(begins[1:], len(starts))[: len(begins)] - 1
    foot = columns * height
    return Strokes(columns, starts[begins] - foot, reached[lasts] - foot)


def _some(columns: Any, tops: Any, bottoms: Any) -> Strokes:
    there = tops < bottoms
    return Strokes(columns[there], tops[there], bottoms[there])


def outlined(strokes: Strokes) -> Nested:
    """Parts and holes; pixels that share but a corner are two parts.

    A corner is where, from one column to the next, a stroke begins or ends that did not before. Two
    by two, in the order of columns and in that of rows, they are the ends of all edges.
    """
    begin, end = strokes.columns, strokes.columns + 1
    sides = [(begin, strokes.tops, 0), (end, strokes.tops, 0)]
    sides += [(begin, strokes.bottoms, 1), (end, strokes.bottoms, 1)]
    ends = np.concatenate([np.stack((x, y, np.full(len(x), k)), axis=1) for x, y, k in sides])
    distinct, times = np.unique(ends, axis=0, return_counts=True)
    upright = distinct[times == 1, :2]
    level = upright[np.lexsort((upright[:, 0], upright[:, 1]))]
    edges = shapely.linestrings(np.concatenate((upright, level)).reshape(-1, 2, 2))
    faces = shapely.get_parts(shapely.polygonize(np.asarray(edges)))
    inside = np.floor(shapely.get_coordinates(shapely.point_on_surface(faces))).astype(np.int64)
    parts = faces[_holds(strokes, inside)]  # of two faces at an edge, one is a part
    return nested.lists_of(np.array([shapely.multipolygons(parts)], dtype=object))[0]


def _holds(strokes: Strokes, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    height = max(strokes.bottoms.max(), pixels[:, 1].max()) + 1
    starts = strokes.columns * height + strokes.tops
    order = np.argsort(starts)
    keys = pixels[:, 0] * height + pixels[:, 1]
    before = np.searchsorted(starts[order], keys, side="right") - 1
    ends = (strokes.columns * height + strokes.bottoms)[order]
    return np.asarray((before >= 0) & (keys < ends[before]))


def strips(drawn: Sequence[Strokes], size: Size) -> Iterator[NDArray[np.uint32]]:
    """A picture from top to bottom, some rows at a time, of which only one has to be held.

    Yields:
        Shape (rows, width): 1 for the first of what is drawn, 2 for the second, ..., 0 where
        nothing is; where several are, the last.
    """
    every = rasters.joined([_NO_STROKES, *drawn])
    numbers = np.repeat(np.arange(1, len(drawn) + 1), [len(each.columns) for each in drawn])
    most = max(1, _IN_STRIP // size.width)
    for top in range(0, size.height, most):
        rows = min(most, size.height - top)
        there = (every.tops < top + rows) & (every.bottoms > top)
        foot = every.columns[there] * rows
        starts = (foot + np.maximum(every.tops[there] - top, 0)).tolist()
        ends = (foot + np.minimum(every.bottoms[there] - top, rows)).tolist()
        flat = np.zeros(size.width * rows, dtype=np.uint32)
        for number, start, end in zip(numbers[there].tolist(), starts, ends, strict=True):
            flat[start:end] = number
        yield np.ascontiguousarray(flat.reshape(size.width, rows).T)


class Seen:
    """What there is to be seen of each thing in a picture."""

    def __init__(self, count: int) -> None:
        self.area = np.zeros(count + 1, dtype=np.int64)
        """Pixels, by number."""
        self._edges = np.array([[_FAR, _FAR, 0, 0]] * (count + 1))
        self._rows = 0

    def add(self, strip: NDArray[np.uint32]) -> None:
        """The next rows, as `strips` has them."""
        self.area += np.bincount(strip.ravel(), minlength=len(self.area))
        for number, there in enumerate(ndimage.find_objects(strip.astype(np.int32)), 1):
            if there is not None:
                (rows, columns), down = there, self._rows
                edges = self._edges[number]
                low = columns.start, down + rows.start
                edges[:2] = np.minimum(edges[:2], low)
                edges[2:] = np.maximum(edges[2:], (columns.stop, down + rows.stop))
        self._rows += len(strip)

    def numbers(self) -> list[int]:
        """Of what is to be seen at all, in ascending order."""
        return [each for each in np.flatnonzero(self.area).tolist() if each]

    def box(self, number: int) -> list[int]:
        """Left, top, width and height of the pixels around what is to be seen."""
        left, top, right, bottom = self._edges[number].tolist()
        return [left, top, right - left, bottom - top]


def masks(picture: Picture) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each number of a picture but 0, in ascending order, and its mask in canonical JSON."""
    numbers = np.flatnonzero(np.bincount(picture.ravel()))  # sorting takes ten times as long
    numbers = numbers[numbers > 0]
    places = np.zeros(int(numbers.max(initial=0)) + 1, dtype=np.int32)
    places[numbers] = np.arange(1, len(numbers) + 1)
    which = places[picture]
    there = ndimage.find_objects(which)
    for place, (number, (rows, columns)) in enumerate(zip(numbers.tolist(), there, strict=True), 1):
        pixels = which[rows, columns] == place
        counts = rle.to_string(rle.encode(pixels))
        corner = {"left": int(columns.start), "top": int(rows.start)}
        yield number, {**corner, "size": list(pixels.shape), "counts": counts}


def colours(schema: LabelSchema, *, taken: Sequence[Colour]) -> dict[int, Colour]:
    """A colour for each class by its id, its own if nobody has it yet; else the next one."""
    found: dict[int, Colour] = {}
    used = {*taken}
    for each in schema.classes:
        number = int(each.colour[1:], 16)
        while (colour := (number >> 16, number >> 8 & 255, number & 255)) in used:
            number = (number + 1) % 2**24
        used.add(colour)
        found[each.id] = colour
    return found


def png(picture: NDArray[Any], palette: Mapping[int, Colour] | None = None) -> bytes:
    """A PNG.

    Args:
        picture: Shape (height, width), of 8 or 16 bits; or (height, width, 3), of 8.
        palette: The colour of each number; numbers between them are black.
    """
    height, width = picture.shape[:2]
    made = Png(Size(width, height), palette)
    rows = max(1, _IN_STRIP // width)
    for top in range(0, height, rows):
        made.add(picture[top : top + rows])
    return made.whole()


class Png:
    """A PNG of rows that come from top to bottom; the bytes do not depend on how many at once."""

    def __init__(self, size: Size, palette: Mapping[int, Colour] | None = None) -> None:
        self._size, self._palette = size, palette
        self._deflate, self._parts = zlib.compressobj(6), list[bytes]()
        self._kind, self._bits = _GREY, 8

    def add(self, rows: NDArray[Any]) -> None:
        """As `png` has them."""
        palette = _GREY if self._palette is None else _PALETTE
        self._kind = _RGB if rows.ndim == _CHANNELS else palette
        self._bits = 8 * rows.itemsize
        flat = rows.astype(rows.dtype.newbyteorder(">")).reshape(len(rows), -1)
        bytes_ = np.zeros((len(rows), 1 + flat.shape[1] * flat.itemsize), dtype=np.uint8)
        bytes_[:, 1:] = np.ascontiguousarray(flat).view(np.uint8)  # 0: a row that is as it is
        self._parts.append(self._deflate.compress(bytes_.data))

    def whole(self) -> bytes:
        header = pack(">IIBBBBB", *self._size, self._bits, self._kind, 0, 0, 0)
        chunks = [_chunk(b"IHDR", header)]
        if self._palette is not None:
            most = max(self._palette) + 1
            entries = (self._palette.get(number, (0, 0, 0)) for number in range(most))
            chunks.append(_chunk(b"PLTE", bytes(number for entry in entries for number in entry)))
        pixels = b"".join([*self._parts, self._deflate.flush()])
        return b"".join([_SIGNATURE, *chunks, _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))


def picture_in(files: Files, path: str, size: Size) -> Picture:
    """What `numbers_of` has, of a file that something else refers to.

    Raises:
        InvalidAnswer: It is not there, or not that; says which file.
    """
    if not files.has(path):
        raise Unfit("", f"has no {path[:_SHOWN]!r} beside it", Code.MISSING)
    try:
        with files.open(path) as file:
            return numbers_of(file, size)
    except (BadFile, InvalidAnswer) as error:
        code = Code.BAD_FILE if isinstance(error, BadFile) else Code.BAD_RECORD
        why = f"has a {path[:_SHOWN]!r} that {error.facts['why']}"
        raise Unfit("", why, code) from error


def numbers_of(file: BinaryIO, size: Size) -> Picture:
    """What a PNG of indices, of greys or of R + 256 G + 65,536 B has, whichever of them it is.

    Black and white, of one bit, are 0 and 1.

    Raises:
        InvalidAnswer: It is none, is damaged, or is of another size; or one cannot tell what its
            greys are.
    """
    data = _with_indices_as_colours(file.read())
    try:
        image = pyvips.Image.pngload_buffer(data, fail_on="error")  # else what is missing is 0
        if (image.width, image.height) != size:  # before anything is unpacked
            width, height = image.width, image.height
            raise InvalidAnswer("", f"is of {width} x {height} pixels, not {size[0]} x {size[1]}")
        if image.width * image.height > MOST_PIXELS:
            raise InvalidAnswer("", f"has more than {MOST_PIXELS:,} pixels")
        pixels = image.numpy().reshape(image.height, image.width, -1)
    except pyvips.Error as error:
        raise InvalidAnswer("", "is not a PNG, or is damaged") from error
    bits, kind = data[_BITS], data[_KIND]
    if kind == _PALETTE:
        return np.asarray(pixels[..., 0])
    if pixels.shape[2] < _CHANNELS:
        if bits in _FEW_BITS:
            raise InvalidAnswer("", f"has greys of {bits} bits, not of 8 or 16")
        return np.asarray(pixels[..., 0] // (_WHITE if bits == 1 else 1))
    if pixels.dtype != np.uint8:
        raise InvalidAnswer("", "has colours of more than 8 bits")
    return np.asarray(pixels[..., :3].astype(np.int64) @ np.array([1, 2**8, 2**16]))


def _with_indices_as_colours(data: bytes) -> bytes:
    """Of a PNG in indices: two of them may have one colour, and libvips tells colours only."""
    if data[_KIND : _KIND + 1] != bytes([_PALETTE]):
        return data
    at = len(_SIGNATURE)
    while (name := data[at + 4 : at + 8]) not in {b"PLTE", b"IDAT", b""}:
        at += 12 + unpack(">I", data[at : at + 4])[0]
    if name != b"PLTE":
        return data
    end = at + 12 + unpack(">I", data[at : at + 4])[0]
    entries = bytes(i for i in range(2 ** min(data[_BITS], 8)) for _ in range(_CHANNELS))
    return data[:at] + _chunk(b"PLTE", entries) + data[end:]
