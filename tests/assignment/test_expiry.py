"""What becomes of a lease that runs out, is extended, or is given back."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, update

from tessera.assignment.models import Lease
from tessera.kernel import db
from tests.assignment.crowd import WRONG, Earner, a_project, audit, expire, number, settle_all
from tests.assignment.door import answer, codes, given, lease, refused
from tests.world import World


async def test_a_late_answer_is_taken_and_paid_while_the_place_is_free(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=3)
    earner = await world.earner()
    leases = await lease(earner, project_id)
    await expire(world.sessions)
    assert await number(world.sessions, "SELECT count(*) FROM queue_entries") == 3
    results = await answer(earner, *(given(each) for each in leases))
    assert codes(results) == [None, None, None]
    assert await number(world.sessions, "SELECT count(*) FROM queue_entries") == 0
    assert await number(world.sessions, "SELECT count(*) FROM earnings") == 3
    await audit(world.sessions)
    (again,) = await answer(earner, given(leases[0]))
    assert again["replayed"]


async def test_an_answer_that_comes_before_the_sweep_is_simply_taken(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    await _run_out(world.sessions, seconds_ago=2)
    assert codes(await answer(earner, given(one))) == [None]


async def test_a_late_answer_is_refused_once_somebody_else_has_the_place(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=2)
    late, quick = await world.earner(), await world.earner()
    lost, kept = await lease(late, project_id, 2)
    await expire(world.sessions)
    taken = await lease(quick, project_id, 2)
    await quick.post(
        "/v1/work/leases/return", {"lease_ids": [taken[0]["lease_id"]], "reason": "later"}
    )
    results = await answer(late, given(lost), given(kept))
    assert sorted(map(str, codes(results))) == ["None", "lease-expired"]
    assert codes(await answer(quick, given(taken[1]))) == [None]
    await audit(world.sessions)


async def test_a_late_answer_is_refused_once_the_task_is_settled(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1, min_overlap=2, max_overlap=2)
    late = await world.earner()
    (one,) = await lease(late, project_id)
    await expire(world.sessions)
    for _ in range(2):
        earner = Earner(world.sessions)
        await earner.answer(await earner.lease(project_id))
    await settle_all(world.sessions, project_id)
    problem = await refused(late, given(one))
    assert (problem["status"], problem["code"]) == (409, "lease-expired")
    await audit(world.sessions)


async def test_a_bad_late_answer_does_not_take_the_place(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    await expire(world.sessions)
    assert (await refused(earner, given(one, {"classes": [3]})))["code"] == "invalid-answer"
    assert await number(world.sessions, "SELECT count(*) FROM queue_entries") == 1


async def test_the_sweep_leaves_leases_in_their_grace_alone(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    await lease(earner, project_id)
    await _run_out(world.sessions, seconds_ago=1)
    await world.work.sweep("expire-leases")
    assert len((await earner.get("/v1/work/leases"))["leases"]) == 1
    await _run_out(world.sessions, seconds_ago=4)
    await world.work.sweep("expire-leases")
    assert not (await earner.get("/v1/work/leases"))["leases"]


async def test_a_lease_can_be_extended_from_now_but_not_beyond_four_times_its_length(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    extended = await _extend(earner, one)
    assert extended["expires_at"] > one["expires_at"]
    await _age(world.sessions, minutes=35)
    extended = await _extend(earner, one)
    left = _at(extended["expires_at"]) - _at(extended["server_time"])
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    assert (await _extend(earner, one))["expires_at"] == extended["expires_at"]


async def test_only_open_leases_of_ones_own_are_extended(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=4)
    earner, stranger = await world.earner(), await world.earner()
    answered, returned, ran_out = await lease(earner, project_id, 3)
    (foreign,) = await lease(stranger, project_id, 1)
    await answer(earner, given(answered))
    await _return(earner, returned)
    await expire(world.sessions)
    body = {"lease_ids": [each["lease_id"] for each in (answered, returned, ran_out, foreign)]}
    assert not (await earner.post("/v1/work/leases/extend", body))["leases"]


async def test_a_task_given_back_goes_to_others_first_and_never_to_the_same_earner(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=20)
    earner, other = await world.earner(), await world.earner()
    (one, *_) = await lease(earner, project_id, 3)
    returned = await _return(earner, one)
    assert [each["lease_id"] for each in returned["leases"]] == [one["lease_id"]]
    task = "SELECT task_id FROM leases WHERE id = :id"
    task_id = await number(world.sessions, task, id=one["lease_id"])
    (next_one,) = await lease(other, project_id, 1)
    assert await number(world.sessions, task, id=next_one["lease_id"]) == task_id
    assert len(await lease(earner, project_id, 50)) == 17
    assert (await refused(earner, given(one, WRONG)))["code"] == "lease-returned"
    await audit(world.sessions)


async def test_giving_back_twice_or_what_is_not_ones_own_does_nothing(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=2)
    earner, stranger = await world.earner(), await world.earner()
    (one,) = await lease(earner, project_id, 1)
    assert not (await _return(stranger, one))["leases"]
    await _return(earner, one)
    assert not (await _return(earner, one))["leases"]
    assert await number(world.sessions, "SELECT count(*) FROM queue_entries") == 2


async def _return(earner: Any, one: dict[str, Any]) -> Any:
    body = {"lease_ids": [one["lease_id"]], "reason": "skip"}
    return await earner.post("/v1/work/leases/return", body)


async def _extend(earner: Any, one: dict[str, Any]) -> Any:
    held = await earner.post("/v1/work/leases/extend", {"lease_ids": [one["lease_id"]]})
    return {**held["leases"][0], "server_time": held["server_time"]}


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


async def _run_out(sessions: db.Sessions, *, seconds_ago: int) -> None:
    async with db.transaction(sessions) as session:
        ago = func.now() - timedelta(seconds=seconds_ago)
        await session.execute(update(Lease).values(expires_at=ago))


async def _age(sessions: db.Sessions, *, minutes: int) -> None:
    async with db.transaction(sessions) as session:
        earlier = timedelta(minutes=minutes)
        await session.execute(
            update(Lease).values(
                leased_at=Lease.leased_at - earlier, expires_at=Lease.expires_at - earlier
            )
        )
