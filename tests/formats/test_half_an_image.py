"""Of an image of which a record is refused it is told which: half of it would be a lie.

Whoever scores answers by half of what an image shows calls those wrong who saw the rest.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tessera.formats import FORMATS
from tessera.formats.archive import Folder
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import Size
from tests.formats.test_bad_input import schema

NAME, SIDE = "a.jpg", 100
TOO_LARGE = 2**70
BOX = [10, 20, 30, 40]
NAMED = {"id": 1, "file_name": NAME, "width": SIDE, "height": SIDE}
SAID = {"image_id": 1, "category_id": 1, "bbox": BOX}
FEATURE: dict[str, Any] = {
    "type": "Feature",
    "properties": {"image": NAME, "class": "car"},
    "geometry": {"type": "Polygon", "coordinates": [[[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]]},
}
LINE: dict[str, Any] = {
    "name": NAME,
    "width": SIDE,
    "height": SIDE,
    "objects": [{"class_id": 1, "place": {"box": BOX}, "attributes": {}}],
}
LABELME = {"imagePath": NAME, "imageWidth": SIDE, "imageHeight": SIDE, "shapes": []}
Images = dict[str, Any]


def coco(*annotations: dict[str, Any], images: list[Any] | None = None) -> dict[str, Any]:
    return {
        "images": [NAMED] if images is None else images,
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, **SAID}, *annotations],
    }


def geojson(*features: Any, **image: Any) -> dict[str, Any]:
    about = {"name": NAME, "width": SIDE, "height": SIDE, **image}
    return {"type": "FeatureCollection", "images": [about], "features": [FEATURE, *features]}


def datumaro(x: int, **more: Any) -> dict[str, Any]:
    box = {"type": "bbox", "label_id": 0, "bbox": [x, 2, 8, 8], **more}
    item = {"id": "a", "image": {"path": NAME, "size": [SIDE, SIDE]}, "annotations": [box]}
    return {"categories": {"label": {"labels": [{"name": "car"}]}}, "items": [item]}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "coco: an id twice": ("coco", {"a.json": coco({"id": 1, **SAID})}),
    "coco: too large": ("coco", {"a.json": coco({"id": 2, **SAID, "score": TOO_LARGE})}),
    "coco: no letter": ("coco", {"a.json": coco({"id": 2, **SAID, "attributes": {"a": "\ud800"}})}),
    "coco: no object": ("coco", {"a.json": coco({"id": 2, **SAID, "category_id": 9})}),
    "coco: an image twice": ("coco", {"a.json": coco(images=[NAMED, {**NAMED, "id": 2}])}),
    "coco: two of one id": (
        "coco",
        {"a.json": coco(images=[NAMED, {**NAMED, "file_name": "b.jpg"}])},
    ),
    "coco: two files": ("coco", {"a.json": coco(), "b.json": coco()}),
    "geojson: too large": (
        "geojson",
        {"a.geojson": geojson({**FEATURE, "id": TOO_LARGE})},
    ),
    "geojson: no place": ("geojson", {"a.geojson": geojson(georeference={"transform": "here"})}),
    "geojson: twice": (
        "geojson",
        {"a.geojson": geojson() | {"images": [*geojson()["images"], *geojson()["images"]]}},
    ),
    "datumaro: two files": (
        "datumaro",
        {"annotations/a.json": datumaro(2), "annotations/b.json": datumaro(20)},
    ),
    "datumaro: too large": (
        "datumaro",
        {
            "annotations/a.json": datumaro(2),
            "annotations/b.json": datumaro(2, z_order="a", group=[]),
        },
    ),
    "labelme: no list": (
        "labelme",
        {"a.json": LABELME, "b.json": {**LABELME, "shapes": 5}},
    ),
    "json-lines: no list": ("json-lines", {"labels.jsonl": [LINE, {**LINE, "objects": 5}]}),
    "json-lines: twice": ("json-lines", {"labels.jsonl": [LINE, LINE]}),
}


def write(root: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        lines = content if isinstance(content, list) else [content]
        (root / name).write_text("\n".join(map(json.dumps, lines)))


def refused(root: Path, format_: str) -> list[Refused]:
    source: Any = FORMATS[format_]
    found = list(source.read(Folder(root), Wanted("box", schema(), {NAME: Size(SIDE, SIDE)})))
    assert [each.name for each in found if isinstance(each, Known)] == [NAME]
    return [each for each in found if isinstance(each, Refused)]


@pytest.mark.parametrize("case", CASES)
def test_of_what_is_refused_it_is_told_of_which_image_it_was(tmp_path: Path, case: str) -> None:
    format_, files = CASES[case]
    write(tmp_path, files)
    assert NAME in {each.image for each in refused(tmp_path, format_)}


def test_rows_of_an_image_that_come_again_are_refused_as_its_own(tmp_path: Path) -> None:
    place = json.dumps({"box": BOX})
    rows = [(NAME, SIDE), ("b.jpg", SIDE), (NAME, -5)]
    columns = {
        "image_name": [name for name, _ in rows],
        "image_width": [side for _, side in rows],
        "image_height": [SIDE if side > 0 else None for _, side in rows],
        "class": ["car"] * len(rows),
        "place": [place] * len(rows),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert NAME in {each.image for each in refused(tmp_path, "parquet")}
