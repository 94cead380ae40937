"""Files of annotations: brought in as gold and as predictions, whole or not at all."""

import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.quality.import_job import TILES_AT_ONCE
from tests.quality.bringing import (
    brought,
    counts,
    json_lines,
    refusals,
    sent,
    told,
    zipped,
)
from tests.quality.court import Court, court
from tests.quality.test_gold import expected
from tests.quality.test_gold_import import coins as many_coins
from tests.quality.test_gold_import import in_tables, mosaic
from tests.quality.test_planting import coins
from tests.quality.test_predictions import COINS, subjects
from tests.stories.processes import eventually, running, worker
from tests.waiting import until_locks_are_waited_for
from tests.world import BOX_SCHEMA, World

NAMES = [f"{number}.jpg" for number in range(6)]
KNOWN = {name: coins(name) for name in NAMES}
UNICORN = {"class": 99, "box": [1, 1, 5, 5]}


async def boxes(world: World, *names: str) -> Court:
    return await court(world, *(names or NAMES), kind="box", label_schema=BOX_SCHEMA)


async def verifying(world: World, *names: str) -> Court:
    return await court(world, *(names or NAMES), kind="verify", label_schema=COINS)


async def test_a_file_becomes_gold_as_the_same_in_a_body_does(world: World) -> None:
    here, there = await boxes(world), await boxes(world)
    done = await brought(here, json_lines(KNOWN))
    assert (done["state"], done["problem"]) == ("done", None)
    assert counts(done) == {
        "images": 6,
        "tasks": 6,
        "left_tasks": 0,
        "untold_tiles": 0,
        "refused_records": 0,
        "left_out": 0,
    }
    assert [(each["image"], each["tasks"]) for each in done["report"]] == [(n, 1) for n in NAMES]
    by_file = await expected(world)
    await there.operator.post(
        f"{there.path}/gold",
        {"images": [{"file_name": name, "objects": said} for name, said in KNOWN.items()]},
    )
    assert await expected(world) == by_file


async def test_a_file_becomes_predictions(world: World) -> None:
    here = await verifying(world)
    said = {name: [{**each, "confidence": 0.4} for each in of] for name, of in KNOWN.items()}
    done = await brought(here, json_lines(said), purpose="predictions")
    assert (done["state"], done["tasks"]) == ("done", 6)
    labels = {
        name: subject["label"]["objects"] for name, subject in (await subjects(world)).items()
    }
    assert {name: [each["box"] for each in said] for name, said in labels.items()} == {
        f"{name} 0": sorted(each["box"] for each in said) for name, said in KNOWN.items()
    }
    assert all(
        each.keys() == {"class", "box", "attributes"} for of in labels.values() for each in of
    )


@pytest.mark.long
async def test_a_file_of_coco_comes_as_it_is_or_in_an_archive(world: World) -> None:
    here = await mosaic(world, 1_000)
    known = json.dumps(many_coins(40, 1_000)).encode()
    alone = await brought(here, known, format="coco")
    assert (alone["state"], alone["images"], alone["untold_tiles"]) == ("done", 1, 0)
    one = await expected(world)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        entry = tarfile.TarInfo("annotations/train.json")
        entry.size = len(known)
        out.addfile(entry, io.BytesIO(known))
    for packed in (zipped({"annotations/train.json": known, "read.me": b"x"}), tar.getvalue()):
        assert counts(await brought(here, packed, format="coco")) == counts(alone)
        assert await expected(world) == one


