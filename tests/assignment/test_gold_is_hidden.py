"""To the earner a task is a task: nothing tells whether its answer is known."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.assignment.crowd import Earner, a_project, audit, expire, number
from tests.assignment.door import given, wanted
from tests.world import World

CONSTANT = ("project_id", "kind", "price_micro", "currency")
FREE_GOLD = "SELECT count(*) FROM queue_entries WHERE lane = 2"
IS_GOLD = "SELECT is_gold FROM tasks JOIN leases l ON l.task_id = tasks.id WHERE l.id = :id"


def shape(value: Any) -> Any:
    """Keys in their order, and types; of strings the length."""
    if isinstance(value, Mapping):
        return [(key, shape(each)) for key, each in value.items()]
    return len(value) if isinstance(value, str) else type(value)


async def test_a_gold_lease_and_an_ordinary_one_are_alike_to_the_byte(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=60, gold=8)
    earner = await world.earner()
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    for _ in range(40):
        leased = await earner.call("POST", "/v1/work/leases", wanted(project_id, 1))
        (one,) = leased.json()["leases"]
        answered = await earner.call("POST", "/v1/work/answers", {"answers": [given(one)]})
        is_gold = await number(world.sessions, IS_GOLD, id=one["lease_id"])
        headers = [list(each.headers.keys()) for each in (leased, answered)]
        constant = [one[key] for key in CONSTANT]
        bodies = [shape(one), shape(answered.json()["results"][0])]
        seen[is_gold].add(str((headers, constant, bodies)))
    assert seen[True] == seen[False]
    assert len(seen[True]) == 1


async def test_the_place_of_gold_in_a_batch_says_nothing(sessions: db.Sessions) -> None:
    """Neither its place in the list does, nor its fencing number, which all have in common."""
    project_id = await a_project(sessions, tasks=800, gold=30, min_overlap=1, gold_share=0.5)
    gold_first = gold_last = batches = 0
    for _ in range(60):
        leases = await Earner(sessions).lease(project_id, 6)
        gold = [await number(sessions, IS_GOLD, id=each.id) for each in leases]
        assert len({each.fence for each in leases}) == 1
        gold_first, gold_last = gold_first + gold[0], gold_last + gold[-1]
        batches += 1
    # both about half; one in ten thousand runs is further off
    assert 0.25 < gold_first / batches < 0.75
    assert 0.25 < gold_last / batches < 0.75


async def test_the_end_of_a_large_batch_has_as_much_gold_as_its_beginning(
    sessions: db.Sessions,
) -> None:
    """Several entries of a task lie together, so fifty tasks take more than one claim."""
    project_id = await a_project(sessions, tasks=60, gold=60, min_overlap=2, gold_share=0.5)
    first = last = 0
    for _ in range(12):
        leases = await Earner(sessions).lease(project_id, 50)
        assert len(leases) == 50
        assert len({each.fence for each in leases}) == 1
        gold = [await number(sessions, IS_GOLD, id=each.id) for each in leases]
        first, last = first + sum(gold[:10]), last + sum(gold[-10:])
        await expire(sessions)
    # both about 60 of 120; one in ten thousand runs is further off
    assert 36 < first < 84
    assert 36 < last < 84


async def test_a_newcomer_who_takes_all_they_can_does_not_drain_the_gold(
    sessions: db.Sessions,
) -> None:
    project_id = await a_project(sessions, tasks=400, gold=200, min_overlap=1, gold_share=0.1)
    met = 0
    for _ in range(8):
        leases = await Earner(sessions).lease(project_id, 50)
        met += sum([await number(sessions, IS_GOLD, id=each.id) for each in leases])
    # half of the first eight and a tenth of the rest, about 66; half of all were 200
    assert 30 < met < 110


async def test_nobody_sees_the_same_gold_twice_and_everybody_sees_some(
    sessions: db.Sessions,
) -> None:
    project_id = await a_project(sessions, tasks=40, gold=5, min_overlap=3)
    for _ in range(3):
        earner = Earner(sessions)
        while leases := await earner.lease(project_id):
            await earner.answer(leases)
        seen = "SELECT count(*) FROM leases WHERE earner_id = :id AND lane = 2"
        assert await number(sessions, seen, id=earner.id) == 5
    await audit(sessions)


async def test_gold_is_no_filler_where_there_is_no_work(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=1, gold=5, min_overlap=1)
    await Earner(sessions).lease(project_id, 1)
    async with db.transaction(sessions) as session:
        await session.execute(text("DELETE FROM queue_entries WHERE lane < 2"))
    for _ in range(10):
        assert not await Earner(sessions).lease(project_id)


async def test_gold_is_no_filler_where_work_is_scarce(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=3, gold=9, min_overlap=1, gold_share=0.5)
    met = 0
    for _ in range(40):
        earner = Earner(sessions)
        leases = await earner.lease(project_id, 50)
        assert len(leases) == 3, "no more than there is ordinary work"
        met += sum([await number(sessions, IS_GOLD, id=each.id) for each in leases])
        await earner.give_back(leases)
    # half of 120, as where there is much; one in ten thousand runs is further off
    assert 42 < met < 78
    await audit(sessions)


async def with_gold_chance(sessions: db.Sessions, chance: float) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE standings SET gold_chance = :c"), {"c": chance})


async def test_as_many_tasks_come_whether_gold_is_drawn_or_not(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=20, gold=20, min_overlap=1, max_overlap=2)
    for chance in (0.0, 1.0):
        earner = Earner(sessions)
        await earner.lease(project_id, 1)
        await with_gold_chance(sessions, chance)
        leases = await earner.lease(project_id, 5)
        gold = [await number(sessions, IS_GOLD, id=each.id) for each in leases]
        assert gold == [bool(chance)] * 5
    await audit(sessions)


@pytest.mark.parametrize("ends", ["given back", "expired"])
async def test_gold_that_comes_back_unanswered_stays_gold(sessions: db.Sessions, ends: str) -> None:
    project_id = await a_project(sessions, tasks=20, gold=20, min_overlap=2, max_overlap=2)
    earner = Earner(sessions)
    await earner.give_back(await earner.lease(project_id, 1))
    await with_gold_chance(sessions, 1.0)
    before = await number(sessions, FREE_GOLD)
    leases = await earner.lease(project_id, 5)
    assert await number(sessions, FREE_GOLD) == before - 5
    if ends == "expired":
        await expire(sessions)
    else:
        await earner.give_back(leases)
    assert await number(sessions, FREE_GOLD) == before
    await audit(sessions)
