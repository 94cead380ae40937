"""Cutting an image into tiles, which come out one by one while the file is still being read."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tessera.images import sandbox
from tessera.images.inspection import DEFAULT_LIMITS, Facts
from tessera.images.policy import THUMBNAIL_NAME, SlicePolicy
from tessera.images.refusals import Limits
from tessera.images.sandbox import WAITING, Child
from tessera.images.tiling import Grid, TileBox


class SlicedTile(NamedTuple):
    """A tile as a file.

    Attributes:
        size: Of the file, bytes.
    """

    box: TileBox
    path: Path
    sha256: str
    size: int


class Thumbnail(NamedTuple):
    """The whole image as a small JPEG file.

    Attributes:
        width: Pixels; likewise height.
        size: Of the file, bytes.
    """

    width: int
    height: int
    path: Path
    sha256: str
    size: int


class Slices:
    """The tiles of an image in no certain order, and its thumbnail last.

    At most `WAITING` files exist at once: each that was dealt with must be released, or no more
    come. Any number below that may be in use at once.
    """

    def __init__(self, child: Child, boxes: Grid, policy: SlicePolicy, folder: Path) -> None:
        self._child = child
        self._boxes = boxes
        self._policy = policy
        self._folder = folder
        self._in_use = 0

    def __aiter__(self) -> AsyncIterator[SlicedTile | Thumbnail]:
        return self._pieces()

    def release(self, piece: SlicedTile | Thumbnail) -> None:
        """Delete the file and let another one be made."""
        piece.path.unlink()
        self._in_use -= 1
        self._child.let_write()

    async def _pieces(self) -> AsyncIterator[SlicedTile | Thumbnail]:
        while True:
            message = await self._child.hear(lambda: self._in_use >= WAITING)
            if "done" in message:
                return
            piece = self._piece(message)
            if piece is not None:
                self._in_use += 1
                yield piece

    def _piece(self, message: dict[str, Any]) -> SlicedTile | Thumbnail | None:
        if "tile" in message:
            box = self._boxes[message["tile"]]
            path = self._folder / self._policy.file_name(box.index)
            return SlicedTile(box, path, message["sha256"], message["size"])
        if "thumbnail" in message:
            width, height = message["thumbnail"]
            path = self._folder / THUMBNAIL_NAME
            return Thumbnail(width, height, path, message["sha256"], message["size"])
        return None  # a sign of life


@asynccontextmanager
async def slice_image(
    path: Path,
    facts: Facts,
    policy: SlicePolicy,
    folder: Path,
    *,
    done: Collection[int] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[Slices]:
    """Cut a file that was inspected, in a process that lives as long as the block.

    Args:
        facts: What `inspect` found in this file.
        folder: Exists and is empty; files are left in it only if the block is left early.
        done: Indexes of tiles that need not be made again; the thumbnail always is.

    Raises:
        Refused: While iterating: whole images too large for one tile, or a fault of the run.
        NoRoom: While iterating: the disk is full.
    """
    request = {
        "path": str(path),
        "folder": str(folder),
        "upright": list(facts.upright),
        "policy": asdict(policy),
        "done": sorted(done),
    }
    async with sandbox.decoder("slice", request, limits) as child:
        yield Slices(child, policy.boxes(facts.width, facts.height), policy, folder)
