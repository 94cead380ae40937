"""Verify goes the whole way: people look at what a model has predicted of real photographs.

Through the HTTP API. Half of the gold is shown wrong, so that nobody can say yes to everything.
"""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tessera.accounts.models import Role
from tessera.assignment.models import Answer
from tessera.kernel import db
from tests.client import As
from tests.quality.court import given
from tests.stories.opened import coco_boxes, coco_of, compare, datumaro_of, same_boxes
from tests.stories.real_coins import (
    COIN,
    LARGE,
    Known,
    Photograph,
    as_drawn,
    known,
    photographs,
    schema_of,
)
from tests.stories.test_every_kind import TILES, Project, dataset, key_of
from tests.world import World

QUALITY = {"min_overlap": 2, "max_overlap": 2, "target_confidence": 0.9, "minimum_trust": 0.9}
"""Two people agree, or a reviewer decides. Four gold stop who is right on half of them."""
YES = {"verdict": "yes"}
MISSING = {"verdict": "no", "reason": "missing"}
NO_ANSWERS: tuple[dict[str, Any], ...] = (
    {"verdict": "maybe"},
    {"verdict": "no"},
    {"verdict": "yes", "reason": "missing"},
    {"verdict": "fix", "label": {"objects": [{"class": 9, "box": [1, 1, 9, 9]}]}},
)
Lease = dict[str, Any]


def predicted(photo: Photograph, *, wrong: int) -> Known:
    """What a model says: with so many mistakes, each of its own sort."""
    missing, renamed, moved, *rest = known(photo, "box")
    mistakes: list[Known] = [
        [],
        [{**renamed, "class": COIN + LARGE - renamed["class"]}],
        [{**moved, "box": [edge + 25 for edge in moved["box"]]}],
        [{"class": COIN, "box": [5, 5, 45, 30]}],
    ]
    right: list[Known] = [[missing], [renamed], [moved], []]
    said = mistakes[:wrong] + right[wrong:]
    return [*rest, *(each for some in said for each in some)]


def is_right(here: Project, lease: Lease) -> bool:
    """Whether all coins that can be seen well are there, under their names, and nothing else is."""
    there, question = here.question(key_of(lease["picture"]["url"]))
    left, top, *_ = question.frame.window
    width, height = question.tile

    def told(objects: Known) -> set[tuple[Any, ...]]:
        return {(each["class"], *each["box"]) for each in objects}

    shown: Known = []
    for each in there:
        x0, y0, x1, y1 = each["box"]
        box = [max(x0 - left, 0), max(y0 - top, 0), min(x1 - left, width), min(y1 - top, height)]
        shown.append({**each, "box": [round(edge, 2) for edge in box]})
    needed = told(as_drawn("box", there, question, (0, 0))["objects"])
    return needed <= told(lease["subject"]["label"]["objects"]) <= told(shown)


class Desk:
    """A project of people who look at boxes on three photographs, the last of which is gold."""

    def __init__(self, project: Project, organisation_id: str) -> None:
        self.project, self.organisation_id = project, organisation_id
        self.world, self.operator = project.world, project.operator
        self.disputed, self.returned = "", ""
        """Tiles of which people disagree, and of which they say only that something is missing."""

    async def work(self, earner: As, say: Any) -> None:
        """Answer all there is, until there is no more or one is stopped."""
        wanted = {"project_id": self.project.id, "count": 4}
        while leases := (await earner.call("POST", "/v1/work/leases", wanted)).json().get("leases"):
            body = [given(each, say(each)) for each in leases]
            taken = await earner.post("/v1/work/answers", {"answers": body})
            assert all(each["accepted"] for each in taken["results"]), taken
            await self.world.work.jobs()

    def looks(self, off: tuple[int, int], *, gullible: bool) -> Any:
        """Somebody who corrects what is wrong, by a hand of their own."""

        def say(lease: Lease) -> dict[str, Any]:
            key = key_of(lease["picture"]["url"])
            if is_right(self.project, lease) or (gullible and key == self.disputed):
                return YES
            if key == self.returned:
                return MISSING
            return fixed(self.project, key, off)

        return say

    async def tasks(self) -> dict[str, dict[str, Any]]:
        """By the key of the tile's picture."""
        return {
            key: await self.operator.get(f"/v1/tasks/{each}")
            for key, each in self.project.tasks.items()
        }


def fixed(project: Project, key: str, off: tuple[int, int]) -> dict[str, Any]:
    return {"verdict": "fix", "label": as_drawn("box", *project.question(key), off)}


async def a_desk(world: World) -> Desk:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    schema = {**schema_of("box"), "of": "box"}
    asked = {"kind": "verify", "label_schema": schema, "slicing": TILES, "quality": QUALITY}
    made = await world.project(operator, organisation_id, **asked)
    plain, other, gold = photographs()
    files = [(each.name, each.jpeg) for each in (plain, other, gold)]
    await world.images(operator, made["id"], files)
    path, wrong = f"/v1/projects/{made['id']}", {plain: 4, other: 1, gold: 0}
    said = [
        {"file_name": each.name, "objects": predicted(each, wrong=number)}
        for each, number in wrong.items()
    ]
    taken = await operator.post(f"{path}/predictions", {"images": said})
    assert [each["tasks"] for each in taken] == [4, 4, 4]
    truth = {"file_name": gold.name, "objects": known(gold, "box")}
    (taken,) = await operator.post(f"{path}/gold", {"images": [truth]})
    assert taken["gold_tasks"] == 4
    await operator.post(f"{path}/launch")
    await world.work.jobs()
    desk = Desk(Project(world, operator, made, "box"), organisation_id)
    await desk.project.look()
    wrong_ones = [key for key, each in (await desk.tasks()).items() if not seen_right(desk, each)]
    of = {key: desk.project.frames[key][0] for key in wrong_ones}
    desk.disputed = min(key for key, photo in of.items() if photo is plain)
    desk.returned = min(key for key, photo in of.items() if photo is other)
    return desk


