"""Reading COCO as people send it in the body of a call."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kernel.errors import Invalid
from tessera.kinds import LabelSchema
from tessera.quality.errors import BadCoco, UnknownClass
from tessera.quality.from_coco import read
from tests.world import BOX_SCHEMA

SCHEMA = LabelSchema.parse(BOX_SCHEMA)
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


def test_boxes_become_edges_and_categories_the_schemas_classes() -> None:
    first, second = read(GOOD, "box", SCHEMA)
    assert (first.name, first.size) == ("a.jpg", (100, 80))
    assert (second.name, second.size) == ("b.jpg", (50, 50))
    assert first.objects == [
        {"class": 1, "attributes": {}, "box": [10, 20, 40.5, 60]},
        {"class": 2, "attributes": {}, "box": [0, 0, 100, 80], "optional": True},
    ]
    assert second.objects == [], "nothing in it is a known answer as well"


def test_an_annotation_without_a_box_is_about_the_whole_image() -> None:
    file = {**GOOD, "annotations": [{"id": 1, "image_id": 8, "category_id": 3}]}
    _, second = read(file, "classify", SCHEMA)
    assert second.objects == [{"class": 2, "attributes": {}}]


def test_what_our_own_datasets_say_of_whole_images_is_read_too() -> None:
    label = {"id": 1, "image_id": 8, "category_id": 3, "score": 1.0, "attributes": {}}
    _, second = read({**GOOD, "annotations": [], "image_labels": [label]}, "classify", SCHEMA)
    assert second.objects == [{"class": 2, "attributes": {}}]
    with pytest.raises(BadCoco) as refusal:
        read({**GOOD, "image_labels": [label]}, "box", SCHEMA)
    assert refusal.value.facts["at"] == "image_labels[0].bbox"


def first(coco: dict[str, Any]) -> dict[str, Any]:
    annotation: dict[str, Any] = coco["annotations"][0]
    return annotation


BAD: list[tuple[str, Change]] = [
    ("images", lambda coco: coco.pop("images")),
    ("categories", lambda coco: coco.pop("categories")),
    ("annotations", lambda coco: coco.update(annotations={})),
    ("images[1]", lambda coco: coco["images"].__setitem__(1, "b.jpg")),
    ("images[1]", lambda coco: coco["images"][1].update(id=7)),
    ("images[1]", lambda coco: coco["images"][1].update(id=True)),
    ("images[0]", lambda coco: coco["images"][0].update(id="7")),
    ("images[0]", lambda coco: coco["images"][0].update(width=-100)),
    ("images[0]", lambda coco: coco["images"][0].pop("height")),
    ("images[0]", lambda coco: coco["images"][0].update(file_name="")),
    ("images[0]", lambda coco: coco["images"][0].update(file_name=7)),
    ("images[1]", lambda coco: coco["images"][1].update(file_name="a.jpg")),
    ("categories[1].id", lambda coco: coco["categories"][1].update(id=3)),
    ("categories[0].name", lambda coco: coco["categories"][0].update(name=None)),
    ("annotations[0]", lambda coco: first(coco).update(image_id=9)),
    ("annotations[0]", lambda coco: first(coco).update(image_id=7.0)),
    ("annotations[0]", lambda coco: first(coco).update(category_id=99)),
    ("annotations[0]", lambda coco: first(coco).pop("bbox")),
    ("annotations[0]", lambda coco: first(coco).update(bbox=None)),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3, "4"])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3, True])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3, float("nan")])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3, float("inf")])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 3, 10**400])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1e308, 2, 1e308, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, 0, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[1, 2, -3, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[100, 2, 1, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[-2, 2, 10, 3])),
    ("annotations[0]", lambda coco: first(coco).update(bbox=[95, 2, 10, 3])),
]


@pytest.mark.parametrize(("at", "spoil"), BAD)
def test_what_makes_no_sense_is_refused_and_named(at: str, spoil: Change) -> None:
    coco = copy.deepcopy(GOOD)
    spoil(coco)
    with pytest.raises(BadCoco) as refused:
        read(coco, "box", SCHEMA)
    assert refused.value.facts["at"].startswith(at)


def test_a_class_that_the_schema_does_not_have_is_named_if_it_is_used() -> None:
    coco = copy.deepcopy(GOOD)
    first(coco)["category_id"] = 5
    with pytest.raises(UnknownClass, match="hat"):
        read(coco, "box", SCHEMA)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(Invalid):
        read(value, "box", SCHEMA)


@given(
    st.sampled_from(["images", "categories", "annotations"]),
    st.integers(0, 1),
    st.sampled_from(["id", "file_name", "width", "name", "bbox", "image_id", "category_id"]),
    json_values,
)
def test_any_value_in_any_place_is_read_or_refused(
    part: str, number: int, field: str, value: Any
) -> None:
    coco = copy.deepcopy(GOOD)
    coco[part][number][field] = value
    try:
        known = read(coco, "box", SCHEMA)
    except Invalid:
        return
    for image in known:
        assert image.size is not None
        for each in image.objects:
            left, top, right, bottom = each["box"]
            assert 0 <= left < right <= image.size.width
            assert 0 <= top < bottom <= image.size.height
