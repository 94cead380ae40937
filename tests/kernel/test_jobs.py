import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pgqueuer.queries import Queries
from sqlalchemy import text

from tessera.kernel import db, jobs
from tests.kernel.working import eventually, working

HOUR = timedelta(hours=1)


async def waiting(sessions: db.Sessions) -> int:
    async with db.reading(sessions) as reader:
        rows = await reader.scalars(text("SELECT id FROM pgqueuer WHERE status = 'queued'"))
        return len(rows.all())


async def add(sessions: db.Sessions, n: int = 1, **more: Any) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "count", payload={"n": n}, **more)


async def pick_all(sessions: db.Sessions) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE pgqueuer SET status = 'picked'"))


@pytest.mark.parametrize("first_thing", [True, False])
async def test_a_job_vanishes_when_the_change_is_rolled_back(
    sessions: db.Sessions, *, first_thing: bool
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction(sessions) as session:
            if not first_thing:
                await session.execute(text("SELECT 1"))
            await jobs.enqueue(session, "count", payload={})
            await jobs.enqueue_many(session, "count", [{}, {}])
            raise ZeroDivisionError
    assert await waiting(sessions) == 0


async def test_a_job_is_there_once_the_change_is_committed(sessions: db.Sessions) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "count", payload={})
        await jobs.enqueue_many(session, "count", [{"n": n} for n in range(jobs.BATCH + 1)])
        assert await waiting(sessions) == 0
    assert await waiting(sessions) == jobs.BATCH + 2


async def test_one_waiting_run_is_enough_for_a_key(sessions: db.Sessions) -> None:
    for _ in range(3):
        await add(sessions, key="k")
    assert await waiting(sessions) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"n": 2, "key": "k"},
        {"key": "another"},
        {"n": 1},
    ],
    ids=["another payload", "another key", "no key"],
)
async def test_what_is_not_the_same_waits_beside_it(
    sessions: db.Sessions, other: dict[str, Any]
) -> None:
    await add(sessions, key="k")
    await add(sessions, **other)
    assert await waiting(sessions) == 2


async def test_a_run_that_is_due_later_is_not_enough(sessions: db.Sessions) -> None:
    await add(sessions, key="k")
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE pgqueuer SET execute_after = now() + interval '1 hour'"))
    await add(sessions, key="k")
    assert await waiting(sessions) == 2


async def test_a_run_that_has_started_is_not_enough(sessions: db.Sessions) -> None:
    await add(sessions, key="k")
    await pick_all(sessions)
    await add(sessions, key="k")
    assert await waiting(sessions) == 1


async def test_a_run_does_not_start_before_everybody_who_counts_on_it_has_committed(
    sessions: db.Sessions, database_url: str
) -> None:
    ran: list[int] = []

    async def count(_context: None, run: jobs.Run) -> None:
        ran.append(run.id)

    await add(sessions, key="k")
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "count", payload={"n": 1}, key="k")
        async with working(database_url, {"count": count}):
            await asyncio.sleep(0.5)
        assert ran == []
    async with working(database_url, {"count": count}):
        await eventually(lambda: len(ran) == 1)


async def test_two_at_once_with_one_key_do_not_wait_for_each_other(sessions: db.Sessions) -> None:
    await add(sessions, key="k")
    async with asyncio.timeout(5), db.transaction(sessions) as slow:
        await jobs.enqueue(slow, "count", payload={"n": 1}, key="k")
        for _ in range(3):
            await add(sessions, key="k")
    assert await waiting(sessions) == 2


async def test_steady_traffic_on_one_key_leaves_no_more_runs_than_there_are_writers(
    sessions: db.Sessions,
) -> None:
    async def write() -> None:
        for _ in range(20):
            await add(sessions, key="k")

    await asyncio.gather(*[write() for _ in range(8)])
    assert 1 <= await waiting(sessions) <= 8


async def test_history_is_forgotten_but_not_that_of_a_job_that_still_stands(
    sessions: db.Sessions,
) -> None:
    await add(sessions)
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "count", payload={})
        await session.execute(text("DELETE FROM pgqueuer WHERE payload = '{}'"))
    async with db.transaction(sessions) as session:
        assert await jobs.prune(session, keep=HOUR) == 0
        assert await jobs.prune(session, keep=timedelta()) == 1
        assert await jobs.prune(session, keep=timedelta()) == 0


async def test_the_tables_are_the_engines_own_without_its_trigger(
    database_url: str, sessions: db.Sessions
) -> None:
    assert sessions
    connection = await asyncpg.connect(database_url)
    plan = await Queries.from_asyncpg_connection(connection).plan_upgrade()
    await connection.close()
    assert [statement.split("(")[0].split("\n")[0] for statement in plan.statements] == [
        "CREATE FUNCTION fn_pgqueuer_changed",
        "CREATE TRIGGER tg_pgqueuer_changed",
    ]
