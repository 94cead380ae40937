"""Gold that was wrong is pulled, and what followed from it is undone, in one go."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tests.client import As
from tests.quality.court import CAT, DOG, OWL, Court, court
from tests.quality.facts import nothing_contradicts
from tests.world import BOX_SCHEMA, World

RIGHT = [f"right {number}.jpg" for number in range(12)]
WRONG = [f"wrong {number}.jpg" for number in range(5)]
COMMON = [f"common {number}.jpg" for number in range(24)]


async def project(world: World, *, wrong: int = len(WRONG), **quality: Any) -> Court:
    """All gold is said to show a cat; of some of it, that is wrong."""
    policy = {"min_overlap": 2, "max_overlap": 4, "redo": 2, "gold_share": 0.5, **quality}
    gold = [*RIGHT, *WRONG[:wrong]]
    here = await court(world, *gold, *COMMON, quality=policy)
    await here.gold(gold)
    await here.launch()
    return here


def sees(name: str) -> Mapping[str, Any]:
    return DOG if name in WRONG else CAT


async def pull(here: Court, name: str, **body: Any) -> dict[str, Any]:
    task = (await here.tasks())[name]
    said = {"reason": "It shows a dog.", **body}
    repair: dict[str, Any] = await here.operator.post(f"/v1/tasks/{task['id']}/gold/wrong", said)
    return repair


async def states(here: Court, earner: As) -> set[str]:
    return {each["state"] for each in await here.earnings(earner)}


async def stopped_by_wrong_gold(here: Court) -> As:
    """Somebody whose only gold so far was wrong, and who was right about everything."""
    (honest,) = await here.earners(1)
    while (await honest.get(f"/v1/work/offers/{here.project['id']}"))["blocked_reason"] is None:
        leases = await here.lease(honest, 8)
        assert leases
        mine = [each for each in leases if here.seen(each) not in RIGHT]
        await here.answer(honest, mine, sees)
        await here.judge()
    return honest


async def test_who_was_stopped_by_it_goes_on_is_paid_and_reads_why(world: World) -> None:
    here = await project(world)
    honest = await stopped_by_wrong_gold(here)
    cats = await here.say(CAT, CAT)
    assert "rejected" in await states(here, honest), "their dogs"
    repairs = [await pull(here, name, label=DOG) for name in WRONG]
    assert sum(each["restored"] for each in repairs) == 1
    assert sum(each["answers_paid"] for each in repairs) >= 1
    assert "rejected" not in await states(here, honest)
    await honest.post("/v1/work/leases", {"project_id": here.project["id"]}, status=200)
    receipts = (await honest.get("/v1/decisions?limit=200"))["items"]
    (restored,) = [each for each in receipts if each["effect"] == "restored"]
    assert restored["rule"] == "check-task-was-wrong"
    tasks = await here.tasks()
    assert {tasks[name]["label"]["classes"][0] for name in WRONG} == {2}
    assert not any(tasks[name]["is_gold"] for name in WRONG)
    for each in cats:
        assert await states(here, each) <= {"approved", "pending"}, "nobody is blamed instead"
    async with db.reading(world.sessions) as reader:
        scored = text(
            "SELECT count(*) FROM answers JOIN gold USING (project_id, task_id)"
            " WHERE retired_reason = 'wrong' AND score IS NOT NULL"
        )
        assert (await reader.execute(scored)).scalar_one() == 0
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_without_the_right_answer_a_reviewer_decides_and_nobody_else_is_asked_it(
    world: World,
) -> None:
    here = await project(world, wrong=1)
    await pull(here, WRONG[0])
    task = (await here.tasks())[WRONG[0]]
    assert (task["state"], task["review_reason"]) == ("review", "gold-was-wrong")
    (new,) = await here.earners(1)
    assert WRONG[0] not in await here.work(new, sees)
    await here.operator.post(f"/v1/tasks/{task['id']}/review", {"label": DOG})
    assert (await here.tasks())[WRONG[0]]["label"]["classes"] == [2]


async def test_gold_that_trusted_people_miss_is_pulled_by_itself(world: World) -> None:
    here = await project(world, wrong=1, min_overlap=6, max_overlap=6)
    for earner in await here.earners(6):
        await here.work(earner, sees)
        await here.judge()
    task = (await here.tasks())[WRONG[0]]
    assert (task["state"], task["review_reason"]) == ("review", "gold-was-wrong")
    gold = (await here.operator.get(f"{here.path}/gold?limit=200"))["items"]
    reasons = {each["task_id"]: each["retired_reason"] for each in gold}
    assert reasons[task["id"]] == "wrong"
    assert [each for each in reasons.values() if each] == ["wrong"]
    await nothing_contradicts(world.sessions)


async def test_gold_that_several_find_broken_is_pulled_and_costs_nobody_trust(
    world: World,
) -> None:
    here = await project(world, wrong=1)
    broken = {"outcome": "broken"}
    people = await here.earners(2)
    for earner in people:
        await here.work(earner, lambda name: broken if name in WRONG else CAT)
        await here.judge()
    assert (await here.tasks())[WRONG[0]]["review_reason"] == "gold-was-wrong"
    async with db.reading(world.sessions) as reader:
        unsure = await reader.scalars(text("SELECT unsure FROM trust"))
        assert set(unsure) == {0}


async def test_what_is_no_gold_or_was_pulled_before_is_refused(world: World) -> None:
    here = await project(world, wrong=1)
    tasks = await here.tasks()
    path = f"/v1/tasks/{tasks[WRONG[0]]['id']}/gold/wrong"
    ordinary = f"/v1/tasks/{tasks[COMMON[0]]['id']}/gold/wrong"
    said = {"reason": "It shows a dog."}
    assert (await here.operator.post(ordinary, said, status=409))["code"] == "not-gold"
    for body in ({}, {"reason": " "}, {"reason": "x" * 2_001}, {**said, "label": "dog"}):
        await here.operator.post(path, body, status=422)
    nonsense = await here.operator.post(path, {**said, "label": {"classes": [99]}}, status=422)
    assert nonsense["code"] == "invalid-answer"
    assert (await here.tasks())[WRONG[0]]["is_gold"]
    sent = [here.operator.call("POST", path, {**said, "label": OWL}) for _ in range(4)]
    codes = sorted(each.status_code for each in await asyncio.gather(*sent))
    assert codes == [200, 409, 409, 409]
    await nothing_contradicts(world.sessions)


@pytest.mark.long
async def test_pulling_gold_leaves_who_says_nothing_as_they_were(world: World) -> None:
    here = await project(world, wrong=1)
    (silent,) = await here.earners(1)
    await here.work(silent, lambda _: {"outcome": "not_sure"})
    await here.judge()
    refused = await silent.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    assert "said nothing" in refused["detail"]
    await pull(here, WRONG[0], label=DOG)
    again = await silent.post("/v1/work/leases", {"project_id": here.project["id"]}, status=403)
    assert again["detail"] == refused["detail"]
    await nothing_contradicts(world.sessions)


async def test_gold_that_was_drawn_wrong_is_pulled_with_the_right_drawing(world: World) -> None:
    true, false = (
        {"objects": [{"class": 1, "box": list(box), "attributes": {}}]}
        for box in ([20.0, 20, 80, 80], [150.0, 150, 200, 200])
    )
    policy = {"min_overlap": 2, "max_overlap": 4, "gold_share": 0.5}
    here = await court(
        world, *RIGHT[:4], *COMMON, kind="box", label_schema=BOX_SCHEMA, quality=policy
    )
    known = [{"file_name": name, **false} for name in RIGHT[:4]]
    await here.operator.post(f"{here.path}/gold", {"images": known}, status=201)
    await here.launch()
    await here.say(true)
    repair = await pull(here, RIGHT[0], label=true)
    assert repair["earners"] <= 1
    task = (await here.tasks())[RIGHT[0]]
    assert (task["state"], task["settled_by"], task["is_gold"]) == ("settled", "review", False)
    assert task["label"]["objects"][0]["box"] == true["objects"][0]["box"]
    await nothing_contradicts(world.sessions)
