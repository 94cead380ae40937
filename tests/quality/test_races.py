"""Many judges at once: one result, each score counted once, nobody waits for ever."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.quality import settle as settling
from tests.ledger.money import at_once
from tests.quality.court import CAT, DOG, OWL, Court, Leases, always, court
from tests.quality.facts import broken
from tests.waiting import until_locks_are_waited_for
from tests.world import World

GOLD = [f"gold {number}.jpg" for number in range(8)]
COMMON = [f"common {number}.jpg" for number in range(16)]


async def answered(world: World, rng: random.Random) -> tuple[Court, list[UUID]]:
    """Six people have answered all they got, one of them badly; nothing is judged yet."""
    policy = {"min_overlap": 6, "max_overlap": 8, "redo": 2}
    here = await court(world, *GOLD, *COMMON, quality=policy)
    await here.gold(GOLD)
    await here.launch()
    people = await here.earners(6)

    def choose(number: int) -> Any:
        if number == 0:
            return lambda _: DOG
        return lambda name: CAT if name in GOLD or rng.random() < 0.8 else OWL

    for number, person in enumerate(people):
        leases: Leases = await here.lease(person, 24)
        await here.answer(person, leases, choose(number))
    return here, [UUID(task["id"]) for task in (await here.tasks()).values()]


async def settle(here: Court, task_ids: Sequence[UUID]) -> None:
    async with db.transaction(here.world.sessions) as session:
        await settling.settle(session, project_id=UUID(here.project["id"]), task_ids=task_ids)


async def test_ten_who_judge_the_same_tasks_come_to_one_result(world: World) -> None:
    here, task_ids = await answered(world, random.Random(1))
    assert await at_once(settle(here, task_ids) for _ in range(10)) == []
    await has_one_result(here)
    before = await outcomes(here)
    await settle(here, task_ids)
    assert await outcomes(here) == before, "judged again, nothing changes"
    await here.judge()
    await has_one_result(here)


@pytest.mark.long
async def test_jobs_from_before_an_upgrade_do_not_say_which_answers_are_new(world: World) -> None:
    here, _ = await answered(world, random.Random(4))
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text(
                "UPDATE pgqueuer SET payload ="
                " convert_to((convert_from(payload, 'UTF8')::jsonb - 'lease_ids')::text, 'UTF8')"
            )
        )
    await here.judge()
    await has_one_result(here)


@pytest.mark.long
async def test_judges_of_overlapping_tasks_and_people_do_not_block_each_other(
    world: World,
) -> None:
    rng = random.Random(2)
    here, task_ids = await answered(world, rng)
    calls = [settle(here, rng.sample(task_ids, rng.randint(1, 12))) for _ in range(40)]
    calls += [world.work.sweep("post-earnings") for _ in range(4)]
    calls += [overdue(here) for _ in range(4)]
    rng.shuffle(calls)
    assert await at_once(calls) == []
    await here.judge()
    await has_one_result(here)


@pytest.mark.long
async def test_who_is_judged_while_the_minimum_is_edited_is_judged_by_the_new_one(
    world: World,
) -> None:
    here, task_ids = await answered(world, random.Random(3))
    await settle(here, [UUID((await here.tasks())[GOLD[0]]["id"])])
    async with db.transaction(world.sessions) as holding:
        await holding.execute(text("UPDATE trust SET alpha = 5, beta = 5, seen = 6"))
        judging = asyncio.create_task(settle(here, task_ids))
        await until_locks_are_waited_for(world.sessions)
        await here.operator.patch(here.path, {"quality": {"minimum_trust": 0.99}})
    await judging
    async with db.reading(world.sessions) as reader:
        blocked = text("SELECT count(*) FROM standings WHERE blocked_at IS NOT NULL")
        assert await reader.scalar(blocked) > 1, "by the old one only who is always wrong"


async def test_an_answer_that_is_being_accepted_is_not_rejected_at_the_same_moment(
    world: World,
) -> None:
    here = await court(world, *GOLD, *COMMON, quality={"min_overlap": 2})
    await here.gold(GOLD)
    await here.launch()
    good, bad = await here.earners(2)
    first, second = await here.lease(good), await here.lease(bad)
    both = set(map(here.seen, first)) & set(map(here.seen, second)) & set(COMMON)
    common = both.pop()
    first, second = [
        [each for each in leases if here.seen(each) in {common, *GOLD}]
        for leases in (first, second)
    ]
    await here.answer(good, first, always(CAT))
    await here.answer(bad, second, lambda name: DOG if name in GOLD else CAT)
    tasks = {name: UUID(task["id"]) for name, task in (await here.tasks()).items()}
    async with db.transaction(world.sessions) as session:
        # accepts what both have pending: all gold, for there is no other ordinary answer
        await settling.settle(
            session, project_id=UUID(here.project["id"]), task_ids=[tasks[common]]
        )
        stopping = asyncio.create_task(settle(here, [tasks[name] for name in GOLD]))
        done, _ = await asyncio.wait([stopping], timeout=0.5)
        assert not done, "who scores an answer waits for who accepts it"
    await stopping
    assert await broken(world.sessions) == []
    states = {each["state"] for each in await here.earnings(bad)}
    assert states == {"approved"}
    await here.judge()
    assert await broken(world.sessions) == []


async def outcomes(here: Court) -> dict[str, Any]:
    """All there is to know of tasks, but links, which change with the time."""
    return {name: {**task, "tile": None} for name, task in (await here.tasks()).items()}


async def overdue(here: Court) -> None:
    """Approve some pending earnings as if their time were over, while others judge them."""
    async with db.transaction(here.world.sessions) as session:
        await session.execute(
            text(
                "UPDATE earnings SET created_at = now() - interval '8 days' WHERE lease_id IN"
                " (SELECT lease_id FROM earnings WHERE state = 'pending' ORDER BY random() LIMIT 5"
                "  FOR UPDATE SKIP LOCKED)"
            )
        )
    await here.world.work.sweep("approve-overdue")


async def has_one_result(here: Court) -> None:
    assert await broken(here.world.sessions) == []
    async with db.reading(here.world.sessions) as reader:
        rows = (await reader.execute(text("SELECT seen, missed FROM trust ORDER BY missed"))).all()
    assert len(rows) == 6
    *good, (seen, missed) = rows
    assert all(missed == 0 for _, missed in good)
    assert seen == missed > 0, "each gold is counted once, however many came by chance"
