"""Every connection to Postgres, whoever opens it, has said how long it may wait."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import PostgresDsn
from sqlalchemy import make_url, text

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.stories.processes import eventually, ready, running, serving, worker
from workers.runner import Pace

TLS = 80877103
WHO = {"api", "worker", "tessera-queue", "tessera-sweeps"}
LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@dataclass
class Door:
    """In front of Postgres: lets everybody in, and notes how they introduce themselves."""

    url: PostgresDsn
    host: str
    port: int
    introduced: list[dict[str, str]] = field(default_factory=list)

    async def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # https://www.postgresql.org/docs/18/protocol-message-formats.html: StartupMessage
        size, kind = struct.unpack("!II", await reader.readexactly(8))
        if kind == TLS:
            writer.write(b"N")
            size, kind = struct.unpack("!II", await reader.readexactly(8))
        rest = await reader.readexactly(size - 8)
        words = rest.decode().rstrip("\0").split("\0")
        self.introduced.append(dict(zip(words[::2], words[1::2], strict=True)))
        back, forth = await asyncio.open_connection(self.host, self.port)
        forth.write(struct.pack("!II", size, kind) + rest)
        await asyncio.gather(_pass_on(reader, forth), _pass_on(back, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@asynccontextmanager
async def door(settings: Settings) -> AsyncIterator[Door]:
    real = make_url(str(settings.database_url))
    assert real.host
    assert real.port
    made = Door(settings.database_url, real.host, real.port)
    async with await asyncio.start_server(made.enter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        other = real.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        made.url = PostgresDsn(other)
        yield made


async def test_every_connection_of_api_and_workers_gives_up_some_time(
    settings: Settings, sessions: db.Sessions, tmp_path: Path
) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text("DELETE FROM pgqueuer_schedules"))  # so that all sweeps are due
    async with door(settings) as entered:
        through = settings.model_copy(update={"database_url": entered.url})
        api, address = serving(through, tmp_path)

        async def all_are_there() -> bool:
            return {each["application_name"] for each in entered.introduced} == WHO

        with running(api, worker(through, tmp_path, pace=Pace())):
            await ready(address)
            await eventually(all_are_there)
    for each in entered.introduced:
        assert all(each[limit] not in {"", "0"} for limit in LIMITS), each
