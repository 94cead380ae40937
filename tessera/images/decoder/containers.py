"""What a decoder does not tell about a file: its frames, its extra channels, where it was cut.

Pure readers of the three containers' own tables; nothing is decoded. JPEG has no such table.

Source: W3C PNG (third edition) 5.3 and 13.3; Google's WebP container specification; TIFF 6.0
sections 2 and 8, and the BigTIFF proposal.
"""

import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from tessera.images.formats import Format

_PNG_SIGNATURE_BYTES = 8
_PNG_CHUNK_OVERHEAD = 12  # length, type, checksum
_PNG_INTERLACE = 28  # the last byte of the first chunk, which is the header

NEW_SUBFILE_TYPE = 254
COMPRESSION, PHOTOMETRIC = 259, 262
STRIP_OFFSETS, STRIP_BYTES = 273, 279
TILE_OFFSETS, TILE_BYTES = 324, 325
EXTRA_SAMPLES = 338
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION = 33550, 33922, 34264
GEO_KEYS = 34735
_BIG_TIFF = 43
_REDUCED_OR_MASK = 0b101
_ALPHAS = {1, 2}  # associated and unassociated
_YCBCR, _CIELAB = 6, 8
_JPEGS = {6, 7}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_DOUBLES = {12: "d"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_WANTED = {NEW_SUBFILE_TYPE, COMPRESSION, PHOTOMETRIC, EXTRA_SAMPLES}
_WANTED |= {STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES, GEO_KEYS}
_OF_DOUBLES = {PIXEL_SCALE, TIE_POINTS, TRANSFORMATION}
MOST_PAGES = 100
MOST_ENTRIES = 2**16
MOST_VALUES = 2**20


class Broken(Exception):  # noqa: N818
    """A table contradicts itself or points outside the file."""


class Tags(NamedTuple):
    """One TIFF directory: the values of the tags that matter here."""

    values: dict[int, tuple[Any, ...]]
    """Whole numbers; doubles of `_OF_DOUBLES`."""

    @property
    def is_page(self) -> bool:
        """A picture of its own, not a smaller copy (an overview) or a mask of another."""
        return not self.values.get(NEW_SUBFILE_TYPE, (0,))[0] & _REDUCED_OR_MASK


def frames(kind: Format, file: BinaryIO) -> int:
    """How many pictures the file holds, as far as its container tells; overviews do not count.

    Raises:
        Broken: The tables cannot be followed.
    """
    if kind is Format.PNG:
        return _png_frames(file)
    if kind is Format.TIFF:
        return sum(tags.is_page for tags in directories(file))
    return 1


def extra_is_alpha(kind: Format, file: BinaryIO) -> bool:
    """Whether a channel after the colours is transparency; in TIFF it may be near infrared."""
    return kind is not Format.TIFF or first_page(file).get(EXTRA_SAMPLES, (0,))[0] in _ALPHAS


def is_interlaced(kind: Format, file: BinaryIO) -> bool:
    """Whether a PNG's rows do not come one after the other."""
    file.seek(_PNG_INTERLACE)
    return kind is Format.PNG and file.read(1) == b"\1"


def unreadable_colours(kind: Format, file: BinaryIO) -> str:
    """What the colours of a TIFF are called that libvips gets wrong, in silence or as damage."""
    if kind is not Format.TIFF:
        return ""
    tags = first_page(file)
    photometric, compression = (tags.get(tag, (0,))[0] for tag in (PHOTOMETRIC, COMPRESSION))
    if photometric == _CIELAB:
        return "CIELab"
    # only the JPEG decoder turns them into RGB; all others hand them out as if they were RGB
    return "YCbCr without JPEG" if photometric == _YCBCR and compression not in _JPEGS else ""


def is_cut_off(kind: Format, file: BinaryIO) -> bool:
    """Whether the container promises more bytes than the file has."""
    size = file.seek(0, os.SEEK_END)
    if kind is Format.PNG:
        return not any(name == b"IEND" for name, _ in _chunks(file))
    if kind is Format.WEBP:
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 > size
    if kind is Format.TIFF:
        return _tiff_end(file) > size
    return False


def directories(file: BinaryIO) -> Iterator[Tags]:
    """The chained directories of a TIFF, at most `MOST_PAGES`.

    Raises:
        Broken: The chain leaves the file or bites its own tail.
    """
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    big = _unpack(file, order + "H")[0] == _BIG_TIFF
    if big:
        file.seek(8)
    offset = _unpack(file, order + ("Q" if big else "I"))[0]
    seen: set[int] = set()
    while offset and len(seen) < MOST_PAGES:
        if offset in seen:
            raise Broken("directories form a circle")
        seen.add(offset)
        _seek(file, offset)
        entries = _unpack(file, order + ("Q" if big else "H"))[0]
        if entries > MOST_ENTRIES:
            raise Broken("a directory is too large to be true")
        table = [_unpack(file, order + ("HHQ8s" if big else "HHI4s")) for _ in range(entries)]
        offset = _unpack(file, order + ("Q" if big else "I"))[0]
        yield Tags(dict(_values(file, order, big=big, entry=entry) for entry in table))


def first_page(file: BinaryIO) -> dict[int, tuple[Any, ...]]:
    """The values of a TIFF's first directory.

    Raises:
        Broken: It cannot be read.
    """
    return next(directories(file), Tags({})).values


def _values(
    file: BinaryIO, order: str, *, big: bool, entry: tuple[int, int, int, bytes]
) -> tuple[int, tuple[Any, ...]]:
    tag, kind, count, inline = entry
    forms = _DOUBLES if tag in _OF_DOUBLES else _INTEGERS if tag in _WANTED else {}
    if kind not in forms or not 0 < count <= MOST_VALUES:
        return tag, (0,)
    length = _TYPE_BYTES[kind] * count
    if length > len(inline):
        _seek(file, struct.unpack(order + ("Q" if big else "I"), inline)[0])
        inline = file.read(length)
    if len(inline) < length:
        raise Broken("a table lies outside the file")
    return tag, struct.unpack(f"{order}{count}{forms[kind]}", inline[:length])


def _tiff_end(file: BinaryIO) -> int:
    """The first byte after the pixels of the first page."""
    try:
        tags = first_page(file)
    except Broken:
        return 2**63
    return max(
        int(offset + length)
        for offsets, lengths in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES))
        for offset, length in zip(tags.get(offsets, (0,)), tags.get(lengths, (0,)), strict=False)
    )


def _png_frames(file: BinaryIO) -> int:
    for name, start in _chunks(file):
        if name == b"acTL":
            file.seek(start)
            return int.from_bytes(file.read(4))
        if name == b"IDAT":
            break
    return 1


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and start of content of each chunk that lies in the file whole."""
    size = file.seek(0, os.SEEK_END)
    offset = _PNG_SIGNATURE_BYTES
    while offset + _PNG_CHUNK_OVERHEAD <= size:
        file.seek(offset)
        length, name = struct.unpack(">I4s", file.read(8))
        content, offset = offset + 8, offset + length + _PNG_CHUNK_OVERHEAD
        if offset <= size:
            yield name, content


def _seek(file: BinaryIO, offset: int) -> None:
    if offset >= 2**63:
        raise Broken("a table lies outside the file")
    file.seek(offset)


def _unpack(file: BinaryIO, form: str) -> tuple[int, int, int, bytes]:
    raw = file.read(struct.calcsize(form))
    if len(raw) < struct.calcsize(form):
        raise Broken("a table lies outside the file")
    return struct.unpack(form, raw)
