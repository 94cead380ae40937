"""Crowd regions of gold: what came in as `iscrowd` goes out as nothing else."""

from pathlib import Path

import orjson

from tests.client import browser
from tests.datasets.reading import as_coco, as_lines, as_rows
from tests.world import World, coco, photograph

COIN, CROWD = [20.0, 30.0, 40.0, 50.0], [60.0, 10.0, 160.0, 100.0]


async def test_a_crowd_region_stays_one_from_the_gold_file_to_the_datasets_files(
    world: World, tmp_path: Path
) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    slicing = {"tile": 128, "margin": 16}
    project = await world.project(operator, organisation_id, slicing=slicing)
    files = [("known.jpg", photograph()), ("asked.jpg", photograph())]
    await world.images(operator, project["id"], files)
    known = coco(["known.jpg"])
    known["annotations"] = [
        {"id": 1, "image_id": 0, "category_id": 7, "bbox": COIN},
        {"id": 2, "image_id": 0, "category_id": 7, "bbox": CROWD, "iscrowd": 1},
    ]
    path = f"/v1/projects/{project['id']}"
    await operator.post(f"{path}/gold", {"coco": known}, status=201)
    await operator.post(f"{path}/launch")
    await world.work.jobs()
    run = await operator.post(f"{path}/datasets")
    await world.work.jobs()
    run = await operator.get(f"/v1/dataset-runs/{run['id']}")
    links = (await operator.get(f"/v1/datasets/{run['dataset_id']}/files"))["links"]
    async with browser() as outside:
        got = {each["path"]: (await outside.get(each["url"])).content for each in links}

    annotations = as_coco(got["coco.json"], tmp_path).loadAnns([1, 2])
    assert sorted((each["iscrowd"], each["bbox"]) for each in annotations) == [
        (0, COIN),
        (1, CROWD),
    ]
    (line,) = as_lines(got["labels.jsonl"])
    assert sorted(each["crowd"] for each in line["objects"]) == [False, True]
    assert sorted(row["crowd"] for row in as_rows(got["labels.parquet"])) == [False, True]
    counts = orjson.loads(got["manifest.json"])["counts"]
    assert (counts["objects"], counts["crowds"]) == (1, 1)
    assert counts["classes"][0]["objects"] == 1
