from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from tessera.assignment.models import Task
from tessera.datasets.jobs import build
from tessera.datasets.models import Dataset, RunState
from tessera.kernel import db
from tessera.storage.context import JobContext
from tests.datasets.reading import as_coco, as_lines, as_rows, built, fetch, finished
from tests.datasets.world import (
    ACROSS,
    EMPTY,
    HALF,
    LONG_AFTER,
    MIXED,
    SCHEMA,
    Cut,
    Picture,
    a_world,
    box,
    boxes,
    tile_of,
    whole,
)

NAMES = ["Z reviewed.png", "a empty.jpg", "b seam.jpg", "Ω gold.png"]
# class, box in image pixels, attributes, who settled it, which tiles show it (its owner first)
OBJECTS: list[tuple[str, int, list[float], dict[str, str], str, list[int]]] = [
    ("Z reviewed.png", 7, [1, 2, 3, 4], {}, "review", [0]),
    ("b seam.jpg", 7, [10, 10, 30, 30], {}, "consensus", [0]),
    ("b seam.jpg", 7, [90, 40, 120, 60], {"worn": "yes"}, "consensus", [1, 0]),
    ("b seam.jpg", 2, [160.25, 50.5, 180.75, 70.1], {}, "consensus", [1]),
    ("Ω gold.png", 2, [0, 0, 50, 40], {}, "gold", [0]),
]


async def test_coco_s_own_reader_finds_every_settled_object_once(
    context: JobContext, tmp_path: Path
) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    coco = as_coco(await fetch(context, dataset, "coco.json"), tmp_path)
    images = [coco.imgs[i] for i in range(1, len(coco.imgs) + 1)]
    assert [(each["file_name"], each["width"], each["height"]) for each in images] == [
        ("Z reviewed.png", 100, 80),
        ("a empty.jpg", 100, 80),
        ("b seam.jpg", 200, 100),
        ("Ω gold.png", 100, 80),
    ]
    assert [(each["id"], each["name"]) for each in coco.loadCats(coco.getCatIds())] == [
        (each["id"], each["name"]) for each in SCHEMA["classes"]
    ]
    found = coco.loadAnns(range(1, len(OBJECTS) + 1))
    assert len(coco.anns) == len(OBJECTS)
    for annotation, (name, class_id, edges, attributes, source, _) in zip(
        found, OBJECTS, strict=True
    ):
        left, top, right, bottom = edges
        width, height = pytest.approx(right - left), pytest.approx(bottom - top)
        assert coco.imgs[annotation["image_id"]]["file_name"] == name
        assert annotation["category_id"] == class_id
        assert annotation["bbox"] == [left, top, width, height]
        assert annotation["area"] == pytest.approx((right - left) * (bottom - top), abs=0.01)
        assert (annotation["iscrowd"], annotation["attributes"]) == (0, attributes)
        assert annotation["source"] == source


