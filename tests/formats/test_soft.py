"""How probable each class of an image is, in the formats that have a place for it."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from pycocotools.coco import COCO

from tessera.formats import FORMATS, losses_of
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema

SCHEMA = LabelSchema((LabelClass(7, "ship", "#ff0000"), LabelClass(3, "nothing", "#00ff00")))
SOFT = {"3": 0.125, "7": 0.875}
BY_NAME = {"nothing": 0.125, "ship": 0.875}


def written(name: str, folder: Path) -> Path:
    """A file with two images; of one nobody doubts that it is a ship."""
    dataset = Described("p", "n", "classify", SCHEMA)
    found = LabelledObject(7, {}, {}, 0.875, "consensus", [1], crowd=False)
    with FORMATS[name].writer(folder, dataset) as writer:
        for number, soft in ((1, SOFT), (2, {"7": 1.0})):
            name_ = f"{number}.png"
            image = LabelledImage(number, "u", name_, 9, 9, "0" * 64, [found], [], soft=soft)
            writer.add(image, None)
        writer.finish()
    (only,) = FORMATS[name].files(dataset)
    return folder / only


def of_coco(path: Path) -> list[dict[str, float]]:
    found = COCO(str(path))
    names = {number: each["name"] for number, each in found.cats.items()}
    return [{names[int(i)]: p for i, p in each["soft"].items()} for each in found.imgs.values()]


def of_json_lines(path: Path) -> list[dict[str, float]]:
    return [_named(orjson.loads(line)) for line in path.read_bytes().splitlines()]


def of_parquet(path: Path) -> list[dict[str, float]]:
    return [dict(each) for each in pq.read_table(path).column("soft").to_pylist()]


def of_webdataset(path: Path) -> list[dict[str, float]]:
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
        members = [each for each in tar if each.name.endswith(".json")]
        return [_named(orjson.loads(tar.extractfile(each).read())) for each in members]  # type: ignore[union-attr]


def _named(record: dict[str, Any]) -> dict[str, float]:
    named = {str(each.id): each.name for each in SCHEMA.classes}
    return {named[class_id]: p for class_id, p in record["soft"].items()}


READERS: dict[str, Callable[[Path], list[dict[str, float]]]] = {
    "coco": of_coco,
    "json-lines": of_json_lines,
    "parquet": of_parquet,
    "webdataset": of_webdataset,
}


@pytest.mark.parametrize("name", READERS)
def test_soft_labels_are_in_the_files(name: str, tmp_path: Path) -> None:
    assert READERS[name](written(name, tmp_path)) == [BY_NAME, {"ship": 1.0}]


def test_soft_labels_are_on_the_list_of_all_other_formats() -> None:
    asked = Described("p", "n", "classify", SCHEMA)
    lost = {name for name in FORMATS if Loses.SOFT in losses_of(name, asked)}
    assert lost == FORMATS.keys() - READERS.keys()
    boxes = Described("p", "n", "box", SCHEMA)
    assert not any(Loses.SOFT in losses_of(name, boxes) for name in FORMATS)
