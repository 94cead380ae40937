"""A project's quality in figures; what is not known is null."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import insert, text

from tessera.accounts.models import PersonKind, Role
from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Task, TaskState
from tessera.kernel import db
from tessera.quality import audits
from tessera.quality.estimated_accuracy import of_sample
from tests.client import As
from tests.quality.court import CAT, DOG, OWL, Court, court
from tests.world import World, photograph

GOLD = [f"gold {number:02}.jpg" for number in range(12)]
COMMON = [f"common {number:02}.jpg" for number in range(12)]
TWO = {"min_overlap": 2, "max_overlap": 2, "redo": 0, "target_confidence": 0.5, "gold_share": 0.5}


async def worked(world: World) -> Court:
    """Two people have answered; they call two gold cats owls, and of four others they differ."""
    here = await court(world, *GOLD, *COMMON, quality={**TWO, "minimum_trust": 0.5})
    await here.gold(GOLD[:9])
    await here.gold(GOLD[9:], "owl")
    await here.launch()
    for number, person in enumerate(await here.earners(2)):

        def say(name: str, number: int = number) -> dict[str, Any]:
            if name in COMMON[:4]:
                return (CAT, DOG)[number]
            return OWL if name in GOLD[:2] + GOLD[9:] else CAT

        await here.work(person, say)
        await here.judge()
        for name, task in (await here.tasks()).items():
            if name in GOLD:
                await said_of_gold(world, person, task, say(name), place=1_000 + number)
    return here


async def said_of_gold(
    world: World, person: As, task: dict[str, Any], answer: dict[str, Any], *, place: int
) -> None:
    """Whatever gold somebody has not met, for who meets which is drawn by chance."""
    me = (await person.get("/v1/me"))["person_id"]
    about = {"project_id": UUID(task["project_id"]), "task_id": UUID(task["id"])}
    said = {"earner_id": UUID(me), "place": place, "value": orjson.dumps(answer).decode()}
    async with db.transaction(world.sessions) as session:
        await session.execute(_SAID, {**about, **said})


_SAID = text(
    """
    WITH made AS (
      INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
      VALUES (:project_id, :task_id, :earner_id, 2, :place, 'answered', now())
      ON CONFLICT (project_id, task_id, earner_id) DO NOTHING
      RETURNING project_id, id, task_id, earner_id
    )
    INSERT INTO answers (project_id, lease_id, task_id, earner_id, outcome, value, seconds, verdict)
    SELECT made.*, 'answered', CAST(:value AS jsonb), 1, 'accepted' FROM made
    """
)


async def test_a_project_without_answers_claims_nothing(world: World) -> None:
    here = await court(world, *COMMON)
    report = await here.operator.get(f"{here.path}/quality")
    for name in ("accuracy", "calibration", "answers_per_task", "agreement", "share_reviewed"):
        assert report[name] is None, name
    assert report["reviewers"] == {"tasks": 0, "alike": 0, "mean_score": None, "alpha": None}
    assert [each["name"] for each in report["classes"]] == ["cat", "dog", "owl"]
    assert {each["by_gold"] is None for each in report["classes"]} == {True}


async def test_without_gold_and_audit_no_accuracy_is_claimed(world: World) -> None:
    here = await court(world, *COMMON[:3], quality=TWO)
    await here.launch()
    await here.say(CAT, CAT)
    report = await here.operator.get(f"{here.path}/quality")
    assert (report["accuracy"], report["calibration"]) == (None, None)
    assert (report["settled_by_answers"], report["answers"]) == (3, 6)
    assert (report["answers_per_task"], report["agreement"]) == (2, 1)


async def test_gold_tells_how_often_labels_are_right_and_what_is_confused(world: World) -> None:
    here = await worked(world)
    report = await here.operator.get(f"{here.path}/quality")
    accuracy = report["accuracy"]
    assert accuracy["method"] == "gold"
    assert accuracy["level"] == 0.95
    assert (accuracy["sample"]["size"], accuracy["sample"]["later"]) == (12, None)
    assert accuracy["sample"]["labels"] == report["settled_by_answers"]
    right = accuracy["sample"]["right"]
    assert 6 <= right <= 10, "two cats look like owls; with so little gold they may be told apart"
    assert accuracy["value"] == round(right / 12, 4)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    cat, dog, owl = report["classes"]
    assert cat["accepted"] >= 8
    assert sum(each["accepted"] for each in report["classes"]) == report["settled"]
    assert cat["by_gold"]["there"] == 9
    hits = sum(each["by_gold"]["recall"]["value"] * there for each, there in ((cat, 9), (owl, 3)))
    assert hits == pytest.approx(right)
    mistaken = {cat["by_gold"]["mistaken_for"], owl["by_gold"]["mistaken_for"]}
    assert mistaken & {cat["id"], owl["id"]}
    assert cat["by_gold"]["mistaken_for"] != cat["id"]
    assert (dog["by_gold"]["recall"], dog["by_gold"]["there"]) == (None, 0)
    assert owl["by_gold"]["there"] == 3
    assert owl["by_gold"]["recall"]["low"] < owl["by_gold"]["recall"]["high"]
    assert report["calibration"]["method"] == "gold"
    assert report["calibration"]["items"] == 12
    assert {point["low"] for point in report["calibration"]["curve"]} == {None}
    # of the gold nobody has agreed with anything: it is no ordinary task
    assert report["answers"] == 24
    assert report["answers_per_task"] == 2


async def test_what_a_reviewer_decided_is_counted_apart(world: World) -> None:
    here = await court(world, *COMMON[:4], quality={**TWO, "target_confidence": 0.99})
    await here.launch()
    await here.say(CAT, DOG)
    first, *_ = (await here.operator.get(f"{here.path}/review"))["items"]
    await here.operator.post(f"/v1/tasks/{first['id']}/review", {"label": OWL})
    report = await here.operator.get(f"{here.path}/quality")
    assert (report["settled"], report["settled_by_review"], report["in_review"]) == (1, 1, 3)
    assert report["share_reviewed"] == 1
    assert report["accuracy"] is None, "a reviewer's decision is no answer"


@pytest.mark.long
async def test_an_audit_comes_before_gold_and_what_is_settled_later_widens_it(
    world: World,
) -> None:
    here = await worked(world)
    settled = (await here.operator.get(f"{here.path}/quality"))["settled_by_answers"]
    audit = await here.operator.post(f"{here.path}/audits", {"size": settled})
    path = f"{here.path}/audits/{audit['id']}"
    assert (await here.operator.get(f"{here.path}/quality"))["accuracy"]["method"] == "gold"
    while (task := (await here.operator.get(f"{path}/next"))["task"]) is not None:
        await here.operator.post(f"{path}/tasks/{task['task_id']}", {"label": CAT})
    report = await here.operator.get(f"{here.path}/quality")
    assert (report["accuracy"]["method"], report["calibration"]["method"]) == ("audit", "audit")
    known = report["accuracy"]["sample"]["labels"]
    assert report["accuracy"]["low"] == 1
    await here.pictures("late.jpg")
    await here.operator.post(f"{here.path}/launch")
    await here.judge()
    await here.say(CAT, CAT)
    wider = (await here.operator.get(f"{here.path}/quality"))["accuracy"]
    assert wider["sample"]["later"] == 1
    assert wider["low"] == pytest.approx(known / (known + 1), abs=1e-4)
    assert wider["low"] < wider["value"] <= wider["high"] == 1


async def test_where_things_are_drawn_there_are_no_classes_and_no_gold_tells(world: World) -> None:
    operator, project = await world.launched(1, gold=1)
    report = await operator.get(f"/v1/projects/{project['id']}/quality")
    assert (report["classes"], report["accuracy"]) == (None, None)


async def test_only_one_report_is_made_at_a_time_and_reviewers_may_read_it(world: World) -> None:
    here = await court(world, *COMMON[:3])
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    calls = [reviewer.call("GET", f"{here.path}/quality") for _ in range(4)]
    got = sorted(each.status_code for each in await asyncio.gather(*calls))
    assert got[0] == 200
    assert set(got) <= {200, 503}
    finance = await world.member(here.operator, here.project["organisation_id"], Role.FINANCE)
    await finance.get(f"{here.path}/quality", status=403)
    stranger, _ = await world.operator()
    await stranger.get(f"{here.path}/quality", status=404)


POPULATION, SIZE, AUDITS = 60, 15, 120


async def test_the_intervals_of_many_audits_hold_the_real_accuracy(world: World) -> None:
    """Every tenth label is wrong; nobody looks, as it is known here."""
    here = await court(world)
    project_id = UUID(here.project["id"])
    ids = [uuid4() for _ in range(POPULATION)]
    settled = {"state": TaskState.SETTLED, "settled_by": "consensus", "confidence": 0.9}
    async with db.transaction(world.sessions) as session:
        await session.execute(
            insert(Task),
            [
                {"project_id": project_id, "id": each, "tile_id": uuid4(), "label": CAT, **settled}
                for each in ids
            ],
        )
    wrong = set(ids[::10])
    rights = {UUID(here.project["organisation_id"]): frozenset(Right)}
    me = UUID((await here.operator.get("/v1/me"))["person_id"])
    caller = Caller(me, PersonKind.OPERATOR, rights)
    held, drawn = 0, dict.fromkeys(ids, 0)
    for _ in range(AUDITS):
        async with db.transaction(world.sessions) as session:
            audit = await audits.draw(
                session, project_id, size=SIZE, right_from=None, caller=caller
            )
            rows = await session.scalars(
                text("SELECT task_id FROM audit_tasks WHERE audit_id = :id"), {"id": audit.id}
            )
            for task_id in rows.all():
                drawn[task_id] += 1
            await session.execute(
                text(
                    "UPDATE audit_tasks SET is_right = task_id <> ALL(CAST(:wrong AS uuid[])) "
                    "WHERE audit_id = :id"
                ),
                {"id": audit.id, "wrong": list(wrong)},
            )
            told = of_sample(await audits.found(session, audit))
            assert told is not None
            held += told.low <= 1 - len(wrong) / POPULATION <= told.high
    assert held / AUDITS >= 0.95 - 3 * (0.95 * 0.05 / AUDITS) ** 0.5
    # each is drawn in a quarter of the audits; five standard errors
    expected, error = AUDITS * SIZE / POPULATION, (AUDITS * 0.25 * 0.75) ** 0.5
    assert all(abs(times - expected) < 5 * error for times in drawn.values())


async def test_a_dataset_says_how_right_it_is_and_how_that_is_known(world: World) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    policy = {"min_overlap": 1, "max_overlap": 1, "redo": 0, "target_confidence": 0.5}
    about = {"kind": "classify", "label_schema": {"classes": [
        {"id": 1, "name": "cat", "colour": "#e6194b"},
        {"id": 2, "name": "dog", "colour": "#3cb44b"},
    ]}}  # fmt: skip
    project = await world.project(operator, organisation_id, quality=policy, **about)
    files = [(f"{number}.jpg", photograph()) for number in range(4)]
    await world.images(operator, project["id"], files)
    await operator.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    here = Court(world, operator, project, {})
    (earner,) = await here.earners(1)
    answers = [
        {"lease_id": each["lease_id"], "fence": each["fence"], "outcome": "answered", "answer": CAT}
        for each in await here.lease(earner)
    ]
    await earner.post("/v1/work/answers", {"answers": answers})
    await here.judge()
    before = orjson.loads((await here.dataset())["manifest.json"])
    assert before["estimated_accuracy"] is None
    audit = await operator.post(f"{here.path}/audits", {"size": 3})
    path = f"{here.path}/audits/{audit['id']}"
    for label in (CAT, CAT, DOG):
        task = (await operator.get(f"{path}/next"))["task"]
        await operator.post(f"{path}/tasks/{task['task_id']}", {"label": label})
    told = orjson.loads((await here.dataset())["manifest.json"])["estimated_accuracy"]
    assert told["method"] == "audit"
    assert told["sample"] == {"size": 3, "right": 2, "labels": 3, "later": 0}
    # two of the three are right for sure; the fourth may be
    assert (told["low"], told["high"]) == (0.6666, 1.0)
    assert told["value"] == pytest.approx(2 / 3 * 4 / 3, abs=1e-4)
