"""supervision, labelformat and globox read boxes, corners and outlines.

A parser of what Ultralytics' own loader asks for reads all files of labels. Who else reads poses,
and folders of classes, is in `test_yolo_by_others`.
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import painting, yolo
from tessera.formats.protocol import Described, Loses, Split
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.formats.yolo_settings import label_path
from tessera.kinds import LabelClass, LabelSchema, Size
from tessera.shapes import rasters, turned
from tests.formats import some_records
from tests.formats.areas import assert_filled
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = ("box", "rotated", "classify", "instance_mask", "keypoints", "polygon")
WITH_FILES = ("box", "rotated", "instance_mask", "keypoints", "polygon")


def kept(image: LabelledImage) -> list[LabelledObject]:
    return [each for each in image.objects if not each.crowd]


def in_parts(each: LabelledObject, image: LabelledImage) -> list[dict[str, Any]]:
    """The place of an object, or the outer ring of each of its parts."""
    if "polygon" in each.place:
        return [{"polygon": [[outer]]} for outer, *_ in each.place["polygon"]]
    if "mask" not in each.place:
        return [each.place]
    size = Size(image.width, image.height)
    parts = painting.outlined(rasters.from_json(each.place["mask"]))
    return [{"mask": painting.filled([[outer]], size).as_json()} for outer, *_ in parts]


@given(st.sampled_from(SORTS).flatmap(some_records.datasets))
def test_what_is_written_is_read_back(case: Case) -> None:
    dataset, records = case
    expected = {
        image.name: [
            {"class": each.class_id, **place, "attributes": {}}
            for each in kept(image)
            for place in in_parts(each, image)
        ]
        for image in records
    }
    if Loses.EMPTY_IMAGES in yolo.losses(dataset):
        expected = {name: objects for name, objects in expected.items() if objects}
    assert some_records.round_trip(yolo, case) == expected


def test_losses_are_those_of_the_dataset() -> None:
    asked = [{"name": "hue", "type": "text"}]
    one = {"id": 1, "name": "a", "colour": "#000000", "attributes": asked}
    with_one = LabelSchema.parse({"classes": [one]})
    assert Loses.ATTRIBUTES in yolo.losses(Described("p", "n", "box", with_one))
    always = {Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS}
    areas = {Loses.CROWD, Loses.HOLES, Loses.PARTS}
    for kind, some in (("box", {Loses.CROWD}), ("polygon", areas), ("instance_mask", areas)):
        assert {*yolo.losses(Described("p", "n", kind, SCHEMA))} == always | some
    assert {*yolo.losses(Described("p", "n", "classify", SCHEMA))} == always | {Loses.EMPTY_IMAGES}


def rows(case: Case, root: Path) -> dict[str, list[list[float]]]:
    """Labels by image, as Ultralytics' loader takes them; else an assertion fails.

    Rules of `verify_image_label` and `check_det_dataset`: `train` and `val` are needed; a label
    lies where the image would, with the last `/images/` as `/labels/`; either all lines of a file
    have five columns, or all are of outlines, or all are as long as `kpt_shape` says; no share lies
    outside [0, 1] (of outlines those of the box around them) by more than a hundredth.
    """
    about = import_module("yaml").safe_load((root / "data.yaml").read_text())
    dataset, records = case
    splits = dataset.splits or ("train",)
    assert {"train", "val"} <= about.keys()
    assert about["names"] == dict(enumerate(each.name for each in dataset.schema.classes))
    assert about["class_ids"] == [each.id for each in dataset.schema.classes]
    points, of_point = about.get("kpt_shape", (0, 0))
    found: dict[str, list[list[float]]] = {}
    expected = set()
    for image in records:
        split = image.split or "train"
        assert split in splits
        assert about[split] == f"images/{split}"
        path = label_path(f"{about[split]}/{image.name.removesuffix('.jpg')}")
        expected.add(path)
        lines = [line.split() for line in (root / path).read_text().splitlines()]
        numbers = [[float(each) for each in line] for line in lines]
        for row in numbers:
            shares = np.array(row[1:])
            if points:
                assert len(row) == 5 + points * of_point
                checked = np.concatenate((shares[:4], shares[4:].reshape(-1, 3)[:, :2].ravel()))
            elif len(row) > 6:
                assert all(len(each) > 6 and len(each) % 2 for each in numbers)
                at = shares.reshape(-1, 2)
                low, high = at.min(axis=0), at.max(axis=0)
                checked = np.concatenate(((low + high) / 2, high - low))
            else:
                assert len(row) == 5
                checked = shares
            if not dataset.schema.rotated:  # larger than their image boxes may be, turned
                assert ((checked >= -0.01) & (checked <= 1.01)).all()
            assert row[0] in about["names"]
        found[image.name] = numbers
    there = {path.relative_to(root).as_posix() for path in root.rglob("*.txt")}
    assert there == expected
    return found


@settings(max_examples=examples(60))
@given(st.sampled_from(WITH_FILES).flatmap(some_records.with_stems_of_their_own))
def test_every_object_is_as_ultralytics_asks(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(yolo, case, folder))
        found = rows(case, root)
    for image in records:
        size = np.array([image.width, image.height])
        places = [(each, place) for each in kept(image) for place in in_parts(each, image)]
        for (number, *shares), (each, place) in zip(found[image.name], places, strict=True):
            assert dataset.schema.classes[int(number)].id == each.class_id
            if "points" in place:
                drawn = np.reshape(shares[4:], (-1, 3)) * [*size, 1]
                np.testing.assert_allclose(
                    drawn[: len(place["points"])], place["points"], atol=1e-5
                )
                assert not drawn[len(place["points"]) :].any()
                there = np.array([(x, y) for x, y, v in place["points"] if v])
                low, high = there.min(axis=0), there.max(axis=0)
                np.testing.assert_allclose(shares[:2] * size, (low + high) / 2, atol=1e-5)
                np.testing.assert_allclose(shares[2:4] * size, high - low, atol=1e-5)


def with_pictures(root: Path, case: Case) -> None:
    for image in case[1]:
        path = root / "images" / (image.split or "train") / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("1", (image.width, image.height)).save(path, "png")


def flat(sort: str) -> st.SearchStrategy[Case]:
    """These readers know images by their names without folders, spaces or what is not ASCII."""
    return some_records.datasets(
        sort, folders=("",), endings=("png",), image_names=some_records.plain
    )


@settings(max_examples=examples(40))
@given(st.sampled_from(("box", "rotated", "polygon", "instance_mask")).flatmap(flat))
def test_supervision_reads_every_object(case: Case) -> None:
    dataset, records = case
    assume(records)
    names = [each.name for each in dataset.schema.classes]
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(yolo, case, folder))
        with_pictures(root, case)
        for split in {each.split or "train" for each in records}:
            found = import_module("supervision").DetectionDataset.from_yolo(
                str(root / "images" / split),
                str(root / "labels" / split),
                str(root / "data.yaml"),
                is_obb=dataset.schema.rotated,
            )
            assert found.classes == names
            for image in (each for each in records if (each.split or "train") == split):
                drawn = found.annotations[str(root / "images" / split / image.name)]
                places = [(e, place) for e in kept(image) for place in in_parts(e, image)]
                assert len(drawn) == len(places)
                for number, (each, place) in enumerate(places):
                    assert names[drawn.class_id[number]] == some_records.named(dataset, each)
                    as_in_supervision(drawn, number, place)


def as_in_supervision(drawn: Any, number: int, place: dict[str, Any]) -> None:
    if "xyxyxyxy" in drawn.data:
        corners = turned.corners(np.array([[*place["box"], 0][:5]]))[0]
        np.testing.assert_allclose(drawn.data["xyxyxyxy"][number], corners, atol=0.01)
    elif "box" in place:
        np.testing.assert_allclose(drawn.xyxy[number], place["box"], atol=0.01)
    else:
        assert_filled(drawn.mask[number], outline_of(place))


def outline_of(place: dict[str, Any]) -> list[list[float]]:
    parts = place.get("polygon") or painting.outlined(rasters.from_json(place["mask"]))
    outline: list[list[float]] = parts[0][0]
    return outline


@settings(max_examples=examples(30))
@given(st.sampled_from(("box", "polygon")).flatmap(flat))
def test_labelformat_and_globox_read_every_object(case: Case) -> None:
    dataset, records = case
    assume(records)
    module = import_module("labelformat.formats.yolov8")
    reader = {
        "box": module.YOLOv8ObjectDetectionInput,
        "polygon": module.YOLOv8InstanceSegmentationInput,
    }[dataset.kind]
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(yolo, case, folder))
        with_pictures(root, case)
        said: dict[str, Any] = {}
        boxes: dict[str, Any] = {}
        for split in {each.split or "train" for each in records}:
            labels = reader(root / "data.yaml", split).get_labels()
            said |= {each.image.filename: each for each in labels}
            if dataset.kind == "box":
                boxes |= {
                    each.image_id: each
                    for each in import_module("globox").AnnotationSet.from_yolo_v5(
                        root / "labels" / split,
                        image_folder=root / "images" / split,
                        image_extension=".png",
                    )
                }
    for image in records:
        places = [(e, place) for e in kept(image) for place in in_parts(e, image)]
        for one, (each, place) in zip(said[image.name].objects, places, strict=True):
            assert one.category.name == some_records.named(dataset, each)
            if dataset.kind == "box":
                edges = [one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax]
                np.testing.assert_allclose(edges, place["box"], atol=0.001)
            else:
                (outline,) = one.segmentation.polygons
                np.testing.assert_allclose(outline, place["polygon"][0][0], atol=0.001)
        if dataset.kind == "box":
            found = boxes[image.name].boxes
            for box, (each, place) in zip(found, places, strict=True):
                assert dataset.schema.classes[int(box.label)].id == each.class_id
                np.testing.assert_allclose(box.ltrb, place["box"], atol=0.001)


@settings(max_examples=examples(30))
@given(some_records.datasets("classify"))
def test_classes_are_folders_as_of_image_folders(case: Case) -> None:
    """A folder below the split is a class; its files, in whatever folders, are the images."""
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(yolo, case, folder))
        lines = (root / "classes.txt").read_text().split("\n")[:-1]
        by_folder = {line.split("\t")[1]: line.split("\t") for line in lines}
        assert [(int(id_), name) for id_, _, name in by_folder.values()] == [
            (each.id, each.name) for each in dataset.schema.classes
        ]
        found = set()
        for split in dataset.splits or ("train",):
            for line in (root / f"{split}.txt").read_text().splitlines():
                top, of_class, *rest = PurePosixPath(line).parts
                assert top == split
                found.add((split, int(by_folder[of_class][0]), "/".join(rest)))
    assert found == {
        (image.split or "train", each.class_id, image.name)
        for image in records
        for each in image.objects
    }


def test_pictures_stand_where_ultralytics_looks_for_them(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3)).save(picture)
    found = LabelledObject(3, {}, {}, 1.0, "gold", [0], crowd=False)
    names = ("a/b.jpg", "a/b.png", "a/images/c.png")
    records = [
        LabelledImage(i, "u", name, 4, 3, "s", [found], [], Split.VAL)
        for i, name in enumerate(names, 1)
    ]
    (tmp_path / "folders").mkdir()
    splits = (Split.VAL, Split.TEST)
    case = Described("p", "n", "classify", SCHEMA, splits, pictures=True), records
    root = some_records.extracted(some_records.written(yolo, case, tmp_path / "folders", picture))
    assert (root / "val/bus/a/b.png").read_bytes() == picture.read_bytes()
    boxes = [replace(each, objects=[]) for each in records]
    (tmp_path / "boxes").mkdir()
    case = Described("p", "n", "box", SCHEMA, splits, pictures=True), boxes
    root = some_records.extracted(some_records.written(yolo, case, tmp_path / "boxes", picture))
    there = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))
    assert there == [
        "data.yaml",
        "images/val/a/b.jpg",
        "images/val/a/b~2.png",
        "images/val/a/images/c.png",
        "images/val/a/labels/c.txt",
        "labels/val/a/b.txt",
        "labels/val/a/b~2.txt",
    ]
    text = (root / "data.yaml").read_text()
    assert text.startswith("train: images/val\nval: images/val\ntest: images/test\n")


def test_points_change_places_in_a_mirror_if_all_classes_agree(tmp_path: Path) -> None:
    points = [{"name": name} for name in ("nose", "left", "right")]
    flipped = {"points": points, "flips": [[1, 2]]}
    for number, second, line in (
        (1, flipped, "flip_idx: [0, 2, 1]\n"),
        (2, {"points": points}, ""),
        (3, {"points": points[:1]}, ""),
    ):
        classes = [
            {"id": id_, "name": str(id_), "colour": "#000000", "skeleton": skeleton}
            for id_, skeleton in ((1, flipped), (2, second))
        ]
        dataset = Described("p", "n", "keypoints", LabelSchema.parse({"classes": classes}))
        (tmp_path / str(number)).mkdir()
        root = some_records.extracted(
            some_records.written(yolo, (dataset, []), tmp_path / str(number))
        )
        assert (root / "data.yaml").read_text().endswith(f"kpt_shape: [3, 3]\n{line}")


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    image = LabelledImage(1, "u", "a.jpg", 9, 9, "s", [], [])
    for kind in ("box", "classify"):
        for name in ("one", "two"):
            (tmp_path / kind / name).mkdir(parents=True)
            case: Case = Described("p", "n", kind, SCHEMA), [image]
            some_records.written(yolo, case, tmp_path / kind / name)
        one, two = (tmp_path / kind / name / "yolo.tar" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_no_two_classes_have_one_folder(tmp_path: Path) -> None:
    names = ("a/b", "a_b", "A_b", "..", "é")
    schema = LabelSchema(tuple(LabelClass(i, each, "#000000") for i, each in enumerate(names, 1)))
    case: Case = Described("p", "n", "classify", schema), []
    root = some_records.extracted(some_records.written(yolo, case, tmp_path))
    lines = (root / "classes.txt").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["a_b", "a_b_2", "A_b_3", "_", "é"]
