"""Samples of settled labels: how they are drawn, looked at blindly, and what they tell."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import update

from tessera.accounts.models import Role
from tessera.assignment.models import Task, TaskState
from tessera.kernel import db
from tests.client import As
from tests.ledger.money import at_once
from tests.quality.court import CAT, DOG, OWL, Court, always, court
from tests.quality.facts import broken
from tests.world import World

NAMES = tuple(f"{number:02}.jpg" for number in range(12))
AT_ONCE = {"min_overlap": 1, "max_overlap": 1, "redo": 0, "target_confidence": 0.5}
"""What one person says is settled."""


async def settled(world: World, *names: str, **quality: Any) -> tuple[Court, As]:
    """Pictures that one person has called cats; somebody who reviews."""
    here = await court(world, *(names or NAMES), quality={**AT_ONCE, **quality})
    await here.launch()
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    tasks = await here.tasks()
    assert {each["settled_by"] for each in tasks.values()} == {"consensus"}
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    return here, reviewer


async def drawn(here: Court, who: As, size: int, **body: Any) -> dict[str, Any]:
    audit: dict[str, Any] = await who.post(f"{here.path}/audits", {"size": size, **body})
    return audit


async def look_at_all(
    here: Court, who: As, audit: dict[str, Any], truth: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    """Say of each task in a sample what is true; returns what it told."""
    path = f"{here.path}/audits/{audit['id']}"
    while (task := (await who.get(f"{path}/next"))["task"]) is not None:
        body = truth(task["task_id"])
        await who.post(f"{path}/tasks/{task['task_id']}", body)
    told: dict[str, Any] = await who.get(path)
    return told


def wrong_are(wrong: Sequence[str]) -> Callable[[str], dict[str, Any]]:
    return lambda task_id: {"label": DOG if task_id in wrong else CAT}


async def test_the_sample_follows_from_its_seed_and_the_labels_that_there_were(
    world: World,
) -> None:
    here, reviewer = await settled(world)
    ids = [UUID(task["id"]) for task in (await here.tasks()).values()]
    audit = await drawn(here, reviewer, 5)
    assert (audit["population"], audit["size"], audit["done"]) == (12, 5, 0)
    await look_at_all(here, reviewer, audit, wrong_are([]))
    looked_at = await reviewer.get(f"{here.path}/audits/{audit['id']}/tasks?limit=3")
    rest = await reviewer.get(
        f"{here.path}/audits/{audit['id']}/tasks?limit=3&cursor={looked_at['next']}"
    )
    found = [each["task_id"] for each in looked_at["items"] + rest["items"]]
    seed = int(audit["seed"]).to_bytes(8, "big")
    order = sorted(ids, key=lambda each: hashlib.sha256(seed + each.bytes).digest())
    assert found == [str(each) for each in order[:5]]
    other = await drawn(here, reviewer, 5)
    assert other["seed"] != audit["seed"]


async def test_who_looks_sees_what_earners_saw_and_nothing_else(world: World) -> None:
    here, reviewer = await settled(world)
    audit = await drawn(here, reviewer, 3)
    shown = (await reviewer.get(f"{here.path}/audits/{audit['id']}/next"))["task"]
    assert shown.keys() == {"task_id", "subject", "tile"}
    for field in ("label", "confidence", "answers"):
        assert field not in str(shown.keys())
    before = await reviewer.get(f"{here.path}/audits/{audit['id']}")
    assert (before["accuracy"], before["calibration"]) == (None, None)
    assert (await reviewer.get(f"{here.path}/audits/{audit['id']}/tasks"))["items"] == []


async def test_a_finished_audit_tells_the_accuracy_and_corrects_what_is_wrong(
    world: World,
) -> None:
    here, reviewer = await settled(world)
    tasks = await here.tasks()
    wrong = [tasks[name]["id"] for name in NAMES[:3]]
    audit = await drawn(here, reviewer, 12)
    told = await look_at_all(here, reviewer, audit, wrong_are(wrong))
    accuracy = told["accuracy"]
    assert (accuracy["value"], accuracy["low"], accuracy["high"]) == (0.75, 0.75, 0.75)
    assert accuracy["sample"] == {"size": 12, "right": 9, "labels": 12, "later": 0}
    assert (told["done"], told["finished_at"] is None) == (12, False)
    (point,) = told["calibration"]["curve"]
    assert (point["accuracy"], point["items"]) == (0.75, 12)
    assert point["low"] < 0.75 < point["high"]
    now = await here.tasks()
    assert [now[name]["label"] for name in NAMES[:3]] == [DOG] * 3
    assert {now[name]["settled_by"] for name in NAMES[:3]} == {"review"}
    assert {now[name]["settled_by"] for name in NAMES[3:]} == {"consensus"}
    (answer,) = now["00.jpg"]["answers"]
    assert answer["verdict"] == "accepted", "what was accepted stays so"
    report = await reviewer.get(f"{here.path}/quality")
    assert report["accuracy"]["value"] == report["accuracy"]["low"] == 1
    assert report["accuracy"]["sample"]["labels"] == 9
    assert report["share_reviewed"] == 0.25
    assert await broken(world.sessions) == []


async def test_nobody_is_paid_twice_or_less_for_what_an_audit_corrects(world: World) -> None:
    here = await court(world, *NAMES[:4], quality=AT_ONCE)
    await here.launch()
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    before = await here.earnings(earner)
    audit = await drawn(here, here.operator, 4)
    await look_at_all(here, here.operator, audit, lambda _: {"unusable": True})
    await here.judge()
    assert await here.earnings(earner) == before
    assert {task["label"] is None for task in (await here.tasks()).values()} == {True}


async def test_a_size_that_cannot_be_is_refused(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:3])
    for size in (0, -1, 5_001, 2**63, 1.5, "3", None, True):
        problem = await reviewer.post(f"{here.path}/audits", {"size": size}, status=422)
        assert problem["code"] == "invalid-request"
    for right_from in (0, 1.1, -1, "most"):
        body = {"size": 1, "right_from": right_from}
        await reviewer.post(f"{here.path}/audits", body, status=422)
    problem = await reviewer.post(f"{here.path}/audits", {"size": 4}, status=422)
    assert (problem["code"], problem["count"]) == ("sample-too-large", 3)
    assert (await reviewer.get(f"{here.path}/audits"))["items"] == []


async def test_gold_and_what_reviewers_decided_is_never_drawn(world: World) -> None:
    here = await court(world, "gold.jpg", *NAMES[:3], quality={**AT_ONCE, "max_overlap": 2})
    await here.gold(["gold.jpg"])
    await here.launch()
    await here.operator.post(
        f"/v1/tasks/{(await here.tasks())['00.jpg']['id']}/review", {"label": OWL}
    )
    await here.say(CAT)
    problem = await here.operator.post(f"{here.path}/audits", {"size": 4}, status=422)
    assert problem["count"] == 2


async def test_who_may_not_review_may_not_audit_and_strangers_find_nothing(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:3])
    audit = await drawn(here, reviewer, 2)
    task = (await reviewer.get(f"{here.path}/audits/{audit['id']}/next"))["task"]
    path = f"{here.path}/audits/{audit['id']}"
    finance = await world.member(here.operator, here.project["organisation_id"], Role.FINANCE)
    stranger, organisation_id = await world.operator()
    mine = await world.project(stranger, organisation_id)
    for someone, status in ((finance, 403), (stranger, 404)):
        await someone.post(f"{here.path}/audits", {"size": 1}, status=status)
        await someone.get(f"{here.path}/audits", status=status)
        for get in (path, f"{path}/next", f"{path}/tasks"):
            await someone.get(get, status=status)
        await someone.post(f"{path}/tasks/{task['task_id']}", {"label": CAT}, status=status)
    await stranger.get(f"{here.path}/quality", status=404)
    through = f"/v1/projects/{mine['id']}/audits/{audit['id']}"
    await stranger.get(through, status=404)
    await stranger.post(f"{through}/tasks/{task['task_id']}", {"label": CAT}, status=404)


async def test_a_label_that_makes_no_sense_is_no_look(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:3])
    audit = await drawn(here, reviewer, 1)
    path = f"{here.path}/audits/{audit['id']}"
    task_id = (await reviewer.get(f"{path}/next"))["task"]["task_id"]
    labels: list[Any] = [{"classes": [9]}, {"classes": []}, {"objects": []}]
    for label in labels:
        problem = await reviewer.post(f"{path}/tasks/{task_id}", {"label": label}, status=422)
        assert problem["code"] == "invalid-answer"
    for body in ({}, {"label": CAT, "unusable": True}, {"label": CAT, "gold": True}):
        await reviewer.post(f"{path}/tasks/{task_id}", body, status=422)
    (outside, *_) = {task["id"] for task in (await here.tasks()).values()} - {task_id}
    await reviewer.post(f"{path}/tasks/{outside}", {"label": CAT}, status=404)
    assert (await reviewer.get(path))["done"] == 0


async def test_of_two_who_look_at_the_same_task_at_once_one_counts(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:3])
    audit = await drawn(here, reviewer, 3)
    path = f"{here.path}/audits/{audit['id']}"
    task_id = (await reviewer.get(f"{path}/next"))["task"]["task_id"]
    got: list[Any] = []

    async def say(label: dict[str, Any]) -> None:
        got.append(await reviewer.call("POST", f"{path}/tasks/{task_id}", {"label": label}))

    assert await at_once(say(label) for label in (CAT, DOG, CAT, DOG)) == []
    assert sorted(each.status_code for each in got) == [200, 409, 409, 409]
    assert {each.json()["code"] for each in got if each.is_error} == {"already-audited"}
    assert (await reviewer.get(path))["done"] == 1


async def test_all_of_a_sample_at_once_finishes_it_once(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:6])
    audit = await drawn(here, reviewer, 6)
    path = f"{here.path}/audits/{audit['id']}"
    ids = [task["id"] for task in (await here.tasks()).values()]
    calls = (reviewer.post(f"{path}/tasks/{each}", {"label": DOG}) for each in ids)
    assert await at_once(calls) == []
    told = await reviewer.get(path)
    assert (told["done"], told["accuracy"]["value"]) == (6, 0)
    assert told["finished_at"] is not None


async def test_two_audits_at_once_each_judge_the_labels_that_they_were_drawn_of(
    world: World,
) -> None:
    here, reviewer = await settled(world, *NAMES[:4])
    one, other = [await drawn(here, reviewer, 4) for _ in range(2)]
    wrong = [(await here.tasks())["00.jpg"]["id"]]
    first = await look_at_all(here, reviewer, one, wrong_are(wrong))
    second = await look_at_all(here, reviewer, other, wrong_are(wrong))
    assert first["accuracy"] == second["accuracy"], "though the first has corrected what was wrong"
    corrected = [
        each["is_corrected"]
        for audit in (one, other)
        for each in (await reviewer.get(f"{here.path}/audits/{audit['id']}/tasks"))["items"]
    ]
    assert corrected.count(True) == 1


async def test_a_task_that_was_asked_anew_meanwhile_is_judged_as_it_was_and_left_alone(
    world: World,
) -> None:
    here, reviewer = await settled(world, *NAMES[:4])
    audit = await drawn(here, reviewer, 4)
    tasks = await here.tasks()
    anew = tasks["00.jpg"]["id"]
    async with db.transaction(world.sessions) as session:
        await session.execute(
            update(Task)
            .where(Task.id == UUID(anew))
            .values(state=TaskState.OPEN, label=OWL, settled_at=None, settled_by=None)
        )
    told = await look_at_all(here, reviewer, audit, wrong_are([anew]))
    assert told["accuracy"]["value"] == 0.75
    now = (await here.tasks())["00.jpg"]
    assert (now["state"], now["label"]) == ("open", OWL)
    report = await reviewer.get(f"{here.path}/quality")
    assert report["accuracy"]["value"] == 1, "of the three that are labels still"
    assert report["accuracy"]["sample"] == {"size": 3, "right": 3, "labels": 3, "later": 0}


async def test_what_was_passed_on_to_a_later_stage_is_judged_and_stays(world: World) -> None:
    here, reviewer = await settled(world, *NAMES[:2])
    organisation_id = here.project["organisation_id"]
    later = {"kind": "verify", "label_schema": {**here.project["label_schema"], "of": "classify"}}
    await world.project(
        here.operator, organisation_id, follows={"project_id": here.project["id"]}, **later
    )
    audit = await drawn(here, reviewer, 2)
    told = await look_at_all(here, reviewer, audit, lambda _: {"label": DOG})
    assert told["accuracy"]["value"] == 0
    assert {task["settled_by"] for task in (await here.tasks()).values()} == {"consensus"}
    report = await reviewer.get(f"{here.path}/quality")
    assert report["accuracy"]["high"] == 0
