"""Who gets which tasks, and what those hear who get none."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tessera.assignment.errors import Blocked
from tessera.assignment.lease import MOST_HELD, RETRY_SOON_SECONDS
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tests.assignment.crowd import Earner, a_project, audit, open_all, with_tasks
from tests.assignment.door import answer, codes, given, lease, wanted
from tests.waiting import until_locks_are_waited_for
from tests.world import World


async def test_a_lease_says_all_that_is_needed_to_work_and_nothing_more(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    handed = await earner.post("/v1/work/leases", wanted(project_id))
    (one,) = handed["leases"]
    picture = one.pop("picture")
    assert picture.pop("url").startswith("http")
    assert picture == {"content_type": "image/jpeg", "width": 64, "height": 64}
    assert one.pop("expires_at") > handed["server_time"]
    assert isinstance(one.pop("fence"), int)
    del one["lease_id"]
    assert one == {
        "project_id": str(project_id),
        "kind": "classify",
        "subject": None,
        "price_micro": 20_000,
        "currency": "USD",
    }


async def test_who_does_not_say_how_many_gets_a_batch_of_ten(world: World) -> None:
    await a_project(world.sessions, tasks=15)
    earner = await world.earner()
    assert len((await earner.post("/v1/work/leases", {}))["leases"]) == 10


async def test_after_a_crash_open_leases_are_there_as_they_were_handed_out(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=5)
    earner, other = await world.earner(), await world.earner()
    mine = {each["lease_id"]: each for each in await lease(earner, project_id, 3)}
    await lease(other, project_id, 1)
    again = {each["lease_id"]: each for each in (await earner.get("/v1/work/leases"))["leases"]}
    for each in (*mine.values(), *again.values()):
        link = urlsplit(each["picture"].pop("url"))
        each["picture"]["object"] = link.path  # the rest is a signature, made anew
    assert again == mine


async def test_what_open_leases_are_worth_is_shown_as_reserved(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=5)
    earner = await world.earner()

    async def reserved() -> Any:
        return (await earner.get("/v1/earnings/balance"))["reserved_micro"]

    assert await reserved() == {}
    leases = await lease(earner, project_id, 3)
    assert await reserved() == {"USD": 60_000}
    await answer(earner, given(leases[0]))
    assert await reserved() == {"USD": 40_000}
    await earner.post(
        "/v1/work/leases/return", {"lease_ids": [leases[1]["lease_id"]], "reason": "skip"}
    )
    assert await reserved() == {"USD": 20_000}


async def test_fifty_callers_of_one_earner_get_each_task_once(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=60, min_overlap=3)
    earner = Earner(sessions)
    taken = await asyncio.gather(*(earner.lease(project_id, 1) for _ in range(50)))
    ids = [each.id for leases in taken for each in leases]
    assert len(set(ids)) == len(ids) == MOST_HELD
    await audit(sessions)


async def test_somebody_with_many_open_leases_must_answer_some_first(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=60)
    earner = await world.earner()
    leases = await lease(earner, project_id, MOST_HELD)
    assert len(leases) == MOST_HELD
    handed = await earner.post("/v1/work/leases", wanted(project_id))
    assert (handed["leases"], handed["reason"]) == ([], "too-many-open-leases")
    assert handed["retry_after_seconds"] > 0
    await answer(earner, *(given(each) for each in leases[:3]))
    assert len(await lease(earner, project_id)) == 3


async def test_where_nothing_is_left_it_says_so_and_when_to_come_back(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=2)
    earner = await world.earner()
    assert len(await lease(earner, project_id)) == 2
    handed = await earner.post("/v1/work/leases", wanted(project_id))
    assert (handed["leases"], handed["reason"]) == ([], "no-work")
    assert handed["retry_after_seconds"] == 30


async def test_who_finds_everything_taken_for_a_moment_is_told_to_come_back_soon(
    sessions: db.Sessions,
) -> None:
    project_id = await a_project(sessions, tasks=3)
    async with db.transaction(sessions) as other:
        await other.execute(text("SELECT 1 FROM queue_entries FOR UPDATE"))
        handed = await Earner(sessions).ask(project_id)
    assert (handed.leases, handed.reason, handed.retry_after_seconds) == ([], "no-work", 2)


async def test_a_long_past_in_front_of_new_work_is_walked_through(sessions: db.Sessions) -> None:
    """More entries of known tasks than one call looks at."""
    project_id = await a_project(sessions, tasks=30, min_overlap=20, max_overlap=20)
    earner = Earner(sessions)
    while leases := await earner.lease(project_id):
        await earner.answer(leases)
    await with_tasks(sessions, project_id, tasks=2)
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE projects SET reserved_micro = 10 * reserved_micro"))
        await session.execute(text("UPDATE standings SET normal_position = 0"))
    await open_all(sessions, project_id)
    calls, found = 0, 0
    while found < 2:
        handed = await earner.ask(project_id)
        found += len(handed.leases)
        assert handed.leases or handed.retry_after_seconds == 2
        calls += 1
    assert calls <= 4


async def test_without_a_project_named_work_comes_from_any_open_one(
    sessions: db.Sessions,
) -> None:
    older = await a_project(sessions, tasks=2)
    newer = await a_project(sessions, tasks=3)
    async with db.transaction(sessions) as session:
        aged = "UPDATE projects SET launched_at = now() - interval '1 day' WHERE id = :id"
        await session.execute(text(aged), {"id": older})
    earner = Earner(sessions)
    assert [each.project_id for each in await earner.lease(None, 1)] == [older]
    rest = [each.project_id for each in await earner.lease()]
    assert sorted(rest) == sorted([older] + [newer] * 3)
    handed = await earner.ask()
    assert (handed.leases, handed.reason) == ([], "no-work")


async def test_a_batch_is_filled_from_several_projects_one_knows(sessions: db.Sessions) -> None:
    both = {await a_project(sessions, tasks=4), await a_project(sessions, tasks=4)}
    earner = Earner(sessions)
    for project_id in both:
        await earner.lease(project_id, 1)
    batch = await earner.lease(None, 6)
    assert len(batch) == 6
    assert {each.project_id for each in batch} == both


async def test_projects_without_work_for_somebody_do_not_hide_others(
    sessions: db.Sessions,
) -> None:
    earner = Earner(sessions)
    for _ in range(12):
        await earner.lease(await a_project(sessions, tasks=1, min_overlap=2))
    await a_project(sessions, tasks=1)
    assert len(await earner.lease()) == 1


async def test_who_knows_many_projects_without_work_is_told_to_ask_again_soon(
    sessions: db.Sessions,
) -> None:
    """A call looks into some of them, and the next one into others."""
    earner = Earner(sessions)
    for _ in range(15):
        await earner.lease(await a_project(sessions, tasks=1, min_overlap=2))
    await earner.lease(await a_project(sessions, tasks=2), 1)
    for _ in range(100):
        handed = await earner.ask()
        if handed.leases:
            break
        assert handed.retry_after_seconds == RETRY_SOON_SECONDS
    assert handed.leases


async def test_a_blocked_earner_hears_why_and_gets_work_of_other_projects_only(
    world: World,
) -> None:
    blocked, other = [await a_project(world.sessions, tasks=3) for _ in range(2)]
    earner = await world.earner()
    (one,) = await lease(earner, blocked, 1)
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text("UPDATE standings SET blocked_at = now(), reason = 'Two of four were wrong.'")
        )
    problem = await earner.post("/v1/work/leases", wanted(blocked), status=403)
    assert (problem["code"], problem["detail"]) == (Blocked.code, "Two of four were wrong.")
    assert {each["project_id"] for each in await lease(earner)} == {str(other)}
    # what they hold they may still answer
    assert codes(await answer(earner, given(one))) == [None]


async def test_a_project_that_is_paused_or_completed_hands_out_nothing(world: World) -> None:
    operator, project = await world.launched(images=2, kind="classify")
    path = f"/v1/projects/{project['id']}"
    earner = await world.earner()
    (one,) = await lease(earner, project["id"], 1)
    await operator.post(f"{path}/pause")
    problem = await earner.post("/v1/work/leases", wanted(project["id"]), status=404)
    assert problem["code"] == NotFound.code
    assert await lease(earner) == []
    assert codes(await answer(earner, given(one))) == [None]
    await operator.post(f"{path}/resume")
    (two,) = await lease(earner, project["id"])
    await operator.post(f"{path}/complete")
    await earner.post("/v1/work/leases", wanted(project["id"]), status=404)
    assert codes(await answer(earner, given(two))) == [None]


async def test_who_had_seen_the_project_open_gets_nothing_once_it_is_paused(
    sessions: db.Sessions,
) -> None:
    """The claim itself looks at the project, not only the call before it."""
    project_id = await a_project(sessions, tasks=3)
    earner = Earner(sessions)
    await earner.lease(project_id, 1)
    async with db.transaction(sessions) as settling:
        held_up = text("SELECT 1 FROM standings FOR UPDATE")
        await settling.execute(held_up)
        asking = asyncio.create_task(earner.ask(project_id))
        await until_locks_are_waited_for(sessions)
        async with db.transaction(sessions) as session:
            await session.execute(text("UPDATE projects SET state = 'paused'"))
    assert not (await asking).leases


async def test_who_is_blocked_while_they_ask_for_any_task_gets_none_of_that_project(
    sessions: db.Sessions,
) -> None:
    earner = Earner(sessions)
    await earner.lease(await a_project(sessions, tasks=3), 1)
    async with db.transaction(sessions) as settling:
        await settling.execute(text("UPDATE standings SET blocked_at = now(), reason = 'Wrong.'"))
        asking = asyncio.create_task(earner.ask())
        await until_locks_are_waited_for(sessions)
    assert not (await asking).leases


@pytest.mark.parametrize("body", [{"count": 0}, {"count": 51}, {"count": "x"}, {"other": 1}])
async def test_a_wish_that_makes_no_sense_is_refused(world: World, body: dict[str, object]) -> None:
    earner = await world.earner()
    await earner.post("/v1/work/leases", body, status=422)


async def test_operators_cannot_lease(world: World) -> None:
    operator, _ = await world.operator()
    await operator.post("/v1/work/leases", wanted(), status=403)
