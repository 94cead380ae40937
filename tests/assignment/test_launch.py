"""From waiting tasks to queue entries, within what was paid for."""

import asyncio
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.assignment import launch as launching
from tessera.assignment import opening
from tessera.kernel import db
from tessera.projects.cost import LEAST_GOLD_PLACES
from tests.assignment.crowd import a_project, audit, number, open_all, with_tasks
from tests.world import World, coco, photograph

ENTRIES = "SELECT count(*) FROM queue_entries WHERE lane = :lane"
WAITING = "SELECT count(*) FROM tasks WHERE state = 'waiting'"


async def test_a_launch_reserves_the_worst_case_and_opens_every_task(world: World) -> None:
    operator, project = await world.launched(images=3, gold=1)
    path = f"/v1/projects/{project['id']}"
    launched = await operator.get(path)
    unit = project["price_micro"] + project["fee_micro"]
    # 3 tasks of 3 + 1 places, 1 gold task of the least number of places
    assert launched["reserved_micro"] == (3 * 4 + LEAST_GOLD_PLACES) * unit
    assert await number(world.sessions, ENTRIES, lane=1) == 3
    assert await number(world.sessions, ENTRIES, lane=2) == LEAST_GOLD_PLACES
    problem = await operator.post(f"{path}/launch", status=409)
    assert problem["code"] == "nothing-to-launch"


async def test_an_image_of_more_tiles_than_one_statement_takes_gets_a_task_for_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "TILES_AT_ONCE", 4)
    operator, organisation_id = await world.operator()
    project = await world.project(operator, organisation_id, slicing={"tile": 128, "margin": 0})
    picture = photograph(128 * 3, 128 * 3)
    (image,) = await world.images(operator, project["id"], [("a.jpg", picture)])
    assert await number(world.sessions, WAITING) == 9
    async with db.transaction(world.sessions) as session:
        ids = {"project_id": UUID(project["id"]), "image_id": UUID(image["id"])}
        await launching.make_tasks(session, **ids)
    assert await number(world.sessions, WAITING) == 9
    assert await number(world.sessions, "SELECT count(DISTINCT tile_id) FROM tasks") == 9


async def test_without_the_money_nothing_is_launched_and_nothing_has_changed(
    world: World,
) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 1_000)
    project = await world.project(operator, organisation_id)
    await world.images(operator, project["id"], [("a.jpg", photograph())])
    problem = await operator.post(f"/v1/projects/{project['id']}/launch", status=409)
    assert problem["code"] == "insufficient-funds"
    assert problem["needed_micro"] == 4 * (project["price_micro"] + project["fee_micro"])
    assert problem["available_micro"] == 1_000
    await world.work.jobs()
    assert (await operator.get(f"/v1/projects/{project['id']}"))["state"] == "draft"
    assert await number(world.sessions, WAITING) == 1


async def test_images_and_gold_added_later_are_launched_for_their_own_price(world: World) -> None:
    operator, project = await world.launched(images=1)
    before = await operator.get(f"/v1/projects/{project['id']}")
    await world.images(operator, project["id"], [("x.jpg", photograph()), ("y.jpg", photograph())])
    await operator.post(f"/v1/projects/{project['id']}/gold", {"coco": coco(["y.jpg"])})
    assert await number(world.sessions, WAITING) == 2
    await operator.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    after = await operator.get(f"/v1/projects/{project['id']}")
    unit = project["price_micro"] + project["fee_micro"]
    added = after["reserved_micro"] - before["reserved_micro"]
    assert added == (4 + LEAST_GOLD_PLACES) * unit
    assert await number(world.sessions, ENTRIES, lane=1) == 2
    assert await number(world.sessions, ENTRIES, lane=2) == LEAST_GOLD_PLACES
    await audit(world.sessions)


async def test_launching_again_while_tasks_wait_to_be_opened_costs_nothing(world: World) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    project = await world.project(operator, organisation_id)
    await world.images(operator, project["id"], [("a.jpg", photograph())])
    first = await operator.post(f"/v1/projects/{project['id']}/launch")
    second = await operator.post(f"/v1/projects/{project['id']}/launch")
    assert first["reserved_micro"] == second["reserved_micro"]
    await world.work.jobs()
    assert await number(world.sessions, ENTRIES, lane=1) == 1


