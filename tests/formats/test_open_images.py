"""Datumaro reads what we write object by object, and we read it back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import open_images
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Loses, Refused, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
FLAGS = ("occluded", "truncated", "depiction", "inside")


@given(st.sampled_from(("box", "classify")).flatmap(some_records.datasets))
def test_what_is_written_is_read_back(case: Case) -> None:
    _, records = case
    if case[0].kind == "classify":  # 0 says that the class is not there
        assume(all(found.confidence for image in records for found in image.objects))
    expected = some_records.as_known(records, attributes=False)
    assert some_records.round_trip(open_images, case) == expected


@some_records.BY_OTHERS
@given(st.sampled_from(("box", "rotated", "classify")).flatmap(some_records.datasets))
def test_datumaro_reads_every_object_as_the_records_have_it(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(open_images, case, folder))
        labels, found = some_records.opened(root, "open_images")
    assert labels == [str(each.id) for each in dataset.schema.classes]
    names = {"train": "train", "val": "validation", "test": "test"}
    splits = [names[each.split or "train"] for each in records]
    items = {each.id: each for each in found}
    assert len(items) == len(records)
    stems: dict[str, str] = {}
    for image, split in zip(records, splits, strict=True):
        stem = image.name.rsplit(".", 1)[0]
        stem = stem if stem not in stems else f"{stem}~2"
        stems[stem] = image.name
        item = items[stem]
        assert item.subset == split
        for drawn, each in zip(item.annotations, image.objects, strict=True):
            assert labels[drawn.label] == str(each.class_id)
            assert drawn.attributes["score"] == each.confidence
            if dataset.kind == "classify":
                assert drawn.type.name == "label"
                continue
            assert drawn.attributes["is_group_of"] == each.crowd
            assert not {*FLAGS} & drawn.attributes.keys()
            around = kind_of("box").reach([{"class": each.class_id, **each.place}], dataset.schema)
            inside = np.clip(around[0], 0, [image.width, image.height] * 2)
            np.testing.assert_allclose(drawn.points, inside, atol=0.011)


def test_flags_have_columns_and_all_else_is_lost(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = [{"name": name, "type": "flag"} for name in FLAGS]
    one = {"id": 1, "name": "car", "colour": "#000000", "attributes": asked}
    schema = LabelSchema.parse({"classes": [one]})
    described = Described("p", "n", "box", schema)
    assert Loses.ATTRIBUTES not in open_images.losses(described)
    other = LabelSchema.parse({"classes": [one | {"attributes": [{"name": "a", "type": "flag"}]}]})
    assert Loses.ATTRIBUTES in open_images.losses(Described("p", "n", "box", other))
    assert Loses.ATTRIBUTES in open_images.losses(Described("p", "n", "classify", schema))
    said: list[Any] = [dict.fromkeys(FLAGS, True), {"inside": False}, {}]
    place = {"box": [0.0, 0.0, 2.0, 2.0]}
    found = [LabelledObject(1, place, each, 1.0, "gold", [0], crowd=False) for each in said]
    case = described, [LabelledImage(1, "u", "a.jpg", 9, 9, "s", found, [])]
    known = some_records.round_trip(open_images, case)["a.jpg"]
    assert [each["attributes"] for each in known] == said
    root = some_records.extracted(some_records.written(open_images, case, tmp_path))
    _, (item,) = some_records.opened(root, "open_images")
    flags = [
        {k: v for k, v in each.attributes.items() if k != "score"} for each in item.annotations
    ]
    none = {"is_group_of": False}
    named = ("occluded", "truncated", "is_depiction", "is_inside")
    assert flags == [dict.fromkeys(named, True) | none, {"is_inside": False} | none, none]


def test_pictures_stand_where_datumaro_looks_for_them(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3), (200, 0, 0)).save(picture)
    image = LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [], Split.VAL)
    case = Described("p", "n", "box", SCHEMA, (Split.TRAIN, Split.VAL), pictures=True), [image]
    (tmp_path / "made").mkdir()
    root = some_records.extracted(
        some_records.written(open_images, case, tmp_path / "made", picture)
    )
    _, (item,) = some_records.opened(root, "open_images")
    assert (item.id, item.subset) == ("a/b", "validation")
    assert item.media.data[0, 0].tolist() == [0, 0, 200]


BOXES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"
GOOD = "a,x,/m/1,1,0.1,0.5,0.1,0.5,0"


def read(folder: Path, table: str | bytes, kind: str = "box") -> list[Any]:
    ending = {"box": "bbox", "classify": "human-imagelabels"}[kind]
    path = folder / f"oidv6-train-annotations-{ending}.csv"
    path.write_bytes(table.encode() if isinstance(table, str) else table)
    (folder / "oidv6-class-descriptions.csv").write_text(
        "LabelName,DisplayName\n/m/1,car\n/m/2,tram\n"
    )
    return list(open_images.read(Folder(folder), Wanted(kind, SCHEMA, {"a.jpg": Size(10, 10)})))


def test_open_images_own_files_are_read(tmp_path: Path) -> None:
    (known,) = read(tmp_path, f"{BOXES}{GOOD}\n{GOOD[:-1]}1\n")
    box = {"class": 7, "box": [1, 1, 5, 5], "attributes": {}, "confidence": 1.0}
    assert (known.name, known.objects) == ("a.jpg", [box, box | {"optional": True}])
    labels = "ImageID,Source,LabelName,Confidence\na,verification,/m/1,1\na,verification,/m/2,0\n"
    (known,) = read(tmp_path, labels, "classify")
    assert known.objects == [{"class": 7, "attributes": {}, "confidence": 1.0}]


@pytest.mark.parametrize(
    ("row", "at", "why"),
    [
        (GOOD.replace("/m/1", "/m/2"), "class", "'tram' is not a class"),
        (GOOD.replace("/m/1", "/m/3"), "class", "'/m/3' is not a class"),
        (GOOD.replace("0.5", "1.5"), "box[2]", "outside"),
        (GOOD.replace("0.5", "x"), "XMax", "a number"),
        (GOOD.replace("0.5", "nan"), "box[2]", "finite"),
        (GOOD.replace("/m/1,1", "/m/1,7"), "confidence", "between"),
        ("a,x,/m/1,1", "XMin", "a number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, row: str, at: str, why: str
) -> None:
    refused, known = read(tmp_path, f"{BOXES}{GOOD}\n{row}\n")
    assert refused.at == f"oidv6-train-annotations-bbox.csv:3.{at}"
    assert why in refused.why
    assert len(known.objects) == 1


def test_images_of_other_projects_are_refused(tmp_path: Path) -> None:
    (refused,) = read(tmp_path, f"{BOXES}{GOOD.replace('a,x', '../a,x')}\n")
    assert isinstance(refused, Refused)
    assert refused.at == "oidv6-train-annotations-bbox.csv:2"
    assert "not an image" in refused.why


def test_a_table_of_images_need_not_tell_their_names(tmp_path: Path) -> None:
    """Nor need they be known: a project may have no image yet."""
    (tmp_path / "train-images-with-rotation.csv").write_text("ImageID,Subset\na,train\nb,train\n")
    known, refused = read(tmp_path, f"{BOXES}{GOOD}\n")
    assert (known.name, known.at) == ("a.jpg", "train-images-with-rotation.csv:2")
    assert (refused.at, refused.image) == ("train-images-with-rotation.csv:3", "b")
    found = list(open_images.read(Folder(tmp_path), Wanted("box", SCHEMA)))
    assert {each.image for each in found if isinstance(each, Refused)} == {"a", "b"}


@pytest.mark.parametrize(
    "table", ["", "{}", "ImageID,LabelName\n", BOXES + '"' + "x" * 200_000, b"\xff\xfe\0"]
)
def test_what_is_something_else_is_a_bad_file(tmp_path: Path, table: str | bytes) -> None:
    with pytest.raises(BadFile):
        read(tmp_path, table)
    with pytest.raises(BadFile, match="has no"):
        list(open_images.read(Folder(tmp_path), Wanted("classify", SCHEMA)))


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "train-annotations-bbox.csv"
    table.write_text(
        f"ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n{'x' * 1_000_001}\n"
    )
    with pytest.raises(BadFile, match="has a line of 1,000,000 letters or more"):
        list(open_images.read(Folder(tmp_path), Wanted("box", SCHEMA)))
