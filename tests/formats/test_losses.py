"""What formats say that they cannot carry, beside what each one's own tests say of it."""

from pathlib import Path
from typing import Any

import pytest

from tessera.formats import FORMATS, losses_of
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelSchema

SHIP = {"id": 1, "name": "ship", "colour": "#0000ff"}
FERRY = {**SHIP, "id": 2, "name": "ferry", "parent": 1}
BOAT = {**SHIP, "skeleton": {"points": [{"name": "bow"}, {"name": "stern"}], "edges": [[0, 1]]}}
PICTURE = b"\x89PNG and whatever else is in one"
PLACES: dict[str, dict[str, Any]] = {
    "box": {"box": [1, 1, 9, 9]},
    "semantic_mask": {"mask": {"left": 3, "top": 4, "size": [2, 2], "counts": "04"}},
    "classify": {},
}


def described(*classes: dict[str, object], kind: str = "box", pictures: bool = False) -> Described:
    schema = LabelSchema.parse({"classes": [*classes]})
    return Described("p", "n", kind, schema, pictures=pictures)


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_are_in_the_files_or_on_the_list(name: str, tmp_path: Path) -> None:
    kind = next(each for each in PLACES if each in FORMATS[name].KINDS)
    dataset = described(SHIP, kind=kind, pictures=True)
    (picture := tmp_path / "a.png").write_bytes(PICTURE)
    (folder := tmp_path / "written").mkdir()
    found = LabelledObject(1, PLACES[kind], {}, 1.0, "gold", [1], crowd=False)
    with FORMATS[name].writer(folder, dataset) as writer:
        writer.add(LabelledImage(1, "u", "a.png", 20, 10, "0" * 64, [found], []), picture)
        writer.finish()
    there = any(PICTURE in path.read_bytes() for path in folder.iterdir())
    assert there != (Loses.PICTURES in losses_of(name, dataset))


def test_trees_of_classes_are_on_the_list_of_those_without_a_place_for_them() -> None:
    tree = described(SHIP, FERRY)
    lost = {name for name in FORMATS if Loses.TAXONOMY in losses_of(name, tree)}
    assert lost == {
        *("cvat", "geojson", "json-lines", "kitti", "labelme", "masks", "open-images"),
        *("voc", "webdataset", "yolo"),
    }
    assert not any(Loses.TAXONOMY in losses_of(name, described(SHIP)) for name in FORMATS)


def test_only_parquet_has_the_whole_skeleton() -> None:
    people = described(BOAT, kind="keypoints")
    kept = {name for name in FORMATS if Loses.SKELETON not in losses_of(name, people)}
    assert kept == {"parquet"}


def test_what_is_said_of_images_is_beside_what_coco_has() -> None:
    assert Loses.IMAGE_LABELS in losses_of("coco", described(SHIP, kind="classify"))
    assert Loses.IMAGE_LABELS not in losses_of("coco", described(SHIP))