async def test_all_that_is_refused_is_told_and_then_nothing_is_taken(world: World) -> None:
    here = await boxes(world)
    said = {
        NAMES[0]: KNOWN[NAMES[0]],
        NAMES[1]: [KNOWN[NAMES[1]][0], UNICORN, {"class": 1, "box": [1, 1, 1, 9]}],
        "nobody's.jpg": KNOWN[NAMES[2]],
        "../climbing.jpg": [],
    }
    data = json_lines(said) + json_lines({NAMES[0]: []}) + json_lines({NAMES[3]: []}, side=99)
    done = await brought(here, data + b"no json\n")
    assert (done["state"], done["problem"]["code"]) == ("refused", "records-refused")
    assert (done["refused_records"], done["tasks"], done["images"]) == (7, 0, 0)
    assert [(at.partition(": ")[2][:6], code) for at, code in refusals(done)] == [
        ("line 2", "unknown-class"),
        ("line 2", "bad-object"),
        ("line 3", "foreign-image"),
        ("line 4", "foreign-image"),
        ("line 5", "repeated"),
        ("line 6", "other-size"),
        ("line 7", "bad-record"),
    ]
    assert all(each["problem"]["detail"] for each in done["report"])
    assert await expected(world) == {}


async def test_in_part_images_of_which_something_is_refused_are_left_out_as_a_whole(
    world: World,
) -> None:
    here = await boxes(world)
    said = {**KNOWN, NAMES[1]: [*KNOWN[NAMES[1]], UNICORN], "nobody's.jpg": []}
    done = await brought(here, json_lines(said) + json_lines({NAMES[2]: []}), partial=True)
    assert (done["state"], done["problem"]) == ("done", None)
    assert (done["images"], done["tasks"], done["refused_records"]) == (4, 4, 3)
    taken = [each["image"] for each in done["report"] if not each["problem"]]
    assert taken == [name for name in NAMES if name not in NAMES[1:3]]
    assert set(await expected(world)) == {f"{name} 0" for name in taken}


async def test_attributes_that_nobody_asks_for_are_left_out_and_told(world: World) -> None:
    here = await boxes(world)
    shiny = [{**each, "attributes": {"shine": 3}} for each in KNOWN[NAMES[0]]]
    rusty = [{**each, "attributes": {"shine": 3, "rust": True}} for each in KNOWN[NAMES[1]]]
    said = {**KNOWN, NAMES[0]: shiny, NAMES[1]: [*rusty, UNICORN]}
    done = await brought(here, json_lines(said), partial=True)
    assert (done["images"], done["refused_records"], done["left_out"]) == (5, 1, 2)
    refused, first, second, *taken = done["report"]
    assert (refused["image"], refused["problem"]["code"]) == (NAMES[1], "unknown-class")
    for left_out in (first, second):  # of each class
        assert (left_out["image"], left_out["problem"]["code"]) == (NAMES[0], "unknown-attribute")
        assert left_out["problem"]["detail"].endswith("has no attribute 'shine'; it is left out")
    assert first["at"] == "labels.jsonl: line 1: objects[0]"
    assert [each["image"] for each in taken] == [NAMES[0], *NAMES[2:]]


async def test_of_half_an_image_nothing_is_taken_nor_told_to_be_left_out(world: World) -> None:
    """Two boxes of COCO have one id, and of one image there are two lines."""
    here = await boxes(world)
    again = coco(coco_box(1), coco_box(1), name=NAMES[0])
    done = await brought(here, again, format="coco", partial=True)
    assert (done["state"], done["images"], done["refused_records"]) == ("done", 0, 1)
    shiny = [{**each, "attributes": {"shine": 3}} for each in KNOWN[NAMES[1]]]
    twice = json_lines({NAMES[1]: shiny}) + json_lines({NAMES[1]: []})
    done = await brought(here, twice, partial=True)
    assert (done["images"], done["refused_records"], done["left_out"]) == (0, 1, 0)
    assert [each["problem"]["code"] for each in done["report"]] == ["repeated"]
    done = await brought(here, twice)
    assert (done["state"], done["left_out"], len(done["report"])) == ("refused", 0, 1)
    assert await expected(world) == {}


def coco_box(id_: int) -> dict[str, Any]:
    return {"id": id_, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}


def coco(*annotations: dict[str, Any], name: str) -> bytes:
    image = {"id": 1, "file_name": name, "width": 256, "height": 256}
    said = {"images": [image], "categories": [{"id": 1, "name": "coin"}]}
    return json.dumps({**said, "annotations": annotations}).encode()


