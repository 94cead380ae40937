"""Slicing as a caller does it, with the files kept in memory."""

import os
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image

from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.slicing import SlicedTile, Thumbnail, slice_image
from tessera.images.tiling import TileBox
from tests.images.pictures import Pixels

EXACT = SlicePolicy(tile=64, margin=8, format=TileFormat.PNG)


class Cut(NamedTuple):
    tiles: dict[int, bytes]
    boxes: dict[int, TileBox]
    thumbnail: bytes
    size: tuple[int, int]

    def image(self) -> Pixels:
        """The cores, put together again."""
        width, height = self.size
        whole = np.zeros((height, width, 3), np.uint8)
        for index, box in self.boxes.items():
            core, window = box.core, box.window
            tile = seen(self.tiles[index])
            assert tile.shape == (window.height, window.width, 3)
            whole[core.top : core.bottom, core.left : core.right] = tile[
                core.top - window.top : core.bottom - window.top,
                core.left - window.left : core.right - window.left,
            ]
        return whole


async def cut(path: Path, policy: SlicePolicy = EXACT, *, done: Collection[int] = ()) -> Cut:
    facts = await inspect(path)
    tiles: dict[int, bytes] = {}
    boxes: dict[int, TileBox] = {}
    thumbnail = b""
    with TemporaryDirectory() as folder:
        async with slice_image(path, facts, policy, Path(folder), done=done) as slices:
            async for piece in slices:
                match piece:
                    case SlicedTile(box, file):
                        boxes[box.index], tiles[box.index] = box, file.read_bytes()
                    case Thumbnail(path=file):
                        thumbnail = file.read_bytes()
                assert file.stat().st_size == piece.size
                slices.release(piece)
        assert not os.listdir(folder)  # noqa: PTH208 - nothing to wait for
    return Cut(tiles, boxes, thumbnail, (facts.width, facts.height))


def seen(content: bytes) -> Pixels:
    with Image.open(BytesIO(content)) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)
