"""What a project costs that is newer than Postgres' statistics, in pages touched.

Of a project that they do not know they would say that it has one row in every table, and the
planner would compare all rows with each other. Autovacuum takes its time to find a new project.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.datasets import queries as datasets
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.kinds import LabelSchema
from tessera.kinds.parts import parts_of
from tessera.projects.models import Project
from tessera.quality import answered_parts
from tessera.quality import jobs as judging
from tessera.storage.context import JobContext
from tests.assignment.crowd import RIGHT, Earner, a_project, number, settle_all
from tests.conftest import as_new

TASKS = 2_000
AT_EACH = 200
"""Pages, for each answer that is judged; a look at all tasks is some thousand."""


@pytest.fixture
async def alone(
    database_url: str, sessions: db.Sessions, superuser: asyncpg.Connection
) -> AsyncIterator[db.Sessions]:
    """One connection, to a database whose statistics know another project."""
    await as_new(superuser)
    project_id = await a_project(sessions, tasks=TASKS, gold=5)
    await answer_some(Earner(sessions), project_id)
    await settle_all(sessions, project_id)
    async with db.transaction(sessions) as session:
        await session.execute(text("ANALYZE"))
    engine = db.create_engine(database_url, application_name="tests", pool_size=1)
    yield db.create_sessions(engine)
    await engine.dispose()


async def answer_some(earner: Earner, project_id: UUID, times: int = 1) -> None:
    for _ in range(times):
        await earner.answer(await earner.lease(project_id, 50), RIGHT)


async def pages(alone: db.Sessions) -> int:
    """That our connection has touched so far, in memory or not."""
    async with db.transaction(alone) as session:
        await session.execute(text("SELECT pg_stat_force_next_flush()"))
    async with db.transaction(alone) as session:
        return int((await session.execute(_PAGES)).scalar_one())


_PAGES = text(
    """
    SELECT sum(hits + reads) FROM pg_stat_get_backend_io(pg_backend_pid())
    WHERE object = 'relation'
    """
)
_TOLD_APART = text(
    """
    SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'project_id' AND relkind IN ('r', 'p') AND attstattarget IS DISTINCT FROM 0
    """
)


async def test_no_statistics_tell_projects_apart(session: AsyncSession) -> None:
    assert (await session.scalars(_TOLD_APART)).all() == []


async def test_judging_in_a_new_project_does_not_look_at_all_its_tasks(alone: db.Sessions) -> None:
    new = await a_project(alone, tasks=TASKS, gold=50, min_overlap=2)
    busy, other = Earner(alone), Earner(alone)
    await answer_some(busy, new, times=20)  # whose other answers are looked at with each
    await answer_some(other, new)
    before = await pages(alone)
    await settle_all(alone, new)
    async with db.reading(alone) as reader:
        await datasets.spent(reader, new, as_of=datetime.max.replace(tzinfo=UTC))
    assert await pages(alone) - before < AT_EACH * 1_000


async def test_looking_at_some_tasks_of_a_new_project_reads_no_more_than_those(
    alone: db.Sessions,
) -> None:
    new = await a_project(alone, tasks=TASKS, gold=50, min_overlap=2)
    for _ in range(2):
        await answer_some(Earner(alone), new, times=20)
    parts = parts_of("classify", LabelSchema.parse({"classes": CLASSES, "multiple": True}))
    assert parts is not None
    before = await pages(alone)
    async with db.reading(alone) as reader:
        window = await answered_parts.window(reader, new, most=SOME)
        some = await answered_parts.tasks(reader, new, window)
    middle = await pages(alone)
    async with db.reading(alone) as reader:
        project = await reader.get_one(Project, new)
        found = await answered_parts.items(reader, project, parts, some, window)
    after = await pages(alone)
    assert 0 < len(found) <= len(some) < 3 * SOME, "of about every second task"
    assert middle - before < 2 * TASKS, "all are counted, once"
    assert after - middle < len(some) * AT_A_TASK


SOME, AT_A_TASK = 40, 30
CLASSES = [{"id": 1, "name": "cat", "colour": "#e6194b"}]


async def test_judging_one_answer_to_gold_does_not_look_at_those_before_it(
    alone: db.Sessions, context: JobContext
) -> None:
    here = replace(context, sessions=alone)
    project_id = await a_project(alone, tasks=200, gold=1, min_overlap=2)
    before = [await one_judged(here, project_id) for _ in range(8)][-1]
    async with db.transaction(alone) as session:
        await session.execute(_ANSWERED, {"project_id": project_id, "count": EARLIER})
    # their 49 pages are passed twice, by plans made when there were few; to look at each takes more
    assert await one_judged(here, project_id) < before + EARLIER / 10


EARLIER = 2_000
_ANSWERED = text(
    """
    WITH made AS (
      INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
      SELECT project_id, task_id, gen_random_uuid(), 2, 1000 + n, 'answered', now()
      FROM gold, generate_series(1, CAST(:count AS int)) AS n WHERE project_id = :project_id
      RETURNING project_id, id, task_id, earner_id
    )
    INSERT INTO answers
      (project_id, lease_id, task_id, earner_id, outcome, value, seconds, score, verdict)
    SELECT made.*, 'answered', '{"classes": [1]}', 1, 1, 'accepted' FROM made
    """
)
_OF_GOLD = "SELECT lane = 2 FROM leases WHERE id = :id"
_SCORE = "SELECT score FROM answers WHERE lease_id = :id"
_LAST_JOB = "SELECT convert_from(payload, 'UTF8') FROM pgqueuer ORDER BY id DESC LIMIT 1"


async def one_judged(here: JobContext, project_id: UUID) -> int:
    """Pages that it takes to judge what somebody new says of the gold, as the job does it."""
    earner, gold = Earner(here.sessions), False
    while not gold:
        (one,) = await earner.lease(project_id, 1)
        gold = await number(here.sessions, _OF_GOLD, id=one.id)
    await earner.answer([one], RIGHT)
    payload = json.loads(await number(here.sessions, _LAST_JOB))
    before = await pages(here.sessions)
    await judging.settle(here, Run(1, "quality.settle", payload, 1, None))
    touched = await pages(here.sessions) - before
    assert await number(here.sessions, _SCORE, id=one.id) == 1
    return touched
