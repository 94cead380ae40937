"""What is said to those who watch over a process: when it may serve, and while it stops."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from httpx2 import AsyncClient, Client, ConnectError, TransportError
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.api.serving import serving
from tests.kernel.working import eventually

HEAD, *OLDER = (
    script.revision
    for script in ScriptDirectory.from_config(Config("alembic.ini")).walk_revisions()
)
Say = Callable[[str], Awaitable[None]]


@pytest.fixture
async def say(sessions: db.Sessions) -> AsyncIterator[Say]:
    """Says something to a database that does not know any more how far it is migrated."""

    async def say(statement: str) -> None:
        async with db.transaction(sessions) as session:
            await session.execute(text(statement))

    await say("ALTER TABLE alembic_version RENAME TO the_real_one")
    yield say
    await say("DROP TABLE IF EXISTS alembic_version")
    await say("ALTER TABLE the_real_one RENAME TO alembic_version")


async def test_a_process_is_ready_once_the_database_is_migrated_for_it_or_for_newer_ones(
    http: AsyncClient, say: Say
) -> None:
    async def ready() -> tuple[int, str]:
        got = await http.get("/readyz")
        return got.status_code, got.json().get("detail", "")

    def behind(revision: str | None) -> tuple[int, str]:
        return 503, f"The database is at revision {revision}; this code needs {HEAD}."

    assert await ready() == behind(None), "nothing was ever migrated"
    await say("CREATE TABLE alembic_version (version_num varchar(32))")
    assert await ready() == behind(None)
    await say("INSERT INTO alembic_version VALUES ('')")
    for revision in OLDER:
        await say(f"UPDATE alembic_version SET version_num = '{revision}'")
        assert await ready() == behind(revision)
    for revision in (HEAD, "one_that_this_code_never_saw"):
        await say(f"UPDATE alembic_version SET version_num = '{revision}'")
        assert await ready() == (200, "")
    assert OLDER


async def test_a_process_says_that_it_stops_while_it_still_serves_and_asked_again_does_not_wait(
    settings: Settings, tmp_path: Path
) -> None:
    with (
        serving(settings, tmp_path / "log", TESSERA_DRAIN_SECONDS="600") as served,
        Client(base_url=served.url) as http,
    ):
        assert http.get("/readyz").status_code == 200
        served.process.send_signal(signal.SIGTERM)
        await eventually(lambda: http.get("/readyz").status_code != 200)
        got = http.get("/readyz")
        assert (got.status_code, got.json()["code"]) == (503, "unavailable")
        with Client(base_url=served.url) as somebody_new:
            assert somebody_new.get("/healthz").status_code == 200
            assert somebody_new.get("/v1/me").status_code == 401
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(20) == 0
        with pytest.raises(ConnectError), Client(base_url=served.url) as late:
            late.get("/healthz")


@pytest.mark.parametrize("drain", [0, 1])
def test_it_ends_at_once_unless_it_shall_wait(
    drain: int, settings: Settings, tmp_path: Path
) -> None:
    with serving(settings, tmp_path / "log", TESSERA_DRAIN_SECONDS=str(drain)) as served:
        asked_at = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0
        assert time.monotonic() >= asked_at + drain


async def test_those_who_try_again_see_no_failure_while_it_stops(
    settings: Settings, tmp_path: Path
) -> None:
    with serving(settings, tmp_path / "log", TESSERA_DRAIN_SECONDS="0.5") as served:

        async def ask() -> list[int]:
            seen = []
            async with AsyncClient(base_url=served.url) as http:
                while True:
                    try:
                        seen.append((await http.get("/v1/me")).status_code)
                    except ConnectError:
                        return seen
                    except TransportError:  # an idle connection was closed: ask again
                        continue

        asking = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.sleep(0.5)
        served.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            seen = await asyncio.gather(*asking)
        assert served.process.wait(20) == 0
    assert all(seen)
    assert {status for each in seen for status in each} == {401}
