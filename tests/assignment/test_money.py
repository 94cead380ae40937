"""A project never costs more than its launch reserved, and what is left comes back."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest

from tessera.assignment.release import release
from tessera.kernel import db
from tests.assignment.crowd import audit, expire, number
from tests.assignment.door import answer, codes, given, lease, refused
from tests.client import As
from tests.seeds import seeds
from tests.world import RIGHT, WRONG, World

DEPOSIT = 10**9
ENTRIES = "SELECT count(*) FROM queue_entries"
_SUM = "SELECT coalesce(sum(balance_micro), 0) FROM ledger_accounts WHERE kind "
ESCROW, PAID, LEFT = (
    _SUM + which for which in ("= 'escrow'", "IN ('earner', 'fees')", "= 'organisation'")
)


async def let_go(world: World, project: dict[str, Any]) -> bool:
    async with db.transaction(world.sessions) as session:
        return await release(session, project_id=UUID(project["id"]))


async def complete(operator: As, project: dict[str, Any]) -> None:
    await operator.post(f"/v1/projects/{project['id']}/complete")


@pytest.mark.parametrize("seed", seeds(3))
async def test_whatever_people_answer_no_more_is_paid_than_was_reserved(
    world: World, seed: int
) -> None:
    rng = random.Random(seed)
    overlap = rng.randint(1, 3)
    quality = {
        "min_overlap": overlap,
        "max_overlap": overlap + rng.randint(0, 2),
        "redo": rng.randint(0, 2),
        "gold_share": rng.choice((0.05, 0.3)),
    }
    operator, project = await world.launched(
        images=3, gold=2, quality=quality, price_micro=rng.randint(1, 30_000)
    )
    reserved = await number(world.sessions, ESCROW)
    for _ in range(9):
        earner = await world.earner()
        if taken := await lease(earner, project["id"], rng.randint(1, 5)):
            await answer(earner, *(given(each, rng.choice((RIGHT, WRONG))) for each in taken))
        await world.work.jobs()
    await audit(world.sessions)
    await complete(operator, project)
    assert not await let_go(world, project)
    await world.work.sweep("post-earnings")
    assert await let_go(world, project)
    paid, left = await number(world.sessions, PAID), await number(world.sessions, LEFT)
    assert 0 < paid <= reserved
    assert await number(world.sessions, ESCROW) == 0
    assert paid + left == DEPOSIT


async def test_nothing_is_given_back_while_something_can_be_earned(world: World) -> None:
    operator, project = await world.launched(images=3)
    earner = await world.earner()
    one, two = await lease(earner, project["id"], 2)
    reserved = await number(world.sessions, ESCROW)
    await complete(operator, project)
    assert not await let_go(world, project)
    assert await number(world.sessions, ENTRIES) == 0
    await answer(earner, given(one, RIGHT))
    assert not await let_go(world, project)
    await expire(world.sessions)
    assert await number(world.sessions, ENTRIES) == 0
    assert not await let_go(world, project), "the earning is approved, but not in the ledger"
    assert await number(world.sessions, ESCROW) == reserved
    await world.work.sweep("post-earnings")
    assert await let_go(world, project)
    unit = project["price_micro"] + project["fee_micro"]
    assert await number(world.sessions, LEFT) == DEPOSIT - unit
    # too late now: the money has gone back
    assert (await refused(earner, given(two, RIGHT)))["code"] == "lease-expired"
    assert await let_go(world, project)
    assert await number(world.sessions, LEFT) == DEPOSIT - unit


async def test_an_answer_that_is_quicker_than_the_release_is_paid(world: World) -> None:
    operator, project = await world.launched(images=1)
    earner = await world.earner()
    (one,) = await lease(earner, project["id"])
    await complete(operator, project)
    assert codes(await answer(earner, given(one, RIGHT))) == [None]
    assert not await let_go(world, project)
    await world.work.sweep("post-earnings")
    assert await let_go(world, project)
    assert await number(world.sessions, PAID) == project["price_micro"] + project["fee_micro"]


@pytest.mark.parametrize("seed", seeds(4))
async def test_completing_in_the_middle_of_everything_pays_all_that_was_taken(
    world: World, seed: int
) -> None:
    """Leases, answers, late answers and returns race with the release."""
    rng = random.Random(seed)
    operator, project = await world.launched(images=6, quality={"min_overlap": 2, "redo": 0})
    earners = [await world.earner() for _ in range(6)]

    async def work(earner: As) -> None:
        for _ in range(4):
            body = {"project_id": project["id"], "count": 2}
            taken = (await earner.call("POST", "/v1/work/leases", body)).json().get("leases", [])
            await asyncio.sleep(rng.random() / 50)
            if taken:
                sent = {"answers": [given(each, RIGHT) for each in taken]}
                await earner.call("POST", "/v1/work/answers", sent)

    async def end() -> None:
        await asyncio.sleep(rng.random() / 10)
        await complete(operator, project)
        while not await let_go(world, project):
            await expire(world.sessions, share=0.5)
            await world.work.sweep("post-earnings")

    await asyncio.gather(*(work(each) for each in earners), end())
    unit = project["price_micro"] + project["fee_micro"]
    answers = await number(world.sessions, "SELECT count(*) FROM answers")
    assert await number(world.sessions, PAID) == answers * unit
    assert await number(world.sessions, LEFT) == DEPOSIT - answers * unit


@pytest.mark.long
async def test_the_release_is_tried_until_it_is_done_and_by_one_job_at_a_time(
    world: World,
) -> None:
    operator, project = await world.launched(images=1)
    earner = await world.earner()
    await lease(earner, project["id"])
    await complete(operator, project)
    waiting = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'assignment.release'"
    await world.work.jobs()
    assert await number(world.sessions, LEFT) < DEPOSIT
    for _ in range(3):
        await world.work.sweep("release-completed")
        assert await number(world.sessions, waiting) == 1
    await world.work.jobs()
    await expire(world.sessions)
    await world.work.sweep("release-completed")
    await world.work.jobs()
    assert await number(world.sessions, LEFT) == DEPOSIT
    await world.work.sweep("release-completed")
    assert await number(world.sessions, waiting) == 0
