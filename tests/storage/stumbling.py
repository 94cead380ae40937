"""A store that stumbles: the real one, behind a door that refuses some uploads at first."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from tessera.storage.s3 import Access

REFUSALS = ("500 Internal Server Error", "503 Slow Down")


class Door:
    """What came by, and what was let through.

    Args:
        stumbles: How many of the first PUTs of a key are refused.
    """

    def __init__(self, access: Access, *, stumbles: Callable[[str], int]) -> None:
        store = urlsplit(access.endpoint)
        self._host, self._port = store.hostname, store.port
        self._bucket = f"/{access.bucket}/"
        self._stumbles = stumbles
        self.puts = Counter[str]()
        """By key, with those that were refused."""
        self.taken = Counter[str]()
        """By key, those that the store took: now and then it stumbles by itself."""
        self.refused = 0
        self._visits = set[asyncio.Task[None]]()
        self._now = 0
        self.most_at_once = 0
        self._held: str | None = None
        self._waiting = 0
        self._news = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, whole, then the end of the connection."""
        task = asyncio.current_task()
        assert task
        self._visits.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # who came left again
        finally:
            self._visits.remove(task)
            writer.close()

    def hold(self, prefix: str) -> None:
        """Let no PUT of a key that begins so come through, until `let_go`."""
        self._held = prefix

    async def until_held(self, least: int) -> None:
        """Until so many stand before the door; for half a minute, after which a client gives up."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: self._waiting >= least)

    async def let_go(self) -> None:
        async with self._news:
            self._held = None
            self._news.notify_all()

    async def close(self) -> None:
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")]
        if len(lines) < len(head.split(b"\r\n")):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, target, _ = lines[0].decode().split(" ")
        body = await reader.readexactly(_length(lines))
        if method == "PUT" and await self._refuses(target.partition("?")[0]):
            refusal = REFUSALS[self.refused % len(REFUSALS)]
            answer = f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode())
        else:
            lines.insert(1, b"Connection: close")
            status = await self._pass_on(b"\r\n".join(lines) + body, writer)
            if method == "PUT" and status == HTTPStatus.OK:
                self.taken[self._key(target.partition("?")[0])] += 1
        await writer.drain()

    async def _refuses(self, path: str) -> bool:
        key = self._key(path)
        self.puts[key] += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(0.02)  # so that those under way together meet
        if self._held is not None and key.startswith(self._held):
            await self._stand_there()
        self._now -= 1
        refuses = self.puts[key] <= self._stumbles(key)
        self.refused += refuses
        return refuses

    async def _stand_there(self) -> None:
        async with self._news:
            self._waiting += 1
            self._news.notify_all()
            await self._news.wait_for(lambda: self._held is None)
            self._waiting -= 1

    def _key(self, path: str) -> str:
        return path.removeprefix(self._bucket)

    async def _pass_on(self, request: bytes, writer: asyncio.StreamWriter) -> int:
        """Returns the status of the answer."""
        answers, store = await asyncio.open_connection(self._host, self._port)
        try:
            store.write(request)
            head = await answers.readline()
            writer.write(head)
            while chunk := await answers.read(65536):
                writer.write(chunk)
                await writer.drain()
        finally:
            store.close()
        return int(head.split()[1])


def _length(lines: list[bytes]) -> int:
    said = (line.partition(b":") for line in lines)
    return next((int(value) for name, _, value in said if name.lower() == b"content-length"), 0)


@asynccontextmanager
async def stumbling(
    access: Access, *, stumbles: Callable[[str], int]
) -> AsyncIterator[tuple[Door, Access]]:
    """A door to a real store, and the way to it."""
    door = Door(access, stumbles=stumbles)
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield door, replace(access, endpoint=f"http://127.0.0.1:{port}")
    await door.close()
