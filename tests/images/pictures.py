"""Files to try: made when a test runs, so that none has to be kept."""

import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]

TO_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held in each orientation would have stored an upright picture."""


def scene(width: int, height: int) -> Pixels:
    """Smooth colours with some grain, different in every corner; shape (height, width, 3)."""
    across = np.linspace(0, 1, width)[None, :, None]
    down = np.linspace(0, 1, height)[:, None, None]
    waves = np.sin(across * np.array([7.0, 13.0, 23.0]) + down * np.array([19.0, 5.0, 11.0]))
    grain = np.random.default_rng(7).integers(-4, 5, (height, width, 1))
    colours: Pixels = np.clip(128 + 90 * waves + 30 * (across - down) + grain, 0, 255).astype(
        np.uint8
    )
    return colours


def saved(folder: Path, name: str, pixels: Pixels, **options: Any) -> Path:
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def held(folder: Path, name: str, pixels: Pixels, orientation: int, **options: Any) -> Path:
    """A picture as a camera held that way stores it, with the tag that says so."""
    picture = Image.fromarray(pixels)
    if orientation in TO_STORED:
        picture = picture.transpose(TO_STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(folder / name, exif=exif, **options)
    with Image.open(folder / name) as stored:
        height, width, _ = pixels.shape
        assert ImageOps.exif_transpose(stored).size == (width, height)
    return folder / name


def jpeg_bytes(pixels: Pixels, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", **options)
    return buffer.getvalue()


def png(
    width: int,
    height: int,
    *chunks: tuple[bytes, bytes],
    rows: Iterable[bytes] = (),
    kind: tuple[int, int] = (8, 0),
) -> bytes:
    """A PNG whose header says what it likes; `kind` is bit depth and colour type, 8-bit grey."""
    header = struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in parts)


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
