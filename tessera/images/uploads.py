"""Tiles on their way to the store."""

import asyncio

from tessera.images.slicing import SlicedTile, Slices, Thumbnail
from tessera.storage.s3 import Store

AT_ONCE = 8


class Uploads:
    """Several at once, and each file is deleted when it is stored.

    Equal tiles, as of a blank margin, are stored once: of two PUTs of one key at the same moment
    the weakest store may keep a trace that cannot be deleted.
    """

    def __init__(self, store: Store, slices: Slices, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._slices = slices
        self._tasks = tasks
        self._places = asyncio.Semaphore(AT_ONCE)
        self._begun = set[str]()

    async def begin(self, key: str, piece: SlicedTile | Thumbnail, content_type: str) -> None:
        """Wait for a place and go on; what goes wrong later is the task group's."""
        if key in self._begun:
            self._slices.release(piece)
            return
        self._begun.add(key)
        await self._places.acquire()
        self._tasks.create_task(self._put(key, piece, content_type))

    async def all_done(self) -> None:
        """Wait until none is under way."""
        for _ in range(AT_ONCE):
            await self._places.acquire()
        for _ in range(AT_ONCE):
            self._places.release()
        self._begun.clear()

    async def _put(self, key: str, piece: SlicedTile | Thumbnail, content_type: str) -> None:
        try:
            await self._store.put_file(key, piece.path, content_type=content_type)
        finally:
            self._slices.release(piece)
            self._places.release()
