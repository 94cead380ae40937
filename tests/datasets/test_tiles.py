"""Versions in which every tile is an image of its own."""

from pathlib import Path

from tessera.datasets.options import Options
from tessera.datasets.splits import Shares
from tessera.storage.context import JobContext
from tests.datasets.reading import as_coco, as_lines, built, fetch
from tests.datasets.world import MIXED, Cut, Picture, a_world

TILES = Options(("coco", "json-lines"), tiles=True)


async def test_each_tile_is_an_image_with_what_its_people_saw(
    context: JobContext, tmp_path: Path
) -> None:
    world = await a_world(context.sessions, MIXED, options=TILES)
    dataset = await built(context, world)
    lines = as_lines(await fetch(context, dataset, "labels.jsonl"))
    found = {
        line["name"]: [(each["class_id"], each["place"]["box"]) for each in line["objects"]]
        for line in lines
    }
    assert found == {
        "Z reviewed.png/000000.jpg": [(7, [1, 2, 3, 4])],
        "a empty.jpg/000000.jpg": [],
        "b seam.jpg/000000.jpg": [(7, [10, 10, 30, 30]), (7, [90, 40, 120, 60])],
        "b seam.jpg/000001.jpg": [(7, [30, 40, 60, 60]), (2, [100.25, 50.5, 120.75, 70.1])],
        "Ω gold.png/000000.jpg": [(2, [0, 0, 50, 40])],
    }
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5]
    second = lines[3]
    assert (second["width"], second["height"]) == (140, 100)
    assert [(each["number"], each["window"]) for each in second["tiles"]] == [
        (1, [60, 0, 200, 100])
    ]
    coco = as_coco(await fetch(context, dataset, "coco.json"), tmp_path)
    assert {each["file_name"]: each["width"] for each in coco.imgs.values()} == {
        line["name"]: line["width"] for line in lines
    }
    assert len(coco.anns) == 6
    assert dataset.manifest["tiles"] is True
    assert dataset.manifest["counts"]["images"] == 5
    assert dataset.manifest["counts"]["images_left_out"] == 1


async def test_whole_images_are_what_comes_if_nothing_is_said(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    assert dataset.manifest["tiles"] is False
    assert dataset.manifest["counts"]["images"] == 4


async def test_all_tiles_of_an_image_are_in_one_split(context: JobContext) -> None:
    """Or what is learnt from one would be tested on its neighbour, which overlaps it."""
    windows = [(left, 0, left + 140, 80) for left in (0, 80, 160)]
    tiles = [Cut(window, label={"objects": []}) for window in windows]
    pictures = [Picture(f"{number}.jpg", 300, 80, tiles) for number in range(12)]
    options = Options(("json-lines",), splits=Shares(50, 25, 25, seed=7), tiles=True)
    dataset = await built(context, await a_world(context.sessions, pictures, options=options))
    lines = as_lines(await fetch(context, dataset, "labels.jsonl"))
    split_of = {(line["name"].partition("/")[0], line["split"]) for line in lines}
    assert len(lines) == 36
    assert len(split_of) == 12
    assert len({split for _, split in split_of}) == 3