async def test_json_lines_and_parquet_say_the_same_as_coco(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    lines = as_lines(await fetch(context, dataset, "labels.jsonl"))
    assert [(line["id"], line["name"]) for line in lines] == list(enumerate(NAMES, start=1))
    said = [
        (line["name"], o["class_id"], o["place"]["box"], o["attributes"], o["source"], o["tiles"])
        for line in lines
        for o in line["objects"]
    ]
    assert said == OBJECTS
    rows = as_rows(await fetch(context, dataset, "labels.parquet"))
    assert [_as_object(row) for row in rows if row["object_id"] is not None] == OBJECTS
    confidences = [o["confidence"] for line in lines for o in line["objects"]]
    assert confidences == [row["confidence"] for row in rows if row["object_id"] is not None]
    (nothing,) = [row for row in rows if row["object_id"] is None]
    assert nothing["image_name"] == "a empty.jpg"
    assert nothing["class_id"] is nothing["left"] is nothing["attributes"] is None


def _as_object(row: dict[str, Any]) -> Any:
    edges = [row["left"], row["top"], row["right"], row["bottom"]]
    attributes = dict(row["attributes"])
    return (row["image_name"], row["class_id"], edges, attributes, row["source"], row["tiles"])


async def test_parquet_knows_all_classes_also_the_unused(
    context: JobContext, tmp_path: Path
) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    path = tmp_path / "labels.parquet"
    path.write_bytes(await fetch(context, dataset, "labels.parquet"))
    schema = orjson.loads(pq.read_schema(path).metadata[b"tessera"])
    assert schema == SCHEMA


async def test_the_manifest_says_what_is_in_and_what_was_left_out(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    counts = dataset.manifest["counts"]
    assert counts["images"] == 4
    assert counts["images_empty"] == 1
    assert counts["images_left_out"] == 1
    assert counts["images_unusable"] == 0
    assert counts["tiles"] == {"consensus": 3, "gold": 1, "review": 1}
    assert counts["objects"] == 5
    assert [(each["id"], each["objects"]) for each in counts["classes"]] == [
        (7, 3),
        (2, 2),
        (40, 0),
    ]
    assert [file["path"] for file in dataset.manifest["files"]] == [
        "coco.json",
        "labels.jsonl",
        "labels.parquet",
    ]


async def test_tiles_say_who_settled_them_and_what_they_show(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, [ACROSS]))
    (line,) = as_lines(await fetch(context, dataset, "labels.jsonl"))
    assert line["tiles"] == [
        {
            "number": 0,
            "core": [0, 0, 100, 100],
            "window": [0, 0, 140, 100],
            "source": "consensus",
            "confidence": 0.8,
            "classes": [7],
        },
        {
            "number": 1,
            "core": [100, 0, 200, 100],
            "window": [60, 0, 200, 100],
            "source": "consensus",
            "confidence": 0.9,
            "classes": [2, 7],
        },
    ]


async def test_what_is_settled_after_the_build_was_asked_for_waits_for_the_next(
    context: JobContext,
) -> None:
    late = whole("late.jpg", boxes(), settled_at=LONG_AFTER + timedelta(seconds=1))
    early = whole("early.jpg", boxes(), settled_at=LONG_AFTER)
    dataset = await built(context, await a_world(context.sessions, [early, late]))
    (line,) = as_lines(await fetch(context, dataset, "labels.jsonl"))
    assert line["name"] == "early.jpg"
    assert dataset.manifest["counts"]["images_left_out"] == 1


async def test_an_image_half_of_which_is_settled_is_left_out_whatever_the_order(
    context: JobContext,
) -> None:
    one, two = ACROSS.tiles
    pictures = [
        replace(ACROSS, name="first open", tiles=[Cut(one.window), two]),
        replace(ACROSS, name="last open", tiles=[one, Cut(two.window)]),
        replace(ACROSS, name="not cut yet", tiles=[]),
        EMPTY,
    ]
    dataset = await built(context, await a_world(context.sessions, pictures))
    assert len(as_lines(await fetch(context, dataset, "labels.jsonl"))) == 1
    assert dataset.manifest["counts"]["images_left_out"] == 3


async def test_an_image_with_a_tile_that_cannot_be_labelled_stays_out_for_good(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, [ACROSS, HALF, EMPTY])
    async with db.transaction(context.sessions) as session:
        for name in (ACROSS.name, HALF.name):
            tile_id = tile_of(world.project_id, name, 0)
            task = (await session.scalars(select(Task).where(Task.tile_id == tile_id))).one()
            task.label = None
    counts = (await built(context, world)).manifest["counts"]
    assert (counts["images"], counts["images_left_out"], counts["images_unusable"]) == (1, 2, 2)


async def test_with_no_finished_image_the_build_says_so_and_makes_no_version(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, [whole("open.jpg", None)])
    await build(context, world.job())
    run = await finished(context, world)
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert "No image is finished" in run.error
    async with db.reading(context.sessions) as reader:
        assert (await reader.scalars(select(Dataset))).all() == []


@pytest.mark.long
async def test_an_image_of_more_tiles_than_one_fetch_is_one_image(context: JobContext) -> None:
    many = Picture(
        "many.png",
        60_000,
        100,
        [
            Cut((100 * i, 0, 100 * i + 100, 100), label=boxes(box(7, 20, 20, 40, 60)))
            for i in range(600)
        ],
    )
    pictures = [many, whole("after.png", boxes()), whole("z.png", boxes())]
    dataset = await built(context, await a_world(context.sessions, pictures))
    lines = as_lines(await fetch(context, dataset, "labels.jsonl"))
    assert [(line["name"], len(line["tiles"]), len(line["objects"])) for line in lines] == [
        ("after.png", 1, 0),
        ("many.png", 600, 600),
        ("z.png", 1, 0),
    ]


CHOICE = {"classes": SCHEMA["classes"], "multiple": True}


@pytest.mark.parametrize(("rule", "said"), [("any", (7, 0.75)), ("majority", (2, 0.5833))])
async def test_an_image_is_classified_by_the_rule_for_the_classes_of_its_tiles(
    context: JobContext, rule: str, said: tuple[int, float]
) -> None:
    answers = [(2, 0.875), (7, 0.75), (2, 0.875)]
    tiles = [
        Cut(
            (100 * i, 0, 100 * i + 100, 80),
            label={
                "classes": [class_id],
                "confidence": sure,
                "soft": {str(class_id): sure, str(9 - class_id): 1 - sure},
            },
        )
        for i, (class_id, sure) in enumerate(answers)
    ]
    schema = {"classes": SCHEMA["classes"], "of_tiles": rule}
    world = await a_world(
        context.sessions, [Picture("a.png", 300, 80, tiles)], kind="classify", schema=schema
    )
    dataset = await built(context, world)
    (line,) = as_lines(await fetch(context, dataset, "labels.jsonl"))
    assert [(each["class_id"], each["confidence"]) for each in line["objects"]] == [said]
    soft = {"any": {"2": 0.25, "7": 0.75}, "majority": {"2": 0.6667, "7": 0.3333}}
    assert line["soft"] == soft[rule]
    assert dataset.manifest["project"]["label_schema"]["of_tiles"] == rule


async def test_classes_of_whole_images_stand_in_image_labels(
    context: JobContext, tmp_path: Path
) -> None:
    pictures = [
        whole("both.png", {"classes": [2, 7], "confidence": 0.75}, confidence=0.75),
        whole("none.png", {"classes": [], "confidence": 0.875}),
    ]
    world = await a_world(context.sessions, pictures, kind="classify", schema=CHOICE)
    dataset = await built(context, world)
    coco = as_coco(await fetch(context, dataset, "coco.json"), tmp_path)
    assert coco.anns == {}
    assert len(coco.imgs) == 2
    assert coco.dataset["image_labels"] == [
        {
            "id": i,
            "image_id": 1,
            "category_id": class_id,
            "score": 0.75,
            "attributes": {},
            "source": "consensus",
        }
        for i, class_id in ((1, 2), (2, 7))
    ]
    rows = as_rows(await fetch(context, dataset, "labels.parquet"))
    assert [(r["image_name"], r["class_id"], r["class"], r["left"]) for r in rows] == [
        ("both.png", 2, "dé, or die", None),
        ("both.png", 7, "coin", None),
        ("none.png", None, None, None),
    ]
