"""Of what is said twice nothing is lost without a word: the first holds, the second is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tessera.formats import FORMATS
from tessera.formats.archive import Folder
from tessera.formats.errors import Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import Size
from tests.formats.test_bad_input import schema

NAME, SIDE = "a.jpg", 100
TWICE = ["nose", "nose", "tail"]
ONCE = ["nose", "tail"]
AT = [[10, 20], [30, 40], [50, 60]]


def labelme(*objects: list[str]) -> dict[str, Any]:
    shapes: list[dict[str, Any]] = []
    for group, points in enumerate(objects, 1):
        about = {"group_id": group, "flags": {}}
        box = {"label": "car", "shape_type": "rectangle", "points": [[1, 1], [90, 90]]}
        shapes.append(box | about)
        for name, at in zip(points, AT, strict=False):
            shapes.append({"label": name, "shape_type": "point", "points": [at]} | about)
    return {"imagePath": NAME, "imageWidth": SIDE, "imageHeight": SIDE, "shapes": shapes}


def cvat(*objects: list[str]) -> str:
    inside = ""
    for points in objects:
        drawn = (
            f'<points label="{name}" points="{x},{y}"/>'
            for name, (x, y) in zip(points, AT, strict=False)
        )
        inside += f'<skeleton label="car">{"".join(drawn)}</skeleton>'
    image = f'<image name="{NAME}" width="{SIDE}" height="{SIDE}">{inside}</image>'
    return f"<annotations>{image}</annotations>"


def geojson(*objects: list[str]) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "properties": {
                "image": NAME,
                "class": "car",
                "points": points,
                "visibility": [2] * len(points),
            },
            "geometry": {"type": "MultiPoint", "coordinates": AT[: len(points)]},
        }
        for points in objects
    ]
    about = {"name": NAME, "width": SIDE, "height": SIDE}
    return {
        "type": "FeatureCollection",
        "coordinates": "pixels",
        "images": [about],
        "features": features,
    }


def datumaro(*objects: list[str]) -> dict[str, Any]:
    """Labels tell the names of their points, so each object has one of its own."""
    drawn = [
        {"type": "points", "label_id": i, "points": [n for at in AT[: len(points)] for n in at]}
        for i, points in enumerate(objects)
    ]
    named = [{"label_id": i, "labels": points, "joints": []} for i, points in enumerate(objects)]
    labels = [{"name": name} for name in ("car", "bus")[: len(objects)]]
    item = {"id": "a", "image": {"path": NAME, "size": [SIDE, SIDE]}, "annotations": drawn}
    return {
        "categories": {"label": {"labels": labels}, "points": {"items": named}},
        "items": [item],
    }


def result(type_: str, label: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 5, "height": 5, type_: [label]}
    about = {"type": type_, "original_width": SIDE, "original_height": SIDE}
    return {**about, "value": value, **more}


def label_studio(*objects: list[str]) -> list[dict[str, Any]]:
    results = []
    for number, points in enumerate(objects):
        region = f"r{number}"
        results.append(result("rectanglelabels", "car", 1, 1, id=region))
        for i, (name, at) in enumerate(zip(points, AT, strict=False)):
            results.append(result("keypointlabels", name, *at, id=f"{region}-{i}", parentID=region))
    return task(*results)


def task(*results: dict[str, Any], image: str = NAME) -> list[dict[str, Any]]:
    return [{"data": {"image": image}, "annotations": [{"result": list(results)}]}]


FILES: dict[str, tuple[str, Callable[..., Any]]] = {
    "cvat": ("annotations.xml", cvat),
    "datumaro": ("annotations/a.json", datumaro),
    "geojson": ("a.geojson", geojson),
    "label-studio": ("a.json", label_studio),
    "labelme": ("a.json", labelme),
}


def read(root: Path, format_: str, kind: str, content: Any) -> tuple[list[Refused], list[Known]]:
    path = root / FILES[format_][0]
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return found(root, format_, kind)


def found(root: Path, format_: str, kind: str) -> tuple[list[Refused], list[Known]]:
    source: Any = FORMATS[format_]
    asked = schema(points=ONCE if kind == "keypoints" else ())
    read_ = list(source.read(Folder(root), Wanted(kind, asked, {NAME: Size(SIDE, SIDE)})))
    refused = [each for each in read_ if isinstance(each, Refused)]
    return refused, [each for each in read_ if isinstance(each, Known)]


@pytest.mark.parametrize("format_", FILES)
def test_a_point_that_is_there_twice_is_refused_by_its_name(tmp_path: Path, format_: str) -> None:
    (refused,), (known,) = read(tmp_path, format_, "keypoints", FILES[format_][1](TWICE, ONCE))
    assert (refused.code, refused.image) == (Code.REPEATED, NAME)
    assert "'nose' twice" in refused.why
    (kept,) = known.objects
    assert kept["points"] == [[10, 20, 2], [30, 40, 2]]


def test_regions_of_label_studio_without_an_id_are_each_its_own(tmp_path: Path) -> None:
    boxes = [result("rectanglelabels", "car", x, 1) for x in (1, 21, 41)]
    boxes.append(result("rectanglelabels", "bus", 61, 1, id=""))
    boxes.append(result("rectanglelabels", "bus", 81, 1, id=None))
    refused, (known,) = read(tmp_path, "label-studio", "box", task(*boxes))
    assert not refused
    assert [each["box"][0] for each in known.objects] == [1, 21, 41, 61, 81]


def test_a_second_shape_of_a_region_of_label_studio_is_refused(tmp_path: Path) -> None:
    said = {"type": "choices", "id": "r", "from_name": "hue", "value": {"choices": ["red"]}}
    boxes = [result("rectanglelabels", "car", x, 1, id="r") for x in (1, 21, 41)]
    refused, (known,) = read(tmp_path, "label-studio", "box", task(said, *boxes))
    assert [(each.at, each.code, each.image) for each in refused] == [
        (f"a.json: [0].result[{number}].id", Code.REPEATED, NAME) for number in (2, 3)
    ]
    assert [each["box"][0] for each in known.objects] == [1]
    assert known.places == ["a.json: [0].result[0]"]


def test_a_box_of_label_studio_in_a_box_has_points_of_its_own(tmp_path: Path) -> None:
    inner = label_studio(ONCE, ONCE)
    inner[0]["annotations"][0]["result"][3]["parentID"] = "r0"
    refused, (known,) = read(tmp_path, "label-studio", "keypoints", inner)
    assert not refused
    assert [each["points"] for each in known.objects] == [[[10, 20, 2], [30, 40, 2]]] * 2


def test_rows_that_say_another_size_of_an_image_are_not_of_it(tmp_path: Path) -> None:
    rows = [(NAME, SIDE), (NAME, SIDE), (NAME, 640), ("b.jpg", 50)]
    columns = {
        "image_name": [name for name, _ in rows],
        "image_width": [side for _, side in rows],
        "image_height": [side for _, side in rows],
        "class": ["car"] * len(rows),
        "place": ['{"box":[1,1,9,9]}'] * len(rows),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    source: Any = FORMATS["parquet"]
    images = {NAME: Size(SIDE, SIDE), "b.jpg": Size(50, 50)}
    refused, known = source.read(Folder(tmp_path), Wanted("box", schema(), images))
    assert (refused.at, refused.code) == ("a.parquet: row 2", Code.OTHER_SIZE)
    assert (refused.image, known.name) == (NAME, "b.jpg")
