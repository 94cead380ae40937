"""Every kind goes the whole way: asked, answered, checked, agreed upon, merged, written, read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
import pytest
import shapely
from sqlalchemy import select

from tessera.assignment.models import Answer
from tessera.formats import FORMATS
from tessera.kernel import db
from tessera.kinds import KINDS, Question, TileFrame, Window
from tests.client import As
from tests.quality.court import given
from tests.stories.opened import coco_of, compare, datumaro_of, whole
from tests.stories.real_coins import (
    COIN,
    GROUND,
    LARGE,
    Known,
    Photograph,
    as_drawn,
    kind_of,
    known,
    parts,
    photographs,
    schema_of,
)
from tests.world import World

TILES = {"tile": 256, "margin": 48}
QUALITY = {"min_overlap": 2, "max_overlap": 3, "gold_share": 0.3, "minimum_trust": 0.7}
HANDS = ((0, 0), (1, 0), (0, 1), (-1, 0))
FLOORS = {
    "classify": 1.0,
    "box": 1.0,
    "polygon": 0.93,
    "polyline": 0.93,
    "instance_mask": 0.93,
    "semantic_mask": 0.93,
    "keypoints": 0.9,
    "cuboid": 0.9,
    "rotated box": 1.0,
    "polygon with holes": 0.9,
    "several classes": 1.0,
    "cuboid in metres": 0.9,
}
"""Score of the dataset against the truth. Hands are off by a pixel in 40: that takes about a
twentieth of an IoU, a tenth of the similarity of points, and brings no box below an IoU of a half.
"""
USUAL = ("box", "semantic_mask")
"""The others go the way of one of these, but for what their unit tests look at: among the long."""
WITHIN = dict.fromkeys(FLOORS, 1.0) | {"polyline": 2.0, "polygon": 3.0, "polygon with holes": 3.0}
"""Pixels that a place in the dataset may be off. Where hands are two pixels apart, corners of what
they agree on are cut, and the outline of a notch is divided between them.
"""


class Project:
    """One kind, asked of people about three photographs, the last of which is gold.

    To classify, about small parts of them, of which four are gold.
    """

    def __init__(self, world: World, operator: As, made: Mapping[str, Any], way: str) -> None:
        self.world, self.operator, self.way = world, operator, way
        self.kind = kind_of(way)
        self.path = f"/v1/projects/{made['id']}"
        self.id = made["id"]
        self.photos = parts() if self.kind == "classify" else photographs()
        self.plain, self.other, *_ = self.photos
        self.gold = self.photos[-4:] if self.kind == "classify" else self.photos[-1:]
        self.frames: dict[str, tuple[Photograph, TileFrame]] = {}
        """By the key of the tile's picture, as earners see it."""
        self.tasks: dict[str, str] = {}

    async def look(self) -> None:
        images = (await self.operator.get(f"{self.path}/images"))["items"]
        shown = {
            each["id"]: photo
            for each in images
            for photo in self.photos
            if photo.name == each["name"]
        }
        for task in (await self.operator.get(f"{self.path}/tasks?limit=200"))["items"]:
            tile = (await self.operator.get(f"/v1/tasks/{task['id']}"))["tile"]
            photo = shown[tile["image_id"]]
            frame = TileFrame(Window(*tile["window"]), Window(*tile["core"]), photo.size)
            self.frames[key_of(tile["url"])] = (photo, frame)
            self.tasks[key_of(tile["url"])] = task["id"]

    def question(self, key: str) -> tuple[Known, Question]:
        photo, frame = self.frames[key]
        return known(photo, self.way), Question(photo.whole(self.way).schema, frame)

    async def work(self, earner: As, off: tuple[int, int] | None) -> None:
        """Answer all there is, by a hand of one's own; or with nothing at all, until stopped.

        What is no answer of this kind is refused, and the lease stays good.
        """
        wanted = {"project_id": self.id, "count": 4}
        while leases := (await earner.call("POST", "/v1/work/leases", wanted)).json().get("leases"):
            await self.refused(earner, leases[0])
            body = []
            for lease in leases:
                there, question = self.question(key_of(lease["picture"]["url"]))
                said = (
                    NOTHING[self.kind] if off is None else as_drawn(self.kind, there, question, off)
                )
                body.append(given(lease, tapped(said) if off == HANDS[0] else said))
            taken = await earner.post("/v1/work/answers", {"answers": body})
            assert all(each["accepted"] for each in taken["results"]), taken
            await self.world.work.jobs()

    async def refused(self, earner: As, lease: dict[str, Any]) -> None:
        body = {"answers": [given(lease, NO_ANSWER)]}
        problem = await earner.post("/v1/work/answers", body, status=422)
        assert problem["code"] == "invalid-answer"


