"""Datumaro reads what we write object by object, and we read it back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import datumaro
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Loses, Refused, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tessera.shapes import turned
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))


def known(case: Case) -> dict[str, list[dict[str, Any]]]:
    """As the records say, without holes."""
    said = some_records.as_known(case[1])
    for objects in said.values():
        for each in objects:
            if "polygon" in each:
                each["polygon"] = [[outer] for outer, *_ in each["polygon"]]
    return said


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    reserved = {"score", "is_crowd"}
    assert not reserved & {a.name for c in case[0].schema.classes for a in c.attributes}
    assert some_records.round_trip(datumaro, case) == known(case)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@some_records.BY_OTHERS
@given(some_records.cases)
def test_datumaro_reads_every_object_as_the_records_have_it(case: Case) -> None:
    described, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(datumaro, case, folder))
        labels, found = some_records.opened(root, "datumaro")
    items = {(each.subset, each.media.path.removeprefix(f"{each.subset}/")): each for each in found}
    assert labels == [each.name for each in described.schema.classes]
    assert set(items) == {(each.split or "default", each.name) for each in records}
    for image in records:
        item = items[image.split or "default", image.name]
        assert item.media.size == (image.height, image.width)
        expected = [part for each in image.objects for part in some_records.outlines(each)]
        for drawn, (each, place) in zip(item.annotations, expected, strict=True):
            assert labels[drawn.label] == some_records.named(described, each)
            attributes = dict(drawn.attributes)
            assert attributes.pop("score") == each.confidence
            assert attributes.pop("is_crowd", False) == each.crowd
            assert attributes == each.attributes
            same(drawn, place, image)


def same(found: Any, place: dict[str, Any], image: LabelledImage) -> None:
    type_ = found.type.name
    match place:
        case {"outline": outer}:
            assert type_ == "polygon"
            np.testing.assert_allclose(found.points, np.ravel(outer), atol=0.006)
        case {"box": [left, top, right, bottom]}:
            assert type_ == "bbox"
            np.testing.assert_allclose(found.points, [left, top, right, bottom], atol=0.011)
        case {"box": box}:
            corners = turned.corners(np.array([box]))
            assert type_ == "polygon"
            np.testing.assert_allclose(found.points, corners.ravel(), atol=0.011)
        case {"line": line}:
            assert type_ == "polyline"
            np.testing.assert_allclose(found.points, np.ravel(line), atol=0.006)
        case {"points": seen}:
            assert [int(v) for v in found.visibility] == [v for *_, v in seen]
            np.testing.assert_allclose(found.points, [n for p in seen for n in p[:2]], atol=0.006)
        case {"mask": mask}:
            whole = some_records.drawn(mask, Size(image.width, image.height))
            np.testing.assert_array_equal(found.image.astype(bool), whole)
        case {"cuboid": corners}:
            assert type_ == "cuboid_2d"
            order = [0, 4, 5, 1, 7, 6, 2, 3]
            np.testing.assert_allclose(np.array(found.points), np.array(corners)[order])
        case {"solid": {"centre": centre, "size": size, "yaw": yaw}}:
            assert type_ == "cuboid_3d"
            np.testing.assert_allclose(found.position, centre, atol=0.006)
            np.testing.assert_allclose(found.scale, size, atol=0.006)
            np.testing.assert_allclose(found.rotation, [0, yaw, 0], atol=0.006)
        case _:
            assert type_ == "label"


def test_pictures_stand_where_datumaro_looks_for_them(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3), (200, 0, 0)).save(picture)
    image = LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [], Split.VAL)
    case = Described("p", "n", "box", SCHEMA, (Split.TRAIN, Split.VAL), pictures=True), [image]
    (tmp_path / "made").mkdir()
    root = some_records.extracted(some_records.written(datumaro, case, tmp_path / "made", picture))
    _, (item,) = some_records.opened(root, "datumaro")
    assert (item.id, item.subset) == ("a/b", "val")
    assert item.media.data[0, 0].tolist() == [0, 0, 200]


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    found = LabelledObject(7, {"box": [0.0, 0.0, 2.0, 2.0]}, {}, 1.0, "gold", [0], crowd=False)
    case = (
        Described("p", "n", "box", SCHEMA),
        [LabelledImage(1, "u", "a.jpg", 9, 9, "s", [found], [])],
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        some_records.written(datumaro, case, tmp_path / name)
    one, two = (tmp_path / name / "datumaro.tar" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_an_attribute_of_the_name_of_ours_takes_its_place() -> None:
    attributes = [{"name": "score", "type": "text"}, {"name": "is_crowd", "type": "text"}]
    schema = LabelSchema.parse(
        {"classes": [{"id": 1, "name": "a", "colour": "#000000", "attributes": attributes}]}
    )
    described = Described("p", "n", "box", schema)
    assert {Loses.CONFIDENCE, Loses.CROWD} <= {*datumaro.losses(described)}
    said = {"is_crowd": "no", "score": "high"}
    found = LabelledObject(1, {"box": [0.0, 0.0, 2.0, 2.0]}, {**said}, 0.5, "gold", [0], crowd=True)
    case = described, [LabelledImage(1, "u", "a.jpg", 9, 9, "s", [found], [])]
    (again,) = some_records.round_trip(datumaro, case)["a.jpg"]
    assert again == {"class": 1, "box": [0.0, 0.0, 2.0, 2.0], "attributes": said}


def document(**changed: Any) -> dict[str, Any]:
    annotation = {"type": "bbox", "label_id": 0, "bbox": [1, 1, 4, 4], **changed.pop("of", {})}
    item = {"image": {"path": "a.jpg", "size": [9, 9]}, "annotations": [annotation], **changed}
    labels = [{"name": "car"}, {"name": "tram"}]
    return {"categories": {"label": {"labels": labels}}, "items": [item]}


def read(folder: Path, content: bytes, images: dict[str, Size] | None = None) -> list[Any]:
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "default.json").write_bytes(content)
    sizes = {"a.jpg": Size(9, 9)} if images is None else images
    return list(datumaro.read(Folder(folder), Wanted("box", SCHEMA, sizes)))


@pytest.mark.parametrize(
    ("changed", "at", "why"),
    [
        ({"of": {"label_id": 1}}, "items[0].annotations[0].class", "'tram' is not a class"),
        ({"of": {"label_id": 2}}, "items[0].annotations[0].label_id", "is no label"),
        ({"of": {"label_id": None}}, "items[0].annotations[0].label_id", "whole number"),
        ({"of": {"type": "ellipse"}}, "items[0].annotations[0].type", "is 'ellipse', not 'bbox'"),
        ({"of": {"bbox": [1, 1, 4]}}, "items[0].annotations[0].bbox", "must be 4 numbers"),
        ({"of": {"bbox": [1, 1, 40, 4]}}, "items[0].annotations[0].box[2]", "outside"),
        ({"of": {"bbox": [1, 1, "4", 4]}}, "items[0].annotations[0].bbox[2]", "be a number"),
        ({"of": {"attributes": {"score": 2}}}, "items[0].annotations[0].confidence", "between"),
        ({"of": {"attributes": [1]}}, "items[0].annotations[0].attributes", "an object"),
        ({"image": {"path": "../a.jpg"}}, "items[0]", "not an image of this project"),
        ({"image": {"path": "a.jpg", "size": [8, 9]}}, "items[0]", "9 x 8 pixels"),
        ({"image": {"path": 3}}, "items[0]", "no name"),
        ({"image": 3}, "items[0].image", "an object"),
        ({"annotations": 3}, "items[0].annotations", "a list"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, changed: dict[str, Any], at: str, why: str
) -> None:
    found = read(tmp_path, orjson.dumps(document(**changed)))
    (refused,) = [each for each in found if isinstance(each, Refused)]
    assert refused.at == f"annotations/default.json: {at}"
    assert why in refused.why
    assert all(not each.objects for each in found if isinstance(each, Known))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"items": []}', b'{"categories": {}}'])
def test_what_is_something_else_is_a_bad_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadFile):
        read(tmp_path, content)
    with pytest.raises(BadFile, match="has no JSON file"):
        list(datumaro.read(Folder(tmp_path / "annotations"), Wanted("box", SCHEMA)))


def test_without_images_of_a_project_the_file_tells_them_and_their_size(tmp_path: Path) -> None:
    (image,) = read(tmp_path, orjson.dumps(document()), {})
    assert (image.name, image.size) == ("a.jpg", Size(9, 9))
    (refused,) = read(tmp_path, orjson.dumps(document(image={"path": "a.jpg"})), {})
    assert "size" in refused.why
    huge = document(image={"path": "a.jpg", "size": [2**20, 2**20]})
    (refused,) = read(tmp_path, orjson.dumps(huge), {})
    assert "far too many" in refused.why


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "bbox", "label_id", "group"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(json, max_size=3), json)
def test_nothing_in_a_file_is_too_hostile(annotations: list[Any], image: Any) -> None:
    content = document(annotations=annotations, image={"path": "a.jpg", "size": image})
    with some_records.a_folder() as folder:
        assert all(
            isinstance(each, Known | Refused) for each in read(folder, orjson.dumps(content))
        )
