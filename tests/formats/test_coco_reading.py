"""Reading COCO files as people send them."""

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import coco
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import some_records

SCHEMA = LabelSchema((LabelClass(1, "coin", "#ff0000"), LabelClass(2, "cup", "#00ff00")))
SIZES = {"a.jpg": Size(100, 80), "b.jpg": Size(50, 50)}

GOOD: dict[str, Any] = {
    "info": {"anything": "goes"},
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
        {"id": 8, "file_name": "b.jpg", "width": 50, "height": 50},
    ],
    "categories": [{"id": 3, "name": "cup"}, {"id": 4, "name": "coin"}, {"id": 5, "name": "hat"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 4, "bbox": [10, 20, 30.5, 40]},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [-0.5, 0, 100.7, 80], "iscrowd": 1},
    ],
}
Change = Callable[[dict[str, Any]], Any]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def read(
    document: object, kind: str = "box", schema: LabelSchema = SCHEMA
) -> tuple[dict[str, Known], list[Refused]]:
    with some_records.a_folder() as folder:
        content = document if isinstance(document, bytes) else orjson.dumps(document)
        (folder / "some.json").write_bytes(content)
        found = list(coco.read(Folder(folder), Wanted(kind, schema, SIZES)))
    known = {each.name: each for each in found if isinstance(each, Known)}
    return known, [each for each in found if isinstance(each, Refused)]


def test_boxes_become_edges_and_categories_the_schemas_classes() -> None:
    known, refused = read(GOOD)
    assert not refused
    assert list(known["a.jpg"].objects) == [
        {"class": 1, "attributes": {}, "box": [10, 20, 40.5, 60]},
        {"class": 2, "attributes": {}, "box": [0, 0, 100, 80], "optional": True},
    ]
    assert list(known["b.jpg"].objects) == [], "nothing in it is a known answer as well"


def test_an_annotation_without_a_box_is_about_the_whole_image() -> None:
    label = {"id": 1, "image_id": 8, "category_id": 3, "score": 1.0, "attributes": {}}
    bare = {"id": 1, "image_id": 8, "category_id": 3}
    for file in ({"annotations": [bare]}, {"annotations": [], "image_labels": [label]}):
        known, _ = read({**GOOD, **file}, "classify")
        (found,) = known["b.jpg"].objects
        assert (found["class"], found["attributes"]) == (2, {})
    _, (refused,) = read({**GOOD, "annotations": [], "image_labels": [label]})
    assert refused.at == "some.json: image_labels[0].bbox"


def test_classes_with_boxes_are_of_a_part_of_the_image() -> None:
    known, _ = read(GOOD, "classify")
    assert [each["box"] for each in known["a.jpg"].objects] == [[10, 20, 40.5, 60], [0, 0, 100, 80]]


@pytest.mark.parametrize("said", ["false", "0", "1", "", 2, -1, 0.5, [0], {}])
def test_a_crowd_is_0_or_1(said: object) -> None:
    wrong = {**GOOD["annotations"][0], "iscrowd": said}
    known, (refused,) = read({**GOOD, "annotations": [wrong, GOOD["annotations"][1]]})
    assert (refused.at, refused.code) == ("some.json: annotations[0].iscrowd", Code.BAD_RECORD)
    assert (refused.image, len(known["a.jpg"].objects)) == ("a.jpg", 1)


def test_a_crowd_may_be_true_or_false_or_not_said() -> None:
    said: list[dict[str, Any]] = [{"iscrowd": each} for each in (0, 1, False, True, None)]
    for crowd in [{}, *said]:
        one = GOOD["annotations"][0] | crowd
        known, _ = read({**GOOD, "annotations": [one]})
        assert ("optional" in known["a.jpg"].objects[0]) is bool(crowd.get("iscrowd"))


def first(document: dict[str, Any]) -> dict[str, Any]:
    annotation: dict[str, Any] = document["annotations"][0]
    return annotation