NO_ANSWER = {"objects": [{"class": 9}]}
NOTHING: dict[str, dict[str, Any]] = {kind: {"objects": []} for kind in KINDS} | {
    "semantic_mask": {"regions": []},
    "classify": {"classes": [GROUND]},
}


def tapped(said: dict[str, Any]) -> dict[str, Any]:
    """Upright boxes as four taps."""
    if "objects" not in said:
        return said
    return {"objects": [_taps(**each) if "box" in each else each for each in said["objects"]]}


def _taps(box: Sequence[float], **each: Any) -> dict[str, Any]:
    if len(box) > 4:
        return {"box": box, **each}
    left, top, right, bottom = box
    across, down = round((left + right) / 2, 2), round((top + bottom) / 2, 2)
    taps = [[across, top], [left, down], [across, bottom], [right, down]]
    return {"extremes": taps, **each}


def key_of(url: str) -> str:
    path = urlsplit(url).path
    return path[path.index("tiles/") :]


async def a_project(world: World, way: str) -> Project:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    kind = kind_of(way)
    made = await world.project(
        operator,
        organisation_id,
        kind=kind,
        label_schema=schema_of(way),
        slicing={"whole": True} if kind == "classify" else TILES,
        quality=QUALITY,
    )
    here = Project(world, operator, made, way)
    files = [(each.name, each.jpeg) for each in here.photos]
    images = await world.images(operator, made["id"], files)
    assert all(each["state"] == "ready" for each in images), images
    gold = [{"file_name": each.name, "objects": known(each, way)} for each in here.gold]
    taken = await operator.post(f"{here.path}/gold", {"images": gold})
    assert sum(each["gold_tasks"] for each in taken) == 4
    await operator.post(f"{here.path}/launch")
    await world.work.jobs()
    await here.look()
    return here


@pytest.mark.parametrize(
    "way", [pytest.param(w, marks=[pytest.mark.long] * (w not in USUAL)) for w in FLOORS]
)
@pytest.mark.usefixtures("gold_first")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
async def test_a_kind_goes_the_whole_way(world: World, way: str, tmp_path: Path) -> None:
    here = await a_project(world, way)
    await reviewed(here)
    people = [await world.earner() for _ in HANDS]
    lazy = await world.earner()
    for earner, off in zip([lazy, *people], [None, *HANDS], strict=True):
        await here.work(earner, off)
    await agreed_though_no_two_said_the_same(here)
    await rest_reviewed(here)
    await stopped(here, lazy, people)
    files = await dataset(here)
    await judged_by_gold(here, json.loads(files["manifest.json"]))
    images = {each["name"]: each for each in map(json.loads, files["labels.jsonl"].splitlines())}
    assert images.keys() == {photo.name for photo in here.photos}
    for photo in here.photos:
        score = score_of(way, photo, found_on(images[photo.name]))
        assert score >= FLOORS[way], f"{way}: {score}"
    compare_with_coco(here, images[here.plain.name], files["coco.json"], tmp_path)
    compare_with_datumaro(here, images, files["datumaro.tar"], tmp_path)


async def reviewed(here: Project) -> None:
    """A reviewer decides one task; first with something that is no answer of this kind."""
    key = next(key for key, (photo, _) in here.frames.items() if photo is here.other)
    path = f"/v1/tasks/{here.tasks[key]}/review"
    problem = await here.operator.post(path, {"label": NO_ANSWER}, status=422)
    assert problem["code"] == "invalid-answer"
    there, question = here.question(key)
    await here.operator.post(path, {"label": as_drawn(here.kind, there, question, (0, 0))})


async def rest_reviewed(here: Project) -> None:
    for key, task_id in here.tasks.items():
        task = await here.operator.get(f"/v1/tasks/{task_id}")
        if task["state"] == "review":
            there, question = here.question(key)
            label = as_drawn(here.kind, there, question, (0, 0))
            await here.operator.post(f"/v1/tasks/{task_id}/review", {"label": label})


async def agreed_though_no_two_said_the_same(here: Project) -> None:
    """Each hand is its own, so that what people agree upon is no one's answer sent twice."""
    tasks = [await here.operator.get(f"/v1/tasks/{each}") for each in here.tasks.values()]
    assert {each["state"] for each in tasks} <= {"settled", "review"}
    agreed = [each for each in tasks if each["settled_by"] == "consensus"]
    assert agreed
    for task in agreed:
        said = {json.dumps(each["value"]) for each in task["answers"]}
        assert len(task["answers"]) > 1
        assert here.kind == "classify" or len(said) == len(task["answers"])
    answers = [each["value"] for task in tasks for each in task["answers"]]
    kept = [o for each in answers for o in each.get("objects", []) if "extremes" in o]
    assert bool(kept) == (here.way == "box")


