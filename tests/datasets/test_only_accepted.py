"""No pay, no data: what a dataset says comes from answers that were accepted, and from no other."""

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.client import As
from tests.datasets.reading import as_lines, as_rows
from tests.quality.court import Court
from tests.quality.own_world import world_of_its_own
from tests.seeds import seeds
from tests.world import BOX_SCHEMA, World, coco

GOLD = [f"gold {number}.jpg" for number in range(8)]
COMMON = [f"common {number}.jpg" for number in range(20)]
COIN, CUP = 1, 2
SHIFT = 35
"""Pixels by which liars draw too large: little enough to be taken for the same object."""
MISSED = 3
"""Of so many gold liars miss one: too much for this project, and too little to be outvoted."""
QUALITY = {
    "min_overlap": 2,
    "max_overlap": 3,
    "redo": 4,
    "gold_share": 0.3,
    "minimum_trust": 0.95,
    "target_confidence": 0.7,
}
Box = list[float]
Json = dict[str, Any]


@dataclass(frozen=True)
class Object:
    """As a file of a dataset has it; edges in the image's pixels."""

    image: str
    class_id: int
    box: Box
    source: str


@dataclass(frozen=True)
class Labeller:
    """Who lies misses some gold, and is nearly right about the rest: a fused box would show it."""

    earner: As
    lies: bool
    rng: random.Random
    gold_seen: Iterator[int] = field(default_factory=count)

    def says(self, image: str) -> Json:
        if image in GOLD:
            missed = self.lies and next(self.gold_seen) % MISSED == 0
            return _drawn((CUP, [150, 150, 200, 200])) if missed else _drawn(_known())
        left, top, right, bottom = true_box(image)
        wide = SHIFT if self.lies else 0
        coin = [left, top, right + wide, bottom + wide]
        mine = COIN, [edge + self.rng.uniform(-2, 2) for edge in coin]
        corner = self.rng.uniform(1, 10)
        cup = CUP, [corner, corner, corner + 20, corner + 20]
        return _drawn(mine, cup) if self.lies and self.rng.random() < 0.3 else _drawn(mine)


def true_box(image: str) -> Box:
    rng = random.Random(image)
    left, top = rng.randint(60, 100), rng.randint(60, 100)
    return [left, top, left + rng.randint(70, 100), top + rng.randint(70, 100)]


def _known() -> tuple[int, Box]:
    return COIN, [20, 20, 80, 60]


def _drawn(*boxes: tuple[int, Box]) -> Json:
    return {"objects": [{"class": class_id, "box": box} for class_id, box in boxes]}


@pytest.fixture
async def outside(settings: Settings, superuser: asyncpg.Connection) -> AsyncIterator[World]:
    async with world_of_its_own(settings, superuser) as world:
        yield world


async def a_project(world: World) -> Court:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    project = await world.project(
        operator, organisation_id, kind="box", label_schema=BOX_SCHEMA, quality=QUALITY
    )
    here = Court(world, operator, project, {})
    await here.pictures(*GOLD, *COMMON)
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE images SET ready_at = now()"))
    await operator.post(f"{here.path}/gold", {"coco": coco(GOLD)})
    await here.launch()
    return here


async def history(here: Court, rng: random.Random) -> list[Labeller]:
    """A liar is the first, and takes much, a few at a time: so there is gold in it.

    Then people come and go, and judging happens now and then.
    """
    earners = await here.earners(9)
    people = [Labeller(each, lies=i % 3 == 0, rng=rng) for i, each in enumerate(earners)]
    first = people[0]
    await here.answer(first.earner, await here.lease(first.earner, 20), first.says)
    await here.judge()
    for _ in range(40):
        one = rng.choice(people)
        body = {"project_id": here.project["id"], "count": rng.randint(1, 6)}
        response = await one.earner.call("POST", "/v1/work/leases", body)
        await here.answer(one.earner, response.json().get("leases", []), one.says)
        if rng.random() < 0.3:
            await here.judge()
    await here.judge()
    for person in (each for each in people if not each.lies):
        await here.work(person.earner, person.says)
    await here.judge()
    async with db.transaction(here.world.sessions) as session:  # nobody corrects anything
        await session.execute(
            text(
                "UPDATE answers SET repair_until = now() - interval '1 s'"
                " WHERE repair_until IS NOT NULL"
            )
        )
    await here.world.work.sweep("decide-repairs")
    return people


async def objects(here: Court) -> list[Object]:
    """All that a dataset built now says, in each of its three forms."""
    files = await here.dataset()
    file = json.loads(files["coco.json"])
    names = {each["id"]: each["file_name"] for each in file["images"]}
    in_coco = [
        Object(names[each["image_id"]], each["category_id"], _edges(each["bbox"]), each["source"])
        for each in file["annotations"]
    ]
    in_lines = [
        Object(line["name"], each["class_id"], each["place"]["box"], each["source"])
        for line in as_lines(files["labels.jsonl"])
        for each in line["objects"]
    ]
    in_rows = [
        Object(
            row["image_name"],
            row["class_id"],
            [row[edge] for edge in ("left", "top", "right", "bottom")],
            row["source"],
        )
        for row in as_rows(files["labels.parquet"])
        if row["object_id"] is not None
    ]
    assert len(in_coco) == len(in_lines) == len(in_rows)
    return in_coco + in_lines + in_rows


def _edges(bbox: Sequence[float]) -> Box:
    left, top, width, height = bbox
    return [left, top, left + width, top + height]


def comes_from(one: Object, answers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no edge lies further out or in than in the answers that saw such a thing."""
    drawn = [
        box["box"]
        for each in answers
        for box in each["value"]["objects"]
        if box["class"] == one.class_id
    ]
    edges = list(zip(*drawn, strict=True))
    return bool(edges) and all(
        min(all_) - 0.01 <= edge <= max(all_) + 0.01
        for edge, all_ in zip(one.box, edges, strict=True)
    )


@pytest.mark.parametrize("seed", seeds(12))
async def test_m21_rejected_answers_are_in_no_dataset(outside: World, seed: int) -> None:
    here = await a_project(outside)
    people = await history(here, random.Random(seed))
    tasks = await here.tasks()
    said = [answer for name in COMMON for answer in tasks[name]["answers"]]
    rejected = {each["lease_id"] for each in said if each["verdict"] == "rejected"}
    assert rejected, "liars were found out, with answers that nobody had decided about"

    found = await objects(here)
    assert len({each.image for each in found if each.source == "consensus"}) > len(COMMON) / 2
    for one in found:
        if one.source == "consensus":
            answers = tasks[one.image]["answers"]
            accepted = [each for each in answers if each["verdict"] == "accepted"]
            assert comes_from(one, accepted), (one, answers)
    for person in people:
        for earning in await here.earnings(person.earner):
            assert (earning["lease_id"] in rejected) <= (earning["state"] == "rejected")
