"""Datumaro reads every segment pixel by pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import coco_panoptic, painting
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Described, Known, Refused, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import some_records
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = ("instance_mask", "semantic_mask")


def seen(image: LabelledImage) -> list[tuple[LabelledObject, np.ndarray[Any, Any]]]:
    """Objects, and what of each lies on top of those before it; without those of no pixel."""
    size = Size(image.width, image.height)
    above = np.zeros((size.height, size.width), dtype=bool)
    found = []
    for each in reversed(image.objects):
        pixels = some_records.drawn(each.place["mask"], size)
        if (pixels & ~above).any():
            found.append((each, pixels & ~above))
        above |= pixels
    return found[::-1]


@given(st.sampled_from(SORTS).flatmap(some_records.datasets))
def test_what_is_written_is_read_back(case: Case) -> None:
    _, records = case
    found = some_records.round_trip(coco_panoptic, case)
    assert found.keys() == {each.name for each in records}
    expected = some_records.as_known(records)
    for image in records:
        size = Size(image.width, image.height)
        kept = seen(image)
        assert len(found[image.name]) == len(kept)
        for known, (each, pixels) in zip(found[image.name], kept, strict=True):
            np.testing.assert_array_equal(some_records.drawn(known["mask"], size), pixels)
            bare = {key: known[key] for key in known if key != "mask"}
            said = expected[image.name][image.objects.index(each)]
            assert bare == {key: said[key] for key in said if key != "mask"}


@settings(max_examples=examples(40))
@given(st.sampled_from(SORTS).flatmap(some_records.with_stems_of_their_own))
def test_datumaro_reads_every_segment(case: Case) -> None:
    dataset, records = case
    assume(records)
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(coco_panoptic, case, folder))
        (root / "images").mkdir()
        labels, items = some_records.opened(root, "coco_panoptic")
        by_name = {(each.subset, each.id): each for each in items}
        for image in records:
            item = by_name[image.split or "default", image.name.removesuffix(".jpg")]
            assert item.media.size == (image.height, image.width)
            for drawn, (each, pixels) in zip(item.annotations, seen(image), strict=True):
                assert labels[drawn.label] == some_records.named(dataset, each)
                assert drawn.attributes.pop("is_crowd") == each.crowd
                assert drawn.attributes == each.attributes | {}
                np.testing.assert_array_equal(drawn.image, pixels)


def a_square(class_id: int, left: int) -> LabelledObject:
    mask = {"left": left, "top": 0, "size": [2, 2], "counts": "04"}
    return LabelledObject(class_id, {"mask": mask}, {}, 0.5, "gold", [0], crowd=False)


def a_case(kind: str, *objects: LabelledObject) -> Case:
    image = LabelledImage(1, "u", "a/b.png", 9, 4, "s", list(objects), [], Split.VAL)
    return Described("p", "n", kind, SCHEMA, (Split.TRAIN, Split.VAL), pictures=True), [image]


def test_pictures_stand_where_datumaro_looks_for_them(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (9, 4), (200, 0, 0)).save(picture)
    (tmp_path / "made").mkdir()
    case = a_case("instance_mask", a_square(7, 0))
    root = some_records.extracted(
        some_records.written(coco_panoptic, case, tmp_path / "made", picture)
    )
    _, (item,) = some_records.opened(root, "coco_panoptic")
    assert (item.id, item.subset) == ("a/b", "val")
    assert item.media.data[0, 0].tolist() == [0, 0, 200]


def test_more_segments_than_a_byte_holds_are_three_bytes(tmp_path: Path) -> None:
    ids = np.arange(300, dtype=np.uint32).reshape(10, 30) * 1_000
    rgb = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=2).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(painting.png(rgb))
    pixels = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    np.testing.assert_array_equal(pixels @ np.array([1, 256, 65_536]), ids)


DOCUMENT: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 4}],
    "categories": [{"id": 5, "name": "car"}, {"id": 6, "name": "bus"}],
    "annotations": [
        {
            "image_id": 1,
            "file_name": "a.png",
            "segments_info": [
                {"id": 1, "category_id": 5, "iscrowd": 0},
                {"id": 2, "category_id": 6, "iscrowd": 1},
                {"id": 3, "category_id": 5},
            ],
        }
    ],
}


def read(folder: Path, document: Any, kind: str = "instance_mask") -> list[Known | Refused]:
    ids = np.zeros((4, 9), dtype=np.uint8)
    ids[0, 0], ids[1, 1], ids[2, 5] = 1, 2, 3
    (folder / "panoptic").mkdir(exist_ok=True)
    (folder / "panoptic" / "a.png").write_bytes(painting.png(ids))
    (folder / "panoptic" / "small.png").write_bytes(painting.png(ids[:2]))
    (folder / "panoptic" / "text.png").write_bytes(b"text")
    (folder / "panoptic.json").write_bytes(orjson.dumps(document))
    wanted = Wanted(kind, SCHEMA, {"a.jpg": Size(9, 4)})
    return list(coco_panoptic.read(Folder(folder), wanted))


def test_segments_of_one_class_are_one_region(tmp_path: Path) -> None:
    (found,) = read(tmp_path, DOCUMENT, "semantic_mask")
    assert isinstance(found, Known)
    regions = [
        (each["class"], each["mask"]["left"], each["mask"]["size"]) for each in found.objects
    ]
    assert regions == [(7, 0, [3, 6]), (3, 1, [1, 1])]
    (found,) = read(tmp_path, DOCUMENT)
    assert isinstance(found, Known)
    assert [each.get("optional", False) for each in found.objects] == [False, True, False]


def changed(**fields: Any) -> dict[str, Any]:
    return {**DOCUMENT, "annotations": [{**DOCUMENT["annotations"][0], **fields}]}


@pytest.mark.parametrize("kind", SORTS)
@pytest.mark.parametrize(
    ("document", "at", "why"),
    [
        (changed(file_name="b.png"), "[0].file_name", "not there"),
        (changed(file_name="../panoptic/a.png"), "[0].file_name", "not there"),
        (changed(file_name=None), "[0].file_name", "not there"),
        (changed(file_name="small.png"), "[0]", "'panoptic/small.png' that is of 9 x 2"),
        (changed(file_name="text.png"), "[0]", "is not a PNG"),
        (changed(segments_info=None), "[0].segments_info", "list"),
        (changed(segments_info=[7]), "[0]", "object"),
        (changed(image_id=2), "[0].image_id", "nothing in this file"),
        (changed(segments_info=[{"id": 4, "category_id": 5}]), "[0].segments_info[0].id", "pixel"),
        (changed(segments_info=[{"id": [], "category_id": 5}]), "[0].segments_info[0].id", "whole"),
        (
            changed(segments_info=[{"id": 1, "category_id": 9}]),
            "[0].segments_info[0].category_id",
            "nothing",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, document: Any, at: str, why: str, kind: str
) -> None:
    (refused, *_) = read(tmp_path, document, kind)
    assert isinstance(refused, Refused)
    assert refused.at.removeprefix("panoptic.json: annotations").startswith(at)
    assert why in refused.why


def told(found: list[Known | Refused]) -> tuple[list[Any], list[int]]:
    """What was refused, and the pixels of each object."""
    *refused, known = found
    assert isinstance(known, Known)
    there = [each for each in refused if isinstance(each, Refused)]
    assert {each.image for each in there} <= {"a.jpg"}
    size = Size(9, 4)
    pixels = [int(some_records.drawn(each["mask"], size).sum()) for each in known.objects]
    return [(each.at.partition(": ")[2] or each.at, each.code) for each in there], pixels


CAR, BUS = 5, 6
INFO = "annotations[0].segments_info"


@pytest.mark.parametrize(
    ("segments", "refused", "pixels"),
    [
        ([(1, CAR), (2, CAR), (3, CAR), (9, CAR)], [f"{INFO}[3].id"], [3]),
        ([(9, CAR), (1, CAR), (2, CAR), (3, CAR)], [f"{INFO}[0].id"], [3]),
        ([(1, CAR), (3, CAR), (3, CAR), (2, BUS)], [f"{INFO}[2].id"], [2, 1]),
        ([(1, CAR), (1, BUS), (2, BUS), (3, BUS)], [f"{INFO}[1].id"], [1, 2]),
    ],
)
def test_no_segment_is_lost_in_the_region_of_its_class(
    tmp_path: Path, segments: list[tuple[int, int]], refused: list[str], pixels: list[int]
) -> None:
    info = [{"id": id_, "category_id": category} for id_, category in segments]
    found = told(read(tmp_path, changed(segments_info=info), "semantic_mask"))
    assert found == ([(at, Code.MISSING) for at in refused], pixels)


def test_segments_of_no_class_are_refused_one_by_one(tmp_path: Path) -> None:
    info = [{"id": 1, "category_id": 9}, {"id": 2, "category_id": 9}, {"id": 3, "category_id": 5}]
    found = told(read(tmp_path, changed(segments_info=info), "semantic_mask"))
    at = [f"{INFO}[{i}].category_id" for i in (0, 1)]
    assert found == ([(each, Code.MISSING) for each in at], [1])


@pytest.mark.parametrize("kind", SORTS)
def test_pixels_of_no_segment_are_refused_by_their_number(tmp_path: Path, kind: str) -> None:
    info = [{"id": 3, "category_id": 6}]
    found = read(tmp_path, changed(segments_info=info), kind)
    assert told(found) == ([("panoptic/a.png", Code.MISSING)] * 2, [1])
    for number, each in enumerate(found[:2], 1):
        assert isinstance(each, Refused)
        assert each.why == f"has a pixel of {number}, which is the id of no segment"


def test_a_damaged_picture_is_refused_and_others_are_not(tmp_path: Path) -> None:
    images = [DOCUMENT["images"][0], {"id": 2, "file_name": "b.jpg", "width": 9, "height": 4}]
    annotations = [DOCUMENT["annotations"][0], {"image_id": 2, "file_name": "b.png"}]
    annotations[1]["segments_info"] = DOCUMENT["annotations"][0]["segments_info"]
    read(tmp_path, {**DOCUMENT, "images": images, "annotations": annotations})
    whole = (tmp_path / "panoptic/a.png").read_bytes()
    (tmp_path / "panoptic/b.png").write_bytes(whole[:-20])
    wanted = Wanted("instance_mask", SCHEMA, dict.fromkeys(("a.jpg", "b.jpg"), Size(9, 4)))
    known, refused = coco_panoptic.read(Folder(tmp_path), wanted)
    assert isinstance(known, Known)
    assert isinstance(refused, Refused)
    assert (known.name, len(known.objects)) == ("a.jpg", 3)
    assert (refused.image, refused.at) == ("b.jpg", "panoptic.json: annotations[1]")
    assert refused.why == "has a 'panoptic/b.png' that is not a PNG, or is damaged"


def test_what_is_said_of_images_of_others_is_foreign_and_nothing_else(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "z.jpg", "width": 9, "height": 4}]
    (refused,) = read(tmp_path, {**changed(file_name="z.png"), "images": images})
    assert isinstance(refused, Refused)
    assert refused.foreign


def test_two_annotations_of_one_image_are_one_too_many(tmp_path: Path) -> None:
    document = {**DOCUMENT, "annotations": DOCUMENT["annotations"] * 2}
    refused, known = read(tmp_path, document)
    assert isinstance(refused, Refused)
    assert (refused.at, refused.code) == ("panoptic.json: annotations[1]", Code.REPEATED)
    assert isinstance(known, Known)


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        read(tmp_path, [])
