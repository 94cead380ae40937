"""What an operator may choose of a version."""

from typing import Any

import pytest

from tessera.datasets.options import Options
from tessera.datasets.splits import Shares
from tessera.storage.context import JobContext
from tests.datasets.reading import as_lines, built, fetch
from tests.datasets.world import MIXED, a_world
from tests.quality.court import court
from tests.world import BOX_SCHEMA, World


async def test_a_version_has_the_formats_that_were_asked_for_and_no_others(
    context: JobContext,
) -> None:
    dataset = await built(
        context, await a_world(context.sessions, MIXED, options=Options(("parquet",)))
    )
    assert [each["path"] for each in dataset.manifest["files"]] == ["labels.parquet"]
    assert dataset.manifest["formats"] == {"parquet": {"files": ["labels.parquet"], "loses": []}}


async def test_the_manifest_says_how_it_was_divided_and_each_image_where_it_is(
    context: JobContext,
) -> None:
    options = Options(("json-lines",), splits=Shares(50, 25, 25, seed=7))
    dataset = await built(context, await a_world(context.sessions, MIXED, options=options))
    lines = as_lines(await fetch(context, dataset, "labels.jsonl"))
    splits = dataset.manifest["splits"]
    assert {key: splits[key] for key in ("train", "val", "test", "seed", "stratified")} == {
        "train": 50,
        "val": 25,
        "test": 25,
        "seed": 7,
        "stratified": False,
    }
    said = [line["split"] for line in lines]
    assert splits["images"] == {split: said.count(split) for split in sorted(set(said))}


async def test_what_a_format_cannot_carry_stands_in_the_manifest(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    assert dataset.manifest["formats"]["coco"]["loses"] == ["tiles"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"formats": ["hologram"]}, "unknown-format"),
        ({"formats": []}, "invalid-request"),
        ({"formats": "coco"}, "invalid-request"),
        ({"splits": {"train": 80, "val": 10, "test": 9}}, "invalid-request"),
        ({"splits": {"train": 80, "val": 30, "test": -10}}, "invalid-request"),
        ({"splits": {"train": 0.8, "val": 0.1, "test": 0.1}}, "invalid-request"),
        ({"splits": {"train": 100}}, "invalid-request"),
        ({"splits": {"train": 80, "val": 10, "test": 10, "seed": -1}}, "invalid-request"),
        ({"pictures": "yes please"}, "invalid-request"),
        ({"tiles": "some"}, "invalid-request"),
        ({"tiles": None}, "invalid-request"),
        ({"pictures": True}, "format-unsuited"),
        ({"pictures": True, "formats": ["coco", "cvat"]}, "format-unsuited"),
        ({"format": ["coco"]}, "invalid-request"),
    ],
)
async def test_options_that_make_no_sense_are_refused(
    world: World, body: dict[str, Any], code: str
) -> None:
    here = await court(world)
    problem = await here.operator.post(f"{here.path}/datasets", body, status=422)
    assert problem["code"] == code


async def test_of_what_a_camera_shows_of_whole_images_there_are_no_tiles(world: World) -> None:
    camera = [[700, 0, 128, 0], [0, 700, 128, 0], [0, 0, 1, 0]]
    here = await court(world, kind="cuboid", label_schema={**BOX_SCHEMA, "camera": camera})
    problem = await here.operator.post(f"{here.path}/datasets", {"tiles": True}, status=422)
    assert problem["code"] == "tiles-unsuited"
    await here.operator.post(f"{here.path}/datasets", {}, status=202)
