"""What becomes of a lease that runs out, is extended, or is given back."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, update

from tessera.assignment.jobs import GRACE_SECONDS
from tessera.assignment.models import Lease
from tessera.kernel import db
from tests.assignment.crowd import WRONG, a_project, audit, expire, number
from tests.assignment.door import answer, codes, given, lease, refused
from tests.client import As
from tests.world import World


async def test_an_answer_that_is_late_by_less_than_the_grace_is_taken_and_paid(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=3)
    earner = await world.earner()
    leases = await lease(earner, project_id)
    await _run_out(world.sessions, seconds_ago=GRACE_SECONDS - 5)
    await world.work.sweep("expire-leases")
    assert codes(await answer(earner, *map(given, leases))) == [None] * 3
    assert await number(world.sessions, "SELECT count(*) FROM earnings") == 3
    await audit(world.sessions)
    (again,) = await answer(earner, given(leases[0]))
    assert again["replayed"]


async def test_a_later_answer_is_refused_and_others_have_the_task(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=2)
    late, quick = await world.earner(), await world.earner()
    gone = await lease(late, project_id, 2)
    await expire(world.sessions)
    (taken,) = await lease(quick, project_id, 1)
    assert await _all_refused(late, gone) == ["lease-expired"] * 2
    assert codes(await answer(quick, given(taken))) == [None]
    assert await number(world.sessions, "SELECT count(*) FROM answers") == 1
    await audit(world.sessions)


async def test_whether_a_late_answer_is_taken_does_not_tell_gold(world: World) -> None:
    """Places of gold stay free for longer: that must not matter."""
    project_id = await a_project(world.sessions, tasks=20, gold=10, gold_share=0.5)
    earner = await world.earner()
    leases = await lease(earner, project_id, 20)
    gold = "SELECT count(*) FROM leases WHERE lane = 2"
    assert 0 < await number(world.sessions, gold) < 20
    await expire(world.sessions)
    await lease(await world.earner(), project_id, 20)
    assert await _all_refused(earner, leases) == ["lease-expired"] * 20


async def test_the_sweep_leaves_leases_in_their_grace_alone(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    await lease(earner, project_id)
    await _run_out(world.sessions, seconds_ago=GRACE_SECONDS - 5)
    await world.work.sweep("expire-leases")
    assert len((await earner.get("/v1/work/leases"))["leases"]) == 1
    await _run_out(world.sessions, seconds_ago=GRACE_SECONDS + 1)
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


async def _all_refused(earner: As, leases: list[dict[str, Any]]) -> list[str | None]:
    sent = {"answers": [given(each) for each in leases]}
    return codes((await earner.post("/v1/work/answers", sent, status=409))["results"])


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
