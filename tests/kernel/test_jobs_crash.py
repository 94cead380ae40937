"""Workers that are killed, starved of Postgres, or killed by their own job."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text

from deploy.embedded.places import Places
from deploy.embedded.postgres import Postgres
from deploy.embedded.stack import Servers
from tessera.kernel import db, jobs
from tests.kernel.working import KILLED, Notes, Spawn, ending, eventually, spawning, until_held


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def spawn(database_url: str, notes: Notes) -> Iterator[Spawn]:
    with spawning(database_url, notes) as spawn:
        yield spawn


async def enqueue(sessions: db.Sessions, count: int, *, seconds: float) -> None:
    async with db.transaction(sessions) as session:
        payloads = [{"n": n, "seconds": seconds} for n in range(count)]
        await jobs.enqueue_many(session, "note", payloads)


async def until_all_ended(notes: Notes, count: int, *, patience: float = 60) -> None:
    await eventually(lambda: len(notes.count("end")) == count, patience=patience)


async def test_what_a_killed_worker_had_in_hand_runs_again(
    sessions: db.Sessions, spawn: Spawn, notes: Notes
) -> None:
    await enqueue(sessions, 15, seconds=2)
    for _ in range(2):
        worker = spawn()
        begun = notes.count("begin").total()
        await eventually(lambda begun=begun: notes.count("begin").total() > begun)  # type: ignore[misc]
        worker.kill()
        assert await ending(worker) == -signal.SIGKILL
        assert notes.count("begin").keys() - notes.count("end").keys(), "killed in mid-job"
    spawn()
    await until_all_ended(notes, 15)


@pytest.mark.long
async def test_nothing_is_lost_in_many_kills(
    sessions: db.Sessions, spawn: Spawn, notes: Notes
) -> None:
    await enqueue(sessions, 3000, seconds=0.05)
    workers = [spawn(), spawn()]
    rng = random.Random(7)
    for _ in range(20):
        await asyncio.sleep(rng.uniform(0.5, 2))
        victim = rng.randrange(2)
        workers[victim].kill()
        await ending(workers[victim])
        workers[victim] = spawn()
    await until_all_ended(notes, 3000, patience=120)
    repeats = sum(notes.count("end").values()) - 3000
    assert repeats <= 20 * 10, "at most what each victim had finished and not yet noted"


@pytest.mark.long
async def test_nothing_is_lost_when_postgres_is_killed_and_started_again(notes: Notes) -> None:
    with own_postgres() as postgres, spawning(postgres.url, notes) as spawn:
        engine = db.create_engine(postgres.url, application_name="tests")
        await enqueue(db.create_sessions(engine), 400, seconds=0.1)
        await engine.dispose()
        for _ in range(3):
            workers = [spawn(), spawn()]
            ended = len(notes.count("end"))
            await eventually(lambda ended=ended: len(notes.count("end")) > ended + 40)  # type: ignore[misc]
            await kill_postmaster(postgres)
            assert 0 not in [await ending(worker) for worker in workers]
            postgres.revive()
        spawn()
        await until_all_ended(notes, 400)


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="tessera-tests-", dir="/tmp") as root:
        Path(root).chmod(0o755)
        postgres = Postgres(Places.under(Path(root)), say=lambda _: None, durable=True)
        postgres.prepare()
        postgres.start()
        try:
            postgres.wait()
            env = {**os.environ, "TESSERA_DATABASE_URL": postgres.url}
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"], check=True, env=env
            )
            yield postgres
        finally:
            postgres.stop()


async def kill_postmaster(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.admin_url)
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    postmaster = psutil.Process(backend).parent()
    assert postmaster
    postmaster.kill()
    connection.terminate()


@pytest.mark.long
async def test_a_job_that_kills_its_worker_is_held_and_the_others_run(
    sessions: db.Sessions, spawn: Spawn, notes: Notes
) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "die", payload={})
    await enqueue(sessions, 9, seconds=0.2)
    workers = [spawn()]

    def supervise() -> None:
        if not workers[-1].is_alive():
            workers.append(spawn())

    found = await until_held(sessions, meanwhile=supervise)
    assert [job.name for job in found] == ["die"]
    died = len(workers) - 1
    assert died in {KILLED.crashes, KILLED.crashes + 1}
    assert found[0].error == f"Poisonous: its last {died} workers died"
    await until_all_ended(notes, 9)
    assert workers[-1].is_alive()


async def test_sigterm_ends_a_worker_in_good_order(
    sessions: db.Sessions, spawn: Spawn, notes: Notes
) -> None:
    await enqueue(sessions, 8, seconds=0.5)
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "note", payload={"n": 99, "seconds": 60})
    worker = spawn()
    await eventually(lambda: len(notes.count("begin")) == 9)
    worker.terminate()
    assert await ending(worker) == 0
    assert sorted(notes.count("end")) == list(range(8))
    async with db.reading(sessions) as reader:
        rows = await reader.execute(text("SELECT status::text, payload FROM pgqueuer"))
        assert rows.all() == [("queued", b'{"n":99,"seconds":60}')]


async def test_a_worker_that_loses_postgres_ends_in_failure_and_nothing_is_lost(
    sessions: db.Sessions, spawn: Spawn, notes: Notes, servers: Servers
) -> None:
    await enqueue(sessions, 12, seconds=0.3)
    worker = spawn()
    await eventually(lambda: len(notes.count("begin")) >= 10)
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name IN ('tessera-queue', 'tessera-sweeps')"
    )
    await admin.close()
    assert await ending(worker) != 0
    spawn()
    await until_all_ended(notes, 12)
