"""Capacity, under many hands: never over places, never twice to one, nothing lost, no deadlock."""

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import select, text

from tessera.assignment import queue
from tessera.assignment.errors import LeaseExpired, LeaseReturned
from tessera.assignment.leased import Leased
from tessera.assignment.models import Outcome, Task
from tessera.kernel import db
from tessera.quality.settle import settle
from tests.assignment.crowd import RIGHT, WRONG, Earner, a_project, audit, expire, number
from tests.seeds import seeds


async def settle_some(sessions: db.Sessions, project_id: UUID, rng: random.Random) -> None:
    """Judge a few tasks that have answers, as a worker does."""
    async with db.transaction(sessions) as session:
        answered = await session.scalars(
            text(
                "SELECT DISTINCT task_id FROM answers "
                "WHERE project_id = :project AND verdict = 'pending'"
            ),
            {"project": project_id},
        )
        task_ids = sorted(answered)
        chosen = rng.sample(task_ids, min(len(task_ids), 10))
        await settle(session, project_id=project_id, task_ids=chosen)


async def fumble(earner: Earner, project_id: UUID, rng: random.Random, *, steps: int) -> None:
    """Lease, answer, answer again, give back, extend, and come late, in any order."""
    ever: list[Leased] = []
    for _ in range(steps):
        some = rng.sample(ever, min(len(ever), rng.randint(1, 6)))
        match rng.choice(("lease", "lease", "answer", "answer", "answer", "back", "extend")):
            case "lease":
                ever += await earner.lease(project_id, rng.randint(1, 8))
            case "answer":
                value = rng.choice((RIGHT, RIGHT, RIGHT, WRONG))
                outcome = rng.choice((*[Outcome.ANSWERED] * 6, Outcome.NOT_SURE, Outcome.BROKEN))
                _fine([each.refusal for each in await earner.answer(some, value, outcome)])
            case "back":
                await earner.give_back(some[:2])
            case "extend":
                await earner.extend(some)


def _fine(refusals: Sequence[Exception | None]) -> None:
    codes = {getattr(each, "code", None) for each in refusals}
    assert codes <= {None, LeaseExpired.code, LeaseReturned.code, "already-answered"}


async def tidy(sessions: db.Sessions, project_id: UUID, rng: random.Random, *, rounds: int) -> None:
    for _ in range(rounds):
        await expire(sessions, share=0.2)
        await settle_some(sessions, project_id, rng)


@pytest.mark.parametrize("seed", seeds(4))
async def test_whatever_many_people_do_at_once_every_place_is_accounted_for(
    sessions: db.Sessions, seed: int
) -> None:
    rng = random.Random(seed)
    overlap = rng.randint(1, 3)
    project_id = await a_project(
        sessions,
        tasks=rng.choice((7, 40, 120)),
        gold=rng.choice((0, 3)),
        min_overlap=overlap,
        max_overlap=overlap + rng.randint(0, 2),
        redo=rng.randint(0, 2),
        minimum_trust=0.5,
    )
    for _ in range(2):
        await asyncio.gather(
            *(
                fumble(Earner(sessions), project_id, random.Random(rng.random()), steps=8)
                for _ in range(24)
            ),
            *(tidy(sessions, project_id, random.Random(rng.random()), rounds=5) for _ in range(6)),
        )
        await audit(sessions)
    assert await number(sessions, "SELECT count(*) FROM answers") > 0


async def test_a_few_people_always_get_through_a_small_project(sessions: db.Sessions) -> None:
    """They lock each other's entries all the time, yet nothing is passed over for good."""
    project_id = await a_project(sessions, tasks=15, min_overlap=2, max_overlap=2, redo=0)
    earners = [Earner(sessions) for _ in range(3)]

    async def work(earner: Earner) -> None:
        idle = 0
        while idle < 3:
            leases = await earner.lease(project_id, 4)
            await earner.answer(leases)
            idle = 0 if leases else idle + 1

    await asyncio.gather(*(work(earner) for earner in earners))
    assert await number(sessions, "SELECT count(*) FROM answers") == 30
    assert await number(sessions, "SELECT count(*) FROM queue_entries") == 0
    await audit(sessions)


async def test_no_task_waits_while_much_younger_ones_are_handed_out(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=200, min_overlap=1, max_overlap=1, redo=0)
    callers, count = 10, 4

    async def take() -> None:
        earner = Earner(sessions)
        for _ in range(5):
            await earner.lease(project_id, count)

    async with db.reading(sessions) as reader:
        queued = await reader.scalars(text("SELECT task_id FROM queue_entries ORDER BY position"))
        turn = {task_id: n for n, task_id in enumerate(queued)}
    await asyncio.gather(*(take() for _ in range(callers)))
    async with db.reading(sessions) as reader:
        handed = (await reader.scalars(text("SELECT task_id FROM leases ORDER BY fence"))).all()
    assert len(handed) == 200
    overtaken = [n - turn[task_id] for n, task_id in enumerate(handed)]
    assert max(overtaken) < 2 * callers * count


async def test_an_entry_that_somebody_had_locked_is_not_passed_over(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=6, min_overlap=1)
    earner = Earner(sessions)
    async with db.transaction(sessions) as other:
        first = (await other.execute(text(LOCK_FIRST), {"project": project_id})).scalar_one()
        before = await earner.lease(project_id, 3)
        assert len(before) == 3
    after = await earner.lease(project_id, 1)
    task = "SELECT task_id FROM leases WHERE id = :id"
    assert await number(sessions, task, id=after[0].id) == first


LOCK_FIRST = """
SELECT task_id FROM queue_entries WHERE project_id = :project ORDER BY position LIMIT 1 FOR UPDATE
"""


async def test_a_place_that_becomes_visible_behind_the_cursor_is_found(
    sessions: db.Sessions,
) -> None:
    """Positions are drawn before they are committed, and not committed in that order."""
    project_id = await a_project(sessions, tasks=2, min_overlap=1)
    await Earner(sessions).lease(project_id)
    earner = Earner(sessions)
    async with db.transaction(sessions) as reader:
        tasks = (await reader.scalars(select(Task).where(Task.project_id == project_id))).all()
    async with db.transaction(sessions) as slow:
        await queue.add_places(slow, await slow.merge(tasks[0]), 1)
        async with db.transaction(sessions) as fast:
            await queue.add_places(fast, await fast.merge(tasks[1]), 1)
        assert len(await earner.lease(project_id)) == 1
        assert not await earner.lease(project_id)
    assert len(await earner.lease(project_id)) == 1
