"""Pillow decodes all pictures; Datumaro reads regions, cityscapesscripts outlines and instances."""

import io
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import masks, painting
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Described, Known, Loses, Refused, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import areas, some_records
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema((LabelClass(7, "big car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = ("instance_mask", "polygon", "semantic_mask")
Pixels = np.ndarray[Any, Any]


def numbers(schema: LabelSchema, kind: str) -> dict[int, int]:
    """Of classes by id: ids, unless one is too large to have objects told apart."""
    fit = kind == "semantic_mask" or all(each.id <= 64 for each in schema.classes)
    return {each.id: each.id if fit else i for i, each in enumerate(schema.classes, 1)}


def drawn(each: LabelledObject, size: Size) -> Pixels:
    if "mask" in each.place:
        return some_records.drawn(each.place["mask"], size)
    strokes = painting.filled(each.place["polygon"], size)
    return areas.painted(strokes, size)


def pictures(dataset: Described, image: LabelledImage) -> tuple[Pixels, Pixels]:
    """What `labelIds` and `instanceIds` must be."""
    number, size = numbers(dataset.schema, dataset.kind), Size(image.width, image.height)
    labels = np.zeros((size.height, size.width), dtype=int)
    instances, there = np.zeros_like(labels), dict.fromkeys(number.values(), 0)
    for each in image.objects:
        mine, pixels = number[each.class_id], drawn(each, size)
        labels[pixels] = instances[pixels] = mine
        if dataset.kind != "semantic_mask" and not each.crowd:
            instances[pixels] = mine * 1_000 + there[mine]
            there[mine] += 1
    return labels, instances


@settings(max_examples=examples(60))
@given(st.sampled_from(SORTS).flatmap(some_records.with_stems_of_their_own))
def test_pillow_reads_every_pixel(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(masks, case, folder))
        for image in records:
            stem = image.name.removesuffix(".jpg")
            top = root / "gtFine" / (image.split or "train") / stem
            labels, instances = pictures(dataset, image)
            with Image.open(f"{top}_gtFine_labelIds.png") as picture:
                assert picture.mode == "P"
                np.testing.assert_array_equal(np.asarray(picture), labels)
                rgb = np.asarray(picture.convert("RGB"))
            with Image.open(f"{top}_gtFine_instanceIds.png") as picture:
                np.testing.assert_array_equal(np.asarray(picture), instances)
            number = numbers(dataset.schema, dataset.kind)
            if len({each.colour for each in dataset.schema.classes} - {"#000000"}) == len(number):
                for each in dataset.schema.classes:
                    colour = [int(each.colour[i : i + 2], 16) for i in (1, 3, 5)]
                    assert (rgb[labels == number[each.id]] == colour).all()
            assert not rgb[labels == 0].any()


@given(st.sampled_from(SORTS).flatmap(some_records.datasets))
def test_what_is_written_is_read_back(case: Case) -> None:
    dataset, records = case
    assume(records)  # without any image there is no file to know the format by
    found = some_records.round_trip(masks, case)
    assert found.keys() == {each.name for each in records}
    for image in records:
        size = Size(image.width, image.height)
        if dataset.kind == "polygon":
            assert found[image.name] == [
                {
                    "class": each.class_id,
                    "polygon": [[outer]],
                    "attributes": {},
                    **({"optional": True} if each.crowd else {}),
                }
                for each in image.objects
                for outer, *_ in each.place["polygon"]
            ]
            continue
        labels, instances = pictures(dataset, image)
        number = numbers(dataset.schema, dataset.kind)
        there = set(np.unique(instances).tolist()) - {0}
        assert len(found[image.name]) == len(there)
        for known in found[image.name]:
            pixels = some_records.drawn(known["mask"], size)
            (value,) = set(instances[pixels].tolist())
            np.testing.assert_array_equal(instances == value, pixels)
            assert set(labels[pixels].tolist()) == {number[known["class"]]}
            crowd = dataset.kind == "instance_mask" and value < 1_000
            assert known.get("optional", False) == crowd
            assert known["attributes"] == {}


@settings(max_examples=examples(30))
@given(some_records.datasets("semantic_mask", endings=("jpg",)))
def test_datumaro_reads_every_region(case: Case) -> None:
    dataset, records = case
    assume(records)
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(masks, case, folder))
        items = {}
        for split in {each.split or "train" for each in records}:
            (root / "leftImg8bit" / split).mkdir(parents=True)
        labels, found = some_records.opened(root, "cityscapes")
        items = {(each.subset, each.id): each for each in found}
        for image in records:
            item = items[image.split or "train", image.name.removesuffix(".jpg")]
            by_label = {each.label: each.image for each in item.annotations}
            assert by_label.keys() == {each.class_id for each in image.objects}
            for each in image.objects:
                name = "_".join(some_records.named(dataset, each).split())
                assert labels[each.class_id] in {name, f"{name}_{each.class_id}"}
                pixels = drawn(each, Size(image.width, image.height))
                np.testing.assert_array_equal(by_label[each.class_id], pixels)


@settings(max_examples=examples(30))
@given(st.sampled_from(("polygon", "instance_mask")).flatmap(some_records.with_stems_of_their_own))
def test_cityscapesscripts_reads_every_outline_and_instance(case: Case) -> None:
    dataset, records = case
    helpers = import_module("cityscapesscripts.helpers.annotation")
    evaluated = import_module("cityscapesscripts.evaluation.instance").Instance
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(masks, case, folder))
        for image in records:
            stem = image.name.removesuffix(".jpg")
            top = root / "gtFine" / (image.split or "train") / stem
            if dataset.kind == "polygon":
                said = helpers.Annotation()
                said.fromJsonFile(f"{top}_gtFine_polygons.json")
                assert (said.imgWidth, said.imgHeight) == (image.width, image.height)
                outlines = [
                    (some_records.named(dataset, each) + "group" * each.crowd, outer)
                    for each in image.objects
                    for outer, *_ in each.place["polygon"]
                ]
                assert [
                    (each.label, [[point.x, point.y] for point in each.polygon])
                    for each in said.objects
                ] == outlines
            ids = np.asarray(Image.open(f"{top}_gtFine_instanceIds.png"))
            labels, instances = pictures(dataset, image)
            for value in np.unique(ids[ids >= 1_000]).tolist():
                one = evaluated(ids, value)
                assert one.pixelCount == (instances == value).sum()
                assert {one.labelID} == set(labels[instances == value].tolist())


def a_mask(class_id: int, left: int, *, crowd: bool = False) -> LabelledObject:
    mask = {"left": left, "top": 0, "size": [1, 1], "counts": "01"}
    return LabelledObject(class_id, {"mask": mask}, {}, 1.0, "gold", [0], crowd=crowd)


def written(
    folder: Path, kind: str, schema: LabelSchema, objects: list[LabelledObject], width: int
) -> tuple[Case, Path]:
    image = LabelledImage(1, "u", "a.png", width, 1, "s", objects, [])
    case = Described("p", "n", kind, schema), [image]
    return case, some_records.extracted(some_records.written(masks, case, folder))


def pixels_of(root: Path, what: str) -> list[int]:
    with Image.open(root / f"gtFine/train/a_gtFine_{what}.png") as picture:
        row: list[int] = np.asarray(picture)[0].tolist()
        return row


def test_large_ids_are_two_bytes_and_larger_ones_are_numbers(tmp_path: Path) -> None:
    for ids, values, lost in (([9, 300], [9, 300], False), ([9, 70_000], [1, 2], True)):
        schema = LabelSchema(tuple(LabelClass(i, f"c{i}", "#000000") for i in ids))
        folder = tmp_path / str(ids[1])
        folder.mkdir()
        objects = [a_mask(each, i) for i, each in enumerate(ids)]
        case, root = written(folder, "semantic_mask", schema, objects, 3)
        assert pixels_of(root, "labelIds") == [*values, 0]
        assert (Loses.CLASS_IDS in masks.losses(case[0])) is lost
        (known,) = some_records.read_folder(masks, folder, some_records.wanted(case))
        assert isinstance(known, Known)
        assert [each["class"] for each in known.objects] == ids


def test_the_1001st_object_of_a_class_is_not_told_apart(tmp_path: Path) -> None:
    objects = [a_mask(7, i) for i in range(1_002)]
    case, root = written(tmp_path, "instance_mask", SCHEMA, objects, 1_002)
    assert pixels_of(root, "instanceIds") == [*range(7_000, 8_000), 7, 7]
    (known,) = some_records.read_folder(masks, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert sum(each.get("optional", False) for each in known.objects) == 1
    assert len(known.objects) == 1_001


def test_of_many_classes_objects_are_counted_whatever_their_class(tmp_path: Path) -> None:
    schema = LabelSchema(tuple(LabelClass(i, f"c{i}", "#000000") for i in range(1, 71)))
    objects = [a_mask(70, 0), a_mask(69, 1), a_mask(70, 2), a_mask(1, 3, crowd=True)]
    case, root = written(tmp_path, "instance_mask", schema, objects, 5)
    assert Loses.CROWD in masks.losses(case[0])
    assert pixels_of(root, "instanceIds") == [1, 2, 3, 0, 0]
    assert pixels_of(root, "labelIds") == [70, 69, 70, 0, 0]
    (known,) = some_records.read_folder(masks, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert [each["class"] for each in known.objects] == [70, 69, 70]
    (root / "gtFine/train/a_gtFine_labelIds.png").unlink()
    (refused,) = masks.read(Folder(root), some_records.wanted(case))
    assert isinstance(refused, Refused)
    assert "beside it" in refused.why


def test_pictures_are_named_as_in_cityscapes(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3), (200, 0, 0)).save(picture)
    image = LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [], Split.VAL)
    splits = (Split.TRAIN, Split.VAL)
    case = Described("p", "n", "semantic_mask", SCHEMA, splits, pictures=True), [image]
    (tmp_path / "made").mkdir()
    root = some_records.extracted(some_records.written(masks, case, tmp_path / "made", picture))
    _, (item,) = some_records.opened(root, "cityscapes")
    assert (item.id, item.subset) == ("a/b", "val")
    assert item.media.data[0, 0].tolist() == [0, 0, 200]


def test_losses_are_those_of_the_dataset() -> None:
    always = {Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES}
    asked = [{"name": "hue", "type": "text"}]
    one = {"id": 1, "name": "a", "colour": "#000000", "attributes": asked}
    for kind, schema, lost in (
        ("semantic_mask", SCHEMA, set[Loses]()),
        ("semantic_mask", LabelSchema.parse({"classes": [one]}), {Loses.ATTRIBUTES}),
        ("instance_mask", SCHEMA, {Loses.OVERLAPS}),
        ("polygon", SCHEMA, {Loses.HOLES, Loses.PARTS}),
    ):
        assert {*masks.losses(Described("p", "n", kind, schema))} == always | lost


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, "instance_mask", SCHEMA, [a_mask(7, 0)], 3)
    one, two = (tmp_path / name / "masks.tar" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def read(
    folder: Path, content: Any, kind: str = "polygon", name: str = "a_gtFine_polygons.json"
) -> list[Any]:
    path = folder / "gtFine" / "train" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(masks.read(Folder(folder), Wanted(kind, SCHEMA, {"a.jpg": Size(9, 8)})))


def document(**fields: Any) -> dict[str, Any]:
    one = {"label": "bus", "polygon": [[1, 1], [5, 1], [5, 5]], **fields}
    return {"imgWidth": 9, "imgHeight": 8, "objects": [one]}


@pytest.mark.parametrize(
    ("content", "at", "why"),
    [
        (document(label="tram"), ": objects[0].class", "'tram' is not a class"),
        (document(label="tramgroup"), ": objects[0].class", "'tram' is not a class"),
        (document(label=None), ": objects[0].class", "not a class"),
        (document(polygon=None), ": objects[0].polygon[0][0]", "list"),
        (document(polygon=[[1, 1], [2, 2], [1, 1]]), ": objects[0].polygon[0][0]", ""),
        (document(polygon=[[1, 1], [500, 1], [5, 5]]), ": objects[0].polygon[0][0][1][0]", "out"),
        ({**document(), "objects": [7]}, ": objects[0]", "object"),
        ({**document(), "objects": 7}, ".objects", "list"),
        ({**document(), "imgWidth": 8}, "", "8 x 8"),
        ({**document(), "imgWidth": "9"}, ".imgWidth", "whole"),
        ([], "", "object"),
        (b"{", "", "not JSON"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, content: Any, at: str, why: str) -> None:
    refused, *known = read(tmp_path, content)
    assert refused.at == f"gtFine/train/a_gtFine_polygons.json{at}"
    assert why in refused.why
    assert not any(each.objects for each in known)


def test_a_class_that_ends_like_a_group_is_a_class(tmp_path: Path) -> None:
    (known,) = read(tmp_path, document(label="busgroup"))
    assert known.objects[0]["optional"]
    group = LabelSchema((LabelClass(1, "busgroup", "#000000"),))
    wanted = replace(Wanted("polygon", group, {"a.jpg": Size(9, 8)}))
    (known,) = masks.read(Folder(tmp_path), wanted)
    assert isinstance(known, Known)
    assert "optional" not in known.objects[0]


def test_images_of_cityscapes_are_found_by_the_names_of_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "leftImg8bit_trainvaltest/gtFine/train/aachen/a_1_gtFine_labelIds.png"
    path.parent.mkdir(parents=True)
    values = np.array([[7, 255, 0, 5]], dtype=np.uint8)
    path.write_bytes(painting.png(values))
    images = {"aachen/a_1_leftImg8bit.png": Size(4, 1)}
    refused, known = masks.read(Folder(tmp_path), Wanted("semantic_mask", SCHEMA, images))
    assert isinstance(refused, Refused)
    assert "pixel of 5" in refused.why
    assert isinstance(known, Known)
    assert (known.name, [each["class"] for each in known.objects]) == (*images, [7])


def test_what_is_no_picture_or_of_no_image_is_refused(tmp_path: Path) -> None:
    name = "a_gtFine_labelIds.png"
    (refused,) = read(tmp_path, b"text", "semantic_mask", name)
    assert refused == Refused(f"gtFine/train/{name}", "is not a PNG, or is damaged")
    assert refused.image == "a.jpg", "of which it is not known what it shows"
    (refused,) = read(tmp_path, painting.png(np.zeros((2, 2), np.uint8)), "semantic_mask", name)
    assert "2 x 2" in refused.why
    found = read(tmp_path, b"text", "semantic_mask", "../../a/gtFine/train/b_gtFine_labelIds.png")
    assert "'b' is not an image" in found[0].why


def test_masks_that_are_damaged_are_refused_and_others_are_not(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).choice(np.array([3, 7], dtype=np.uint8), (8, 9))
    whole = painting.png(noise)
    (known,) = read(tmp_path, whole, "semantic_mask", "a_gtFine_labelIds.png")
    assert [each["class"] for each in known.objects] == [3, 7]
    (tmp_path / "gtFine/train/b_gtFine_labelIds.png").write_bytes(whole[:-20])
    images = dict.fromkeys(("a.jpg", "b.jpg"), Size(9, 8))
    known, refused = masks.read(Folder(tmp_path), Wanted("semantic_mask", SCHEMA, images))
    assert isinstance(known, Known)
    assert isinstance(refused, Refused)
    assert (known.name, refused.image, refused.code) == ("a.jpg", "b.jpg", Code.BAD_RECORD)
    assert refused.at == "gtFine/train/b_gtFine_labelIds.png"


def test_white_of_one_bit_is_a_class_and_not_void(tmp_path: Path) -> None:
    there = io.BytesIO()
    Image.fromarray(np.arange(72).reshape(8, 9) < 40).save(there, "png")
    one = LabelSchema((LabelClass(1, "car", "#ff0000"),))
    path = tmp_path / "gtFine/train/a_gtFine_labelIds.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(there.getvalue())
    wanted = Wanted("semantic_mask", one, {"a.jpg": Size(9, 8)})
    (known,) = masks.read(Folder(tmp_path), wanted)
    assert isinstance(known, Known)
    assert [some_records.drawn(each["mask"], Size(9, 8)).sum() for each in known.objects] == [40]


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    for kind in SORTS:
        with pytest.raises(BadFile, match="has no file"):
            list(masks.read(Folder(tmp_path), Wanted(kind, SCHEMA)))
