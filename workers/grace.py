"""Time limits that become short when the worker is asked to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


class Stopped(Exception):  # noqa: N818
    """The worker stops before this was done."""


class Grace:
    """Lets work in hand go on for `length` after `stop`, and refuses new work from then on."""

    def __init__(self, stop: asyncio.Event, length: timedelta) -> None:
        self._stop = stop
        self._length = length
        self._limits: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def within(self, limit: timedelta | None = None) -> AsyncIterator[None]:
        """Cancel the body when its time is over.

        Raises:
            Stopped: It was over because of `stop`, or the body was not begun.
            TimeoutError: `limit` was over.
        """
        if self._stop.is_set():
            raise Stopped
        try:
            async with asyncio.timeout(limit.total_seconds() if limit else None) as timeout:
                self._limits.add(timeout)
                try:
                    yield
                finally:
                    self._limits.discard(timeout)
        except TimeoutError:
            if timeout.expired() and self._stop.is_set():
                raise Stopped from None
            raise

    async def watch(self) -> None:
        try:
            await self._stop.wait()
        finally:
            end = asyncio.get_running_loop().time() + self._length.total_seconds()
            for timeout in self._limits:
                if not timeout.expired():  # the body of one that is may still be on its way out
                    timeout.reschedule(min(end, timeout.when() or end))
