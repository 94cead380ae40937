"""What a lease and an answer cost, in pages touched and statements sent: the same in any project.

Pages, not time: they are the same on every machine.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import event, text

from bench.crowded import Crowded, fill
from bench.database import database
from deploy.embedded.stack import Servers
from tessera.kernel import db
from tests.assignment.crowd import Earner, a_project
from tests.assignment.door import answer, given, lease
from tests.world import World

SMALL, LARGE = 1_000, 100_000
NOTHING_THERE: dict[str, Any] = {"objects": []}


@dataclass(frozen=True)
class Site:
    """A database with one crowded project, and one connection to it."""

    url: str
    sessions: db.Sessions
    project: Crowded

    async def pages(self) -> int:
        """Pages that our connection has touched so far, in memory or not."""
        async with db.transaction(self.sessions) as session:
            await session.execute(text("SELECT pg_stat_force_next_flush()"))
        async with db.transaction(self.sessions) as session:
            return int((await session.execute(_PAGES)).scalar_one())

    async def cost(self, earner_id: UUID, *, leases: int = 1) -> tuple[float, float]:
        """Pages per task of leases of ten, and of their answers, once plans are made."""
        for _ in range(6):
            warm = Earner(self.sessions)
            await warm.answer(await warm.lease(self.project.project_id, 1), NOTHING_THERE)
        earner = Earner(self.sessions, earner_id)
        tasks, leasing, answering = 0, 0, 0
        for _ in range(leases):
            start = await self.pages()
            taken = await earner.lease(self.project.project_id)
            middle = await self.pages()
            await earner.answer(taken, NOTHING_THERE)
            tasks += len(taken)
            leasing += middle - start
            answering += await self.pages() - middle
        return leasing / tasks, answering / tasks


_PAGES = text(
    """
    SELECT sum(hits + reads) FROM pg_stat_get_backend_io(pg_backend_pid())
    WHERE object = 'relation'
    """
)


@asynccontextmanager
async def site(servers: Servers, tasks: int) -> AsyncIterator[Site]:
    async with database(servers, f"crowded_{tasks}") as url:
        connection = await asyncpg.connect(url)
        project = await fill(connection, tasks=tasks, veterans=[uuid4(), uuid4()])
        await connection.close()
        engine = db.create_engine(url, application_name="tests", pool_size=1)
        try:
            yield Site(url, db.create_sessions(engine), project)
        finally:
            await engine.dispose()


@pytest.fixture(scope="module")
async def small(servers: Servers) -> AsyncIterator[Site]:
    async with site(servers, SMALL) as made:
        yield made


@pytest.fixture(scope="module")
async def large(servers: Servers) -> AsyncIterator[Site]:
    async with site(servers, LARGE) as made:
        yield made


def newcomer(_site: Site) -> UUID:
    return uuid4()


def veteran(site: Site) -> UUID:
    """Somebody who has answered half of all tasks."""
    return site.project.veterans[0]


@pytest.mark.parametrize("who", [newcomer, veteran])
async def test_a_hundred_times_the_tasks_make_a_lease_no_dearer(
    small: Site, large: Site, who: Callable[[Site], UUID]
) -> None:
    """But for the levels that the indexes grow by: one or two in a hundred times the rows.

    That makes 1.25 and 1.45 times the pages; a plan that reads what it need not makes ten.
    """
    small_lease, small_answers = await small.cost(who(small), leases=10)
    large_lease, large_answers = await large.cost(who(large), leases=10)
    assert large_lease <= 1.6 * small_lease
    assert large_answers <= 1.8 * small_answers


async def test_what_was_deleted_at_the_head_of_the_queue_costs_nothing_to_who_has_passed_it(
    large: Site,
) -> None:
    earner_id = veteran(large)
    before, _ = await large.cost(earner_id)
    async with db.transaction(large.sessions) as session:
        await session.execute(text(DELETE_THE_HEAD), {"count": 30_000})
    after, _ = await large.cost(earner_id)
    assert after <= 1.2 * before


async def test_a_newcomer_does_not_pay_for_what_was_deleted_once_it_is_vacuumed(
    large: Site,
) -> None:
    before, _ = await large.cost(uuid4())
    async with db.transaction(large.sessions) as session:
        await session.execute(text(DELETE_THE_HEAD), {"count": 30_000})
    connection = await asyncpg.connect(large.url)
    await connection.execute("VACUUM queue_entries")
    await connection.close()
    after, _ = await large.cost(uuid4())
    assert after <= 1.2 * before


DELETE_THE_HEAD = """
DELETE FROM queue_entries WHERE position IN (
  SELECT position FROM queue_entries WHERE lane = 1 ORDER BY position LIMIT :count
)
"""


@pytest.mark.long
async def test_a_plan_made_while_the_project_was_tiny_serves_a_large_one(
    servers: Servers,
) -> None:
    """Before autovacuum has noticed: Postgres has kept the plan, and its statistics are old."""
    async with site(servers, 20) as tiny:
        before, _ = await tiny.cost(uuid4())
        connection = await asyncpg.connect(tiny.url)
        for table in ("queue_entries", "leases"):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await connection.execute(MORE, tiny.project.project_id, 20_000)
        await connection.close()
        after, _ = await tiny.cost(uuid4())
    assert after <= 2 * before


MORE = """
WITH made AS (
  INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
  SELECT $1, gen_random_uuid(), gen_random_uuid(), 1, 1, 'answered', now()
  FROM generate_series(1, $2)
)
INSERT INTO queue_entries (project_id, lane, task_id, place)
SELECT $1, 0, gen_random_uuid(), 1 FROM generate_series(1, $2)
"""


async def test_a_lease_is_six_statements_and_a_batch_of_answers_is_eight(world: World) -> None:
    """Who is asking included, BEGIN and COMMIT not."""
    project_id = await a_project(world.sessions, tasks=40, gold=3)
    earner = await world.earner()
    await answer(earner, *map(given, await lease(earner, project_id)))
    sent: list[str] = []
    engine = world.sessions.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    leases = await lease(earner, project_id)
    assert len(leases) == 10
    assert len(sent) <= 6, sent
    sent.clear()
    await answer(earner, *map(given, leases))
    assert len(sent) <= 8, sent


async def test_what_is_kept_for_others_costs_the_strong_little(large: Site) -> None:
    earner = Earner(large.sessions)
    await earner.answer(await earner.lease(large.project.project_id, 1), NOTHING_THERE)
    connection = await asyncpg.connect(large.url)
    await connection.execute(
        "UPDATE standings SET strengths = '{5}' WHERE earner_id = $1", earner.id
    )
    before, _ = await large.cost(earner.id)
    await connection.execute(KEPT, large.project.project_id, 20_000)
    after, _ = await large.cost(earner.id)
    await connection.execute("DELETE FROM queue_entries WHERE lane = -1")
    await connection.close()
    assert after <= 1.5 * before


KEPT = """
INSERT INTO queue_entries (project_id, lane, task_id, place, needs, kept_until)
SELECT $1, -1, gen_random_uuid(), 1, '{7}', now() + interval '1 hour' FROM generate_series(1, $2)
"""
