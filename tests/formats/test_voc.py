"""Datumaro, supervision, labelformat and globox read what we write."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import painting, voc
from tessera.formats.protocol import Described, Known, Loses, Split
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import some_records
from tests.formats.areas import assert_filled, painted
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = ("box", "rotated", "instance_mask", "polygon", "semantic_mask")
MASKS = ("instance_mask", "semantic_mask")


def parts(image: LabelledImage) -> list[LabelledObject]:
    """Each part of an outline, without its holes, as an object of its own."""
    return [
        replace(each, place={"polygon": [[part[0]]]} if "polygon" in each.place else each.place)
        for each in image.objects
        for part in each.place.get("polygon", [[]])
    ]


def seen(image: LabelledImage) -> list[tuple[LabelledObject, np.ndarray[Any, Any]]]:
    """Objects of which some pixel is not below a later one, and those pixels."""
    size = Size(image.width, image.height)
    above = np.zeros((size.height, size.width), dtype=bool)
    found = []
    for each in reversed(image.objects):
        pixels = some_records.drawn(each.place["mask"], size)
        if (pixels & ~above).any():
            found.append((each, pixels & ~above))
        above |= pixels
    return found[::-1]


def as_known(dataset: Described, each: LabelledObject) -> dict[str, Any]:
    asked = dataset.kind != "semantic_mask"
    return {
        "class": each.class_id,
        "attributes": each.attributes if asked else {},
        **({"optional": True} if each.crowd else {}),
    }


@given(st.sampled_from(SORTS).flatmap(some_records.datasets))
def test_what_is_written_is_read_back(case: Case) -> None:
    dataset, records = case
    assume(records)  # without any image there is no file to know the format by
    found = some_records.round_trip(voc, case)
    assert found.keys() == {each.name for each in records}
    for image in records:
        size = Size(image.width, image.height)
        if dataset.kind in MASKS:
            expected = seen(image)
            if dataset.kind == "semantic_mask":
                order = [each.id for each in dataset.schema.classes]
                expected.sort(key=lambda pair: order.index(pair[0].class_id))
            for known, (each, pixels) in zip(found[image.name], expected, strict=True):
                np.testing.assert_array_equal(some_records.drawn(known.pop("mask"), size), pixels)
                assert known == as_known(dataset, each)
        else:
            for known, each in zip(found[image.name], parts(image), strict=True):
                place = {key: known.pop(key) for key in each.place}
                assert known == as_known(dataset, each)
                assert dataset.schema.rotated or place == each.place


def edges_of(dataset: Described, each: LabelledObject, image: LabelledImage) -> Any:
    known = [{"class": each.class_id, **each.place}]
    reach = kind_of(dataset.kind).reach(known, dataset.schema)[0]
    return np.clip(reach, 0, [image.width, image.height] * 2)


@settings(max_examples=examples(50))
@given(st.sampled_from(SORTS).flatmap(some_records.with_stems_of_their_own))
def test_datumaro_reads_every_object(case: Case) -> None:
    dataset, records = case
    assume(records)
    task = {"box": "voc_detection", "semantic_mask": "voc_segmentation"}.get(dataset.kind, "voc")
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(voc, case, folder))
        labels, items = some_records.opened(root, task, coordinate_mode="voc-one-based")
        named = [each.name for each in dataset.schema.classes]
        assert labels[1 : 1 + len(named)] == named
        by_name = {(each.subset, each.id): each for each in items}
        assert len(by_name) == len(records)
        for image in records:
            item = by_name[image.split or "trainval", image.name.removesuffix(".jpg")]
            of_type: dict[str, list[Any]] = {"bbox": [], "mask": []}
            for drawn in item.annotations:
                of_type[drawn.type.name].append(drawn)
            if dataset.kind == "semantic_mask":
                regions_in_datumaro(case, image, labels, of_type["mask"])
                continue
            assert item.media.size == (image.height, image.width)
            objects = (
                [each for each, _ in seen(image)]
                if dataset.kind == "instance_mask"
                else parts(image)
            )
            for drawn, each in zip(of_type["bbox"], objects, strict=True):
                assert labels[drawn.label] == some_records.named(dataset, each)
                assert drawn.attributes["difficult"] == each.crowd
                said = {name: str(value) for name, value in drawn.attributes.items()}
                for name, value in each.attributes.items():
                    assert said[name].lower() == str(value).lower()
                np.testing.assert_allclose(drawn.points, edges_of(dataset, each, image), atol=0.011)
            masks = sorted(of_type["mask"], key=lambda drawn: drawn.group)
            if dataset.kind == "instance_mask":
                for drawn, (each, pixels) in zip(masks, seen(image), strict=True):
                    assert labels[drawn.label] == some_records.named(dataset, each)
                    np.testing.assert_array_equal(drawn.image, pixels)
            if dataset.kind == "polygon":
                areas_in_datumaro(dataset, image, labels, masks)


def regions_in_datumaro(
    case: Case, image: LabelledImage, labels: list[str], drawn: list[Any]
) -> None:
    by_label = {labels[each.label]: each.image for each in drawn}
    void = np.ones((image.height, image.width), dtype=bool)
    for each, pixels in seen(image):
        region = by_label.pop(some_records.named(case[0], each))
        np.testing.assert_array_equal(region, pixels)
        void &= ~pixels
    (rest,) = by_label.values() or [np.zeros_like(void)]
    np.testing.assert_array_equal(rest, void)


def areas_in_datumaro(
    dataset: Described, image: LabelledImage, labels: list[str], drawn: list[Any]
) -> None:
    """Each part with its holes, but for what lies below later ones."""
    size = Size(image.width, image.height)
    areas = [
        (each, painted(painting.filled([part], size), size))
        for each in image.objects
        for part in each.place["polygon"]
    ]
    above = np.zeros((size.height, size.width), dtype=bool)
    expected = []
    for each, pixels in reversed(areas):
        expected.append((each, pixels & ~above))
        above |= pixels
    expected = [pair for pair in reversed(expected) if pair[1].any()]
    for one, (each, pixels) in zip(drawn, expected, strict=True):
        assert labels[one.label] == some_records.named(dataset, each)
        np.testing.assert_array_equal(one.image, pixels)


def flat(sort: str) -> st.SearchStrategy[Case]:
    """These readers know images by their names without folders, spaces or what is not ASCII."""
    return some_records.datasets(
        sort,
        folders=("",),
        endings=("png",),
        image_names=some_records.plain,
        class_names=some_records.plain,
    )


@settings(max_examples=examples(40))
@given(st.sampled_from(("box", "polygon")).flatmap(flat))
def test_supervision_labelformat_and_globox_read_every_object(case: Case) -> None:
    dataset, records = case
    assume(records)
    for image in records:  # of which the first pixel is not before the last one
        sides = [edges_of(dataset, each, image).reshape(2, 2) for each in parts(image)]
        assume(all((high - low > 1).all() for low, high in sides))
    names = ",".join(each.name for each in dataset.schema.classes)
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(voc, case, folder))
        (root / "JPEGImages").mkdir()
        for image in records:
            path = root / "JPEGImages" / image.name
            Image.new("RGB", (image.width, image.height)).save(path)
        boxes = import_module("globox").AnnotationSet.from_pascal_voc(root / "Annotations")
        reader = import_module("labelformat.formats.pascalvoc").PascalVOCObjectDetectionInput
        said = {e.image.filename: e for e in reader(root / "Annotations", names).get_labels()}
        found = import_module("supervision").DetectionDataset.from_pascal_voc(
            str(root / "JPEGImages"), str(root / "Annotations"), force_masks=True
        )
        masks = {Path(path).name: drawn for path, _, drawn in found}
    for image in records:
        objects = parts(image)
        theirs = masks[image.name]
        assert len(theirs) == len(objects)
        for number, (each, box, one) in enumerate(
            zip(objects, boxes[image.name].boxes, said[image.name].objects, strict=True)
        ):
            name = some_records.named(dataset, each)
            edges = edges_of(dataset, each, image)
            assert box.label == one.category.name == found.classes[theirs.class_id[number]] == name
            # these two have the numbers as they are, which are counted from 1
            np.testing.assert_allclose(box.ltrb, np.add(edges, [1, 1, 0, 0]), atol=0.006)
            corners = (one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax)
            np.testing.assert_allclose(corners, np.add(edges, [1, 1, 0, 0]), atol=0.006)
            if dataset.kind == "box":
                np.testing.assert_allclose(theirs.xyxy[number], edges, atol=0.006)
            else:
                assert_filled(theirs.mask[number], each.place["polygon"][0][0])


def a_mask(class_id: int, left: int) -> LabelledObject:
    mask = {"left": left, "top": 0, "size": [1, 1], "counts": "01"}
    return LabelledObject(class_id, {"mask": mask}, {}, 1.0, "gold", [0], crowd=False)


def test_pictures_have_the_colours_of_classes_and_of_voc(tmp_path: Path) -> None:
    classes = (LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#ff0000"))
    objects = [a_mask(7, 0), a_mask(3, 1), a_mask(7, 2)]
    image = LabelledImage(1, "u", "a.png", 4, 1, "s", objects, [])
    dataset = Described("p", "n", "instance_mask", LabelSchema(classes))
    root = some_records.extracted(some_records.written(voc, (dataset, [image]), tmp_path))
    for folder, numbers, colours in (
        ("SegmentationClass", [1, 2, 1, 0], [(255, 0, 0), (255, 0, 1), (255, 0, 0), (0, 0, 0)]),
        ("SegmentationObject", [1, 2, 3, 0], [(128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 0)]),
    ):
        with Image.open(root / folder / "a.png") as picture:
            assert picture.mode == "P"
            assert np.asarray(picture).ravel().tolist() == numbers
            assert list(map(tuple, np.asarray(picture.convert("RGB"))[0].tolist())) == colours


def test_more_objects_than_a_byte_holds_are_two_bytes(tmp_path: Path) -> None:
    image = LabelledImage(1, "u", "a.png", 300, 1, "s", [a_mask(7, i) for i in range(300)], [])
    case = Described("p", "n", "instance_mask", SCHEMA), [image]
    root = some_records.extracted(some_records.written(voc, case, tmp_path))
    with Image.open(root / "SegmentationObject" / "a.png") as picture:
        assert np.asarray(picture)[0].tolist() == list(range(1, 301))
    (known,) = some_records.read_folder(voc, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert [each["mask"]["left"] for each in known.objects] == list(range(300))


def test_more_classes_than_a_byte_holds_are_two_bytes(tmp_path: Path) -> None:
    schema = LabelSchema(tuple(LabelClass(i, f"c{i}", "#000000") for i in range(1, 301)))
    image = LabelledImage(1, "u", "a.png", 3, 1, "s", [a_mask(255, 0), a_mask(300, 1)], [])
    case = Described("p", "n", "semantic_mask", schema), [image]
    root = some_records.extracted(some_records.written(voc, case, tmp_path))
    with Image.open(root / "SegmentationClass" / "a.png") as picture:
        assert np.asarray(picture)[0].tolist() == [255, 300, 65_535]
    (known,) = some_records.read_folder(voc, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert [each["class"] for each in known.objects] == [255, 300]


def test_pictures_stand_where_readers_look_for_them(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3), (200, 0, 0)).save(picture)
    image = LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [], Split.VAL)
    case = Described("p", "n", "box", SCHEMA, (Split.TRAIN, Split.VAL), pictures=True), [image]
    (tmp_path / "made").mkdir()
    root = some_records.extracted(some_records.written(voc, case, tmp_path / "made", picture))
    assert (root / "ImageSets/Main/train.txt").read_text() == ""
    _, (item,) = some_records.opened(root, "voc_detection")
    assert (item.id, item.subset) == ("a/b", "val")
    assert item.media.data[0, 0].tolist() == [0, 0, 200]


def test_losses_are_those_of_the_dataset() -> None:
    always = {Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS}
    asked = [{"name": "hue", "type": "text"}]
    one = {"id": 1, "name": "a", "colour": "#000000", "attributes": asked}
    some = LabelSchema.parse({"classes": [one]})
    for kind, schema, lost in (
        ("box", some, set[Loses]()),
        ("box", replace(SCHEMA, rotated=True), {Loses.SHAPE}),
        ("polygon", some, {Loses.HOLES, Loses.PARTS}),
        ("instance_mask", some, {Loses.OVERLAPS}),
        ("semantic_mask", SCHEMA, set[Loses]()),
        ("semantic_mask", some, {Loses.ATTRIBUTES}),
    ):
        assert {*voc.losses(Described("p", "n", kind, schema))} == always | lost


def test_names_that_a_line_cannot_have_are_written_otherwise(tmp_path: Path) -> None:
    names = ("a:b", "a_b", "background", "#x")
    schema = LabelSchema(tuple(LabelClass(i, each, "#000000") for i, each in enumerate(names, 1)))
    image = LabelledImage(1, "u", "a.png", 4, 1, "s", [a_mask(1, 0), a_mask(3, 1)], [])
    case = Described("p", "n", "semantic_mask", schema), [image]
    root = some_records.extracted(some_records.written(voc, case, tmp_path))
    lines = (root / "labelmap.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "background_",
        "a_b",
        "a_b_2",
        "background",
        "_x",
        "void",
    ]
    (known,) = some_records.read_folder(voc, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert [each["class"] for each in known.objects] == [1, 3]


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    image = LabelledImage(1, "u", "a.png", 4, 1, "s", [a_mask(7, 0)], [])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        case = Described("p", "n", "instance_mask", SCHEMA), [image]
        some_records.written(voc, case, tmp_path / name)
    one, two = (tmp_path / name / "voc.tar" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
