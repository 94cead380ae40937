"""What people do not agree on goes to those first who are strong in it, and what tells most."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.assignment import queue
from tessera.kernel import db
from tessera.truth.strengths import EVERYTHING
from tests.client import As
from tests.quality.court import CAT, DOG, Court, court
from tests.world import World

GOLD = [f"gold {number:02}.jpg" for number in range(8)]
COMMON = [f"common {number:02}.jpg" for number in range(9)]
ASKED = {"min_overlap": 2, "max_overlap": 4, "redo": 2}
NOT_SURE = {"outcome": "not_sure"}

pytestmark = pytest.mark.usefixtures("gold_first")


async def with_an_expert(world: World, **quality: Any) -> tuple[Court, As]:
    """Somebody has answered all gold right; then there is a picture more, which nobody has seen."""
    here = await court(world, *GOLD, *COMMON, quality={**ASKED, **quality})
    await here.gold(GOLD)
    await here.launch()
    (expert,) = await here.say(CAT)
    await here.pictures("hard.jpg")
    await here.launch()
    return here, expert


async def rows(here: Court, query: str) -> list[Any]:
    async with db.reading(here.world.sessions) as reader:
        return [row[0] for row in await reader.execute(text(query))]


async def change(here: Court, statement: str) -> None:
    async with db.transaction(here.world.sessions) as session:
        await session.execute(text(statement))


async def nobody_came(here: Court) -> None:
    """The time is over for which hard ones are kept."""
    over = "UPDATE queue_entries SET kept_until = now() - interval '1 second' WHERE lane = -1"
    await change(here, over)


async def offered(here: Court, earner: As) -> set[str]:
    return {here.seen(lease) for lease in await here.lease(earner)}


async def differ(here: Court, *answers: Mapping[str, Any]) -> None:
    """Somebody new for each answer, who gives it to all but gold, which they answer right."""
    for person, answer in zip(await here.earners(len(answers)), answers, strict=True):
        said = {**dict.fromkeys([*COMMON, "hard.jpg"], answer), **dict.fromkeys(GOLD, CAT)}
        await here.work(person, said.__getitem__)
        await here.judge()


async def test_who_answers_much_gold_right_is_strong_and_who_does_not_is_not(world: World) -> None:
    here = await court(world, *GOLD, *COMMON, quality=ASKED)
    await here.gold(GOLD)
    await here.launch()
    await here.say(CAT, DOG)
    assert sorted(await rows(here, "SELECT strengths FROM standings")) == [[], [EVERYTHING]]


async def test_what_two_do_not_agree_on_waits_for_the_strong_and_then_is_anybodys(
    world: World,
) -> None:
    here, expert = await with_an_expert(world)
    await differ(here, CAT, DOG)
    assert await rows(here, "SELECT lane FROM queue_entries WHERE needs IS NOT NULL") == [-1]
    other, another = await here.earners(2)
    assert "hard.jpg" not in await offered(here, other)
    await here.world.work.sweep("release-kept")
    assert "hard.jpg" not in await offered(here, other)
    await nobody_came(here)
    await here.world.work.sweep("release-kept")
    assert "hard.jpg" in await offered(here, another)
    assert "hard.jpg" not in await offered(here, expert), "it has one place, and that is taken"


async def test_the_strong_get_it_at_once(world: World) -> None:
    here, expert = await with_an_expert(world)
    await differ(here, CAT, DOG)
    assert await offered(here, expert) == {"hard.jpg"}


@pytest.mark.long
async def test_who_answers_unusually_does_not_get_it(world: World) -> None:
    here, expert = await with_an_expert(world)
    await change(here, "UPDATE standings SET step = 1 WHERE strengths <> '{}'")
    await differ(here, CAT, DOG)
    assert await rows(here, "SELECT lane FROM queue_entries WHERE lane < 0") == []
    await change(here, "UPDATE queue_entries SET lane = -1, needs = '{-1}' WHERE lane = 0")
    assert await offered(here, expert) == set()


async def test_nobody_waits_for_the_strong_if_none_have_been_here_for_half_an_hour(
    world: World,
) -> None:
    here, _ = await with_an_expert(world)
    await change(here, "UPDATE standings SET leased_at = now() - interval '31 minutes'")
    await differ(here, CAT, DOG)
    assert await rows(here, "SELECT lane FROM queue_entries WHERE lane < 0") == []
    (other,) = await here.earners(1)
    assert "hard.jpg" in await offered(here, other)


async def test_what_somebody_was_not_sure_of_goes_to_the_strong(world: World) -> None:
    here, expert = await with_an_expert(world)
    await differ(here, CAT, NOT_SURE)
    (other,) = await here.earners(1)
    assert "hard.jpg" not in await offered(here, other)
    assert await offered(here, expert) == {"hard.jpg"}


async def test_of_what_waits_that_comes_first_that_is_expected_to_tell_most(world: World) -> None:
    here = await court(world, *COMMON, quality=ASKED)
    await here.launch()
    await differ(here, CAT, DOG)
    tasks = await here.tasks()
    for number, name in enumerate(COMMON):
        gain = (number * 5 % 9) / 20  # each another
        task_id = tasks[name]["id"]
        await change(here, f"UPDATE queue_entries SET gain = {gain} WHERE task_id = '{task_id}'")
    (other,) = await here.earners(1)
    got: list[str] = []
    while leases := (await other.post("/v1/work/leases", {"count": 1}))["leases"]:
        got += map(here.seen, leases)
    assert got == sorted(COMMON, key=lambda name: -(COMMON.index(name) * 5 % 9))


async def test_what_is_settled_while_it_is_being_given_to_anybody_is_asked_no_more(
    world: World,
) -> None:
    here, _ = await with_an_expert(world)
    await differ(here, CAT, DOG)
    await nobody_came(here)
    task_id = UUID((await here.tasks())["hard.jpg"]["id"])

    async def withdraw() -> None:
        async with db.transaction(world.sessions) as session:
            await queue.withdraw(session, UUID(here.project["id"]), [task_id])

    async with db.transaction(world.sessions) as session:
        assert await queue.release_kept(session, limit=100) > 0
        withdrawing = asyncio.create_task(withdraw())
        await asyncio.sleep(0.2)
        assert not withdrawing.done(), "it waits"
    await withdrawing
    left = await rows(here, f"SELECT lane FROM queue_entries WHERE task_id = '{task_id}'")
    assert left == []


@pytest.mark.long
async def test_agreement_is_the_same_whoever_is_strong(world: World) -> None:
    here, _ = await with_an_expert(world)
    await differ(here, CAT, CAT)
    assert (await here.tasks())["hard.jpg"]["state"] == "settled"
    assert await rows(here, "SELECT lane FROM queue_entries WHERE lane < 0") == []