BAD_FILES: list[tuple[str, Change]] = [
    (": images", lambda coco: coco.pop("images")),
    (": categories", lambda coco: coco.pop("categories")),
    (": annotations", lambda coco: coco.update(annotations={})),
    (": image_labels", lambda coco: coco.update(image_labels={})),
    (": categories[0]", lambda coco: coco["categories"].__setitem__(0, 7)),
    (": categories[1].id", lambda coco: coco["categories"][1].update(id=3)),
    (": categories[0].name", lambda coco: coco["categories"][0].update(name=None)),
]
BAD: list[tuple[str, Change]] = [
    ("images[1]", lambda coco: coco["images"].__setitem__(1, "b.jpg")),
    ("images[1].id", lambda coco: coco["images"][1].update(id=7)),
    ("images[1].id", lambda coco: coco["images"][1].update(id=True)),
    ("images[1].id", lambda coco: coco["images"][1].update(id="7")),
    ("images[1]", lambda coco: coco["images"][1].update(width=-100)),
    ("images[1].height", lambda coco: coco["images"][1].pop("height")),
    ("images[1]", lambda coco: coco["images"][1].update(height=51)),
    ("images[1].file_name", lambda coco: coco["images"][1].update(file_name="")),
    ("images[1].file_name", lambda coco: coco["images"][1].update(file_name=7)),
    ("images[1].file_name", lambda coco: coco["images"][1].update(file_name="a.jpg")),
    ("images[1]", lambda coco: coco["images"][1].update(file_name="../b.jpg")),
    ("annotations[0]", lambda coco: coco["annotations"].__setitem__(0, [])),
    ("annotations[0].image_id", lambda coco: first(coco).update(image_id=9)),
    ("annotations[0].image_id", lambda coco: first(coco).update(image_id=7.0)),
    ("annotations[0].category_id", lambda coco: first(coco).update(category_id=99)),
    ("annotations[0].class", lambda coco: first(coco).update(category_id=5)),
    ("annotations[0].attributes", lambda coco: first(coco).update(attributes=[])),
    ("annotations[0].confidence", lambda coco: first(coco).update(score=2)),
    ("annotations[0].bbox", lambda coco: first(coco).pop("bbox")),
    ("annotations[0].bbox", lambda coco: first(coco).update(bbox=None)),
    ("annotations[0].bbox", lambda coco: first(coco).update(bbox=[1, 2, 3])),
    ("annotations[0].bbox[3]", lambda coco: first(coco).update(bbox=[1, 2, 3, "4"])),
    ("annotations[0].bbox[3]", lambda coco: first(coco).update(bbox=[1, 2, 3, True])),
    ("annotations[0].bbox[3]", lambda coco: first(coco).update(bbox=[1, 2, 3, None])),
    ("annotations[0].bbox[3]", lambda coco: first(coco).update(bbox=[1, 2, 3, 2**60])),
    ("annotations[0].box[2]", lambda coco: first(coco).update(bbox=[1, 2, 1e308, 3])),
    ("annotations[0].box[2]", lambda coco: first(coco).update(bbox=[1e308, 2, 1e308, 3])),
    ("annotations[0].box", lambda coco: first(coco).update(bbox=[1, 2, 0, 3])),
    ("annotations[0].box", lambda coco: first(coco).update(bbox=[1, 2, -1.5, 3])),
    ("annotations[0].box[2]", lambda coco: first(coco).update(bbox=[100, 2, 2, 3])),
    ("annotations[0].box[0]", lambda coco: first(coco).update(bbox=[-2, 2, 10, 3])),
    ("annotations[0].box[2]", lambda coco: first(coco).update(bbox=[95, 2, 10, 3])),
]


@pytest.mark.parametrize(("at", "spoil"), BAD)
def test_what_makes_no_sense_is_refused_and_named_and_the_rest_is_taken(
    at: str, spoil: Change
) -> None:
    document = copy.deepcopy(GOOD)
    spoil(document)
    known, (refused,) = read(document)
    assert refused.at == f"some.json: {at}"
    assert len(known["a.jpg"].objects) == (1 if at.startswith("annotations") else 2)


@pytest.mark.parametrize(("at", "spoil"), BAD_FILES)
def test_what_is_no_coco_is_a_bad_file(at: str, spoil: Change) -> None:
    document = copy.deepcopy(GOOD)
    spoil(document)
    with pytest.raises(BadFile) as refused:
        read(document)
    assert refused.value.facts["at"] == f"some.json{at}"


def test_what_is_no_json_is_a_bad_file(tmp_path: Path) -> None:
    for content in (b"", b"{", b"[1]", b'{"a": NaN}'):
        with pytest.raises(BadFile):
            read(content)
    with pytest.raises(BadFile, match="no JSON"):
        list(coco.read(Folder(tmp_path), Wanted("box", SCHEMA)))


SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
RUNS = {"size": [80, 100], "counts": [0, 2, 7998]}


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        ("polygon", {}, "must be a list"),
        ("polygon", {"segmentation": []}, "at least one outline"),
        ("polygon", {"segmentation": [[]]}, "at least one outline"),
        ("polygon", {"segmentation": [[1, 2, 3]]}, "x and y"),
        ("polygon", {"segmentation": [[1, 1, 9, 9, 1, 9, 9, 1]]}, "crosses"),
        ("polygon", {"segmentation": [[1, 1, 900, 9, 1, 9]]}, "outside"),
        ("polygon", {"polygon": "no"}, "must be a list"),
        ("instance_mask", {"segmentation": [[1, 1, 1.2, 1, 1.2, 1.2]]}, "no pixel"),
        ("instance_mask", {"segmentation": {**RUNS, "size": [79, 100]}}, "height and width"),
        ("instance_mask", {"segmentation": {**RUNS, "counts": [0, 2]}}, "does not make up"),
        ("instance_mask", {"segmentation": {**RUNS, "counts": "0" * 5_000_000}}, "too long"),
        ("instance_mask", {"segmentation": {**RUNS, "counts": None}}, "must be a list"),
        ("polyline", {}, "'line' is missing"),
        ("cuboid", {}, "'cuboid' is missing"),
    ],
)
def test_every_kind_is_checked(kind: str, fields: dict[str, Any], why: str) -> None:
    document = {**GOOD, "annotations": [{"image_id": 7, "category_id": 4, **fields}]}
    known, (refused,) = read(document, kind)
    assert why in refused.why
    assert not known["a.jpg"].objects


def test_outlines_are_filled_and_run_lengths_outlined() -> None:
    of = {"image_id": 7, "category_id": 4}
    two = {**of, "segmentation": [SQUARE, [20, 20, 40, 20, 40, 40, 20, 40]]}
    known, _ = read({**GOOD, "annotations": [two]}, "instance_mask")
    (found,) = known["a.jpg"].objects
    drawn = some_records.drawn(found["mask"], Size(100, 80))
    assert (drawn.sum(), drawn[25, 25], drawn[10, 10], drawn[35, 12]) == (700, True, True, False)
    known, _ = read({**GOOD, "annotations": [{**of, "segmentation": RUNS}]}, "polygon")
    assert known["a.jpg"].objects[0]["polygon"] == [[[[0, 0], [1, 0], [1, 2], [0, 2]]]]


def test_points_go_by_the_names_of_the_category() -> None:
    skeleton = {"points": [{"name": "left"}, {"name": "right"}]}
    one = {"id": 1, "name": "coin", "colour": "#000000", "skeleton": skeleton}
    schema = LabelSchema.parse({"classes": [one]})
    seen = {"image_id": 7, "category_id": 4, "keypoints": [5, 5, 2, 0, 0, 0]}

    def taken(names: object, keypoints: object = seen["keypoints"]) -> Any:
        category = {"id": 4, "name": "coin", **({} if names is None else {"keypoints": names})}
        file = {"categories": [category], "annotations": [{**seen, "keypoints": keypoints}]}
        known, refused = read({**GOOD, **file}, "keypoints", schema)
        return refused[0].why if refused else known["a.jpg"].objects[0]["points"]

    assert taken(["right", "left"]) == [[0, 0, 0], [5, 5, 2]]
    assert taken(["left", "right"]) == taken(None) == [[5, 5, 2], [0, 0, 0]]
    assert "names of the category" in taken(["left", "nose"])
    assert "names of the category" in taken(7)
    assert "must be 2 points" in taken(["left", "right"], [5, 5, 2])
    assert "x, y and v" in taken(["left", "right"], [5, 5])
    assert "whole" in taken(None, [5, 5, 1.5, 0, 0, 0])


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with contextlib.suppress(BadFile):
        read(json.dumps(value).encode())


@given(
    st.sampled_from(["images", "categories", "annotations"]),
    st.integers(0, 1),
    st.sampled_from(["id", "file_name", "width", "name", "bbox", "image_id", "category_id"]),
    json_values,
)
def test_any_value_in_any_place_is_read_or_refused(
    part: str, number: int, field: str, value: Any
) -> None:
    document = copy.deepcopy(GOOD)
    document[part][number][field] = value
    try:
        known, _ = read(json.dumps(document).encode())
    except BadFile:
        return
    for image in known.values():
        for each in image.objects:
            left, top, right, bottom = each["box"]
            assert 0 <= left < right <= SIZES[image.name].width
            assert 0 <= top < bottom <= SIZES[image.name].height
