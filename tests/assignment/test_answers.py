"""Answers over HTTP: one per lease, each on its own merits."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.api.unchanged import nothing_changes
from tests.assignment.crowd import RIGHT, WRONG, a_project, audit, expire, number
from tests.assignment.door import answer, codes, given, lease, refused
from tests.world import World

KEPT = "SELECT count(*) FROM answers"
JOBS = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'quality.settle'"
EARNINGS = "SELECT count(*) FROM earnings"


async def test_a_batch_of_answers_is_taken_with_a_result_for_each(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=10)
    earner = await world.earner()
    leases = await lease(earner, project_id)
    results = await answer(earner, *(given(each) for each in leases))
    assert len(leases) == 10
    assert [each["lease_id"] for each in results] == [each["lease_id"] for each in leases]
    assert all(each["accepted"] and not each["replayed"] for each in results)
    assert await number(world.sessions, EARNINGS) == await number(world.sessions, KEPT) == 10
    assert await number(world.sessions, JOBS) == 1


async def test_each_refused_answer_says_why_and_the_others_are_kept(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=8)
    earner, stranger = await world.earner(), await world.earner()
    (foreign,) = await lease(stranger, project_id, 1)
    fine, fenced, back, twice, bad, unknown = await lease(earner, project_id, 6)
    await earner.post("/v1/work/leases/return", {"lease_ids": [back["lease_id"]], "reason": "skip"})
    await answer(earner, given(twice))
    results = await answer(
        earner,
        given(fine),
        given(foreign),
        given(fenced, fence=fenced["fence"] - 1),
        given(back),
        given(twice, WRONG),
        given(bad, {"classes": [7]}),
        given(unknown, lease_id=str(uuid4())),
    )
    assert codes(results) == [
        None,
        "lease-not-found",
        "lease-superseded",
        "lease-returned",
        "already-answered",
        "invalid-answer",
        "lease-not-found",
    ]
    assert await number(world.sessions, KEPT) == 2
    # what was refused can still be answered
    results = await answer(earner, given(fenced), given(bad), given(unknown))
    assert codes(results) == [None, None, None]
    assert codes(await answer(stranger, given(foreign))) == [None]
    await audit(world.sessions)


async def test_a_refused_answer_changes_nothing_at_all(world: World) -> None:
    contested = await a_project(world.sessions, tasks=1)
    earner, other = await world.earner(), await world.earner()
    (expired,) = await lease(earner, contested)
    await expire(world.sessions)
    (foreign,) = await lease(other, contested)
    back, done, fine = await lease(earner, await a_project(world.sessions, tasks=3))
    await earner.post("/v1/work/leases/return", {"lease_ids": [back["lease_id"]], "reason": "skip"})
    await answer(earner, given(done))
    async with nothing_changes(world.sessions):
        for one, code in (
            (given(expired), "lease-expired"),
            (given(foreign), "lease-not-found"),
            (given(back), "lease-returned"),
            (given(done, WRONG), "already-answered"),
            (given(done, None, outcome="not_sure"), "already-answered"),
            (given(fine, fence=fine["fence"] - 1), "lease-superseded"),
            (given(fine, lease_id=str(uuid4())), "lease-not-found"),
            (given(fine, {"classes": [7]}), "invalid-answer"),
            (given(fine, seconds=-1), "invalid-request"),
        ):
            assert (await refused(earner, one))["code"] == code, one


async def test_an_answer_that_is_sent_again_is_replayed_and_another_one_is_refused(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    await answer(earner, given(one))
    (again,) = await answer(earner, given(one, seconds=9))
    assert again["accepted"]
    assert again["replayed"]
    assert (await refused(earner, given(one, WRONG)))["code"] == "already-answered"
    other = given(one, None, outcome="not_sure")
    assert (await refused(earner, other))["code"] == "already-answered"
    assert await number(world.sessions, EARNINGS) == await number(world.sessions, KEPT) == 1
    assert await number(world.sessions, JOBS) == 1


async def test_fifty_identical_submits_at_once_are_one_answer_one_earning_and_one_job(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=3)
    earner = await world.earner()
    leases = await lease(earner, project_id, 3)
    body = [given(each) for each in leases]
    sent = await asyncio.gather(*(answer(earner, *body[:: (-1) ** n]) for n in range(50)))
    assert all(each["accepted"] for results in sent for each in results)
    assert sum(not each["replayed"] for results in sent for each in results) == 3
    assert await number(world.sessions, EARNINGS) == await number(world.sessions, KEPT) == 3
    assert await number(world.sessions, JOBS) == 1


async def test_two_different_answers_at_once_leave_one(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    sent = await asyncio.gather(
        *(
            earner.call("POST", "/v1/work/answers", {"answers": [given(one, value)]})
            for value in (RIGHT, WRONG) * 5
        )
    )
    assert {each.status_code for each in sent} == {200, 409}
    assert await number(world.sessions, EARNINGS) == await number(world.sessions, KEPT) == 1


async def test_if_no_answer_of_several_can_be_taken_that_is_a_problem(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=2)
    earner = await world.earner()
    body = {"answers": [given(each, {"classes": []}) for each in await lease(earner, project_id)]}
    response = await earner.call("POST", "/v1/work/answers", body)
    assert response.status_code == 409
    assert response.json()["code"] == "answers-refused"
    assert codes(response.json()["results"]) == ["invalid-answer", "invalid-answer"]
    assert await number(world.sessions, KEPT) == 0


async def test_two_answers_for_one_lease_in_a_call_are_refused(world: World) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    body = {"answers": [given(one), given(one, WRONG)]}
    problem = await earner.post("/v1/work/answers", body, status=422)
    assert problem["code"] == "repeated-lease"
    assert await number(world.sessions, KEPT) == 0


@pytest.mark.parametrize("outcome", ["not_sure", "broken"])
async def test_who_is_not_sure_or_finds_it_broken_says_so_and_is_paid_for_it(
    world: World, outcome: str
) -> None:
    project_id = await a_project(world.sessions, tasks=1)
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    results = await answer(earner, given(one, None, outcome=outcome))
    assert codes(results) == [None]
    assert await number(world.sessions, "SELECT value FROM answers") is None
    assert await number(world.sessions, EARNINGS) == 1


BOX = {"class": 1, "box": [1, 1, 60, 60]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"objects": None},
        {"objects": [BOX], "extra": 1},
        {"objects": [{**BOX, "class": 9}]},
        {"objects": [{**BOX, "class": True}]},
        {"objects": [{**BOX, "class": "1"}]},
        {"objects": [{**BOX, "box": [1, 1, 60]}]},
        {"objects": [{**BOX, "box": [1, 1, 60, 67]}]},
        {"objects": [{**BOX, "box": [-5, 1, 60, 60]}]},
        {"objects": [{**BOX, "box": [60, 1, 1, 60]}]},
        {"objects": [{**BOX, "box": [1, 1, 60, 1e308]}]},
        {"objects": [{**BOX, "box": [1, 1, 60, "60"]}]},
        {"objects": [BOX] * 2_001},
    ],
    ids=str,
)
async def test_an_answer_that_makes_no_sense_is_refused_and_nothing_is_recorded(
    world: World, value: Any
) -> None:
    project_id = await a_project(world.sessions, tasks=1, kind="box")
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    async with nothing_changes(world.sessions):
        problem = await refused(earner, given(one, value))
    assert (problem["status"], problem["code"]) == (422, "invalid-answer")
    assert codes(await answer(earner, given(one, {"objects": [BOX]}))) == [None]


@pytest.mark.parametrize("nonsense", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000])
async def test_numbers_that_are_none_are_refused_before_anything_is_done(
    world: World, nonsense: str
) -> None:
    project_id = await a_project(world.sessions, tasks=1, kind="box")
    earner = await world.earner()
    (one,) = await lease(earner, project_id)
    headers = {**earner.headers, "Content-Type": "application/json"}
    box = given(one, {"objects": [{"class": 1, "box": [1, 1, 60, "?"]}]})
    async with nothing_changes(world.sessions):
        for wrong in (box, given(one, {"objects": [BOX]}, seconds="?")):
            body = json.dumps({"answers": [wrong]}).replace('"?"', nonsense)
            response = await world.http.post("/v1/work/answers", content=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (422, "invalid-request")


async def test_time_spent_is_what_the_client_says_but_never_longer_than_the_lease(
    world: World,
) -> None:
    project_id = await a_project(world.sessions, tasks=3)
    earner = await world.earner()
    honest, boasting, silent = await lease(earner, project_id)
    await answer(earner, given(honest, seconds=0), given(boasting, seconds=80_000), given(silent))
    assert await number(world.sessions, "SELECT min(seconds) FROM answers") == 0
    assert 0 < await number(world.sessions, "SELECT max(seconds) FROM answers") < 60
