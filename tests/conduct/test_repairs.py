"""A drawn answer is not rejected before its earner could correct it, once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.client import As
from tests.quality.court import Court, court
from tests.quality.facts import nothing_contradicts
from tests.world import BOX_SCHEMA, World

GOLD = [f"gold {number}.jpg" for number in range(8)]
COMMON = [f"common {number}.jpg" for number in range(16)]
CUP, OTHER, NOWHERE = [20.0, 20, 80, 80], [120.0, 120, 200, 200], [5.0, 200, 15, 210]
REPAIRS = "/v1/work/repairs"


def boxes(*where: Sequence[float]) -> dict[str, Any]:
    return {"objects": [{"class": 1, "box": list(box), "attributes": {}} for box in where]}


TRUTH, WRONG = boxes(CUP, OTHER), boxes(NOWHERE)


async def stopped(world: World) -> tuple[Court, As]:
    """Somebody draws all boxes in the wrong place, is stopped, and the tasks are settled."""
    quality = {"min_overlap": 2, "max_overlap": 4, "redo": 2, "gold_share": 0.5}
    here = await court(world, *GOLD, *COMMON, kind="box", label_schema=BOX_SCHEMA, quality=quality)
    known = [{"file_name": name, **boxes(CUP, OTHER)} for name in GOLD]
    await here.operator.post(f"{here.path}/gold", {"images": known}, status=201)
    await here.launch()
    (bad,) = await here.earners(1)
    await here.work(bad, lambda _: WRONG)
    await here.judge()
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    await here.say(TRUTH, TRUTH)
    return here, bad


async def offered(bad: As) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await bad.get(REPAIRS))["items"]
    return items


async def time_is_over(here: Court) -> None:
    async with db.transaction(here.world.sessions) as session:
        await session.execute(
            text("UPDATE answers SET repair_until = now() WHERE repair_until IS NOT NULL")
        )


async def by_lease(here: Court, bad: As) -> dict[str, str]:
    return {each["lease_id"]: each["state"] for each in await here.earnings(bad)}


async def test_who_corrects_an_answer_is_paid_for_it_and_who_does_not_is_not(world: World) -> None:
    here, bad = await stopped(world)
    items = await offered(bad)
    assert set(await by_lease(here, bad)) == {each["lease_id"] for each in items}, "gold and others"
    shown = {frozenset(each) for each in items}
    assert len(shown) == 1
    hint = "2 objects are missing, or of another class. 1 object is drawn where there is nothing"
    assert all(hint in each["reason"] for each in items)
    told = {each["reason"] for each in items}
    assert len(told) == 1, "of gold and of others the same"
    assert all(each["answer"] == WRONG for each in items)
    mended, botched, *rest = [each["lease_id"] for each in items]
    assert not (await bad.post(f"{REPAIRS}/{mended}", {"answer": TRUTH}))["replayed"]
    await bad.post(f"{REPAIRS}/{botched}", {"answer": boxes(NOWHERE, [30, 200, 40, 210])})
    assert {each["lease_id"] for each in await offered(bad)} == set(rest)
    await world.work.sweep("decide-repairs")
    states = await by_lease(here, bad)
    assert states.pop(mended) == "approved"
    assert states.pop(botched) == "rejected"
    assert set(states.values()) == {"pending"}
    await time_is_over(here)
    await world.work.sweep("decide-repairs")
    states = await by_lease(here, bad)
    assert {states[each] for each in rest} == {"rejected"}
    assert await offered(bad) == []
    effects = [each["effect"] for each in (await bad.get("/v1/decisions?limit=200"))["items"]]
    assert effects.count("repair") == len(items)
    assert effects.count("rejected") == len(items) - 1
    await nothing_contradicts(world.sessions)


async def test_who_is_let_back_meanwhile_is_paid_for_what_waits_to_be_corrected(
    world: World,
) -> None:
    here, bad = await stopped(world)
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE standings SET blocked_at = NULL, reason = NULL"))
    await bad.post("/v1/work/leases", {"project_id": here.project["id"]})
    await time_is_over(here)
    await world.work.sweep("decide-repairs")
    assert set((await by_lease(here, bad)).values()) == {"approved"}
    await nothing_contradicts(world.sessions)


async def test_a_correction_counts_once_and_only_if_it_was_asked_for(world: World) -> None:
    here, bad = await stopped(world)
    other = (await here.earners(1))[0]
    first, second, *_ = [each["lease_id"] for each in await offered(bad)]
    path, said = f"{REPAIRS}/{first}", {"answer": TRUTH}
    assert (await other.post(path, said, status=404))["code"] == "not-found"
    nowhere = boxes([0, 0, 10_000, 10])
    assert (await bad.post(path, {"answer": nowhere}, status=422))["code"] == "invalid-answer"
    for body in ({}, {"answer": None}, {"answer": TRUTH, "fence": 1}):
        await bad.post(path, body, status=422)
    await bad.post(path, said)
    assert (await bad.post(path, said))["replayed"]
    otherwise = await bad.post(path, {"answer": WRONG}, status=409)
    assert otherwise["code"] == "already-repaired"
    await time_is_over(here)
    late = await bad.post(f"{REPAIRS}/{second}", said, status=409)
    assert late["code"] == "repair-over"
    accepted = (await here.say(TRUTH))[0]
    mine = [each["lease_id"] for each in await here.earnings(accepted)]
    for lease_id in mine[:1]:
        await accepted.post(f"{REPAIRS}/{lease_id}", said, status=404)


@pytest.mark.parametrize("value", [TRUTH, pytest.param(WRONG, marks=pytest.mark.long)])
async def test_of_corrections_and_sweeps_at_once_one_decides(
    world: World, value: dict[str, Any]
) -> None:
    here, bad = await stopped(world)
    leases = [each["lease_id"] for each in await offered(bad)]
    sweeps = [asyncio.create_task(world.work.sweep("decide-repairs")) for _ in range(3)]
    sent = [bad.call("POST", f"{REPAIRS}/{each}", {"answer": value}) for each in leases * 2]
    assert {each.status_code for each in await asyncio.gather(*sent)} == {200}
    await asyncio.gather(*sweeps)
    await world.work.sweep("decide-repairs")
    wanted = "approved" if value is TRUTH else "rejected"
    assert set((await by_lease(here, bad)).values()) == {wanted}
    await nothing_contradicts(world.sessions)


async def test_an_upheld_contest_of_the_stop_pays_what_waits_to_be_corrected(world: World) -> None:
    here, bad = await stopped(world)
    assert await offered(bad)
    found = (await bad.get("/v1/decisions?limit=200"))["items"]
    (stop,) = [each["id"] for each in found if each["effect"] == "stopped"]
    await bad.post(f"/v1/decisions/{stop}/contest", {"text": "The gold is wrong."})
    await here.operator.post(f"/v1/contests/{stop}", {"upheld": True, "answer": "So it is."})
    assert set((await by_lease(here, bad)).values()) == {"approved"}
    assert await offered(bad) == []
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_a_project_that_ends_pays_what_waits_to_be_corrected(world: World) -> None:
    here, bad = await stopped(world)
    await here.operator.post(f"{here.path}/complete")
    await here.judge()
    await world.work.sweep("post-earnings")
    await time_is_over(here)
    await world.work.sweep("decide-repairs")
    assert set((await by_lease(here, bad)).values()) == {"available"}
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_a_label_that_became_doubtful_is_no_evidence_any_more(world: World) -> None:
    here, bad = await stopped(world)
    assert await offered(bad)
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE tasks SET confidence = 0.7 WHERE NOT is_gold"))
    await time_is_over(here)
    await world.work.sweep("decide-repairs")
    gold = {
        answer["lease_id"]
        for name, task in (await here.tasks()).items()
        for answer in task["answers"]
        if name in GOLD
    }
    for lease_id, state in (await by_lease(here, bad)).items():
        assert state == ("rejected" if lease_id in gold else "approved")
    await nothing_contradicts(world.sessions)