async def stopped(here: Project, lazy: As, people: Sequence[As]) -> None:
    """Who says nothing of all four gold is told so, and honest hands go on."""
    offers = f"/v1/work/offers/{here.id}"
    reason = (await lazy.get(offers))["blocked_reason"]
    assert reason == "You missed 4 of 4 check tasks; this project asks for 70 %."
    for each in people:
        assert (await each.get(offers))["blocked_reason"] is None


async def judged_by_gold(here: Project, manifest: dict[str, Any]) -> None:
    """Whoever says nothing fails at gold, and an honest hand does not.

    A version tells how good the answers are that it was paid for.
    """
    async with db.reading(here.world.sessions) as reader:
        scores = await reader.execute(
            select(Answer.value, Answer.score).where(
                Answer.project_id == UUID(here.id), Answer.score.is_not(None)
            )
        )
        rows = scores.all()
    empty = [score for value, score in rows if value == NOTHING[here.kind]]
    honest = [score for value, score in rows if value != NOTHING[here.kind]]
    assert max(empty) < 0.3
    assert min(honest) > 0.6
    assert np.mean(honest) > 0.8
    assert manifest["gold"]["answers"] == len(honest)
    assert manifest["gold"]["mean_score"] == pytest.approx(np.mean(honest), abs=1e-3)


async def dataset(here: Project) -> dict[str, bytes]:
    formats = [name for name, each in FORMATS.items() if here.kind in each.KINDS]
    return await here.world.dataset(here.operator, here.path, formats=formats, pictures=True)


def found_on(image: dict[str, Any]) -> Known:
    """What the database says of an image."""
    names = {"class_id": "class", "attributes": "attributes", "confidence": "confidence"}
    return [{**e["place"], **{names[k]: e[k] for k in names}} for e in image["objects"]]


def score_of(way: str, photo: Photograph, found: Known) -> float:
    question, kind = photo.whole(way), kind_of(way)
    said, true = (KINDS[kind].to_tile(each, question) for each in (found, known(photo, way)))
    assert said is not None
    assert true is not None
    return KINDS[kind].score(said, true, question)


def compare_with_coco(here: Project, image: dict[str, Any], data: bytes, folder: Path) -> None:
    """What COCO's own reader finds is what the database says, object by object.

    It knows of no labels of whole images, and of lines and cuboids only the boxes around them.
    """
    coco, found = coco_of(data, folder), found_on(image)
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
    if here.kind == "classify":
        assert annotations == []
        return
    assert [each["category_id"] for each in annotations] == [each["class"] for each in found]
    assert [each["attributes"] for each in annotations] == [each["attributes"] for each in found]
    assert coco.cats[LARGE]["supercategory"] == coco.cats[COIN]["name"]
    around = KINDS[here.kind].reach(found, here.plain.whole(here.way).schema)
    for annotation, each, edges in zip(annotations, found, around, strict=True):
        left, top, width, height = annotation["bbox"]
        assert np.allclose([left, top, left + width, top + height], edges, atol=0.02)
        if "mask" in each:
            pixels = coco.annToMask(annotation)
            assert pixels.sum() == annotation["area"]
            assert np.array_equal(pixels, whole(each["mask"], here.plain.size))
        elif "polygon" in each:
            drawn = shapely.union_all([shapely.Polygon(o, h) for o, *h in each["polygon"]])
            assert annotation["area"] == pytest.approx(drawn.area, abs=0.01)
            assert coco.annToMask(annotation).sum() == pytest.approx(drawn.area, rel=0.05, abs=30)
        elif len(each.get("box", [])) == 5:
            left, top, right, bottom, _ = each["box"]
            assert annotation["area"] == pytest.approx((right - left) * (bottom - top), abs=1)
        elif "points" in each:
            assert annotation["num_keypoints"] == sum(v > 0 for *_, v in each["points"])
            assert annotation["keypoints"] == [n for point in each["points"] for n in point]


def compare_with_datumaro(here: Project, images: dict[str, Any], data: bytes, folder: Path) -> None:
    """What Datumaro reads is what the database says, and within a pixel of the truth.

    The pictures are the operator's own files.
    """
    archive = datumaro_of(data, folder)
    assert archive.said.keys() == images.keys()
    for photo in here.photos:
        assert (archive.root / "images/default" / photo.name).read_bytes() == photo.jpeg
        compare(archive, photo.name, found_on(images[photo.name]), photo.size, 0.02)
        compare(archive, photo.name, known(photo, here.way), photo.size, WITHIN[here.way])
