"""A store that is down, silent or cut off; and our own mistakes."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.embedded.places import any_free_port
from tessera.kernel import db
from tessera.storage import keys
from tessera.storage.errors import StorageUnavailable
from tessera.storage.s3 import Access, Store
from tests.objects import get_bytes, put_bytes

KEY = keys.upload(uuid4(), uuid4())
SECRET = "a-secret-key-nobody-may-see"
FILE = Path(__file__)
FILE_BYTES = FILE.read_bytes()
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
BRIEF = timedelta(seconds=0.3)


def a_store(port: int, *, threads: int = 16, patience: timedelta = timedelta(seconds=10)) -> Store:
    access = Access(
        endpoint=f"http://127.0.0.1:{port}", access_key="key", secret_key=SECRET, bucket="tessera"
    )
    return Store(access, threads=threads, connect_timeout=patience, read_timeout=patience)


@asynccontextmanager
async def a_server(handle: Handle) -> AsyncIterator[int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def a_closed_port() -> int:
    return any_free_port()  # and no outgoing connection's, which might be our own


async def drain(found: AsyncIterator[object]) -> None:
    async for _ in found:
        pass


def every_call(store: Store, tmp_path: Path) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    return {
        "ensure_bucket": store.ensure_bucket,
        "allow_origin": lambda: store.allow_origin("http://app.test"),
        "put_file": lambda: store.put_file(KEY, FILE, content_type="text/plain"),
        "get_to_file": lambda: store.get_to_file(KEY, tmp_path / "copy", max_bytes=9),
        "list": lambda: drain(store.list("uploads/")),
        "delete_many": lambda: store.delete_many([KEY]),
    }


async def test_every_call_to_a_store_that_is_down_fails_as_unavailable_and_in_time(
    tmp_path: Path,
) -> None:
    store = a_store(a_closed_port(), patience=BRIEF)
    calls = every_call(store, tmp_path)
    began = time.monotonic()
    results = await asyncio.gather(*(call() for call in calls.values()), return_exceptions=True)
    assert time.monotonic() - began < 15
    assert {name: type(r) for name, r in zip(calls, results, strict=True)} == dict.fromkeys(
        calls, StorageUnavailable
    )
    store.close()


async def test_a_store_that_never_answers_is_given_up_and_takes_only_its_own_threads() -> None:
    connections: set[asyncio.StreamWriter] = set()
    most = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        connections.add(writer)
        most = max(most, len(connections))
        while await reader.read(1000):
            pass
        connections.discard(writer)
        writer.close()

    async with a_server(hang) as port:
        store = a_store(port, threads=2, patience=BRIEF)
        calls = [get_bytes(store, KEY, 9) for _ in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        store.close()
    assert [type(r) for r in results] == [StorageUnavailable] * 4
    assert most == 2


async def test_an_answer_cut_short_is_unavailable_and_leaves_no_file(tmp_path: Path) -> None:
    async def cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        await writer.drain()
        writer.close()

    async with a_server(cut_short) as port:
        store = a_store(port)
        with pytest.raises(StorageUnavailable):
            await store.get_to_file(KEY, tmp_path / "copy", max_bytes=1000)
        assert not (tmp_path / "copy").exists()
        store.close()


@pytest.mark.parametrize("trouble", ["500 Internal Server Error", "503 Slow Down", "cut off"])
@pytest.mark.parametrize("times", [1, 2])
async def test_an_upload_that_fails_is_tried_again_with_all_its_bytes(
    trouble: str, times: int
) -> None:
    bodies: list[bytes] = []

    async def stumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await an_upload(reader, writer))
        if len(bodies) > times:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif trouble != "cut off":
            writer.write(f"HTTP/1.1 {trouble}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with a_server(stumble) as port:
        store = a_store(port)
        await store.put_file(KEY, FILE, content_type="text/plain")
        assert bodies == [FILE_BYTES] * (times + 1)
        bodies.clear()
        await put_bytes(store, KEY, b"tessera", content_type="text/plain")
        assert bodies == [b"tessera"] * (times + 1)
        store.close()


async def test_an_upload_that_fails_three_times_is_unavailable() -> None:
    attempts = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        await an_upload(reader, writer)
        attempts += 1
        writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with a_server(refuse) as port:
        store = a_store(port)
        with pytest.raises(StorageUnavailable, match="503"):
            await store.put_file(KEY, FILE, content_type="text/plain")
        store.close()
    assert attempts == 3


async def an_upload(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read one PUT to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"expect: 100-continue" in head:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    _, _, length = head.partition(b"content-length: ")
    return await reader.readexactly(int(length.split(b"\r\n")[0]))


async def test_the_store_is_reached_directly_whatever_proxy_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{a_closed_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await an_upload(reader, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with a_server(take) as port:
        store = a_store(port)
        await put_bytes(store, KEY, b"x", content_type="text/plain")
        store.close()


async def test_every_call_inside_a_transaction_is_refused_as_our_bug(tmp_path: Path) -> None:
    port = a_closed_port()
    engine = db.create_engine(f"postgresql://nobody@127.0.0.1:{port}/none", application_name="test")
    store = a_store(port)
    async with db.transaction(db.create_sessions(engine)):
        for call in every_call(store, tmp_path).values():
            with pytest.raises(db.NetworkCallInTransaction, match=r"^S3 "):
                await call()
        assert store.presign_put(KEY, content_type="image/png", expires=timedelta(minutes=1))
        assert store.presign_get(KEY, content_type="image/png", expires=timedelta(minutes=1))
    store.close()
    await engine.dispose()


async def test_neither_the_log_nor_a_traceback_shows_an_address_or_a_signature(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    port = a_closed_port()
    store = a_store(port)
    url = store.presign_get(KEY, content_type="image/png", expires=timedelta(minutes=1))
    seen = [repr(store), caplog.text]
    for call in every_call(store, tmp_path).values():
        try:
            await call()
        except StorageUnavailable as failure:
            seen += traceback.format_exception(failure)
    seen.append(caplog.text)
    signature = url.rpartition("X-Amz-Signature=")[2]
    for word in (signature, SECRET, KEY, f":{port}", "X-Amz"):
        assert not [text for text in seen if word in text]
    store.close()


def test_the_secret_does_not_show_when_access_is_printed() -> None:
    access = Access(endpoint="http://s3.test", access_key="key", secret_key=SECRET, bucket="b")
    assert SECRET not in repr(access)