async def test_ten_launches_at_once_pay_once(world: World) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    project = await world.project(operator, organisation_id)
    await world.images(operator, project["id"], [("a.jpg", photograph())])
    path = f"/v1/projects/{project['id']}/launch"
    sent = await asyncio.gather(*(operator.call("POST", path) for _ in range(10)))
    assert {each.status_code for each in sent} == {200}
    paid = "SELECT sum(balance_micro) FROM ledger_accounts WHERE kind = 'escrow'"
    assert await number(world.sessions, paid) == sent[0].json()["reserved_micro"]


async def test_opening_goes_on_where_it_was_killed(
    sessions: db.Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHUNK", 7)
    project_id = await a_project(sessions, tasks=20, gold=3, min_overlap=2, opened=False)
    for _ in range(2):
        async with db.transaction(sessions) as session:
            assert await opening.open_tasks(session, project_id=project_id)
        with pytest.raises(ZeroDivisionError):
            await _killed(sessions, project_id)
    assert await number(sessions, WAITING) == 20 - 2 * 7
    await audit(sessions)
    await open_all(sessions, project_id)
    assert await number(sessions, WAITING) == 0
    assert await number(sessions, ENTRIES, lane=1) == 40
    assert await number(sessions, ENTRIES, lane=2) == 3 * LEAST_GOLD_PLACES
    await audit(sessions)


async def _killed(sessions: db.Sessions, project_id: UUID) -> None:
    async with db.transaction(sessions) as session:
        await opening.open_tasks(session, project_id=project_id)
        raise ZeroDivisionError


async def test_what_was_not_paid_for_is_not_opened(sessions: db.Sessions) -> None:
    project_id = await a_project(sessions, tasks=5, gold=2, opened=False)
    await with_tasks(sessions, project_id, tasks=4)
    await open_all(sessions, project_id)
    assert await number(sessions, WAITING) == 4
    # known answers come first: without them there is no telling good work from bad
    assert await number(sessions, "SELECT count(*) FROM tasks WHERE is_gold") == 2
    assert await number(sessions, ENTRIES, lane=2) == 2 * LEAST_GOLD_PLACES
    await audit(sessions)


async def test_gold_comes_in_rounds_however_many_places_it_has(
    sessions: db.Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHUNK", 10)
    project_id = await a_project(sessions, tasks=1, gold=4, opened=False)
    await open_all(sessions, project_id)
    async with db.reading(sessions) as reader:
        queued = await reader.scalars(
            text("SELECT task_id FROM queue_entries WHERE lane = 2 ORDER BY position")
        )
        order = queued.all()
    assert len(order) == 4 * LEAST_GOLD_PLACES
    rounds = [order[start : start + 4] for start in range(0, len(order), 4)]
    assert all(len(set(each)) == 4 for each in rounds)


async def test_gold_can_have_more_places_than_a_small_integer_holds(
    sessions: db.Sessions,
) -> None:
    project_id = await a_project(sessions, tasks=1, gold=1, opened=False)
    async with db.transaction(sessions) as session:
        await session.execute(
            text("UPDATE projects SET gold_places = 40000, reserved_micro = 10000000000")
        )
    await open_all(sessions, project_id)
    assert await number(sessions, ENTRIES, lane=2) == 40_000


async def test_neighbours_in_an_image_are_not_neighbours_in_the_queue(
    sessions: db.Sessions,
) -> None:
    project_id = await a_project(sessions, tasks=300)
    async with db.reading(sessions) as reader:
        numbers = await reader.scalars(
            text(
                """
                SELECT number FROM queue_entries e
                JOIN tasks t ON (t.project_id, t.id) = (e.project_id, e.task_id)
                JOIN tiles ON tiles.id = t.tile_id
                WHERE e.project_id = :project ORDER BY position
                """
            ),
            {"project": project_id},
        )
        order = numbers.all()
    close = sum(abs(a - b) <= 2 for a, b in pairwise(order))
    assert close < 20
