"""Join goes the whole way: people tell which pieces are of one coin, and some of them are judged.

On a real photograph, through the HTTP API. Nobody can know before what will be asked, so that gold
is made of what was settled.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import shapely
from sqlalchemy import select

from tessera.accounts.models import Role
from tessera.assignment.models import Answer
from tessera.kernel import db
from tests.client import As
from tests.quality.court import given
from tests.stories.chains import Chain, a_chain
from tests.stories.opened import coco_boxes, coco_of, compare, datumaro_of, same_boxes
from tests.stories.test_every_kind import key_of
from tests.world import World

QUALITY = {"min_overlap": 2, "max_overlap": 2, "redo": 3, "target_confidence": 0.9}
"""Two people agree, or a reviewer decides; three more can be asked, as gold."""
SHARE = 0.14
"""How much of a coin's width somebody draws who does not look: so little that it is a doubt."""
GOLD = 4
NO_ANSWERS: tuple[dict[str, Any], ...] = (
    {"verdict": "maybe"},
    {"verdict": "yes", "reason": "extra"},
    {"objects": []},
)
Lease = dict[str, Any]
Say = Callable[[Lease], dict[str, Any]]


def careless(chain: Chain) -> dict[str, dict[str, Any]]:
    """What is drawn on each tile: on two, only the left of coins that one other shows, too."""
    in_order = sorted(chain.frames, key=lambda key: chain.frames[key].window)
    labels = {key: chain.drawn(key) for key in chain.frames}
    for tile in (in_order[0], in_order[-1]):
        left, top, *_ = chain.frames[tile].window
        others = [shapely.box(*chain.frames[key].window) for key in in_order if key != tile]
        for each in labels[tile]["objects"]:
            x0, y0, x1, y1 = each["box"]
            there = shapely.box(x0 + left, y0 + top, x1 + left, y1 + top)
            seen = [window for window in others if window.intersects(there)]
            if len(seen) == 1 and seen[0].contains(there):
                each["box"] = [x0, y0, round(x0 + SHARE * (x1 - x0), 2), y1]
    return labels


def of_one_coin(chain: Chain, lease: Lease) -> dict[str, Any]:
    left, top, *_ = chain.frames[key_of(lease["picture"]["url"])].window
    coins = [shapely.box(*each["box"]) for each in chain.photo.known("box")]
    whose = set()
    for end in ("first", "second"):
        x0, y0, x1, y1 = lease["subject"][end]["box"]
        piece = shapely.box(x0 + left, y0 + top, x1 + left, y1 + top)
        whose.add(max(range(len(coins)), key=lambda at: coins[at].intersection(piece).area))
    return {"verdict": "yes" if len(whose) == 1 else "no"}