async def test_a_crowd_on_a_tile_is_one_refusal(world: World) -> None:
    here = await boxes(world)
    crowd = [{"class": 1, "box": [10, 10, 20, 20]}] * 501
    done = await brought(here, json_lines({**KNOWN, NAMES[0]: crowd}), partial=True)
    assert refusals(done) == [("labels.jsonl: line 1", "too-many-objects")]
    assert done["images"] == 5


@pytest.mark.long
async def test_a_report_has_pages_and_the_first_ten_thousand_refusals(world: World) -> None:
    here = await boxes(world)
    lines = json_lines({"nobody's.jpg": []}) * 10_050
    done = await brought(here, lines)
    assert done["refused_records"] == 10_050
    seen, path = list[int](), f"/v1/annotation-imports/{done['id']}?limit=200"
    page = await here.operator.get(path)
    while True:
        seen += [each["number"] for each in page["report"]]
        if page["next"] is None:
            break
        page = await here.operator.get(f"{path}&cursor={page['next']}")
    assert seen == list(range(1, 10_001))


@pytest.mark.long
async def test_a_large_image_comes_in_many_steps_and_is_told_once(world: World) -> None:
    side = 7_000
    here = await mosaic(world, side, tile=256, margin=32)
    known = json.dumps(many_coins(10_000, side)).encode()
    done = await brought(here, known, format="coco")
    assert done["state"] == "done", done["problem"]
    there = await in_tables(world)
    assert there["gold"] == done["tasks"] == done["report"][0]["tasks"] > TILES_AT_ONCE
    assert len(done["report"]) == 1


@pytest.mark.long
async def test_what_was_launched_stays_and_is_counted(world: World) -> None:
    here = await verifying(world)
    await brought(here, json_lines({NAMES[0]: KNOWN[NAMES[0]]}), purpose="predictions")
    await here.launch()
    done = await brought(here, json_lines(KNOWN), purpose="predictions")
    assert (done["tasks"], done["left_tasks"]) == (5, 1)
    gold = await brought(here, json_lines(KNOWN))
    assert (gold["tasks"], gold["left_tasks"]) == (5, 1)
    again = await brought(here, json_lines(KNOWN), purpose="predictions")
    assert (again["tasks"], again["left_tasks"]) == (0, 6)


async def test_declared_done_by_many_at_once_a_file_is_read_by_one_job_and_not_kept(
    world: World,
) -> None:
    here = await boxes(world)
    import_id = await sent(here, json_lines(KNOWN))
    done = f"/v1/annotation-imports/{import_id}/uploaded"
    states = await asyncio.gather(*(here.operator.post(done, status=202) for _ in range(8)))
    assert {each["state"] for each in states} == {"running"}
    async with db.reading(world.sessions) as reader:
        waiting = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'quality.import_annotations'"
        assert (await reader.execute(text(waiting))).scalar_one() == 1
    await here.judge()
    assert (await told(here, import_id))["state"] == "done"
    assert [each async for each in world.store.list(f"imports/{here.project['id']}")] == []
    assert (await here.operator.post(done, status=202))["state"] == "done"


async def test_killed_before_it_is_written_it_runs_again_and_nothing_is_half(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    here = await boxes(world)
    import_id = await sent(here, json_lines(KNOWN))
    importer = worker(settings, tmp_path, names=["quality.import_annotations"])
    with running(importer):
        async with db.transaction(world.sessions) as session:
            await session.execute(text("SELECT id FROM projects FOR UPDATE"))
            async with asyncio.timeout(60):
                await _until_it_waits(world)
            importer.kill()
            assert (await told(here, import_id))["state"] == "running"
            assert await expected(world) == {}
        importer.start()
        await eventually(_is_done(here, import_id))
    assert len(await expected(world)) == len(NAMES)


async def _until_it_waits(world: World) -> None:
    while True:
        try:
            return await until_locks_are_waited_for(world.sessions)
        except TimeoutError:
            continue


def _is_done(here: Court, import_id: str) -> Any:
    async def look() -> bool:
        return bool((await told(here, import_id))["state"] == "done")

    return look
