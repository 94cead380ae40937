"""Everybody reads COCO: pycocotools, faster-coco-eval, supervision and Datumaro, and so do we."""

import contextlib
import copy
import io
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tessera.formats import coco, painting
from tessera.formats.protocol import Described, Loses, Split
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import some_records
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema((LabelClass(1, "coin", "#ff0000"), LabelClass(2, "cup", "#00ff00")))
OF_PYCOCOTOOLS = "ignore:__array__ implementation:DeprecationWarning"


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assert some_records.round_trip(coco, case) == some_records.as_known(case[1])


def opened(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def of_split(case: Case) -> dict[str, tuple[str, list[LabelledImage]]]:
    """File and images of each split, or of all there is."""
    dataset, records = case
    if not dataset.splits:
        return {"": ("coco.json", records)}
    return {
        split: (f"coco_{split}.json", [each for each in records if each.split == split])
        for split in dataset.splits
    }


@pytest.mark.filterwarnings(OF_PYCOCOTOOLS)
@settings(max_examples=examples(60))
@given(some_records.cases)
def test_pycocotools_reads_every_object_as_the_records_have_it(case: Case) -> None:
    dataset, _ = case
    with some_records.a_folder() as folder:
        some_records.written(coco, case, folder)
        for name, images in of_split(case).values():
            found = opened(folder / name)
            assert [each["name"] for each in found.dataset["categories"]] == [
                each.name for each in dataset.schema.classes
            ]
            assert found.getImgIds() == [each.id for each in images]
            for image in images:
                (about,) = found.loadImgs([image.id])
                size = (image.width, image.height)
                assert (about["file_name"], about["width"], about["height"]) == (image.name, *size)
                placed = [each for each in image.objects if each.place]
                drawn = found.loadAnns(found.getAnnIds([image.id]))
                for each, one in zip(placed, drawn, strict=True):
                    same(found, one, each, dataset, image)


def same(
    found: COCO, one: dict[str, Any], each: LabelledObject, dataset: Described, image: LabelledImage
) -> None:
    assert (one["category_id"], one["iscrowd"]) == (each.class_id, each.crowd)
    assert (one["score"], one["attributes"]) == (each.confidence, each.attributes)
    assert one["source"] == each.source
    known = [{"class": each.class_id, **each.place}]
    edges = kind_of(dataset.kind).reach(known, dataset.schema)[0]
    left, top, width, height = one["bbox"]
    np.testing.assert_allclose([left, top, left + width, top + height], edges, atol=0.021)
    match each.place:
        case {"mask": mask}:
            expected = some_records.drawn(mask, Size(image.width, image.height))
            np.testing.assert_array_equal(found.annToMask(one), expected)
            assert one["area"] == expected.sum()
        case {"polygon": parts} if each.crowd or any(len(part) > 1 for part in parts):
            pixels = found.annToMask(one).astype(bool)
            y, x = np.mgrid[: image.height, : image.width] + 0.5
            centres = import_module("shapely").points(x, y)
            area = import_module("tessera.shapes.nested").areas_of([parts])[0]
            inside = import_module("shapely").contains(area, centres[pixels])
            assert inside.all() or abs(inside.sum() - pixels.sum()) <= 2
            assert pixels.sum() == painting.filled(parts, Size(*pixels.shape[::-1])).pixels
            assert pixels.sum() == pytest.approx(one["area"], rel=0.1, abs=len(parts) * 40)
        case {"polygon": parts}:
            assert one["segmentation"] == [np.ravel(outer).tolist() for (outer,) in parts]
        case {"points": points}:
            assert one["keypoints"] == [number for point in points for number in point]
            assert one["num_keypoints"] == sum(v > 0 for *_, v in points)
        case {"box": [*upright, angle]} if len(upright) == 4:
            assert one["rotated"] == [*upright, angle]
            corners = np.reshape(one["segmentation"], (4, 2))
            sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
            width, height = upright[2] - upright[0], upright[3] - upright[1]
            np.testing.assert_allclose(sides, [width, height] * 2, atol=0.03)
            np.testing.assert_allclose(corners.mean(axis=0), np.mean([upright[:2], upright[2:]], 0))


def one_of_each(sort: str) -> Case:
    """Two images, with objects of every class, far apart and of some size."""
    skeleton = {"points": [{"name": name} for name in "abc"], "edges": [[0, 1], [1, 2]]}
    classes = [
        {"id": id_, "name": name, "colour": "#000000", "skeleton": skeleton}
        for id_, name in ((7, "car"), (3, "bus"))
    ]
    schema = LabelSchema.parse({"classes": classes})

    def place(left: int) -> dict[str, Any]:
        box = [float(left), 10.0, left + 40.0, 60.0]
        disc = np.hypot(*(np.mgrid[:50, :40] - np.array([25, 20])[:, None, None])) < 19
        strokes = import_module("tessera.shapes.rasters").from_counts(
            import_module("tessera.shapes.rle").encode(disc), 50
        )
        points = [[left, 10.0, 2], [left + 40.0, 60.0, 1], [0.0, 0.0, 0]]
        mask = strokes.moved(left, 10).as_json()
        return {"box": box} if sort == "box" else {sort: mask if sort == "mask" else points}

    images = [
        LabelledImage(
            number,
            "u",
            f"{number}.png",
            200,
            100,
            "s",
            [
                LabelledObject(class_id, place(left), {}, 0.9, "consensus", [0], crowd=False)
                for class_id, left in ((7, 0), (3, 60), (7, 150))
            ],
            [],
        )
        for number in (1, 2)
    ]
    kinds = {"box": "box", "mask": "instance_mask", "points": "keypoints"}
    return Described("p", "n", kinds[sort], schema), images


@pytest.mark.filterwarnings(OF_PYCOCOTOOLS)
@pytest.mark.parametrize(
    ("sort", "measure"), [("box", "bbox"), ("mask", "segm"), ("points", "keypoints")]
)
def test_the_evaluations_of_coco_find_it_equal_to_itself(
    tmp_path: Path, sort: str, measure: str
) -> None:
    path = some_records.written(coco, one_of_each(sort), tmp_path) / "coco.json"
    predicted = orjson.loads(path.read_bytes())["annotations"]
    faster = import_module("faster_coco_eval")
    with contextlib.redirect_stdout(io.StringIO()):
        for reader, evaluation in ((COCO, COCOeval), (faster.COCO, faster.COCOeval_faster)):
            truth = reader(str(path))
            judged = evaluation(truth, truth.loadRes(copy.deepcopy(predicted)), measure)
            judged.params.kpt_oks_sigmas = np.full(3, 0.05)
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
            assert judged.stats[0] == pytest.approx(1)


@pytest.mark.parametrize("sort", ["box", "mask"])
def test_supervision_reads_every_box_and_mask(tmp_path: Path, sort: str) -> None:
    case = one_of_each(sort)
    some_records.written(coco, case, tmp_path)
    for image in case[1]:
        Image.new("RGB", (image.width, image.height)).save(tmp_path / image.name)
    found = import_module("supervision").DetectionDataset.from_coco(
        str(tmp_path), str(tmp_path / "coco.json"), force_masks=sort == "mask"
    )
    assert sorted(found.classes) == ["bus", "car"]
    for image in case[1]:
        drawn = found.annotations[str(tmp_path / image.name)]
        names = [found.classes[number] for number in drawn.class_id]
        assert names == [some_records.named(case[0], each) for each in image.objects]
        for number, each in enumerate(image.objects):
            if sort == "box":
                assert drawn.xyxy[number].tolist() == each.place["box"]
            else:
                expected = some_records.drawn(each.place["mask"], Size(200, 100))
                np.testing.assert_array_equal(drawn.mask[number], expected)


@pytest.mark.filterwarnings(OF_PYCOCOTOOLS)
@settings(max_examples=examples(30))
@given(
    st.sampled_from(
        ("box", "rotated", "polygon", "instance_mask", "semantic_mask", "keypoints")
    ).flatmap(some_records.with_stems_of_their_own)
)
def test_datumaro_reads_every_object(case: Case) -> None:
    dataset, records = case
    assume(records)
    task = "person_keypoints" if dataset.kind == "keypoints" else "instances"
    with some_records.a_folder() as folder:
        some_records.written(coco, case, folder)
        (folder / "root" / "annotations").mkdir(parents=True)
        for split, (name, _) in of_split(case).items():
            to = folder / "root" / "annotations" / f"{task}_{split or 'all'}.json"
            shutil.copyfile(folder / name, to)
            (folder / "root" / "images" / (split or "all")).mkdir(parents=True)
        labels, items = some_records.opened(folder / "root", f"coco_{task}")
        by_name = {(each.subset, each.id): each for each in items}
        for image in records:
            item = by_name[image.split or "all", image.name.removesuffix(".jpg")]
            groups: dict[int, list[Any]] = {}
            for drawn in sorted(item.annotations, key=lambda one: one.id):
                groups.setdefault(drawn.id, []).append(drawn)
            for drawn, each in zip(groups.values(), image.objects, strict=True):
                assert {labels[one.label] for one in drawn} == {some_records.named(dataset, each)}
                assert drawn[0].attributes["is_crowd"] == each.crowd
                as_in_datumaro(drawn, each, image)


def as_in_datumaro(drawn: list[Any], each: LabelledObject, image: LabelledImage) -> None:
    of_type = {one.type.name: one for one in drawn}
    match each.place:
        case {"box": [left, top, right, bottom]}:
            found = of_type["bbox"].points
            np.testing.assert_allclose(found, [left, top, right, bottom], atol=0.021)
        case {"points": points}:
            found = of_type["points"]
            assert [int(v) for v in found.visibility] == [v for *_, v in points]
            np.testing.assert_allclose(found.points, [n for p in points for n in p[:2]], atol=0.006)
        case {"mask": mask}:
            expected = some_records.drawn(mask, Size(image.width, image.height))
            np.testing.assert_array_equal(of_type["mask"].image, expected)
        case {"polygon": parts} if not each.crowd and all(len(part) == 1 for part in parts):
            found = [one.points for one in drawn if one.type.name == "polygon"]
            for one, (outer,) in zip(found, parts, strict=True):
                np.testing.assert_allclose(one, np.ravel(outer), atol=0.006)


def test_a_split_is_a_file(tmp_path: Path) -> None:
    image = LabelledImage(1, "u", "a.jpg", 9, 9, "s", [], [], Split.VAL)
    dataset = Described("p", "n", "box", SCHEMA, (Split.TRAIN, Split.VAL))
    some_records.written(coco, (dataset, [image]), tmp_path)
    train, val = (orjson.loads((tmp_path / f"coco_{s}.json").read_bytes()) for s in dataset.splits)
    assert (train["images"], [each["file_name"] for each in val["images"]]) == ([], ["a.jpg"])
    assert train["categories"] == val["categories"]


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        some_records.written(coco, one_of_each("mask"), tmp_path / name)
    one, two = (tmp_path / name / "coco.json" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_losses_are_those_of_the_dataset() -> None:
    for kind in ("box", "polygon", "instance_mask", "semantic_mask", "keypoints"):
        assert coco.losses(Described("p", "n", kind, SCHEMA, (Split.TRAIN,))) == [Loses.TILES]
    for kind in ("polyline", "cuboid"):
        assert coco.losses(Described("p", "n", kind, SCHEMA)) == [Loses.TILES, Loses.SHAPE]