def seen_right(desk: Desk, task: dict[str, Any]) -> bool:
    return is_right(desk.project, {"picture": task["tile"], "subject": task["subject"]})


@pytest.mark.usefixtures("gold_first")
async def test_a_verify_project_goes_the_whole_way_from_predictions_to_what_others_read(
    world: World, tmp_path: Path
) -> None:
    desk = await a_desk(world)
    lazy, *careful = [await world.earner() for _ in range(3)]
    await refused(desk, lazy)
    await desk.work(lazy, lambda _: YES)
    await desk.work(careful[0], desk.looks((0, 0), gullible=False))
    await desk.work(careful[1], desk.looks((1, 0), gullible=True))
    await judged_by_gold(desk, lazy, careful)
    await agreed(desk)
    await reviewed(desk)
    await paid_for_what_was_right(desk, lazy)
    files = await dataset(desk.project)
    gold = json.loads(files["manifest.json"])["gold"]
    assert gold == {"answers": 10, "mean_score": 1.0}, "of those that were paid for"
    coco, archive = (
        coco_of(files["coco.json"], tmp_path),
        datumaro_of(files["datumaro.tar"], tmp_path),
    )
    for photo in photographs():
        truth = known(photo, "box")
        same_boxes(coco_boxes(coco, photo.name), truth, within=1.0)
        compare(archive, photo.name, truth, photo.size, within=1.0)


async def refused(desk: Desk, earner: As) -> None:
    """What is no verdict, and a fix that changes nothing."""
    wanted = {"project_id": desk.project.id, "count": 1}
    (lease,) = (await earner.post("/v1/work/leases", wanted))["leases"]
    for answer in (*NO_ANSWERS, {"verdict": "fix", "label": lease["subject"]["label"]}):
        body = {"answers": [given(lease, answer)]}
        problem = await earner.post("/v1/work/answers", body, status=422)
        assert problem["code"] == "invalid-answer", problem
    await earner.post("/v1/work/answers", {"answers": [given(lease, YES)]})


async def judged_by_gold(desk: Desk, lazy: As, careful: list[As]) -> None:
    """Who says yes to everything is wrong on half of the gold, and stopped."""
    path = f"/v1/work/offers/{desk.project.id}"
    reason = (await lazy.get(path))["blocked_reason"]
    assert reason.startswith("Your last check tasks were about "), reason
    assert reason.endswith("% right; this project asks for 90 %.")
    for each in careful:
        assert (await each.get(path))["blocked_reason"] is None
        states = {earning["state"] for earning in (await each.get("/v1/earnings"))["items"]}
        assert "rejected" not in states


async def paid_for_what_was_right(desk: Desk, lazy: As) -> None:
    """Who was stopped is paid where yes was right, of gold as of others, and nowhere else."""
    states = {each["state"] for each in (await lazy.get("/v1/earnings"))["items"]}
    assert states == {"rejected", "approved"}
    async with db.reading(desk.world.sessions) as reader:
        rows = await reader.execute(
            select(Answer.value, Answer.verdict, Answer.score).where(
                Answer.project_id == UUID(desk.project.id), Answer.score.is_not(None)
            )
        )
        scores = rows.all()
    rejected = sorted(score for _, verdict, score in scores if verdict == "rejected")
    assert rejected == [0, 0]
    others = [
        (value["verdict"], score) for value, verdict, score in scores if verdict != "rejected"
    ]
    assert sorted(others) == [("fix", 1.0)] * 4 + [("yes", 1.0)] * 6


async def agreed(desk: Desk) -> None:
    """What was right stays, what was wrong is fixed, and the rest is for a reviewer."""
    tasks = await desk.tasks()
    ordinary = {key: each for key, each in tasks.items() if not each["is_gold"]}
    assert len(ordinary) == len(tasks) - 4
    for key, task in ordinary.items():
        if key in {desk.disputed, desk.returned}:
            assert task["state"] == "review"
            continue
        assert (task["state"], task["settled_by"]) == ("settled", "consensus")
        assert task["label"]["verdict"] == ("yes" if seen_right(desk, task) else "fix")
    verdicts = [
        each["label"]["verdict"] for each in ordinary.values() if each["state"] == "settled"
    ]
    assert set(verdicts) == {"yes", "fix"}
    reasons = {key: tasks[key]["review_reason"] for key in (desk.disputed, desk.returned)}
    assert reasons == {desk.disputed: "no-agreement", desk.returned: "found-wrong"}


async def reviewed(desk: Desk) -> None:
    """A reviewer decides what people could not."""
    reviewer = await desk.world.member(desk.operator, desk.organisation_id, Role.REVIEWER)
    queue = (await reviewer.get(f"{desk.project.path}/review"))["items"]
    ids = {desk.project.tasks[key]: key for key in (desk.disputed, desk.returned)}
    assert {each["id"] for each in queue} == ids.keys()
    for task_id, key in ids.items():
        path = f"/v1/tasks/{task_id}/review"
        problem = await reviewer.post(path, {"label": {"verdict": "no"}}, status=422)
        assert problem["code"] == "invalid-answer"
        label = fixed(desk.project, key, (0, 0))
        decided = await reviewer.post(path, {"label": label})
        assert (decided["state"], decided["settled_by"]) == ("settled", "review")
    assert (await reviewer.get(f"{desk.project.path}/review"))["items"] == []