def opposite(answer: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": "no" if answer["verdict"] == "yes" else "yes"}


def named(subject: dict[str, Any]) -> str:
    """Which two pieces are asked about."""
    return json.dumps([subject["first"], subject["second"]])


class Desk:
    """A stage that joins, and what it asks, in an order of its own."""

    def __init__(self, chain: Chain, tasks: dict[str, str]) -> None:
        self.chain, self.tasks = chain, tasks
        self.path = f"/v1/projects/{chain.stages['join']}"
        self.early, self.disputed = sorted(tasks)[:GOLD], max(tasks)

    async def task(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.chain.operator.get(f"/v1/tasks/{self.tasks[name]}")
        return found

    def truly(self, lease: Lease) -> dict[str, Any]:
        return of_one_coin(self.chain, lease)

    async def work(self, earner: As, say: Say, *, only: set[str] | None = None) -> int:
        """Answer all there is, until stopped; give back what is not of those wanted."""
        wanted, count = {"project_id": self.chain.stages["join"], "count": 8}, 0
        while leases := (await earner.call("POST", "/v1/work/leases", wanted)).json().get("leases"):
            mine = [e for e in leases if only is None or named(e["subject"]) in only]
            back = [each["lease_id"] for each in leases if each not in mine]
            if back:
                asked = {"lease_ids": back, "reason": "later"}
                await earner.post("/v1/work/leases/return", asked)
            if mine:
                body = {"answers": [given(each, say(each)) for each in mine]}
                taken = await earner.post("/v1/work/answers", body)
                assert all(each["accepted"] for each in taken["results"]), taken
            count += len(mine)
            await self.chain.world.work.jobs()
        return count


async def a_desk(world: World) -> Desk:
    chain = await a_chain(world, "draw")
    await chain.add("join", "draw", quality=QUALITY)
    labels = careless(chain)
    await chain.work("draw", lambda key, _: labels[key])
    path = f"/v1/projects/{chain.stages['join']}"
    await chain.operator.post(f"{path}/launch")
    await world.work.jobs()
    listed = (await chain.operator.get(f"{path}/tasks?limit=200"))["items"]
    assert {each["state"] for each in listed} == {"open"}
    tasks = {named(each["subject"]): each["id"] for each in listed}
    assert len(tasks) == len(listed)
    return Desk(chain, tasks)


@pytest.mark.usefixtures("gold_first")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
async def test_a_join_goes_the_whole_way_from_pieces_to_what_others_read(
    world: World, tmp_path: Path
) -> None:
    desk = await a_desk(world)
    assert len(desk.tasks) > GOLD + 1
    await refused(desk)
    for earner in [await world.earner() for _ in range(2)]:
        assert await desk.work(earner, desk.truly, only=set(desk.early)) == GOLD
    await made_gold(desk)
    contrary, careful, mistaken = [await world.earner() for _ in range(3)]
    assert await desk.work(contrary, lambda lease: opposite(desk.truly(lease))) > GOLD
    assert await desk.work(careful, desk.truly) == len(desk.tasks)

    def once_wrong(lease: Lease) -> dict[str, Any]:
        right = desk.truly(lease)
        return opposite(right) if named(lease["subject"]) == desk.disputed else right

    assert await desk.work(mistaken, once_wrong) == len(desk.tasks)
    await judged_by_gold(desk, contrary, [careful, mistaken])
    await reviewed(desk)
    await paid_for_what_was_right(desk, contrary)
    await read_by_others(desk, tmp_path)


async def refused(desk: Desk) -> None:
    """What is no verdict."""
    somebody = await desk.chain.world.earner()
    lease, *_ = await desk.chain.lease(somebody, "join")
    for answer in NO_ANSWERS:
        body = {"answers": [given(lease, answer)]}
        problem = await somebody.post("/v1/work/answers", body, status=422)
        assert problem["code"] == "invalid-answer", problem
    held = (await somebody.get("/v1/work/leases"))["leases"]
    back = {"lease_ids": [each["lease_id"] for each in held], "reason": "skip"}
    await somebody.post("/v1/work/leases/return", back)


async def made_gold(desk: Desk) -> None:
    """What two have agreed on becomes gold; what is still asked cannot."""
    operator = desk.chain.operator
    for name in desk.early:
        task = await desk.task(name)
        assert (task["state"], task["settled_by"]) == ("settled", "consensus")
        gold = await operator.post(f"/v1/tasks/{task['id']}/gold", status=201)
        assert (gold["expected"]["verdict"], gold["source"]) == ("yes", "settled")
    path = f"/v1/tasks/{desk.tasks[desk.disputed]}/gold"
    assert (await operator.post(path, status=409))["code"] == "not-settled"


async def judged_by_gold(desk: Desk, contrary: As, careful: list[As]) -> None:
    """Who is wrong on all gold is told so, and stopped; who is right goes on."""
    offer = f"/v1/work/offers/{desk.chain.stages['join']}"
    reason = (await contrary.get(offer))["blocked_reason"]
    assert reason == "You missed 4 of 4 check tasks; this project asks for 60 %."
    for each in careful:
        assert (await each.get(offer))["blocked_reason"] is None


async def paid_for_what_was_right(desk: Desk, contrary: As) -> None:
    """Once all is settled, who was wrong about everything gets nothing for it."""
    (state,) = {each["state"] for each in (await contrary.get("/v1/earnings"))["items"]}
    assert state == "rejected"
    project_id = UUID(desk.chain.stages["join"])
    async with db.reading(desk.chain.world.sessions) as reader:
        rows = await reader.execute(
            select(Answer.verdict, Answer.score).where(
                Answer.project_id == project_id, Answer.score.is_not(None)
            )
        )
        scores = sorted((score, str(verdict) == "rejected") for verdict, score in rows)
    assert scores == [(0, True)] * GOLD + [(1, False)] * 2 * GOLD


async def reviewed(desk: Desk) -> None:
    """A reviewer decides about the two pieces on which people disagree, and about nothing else."""
    chain = desk.chain
    reviewer = await chain.world.member(chain.operator, chain.organisation_id, Role.REVIEWER)
    (left,) = (await reviewer.get(f"{desk.path}/review"))["items"]
    assert (named(left["subject"]), left["review_reason"]) == (desk.disputed, "no-agreement")
    run = await chain.operator.post(f"{desk.path}/datasets", {"formats": ["coco"]})
    await chain.world.work.jobs()
    run = await chain.operator.get(f"/v1/dataset-runs/{run['id']}")
    assert run["state"] == "failed", "as long as it is in doubt, the image is not finished"
    path = f"/v1/tasks/{left['id']}/review"
    problem = await reviewer.post(path, {"label": {"verdict": "fix"}}, status=422)
    assert problem["code"] == "invalid-answer"
    decided = await reviewer.post(path, {"label": {"verdict": "yes"}})
    assert (decided["state"], decided["settled_by"]) == ("settled", "review")


async def read_by_others(desk: Desk, folder: Path) -> None:
    """Without people's word there are too many coins; with it, exactly those that there are."""
    chain, truth = desk.chain, desk.chain.photo.known("box")
    name = chain.photo.name
    drawn = await chain.dataset("draw", "coco")
    assert len(coco_boxes(coco_of(drawn["coco.json"], folder), name)) > len(truth)
    files = await chain.dataset("join", "coco", "datumaro")
    same_boxes(coco_boxes(coco_of(files["coco.json"], folder), name), truth, within=1.0)
    archive = datumaro_of(files["datumaro.tar"], folder)
    compare(archive, name, truth, chain.photo.size, within=1.0)
    gold = json.loads(files["manifest.json"])["gold"]
    assert gold == {"answers": 2 * GOLD, "mean_score": 1.0}, "of those that were paid for"
