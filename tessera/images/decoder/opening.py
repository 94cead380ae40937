"""From a path to an image that libvips may read, or to the reason why it may not."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pyvips

from tessera.images.decoder import colour, containers
from tessera.images.decoder.parent import too_much_memory
from tessera.images.formats import HEAD_BYTES, Format, sniff
from tessera.images.frames import Upright
from tessera.images.refusals import Limits, Reason, Refused

_LOADERS = {
    Format.JPEG: ("VipsForeignLoadJpeg", "jpegload_source"),
    Format.PNG: ("VipsForeignLoadPng", "pngload_source"),
    Format.WEBP: ("VipsForeignLoadWebp", "webpload_source"),
    Format.TIFF: ("VipsForeignLoadTiff", "tiffload_source"),
}
_HELD = {
    "jpeg-multiscan": "A progressive JPEG",
    "interlaced": "An interlaced PNG",
}
FED_AT_ONCE = 2**20
_MEMORY_WORDS = ("out of memory", "insufficient memory", "unable to allocate", "malloc")
_UNKNOWN_WORDS = ("is not configured", "decoding is not implemented")
_CUT_WORDS = "premature end of jpeg"

# by name and never by suffix: libvips would draw an SVG that is called .jpg
pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003
for _class, _ in _LOADERS.values():
    pyvips.operation_block_set(_class, False)  # noqa: FBT003
pyvips.cache_set_max(0)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose header is within the limits; its image is apart, as it may hold all pixels."""

    file: BinaryIO
    format: Format
    upright: Upright
    limits: Limits

    def refusal(self, error: pyvips.Error) -> Refused:
        """What libvips' complaint says about the file."""
        said = str(error).lower()
        if any(words in said for words in _MEMORY_WORDS):
            return Refused(
                Reason.TOO_MUCH_MEMORY, too_much_memory(self.limits), evidence=str(error)
            )
        return damaged(self.format, self.file, str(error))


def open_image(path: Path, limits: Limits) -> tuple[Opened, pyvips.Image]:
    """Open a file by what it is, and check what its header promises against the limits.

    Returns:
        And the image, rows and columns as stored, to be read once and from the top.

    Raises:
        Refused: With every reason but those about the run.
    """
    file = path.open("rb", buffering=0)
    size = file.seek(0, os.SEEK_END)
    if size > limits.file_bytes:
        most = limits.file_bytes // 2**20
        raise Refused(Reason.TOO_MANY_BYTES, f"The file is larger than {most} MB.")
    file.seek(0)
    kind = sniff(file.read(HEAD_BYTES))
    keep_alpha = _check_container(kind, file)
    source = _source(kind, path, file)
    try:
        load = getattr(pyvips.Image, _LOADERS[kind][1])
        image = load(source, access="sequential", fail_on="warning")
    except pyvips.Error as error:
        raise damaged(kind, file, str(error)) from None
    _check_pages(image)
    check_pixels(image, kind, limits)
    image = colour.checked(image, keep_alpha=keep_alpha)
    upright = Upright(_orientation(image), image.width, image.height)
    return Opened(file, kind, upright, limits), image


def damaged(kind: Format, file: BinaryIO, said: str) -> Refused:
    if any(words in said.lower() for words in _UNKNOWN_WORDS):
        return Refused(
            Reason.UNSUPPORTED_FORMAT,
            "The pixels are compressed in a way that is not accepted. Save the file with LZW, "
            "Deflate or JPEG compression.",
            evidence=said,
        )
    if containers.is_cut_off(kind, file) or _CUT_WORDS in said.lower():
        return Refused(
            Reason.TRUNCATED,
            "The file ends before its picture does: an upload or a copy of it was cut off.",
            evidence=said,
        )
    return Refused(
        Reason.CORRUPT, "The file is damaged: its pixels cannot all be read.", evidence=said
    )


def check_pixels(image: pyvips.Image, kind: Format, limits: Limits) -> None:
    width, height = image.width, image.height
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise Refused(
            Reason.TOO_MANY_PIXELS,
            f"The image has {width} x {height} pixels. At most {limits.pixels // 10**6} megapixels "
            f"and {limits.side} on a side can be taken.",
        )
    held = next((name for field, name in _HELD.items() if _is_set(image, field)), "")
    most = limits.held_pixels
    if kind is Format.WEBP:
        held = "A WebP"
        most = most * 5 // 6  # its decoder has the image four times over
    if held and width * height > most:
        raise Refused(
            Reason.TOO_MANY_PIXELS,
            f"{held} cannot be read in strips, so it may have at most "
            f"{most // 10**6} megapixels; this one has {width} x {height} pixels. "
            "Saved as a baseline JPEG or a tiled TIFF it can be taken.",
        )


def _source(kind: Format, path: Path, file: BinaryIO) -> pyvips.Source:
    """The file for libvips to read.

    Given a file it can seek in, libvips maps the whole of it, and a JPEG of 900 MB then counts
    as 900 MB of memory. So it gets a pipe, where the loader does not have to seek. (Callbacks
    would do as well, if libvips did not fetch 4 kB at a time, each time waiting for the GIL.)
    Of a WebP or an interlaced PNG it would keep, and double, all that came through the pipe.
    """
    if kind in {Format.TIFF, Format.WEBP} or containers.is_interlaced(kind, file):
        return pyvips.Source.new_from_file(str(path))
    reading, writing = os.pipe()
    source = pyvips.Source.new_from_descriptor(reading)
    os.close(reading)  # libvips has its own copy
    Thread(target=_feed, args=(path, writing), daemon=True).start()
    return source


def _feed(path: Path, writing: int) -> None:
    # libvips hangs up when it has seen enough
    with suppress(BrokenPipeError), path.open("rb") as file, open(writing, "wb") as pipe:
        shutil.copyfileobj(file, pipe, FED_AT_ONCE)


def _check_container(kind: Format, file: BinaryIO) -> bool:
    """Whether a channel after the colours is transparency."""
    try:
        frames = containers.frames(kind, file)
        alpha = containers.extra_is_alpha(kind, file)
        unreadable = containers.unreadable_colours(kind, file)
    except containers.Broken as broken:
        raise damaged(kind, file, str(broken)) from None
    if frames > 1:
        raise _too_many(frames)
    if unreadable:
        raise Refused(
            Reason.UNSUPPORTED_FORMAT,
            f"The colours are stored as {unreadable}. Save the image as grey, RGB or CMYK.",
        )
    return alpha


def _check_pages(image: pyvips.Image) -> None:
    """Animated WebP, which only libvips counts; TIFF pages were counted without overviews."""
    if image.get("vips-loader").startswith("webp") and image.get_n_pages() > 1:
        raise _too_many(image.get_n_pages())


def _too_many(frames: int) -> Refused:
    return Refused(
        Reason.TOO_MANY_FRAMES,
        f"The file holds {frames} pictures. Upload each frame or page as a file of its own.",
    )


def _orientation(image: pyvips.Image) -> int:
    """EXIF orientation; anything but 1 to 8 means upright, as in browsers."""
    value = image.get("orientation") if image.get_typeof("orientation") else 1
    return value if value in range(1, 9) else 1


def _is_set(image: pyvips.Image, field: str) -> bool:
    return bool(image.get_typeof(field) and image.get(field))
