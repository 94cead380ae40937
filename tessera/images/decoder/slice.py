"""Cut one file into tiles: `python -m tessera.images.decoder.slice`.

The file is read once from its first stored row to its last, whatever its orientation: tiles are
cut where they lie in the file and each is turned by itself, so that no turned copy of the image
is ever needed, in memory or on disk. Tiles of an image on its side therefore come column by
column; their bytes are the same in any order.
"""

import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyvips

from tessera.images.decoder import colour, opening
from tessera.images.decoder.encode import WEBP_SIDE, encode
from tessera.images.decoder.parent import Parent, serve
from tessera.images.decoder.strips import STRIP, Strip, strips
from tessera.images.decoder.thumbnail import Shrinker
from tessera.images.decoder.turning import turned
from tessera.images.frames import Upright, window_in_file
from tessera.images.policy import THUMBNAIL_NAME, SlicePolicy, TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.tiling import Rect

MOST_ENCODERS = 4
"""More would wait for the one thread that decodes."""
AHEAD_BYTES = 64 * 2**20
"""Pixels that may be read before the tiles above them are written, besides one row of tiles."""
SWITCH_SECONDS = 0.0005
"""How long the encoders' Python may hold up the reader; Python's own 5 ms are three tiles."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A tile to be made.

    Attributes:
        window: In the stored rows and columns.
    """

    index: int
    window: Rect


class Slicer:
    def __init__(self, parent: Parent, upright: Upright, policy: SlicePolicy) -> None:
        self._parent = parent
        self._upright = upright
        self._policy = policy
        self._folder = Path(parent.request["folder"])
        self._shrinking: list[Future[None]] = []
        self._row_bytes = 3 * upright.width
        self._shrinker = Shrinker(upright.width, upright.height)

    def cuts(self, done: set[int]) -> list[Cut]:
        """The tiles still to be made, in the order in which their last row is read."""
        boxes = self._policy.boxes(*self._upright.size)
        cuts = [
            Cut(box.index, window_in_file(box.window, self._upright))
            for box in boxes
            if box.index not in done
        ]
        return sorted(cuts, key=lambda cut: (cut.window.bottom, cut.window.left))

    def run(self, cuts: Iterable[Cut], stored: Iterator[Strip]) -> None:
        threads = min(MOST_ENCODERS, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(threads) as pool:
            reading = self._also_shrunk(stored, pool)
            held: deque[Strip] = deque()
            making: deque[list[Future[None]]] = deque()
            for (top, bottom), row in groupby(cuts, lambda c: (c.window.top, c.window.bottom)):
                while not held or held[-1].bottom < bottom:
                    held.append(next(reading))
                while held[0].bottom <= top:
                    held.popleft()
                making.append([pool.submit(self._make, list(held), cut) for cut in row])
                # rows of tiles that are not written yet hold on to their strips
                while (len(making) - 1) * (bottom - top) * self._row_bytes > AHEAD_BYTES:
                    _finish(making.popleft())
            for _ in reading:
                pass
            for unfinished in (*making, self._shrinking):
                _finish(unfinished)
        self._write_thumbnail()

    def _also_shrunk(self, stored: Iterator[Strip], pool: ThreadPoolExecutor) -> Iterator[Strip]:
        for strip in stored:
            self._shrinking.append(pool.submit(self._shrinker.add, strip))
            yield strip
            self._parent.say(rows=strip.bottom)

    def _make(self, held: list[Strip], cut: Cut) -> None:
        left, top, right, bottom = cut.window
        parts = [
            strip.pixels[max(top - strip.top, 0) : max(bottom - strip.top, 0), left:right]
            for strip in held
        ]
        # a whole image is one part, and must not be copied
        stored = parts[0] if len(parts) == 1 else np.concatenate(parts)
        content = encode(
            turned(stored, self._upright.orientation),
            self._policy.format,
            self._policy.quality,
        )
        self._parent.wait_for_room()
        (self._folder / self._policy.file_name(cut.index)).write_bytes(content)
        self._parent.say(tile=cut.index, sha256=_sha256(content), size=len(content))

    def _write_thumbnail(self) -> None:
        self._parent.wait_for_room()
        width, height, content = self._shrinker.finish(self._upright.orientation)
        (self._folder / THUMBNAIL_NAME).write_bytes(content)
        self._parent.say(thumbnail=[width, height], sha256=_sha256(content), size=len(content))


def slice_file(parent: Parent) -> None:
    request = parent.request
    limits = Limits(**request["limits"])
    opened, image = opening.open_image(Path(request["path"]), limits)
    form = TileFormat(request["policy"]["format"])
    policy = SlicePolicy(**{**request["policy"], "format": form})
    if list(opened.upright) != request["upright"]:
        raise Refused(Reason.CORRUPT, "The file is not the one that was checked.")
    if policy.whole:
        _check_whole(*opened.upright.size, form, limits)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        slicer = Slicer(parent, opened.upright, policy)
        rows = image.height if policy.whole else STRIP
        with closing(strips(colour.to_srgb(image), rows)) as stored:
            del image  # the strips alone have it: with the last of them a held image is let go
            slicer.run(slicer.cuts(set(request["done"])), stored)
    except pyvips.Error as error:
        raise opened.refusal(error) from None
    parent.say(done=True)


def _check_whole(width: int, height: int, form: TileFormat, limits: Limits) -> None:
    if form is TileFormat.WEBP and max(width, height) > WEBP_SIDE:
        raise Refused(
            Reason.TOO_MANY_PIXELS,
            f"The image has {width} x {height} pixels, and a WebP at most {WEBP_SIDE} on a side. "
            "It has to be cut into tiles, or stored as JPEG.",
        )
    most = limits.held_pixels // (2 if form is TileFormat.WEBP else 1)  # WebP takes twice as much
    if width * height > most:
        raise Refused(
            Reason.TOO_MANY_PIXELS,
            f"The image has {width} x {height} pixels. Above {most // 10**6} megapixels it has to "
            f"be cut into tiles{', or stored as JPEG' if form is TileFormat.WEBP else ''}.",
        )


def _finish(making: list[Future[None]]) -> None:
    for future in making:
        future.result()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    serve(slice_file)
