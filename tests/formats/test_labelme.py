"""supervision, globox and annotation-parser read what we write.

What they leave out, and some of what they do not, is read by LabelMe's own rules.
"""

import base64
import io
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tessera.formats import labelme
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Loses, Refused, Split, Wanted
from tessera.formats.records import LabelledImage
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = (
    "box",
    "rotated",
    "classify",
    "instance_mask",
    "keypoints",
    "polygon",
    "polyline",
    "semantic_mask",
)
WITHOUT_SHAPES = ("classify", "instance_mask", "polyline", "semantic_mask")
cases = st.sampled_from(SORTS).flatmap(some_records.datasets)


@given(cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    dataset, records = case
    assume(records)  # without any there is no file to know the format by
    lost = labelme.losses(dataset)
    expected = some_records.as_known(
        records,
        confidence=Loses.CONFIDENCE not in lost,
        attributes=Loses.ATTRIBUTES not in lost,
    )
    order = [each.id for each in dataset.schema.classes]
    for objects in expected.values():
        for each in objects:
            if "polygon" in each:
                each["polygon"] = [[outer] for outer, *_ in each["polygon"]]
        if dataset.kind == "classify":  # flags are in the order of the classes
            objects.sort(key=lambda each: order.index(each["class"]))
    assert some_records.round_trip(labelme, case) == expected


def flat(sort: str) -> st.SearchStrategy[Case]:
    return some_records.datasets(sort, endings=("jpg",), folders=("",))


@pytest.mark.filterwarnings("ignore:Skipped unsupported LabelMe")
@given(st.sampled_from(["box", "rotated", "keypoints", "polygon"]).flatmap(flat))
def test_supervision_reads_every_rectangle_and_polygon(case: Case) -> None:
    dataset, records = case
    formats = import_module("supervision.dataset.formats.labelme")
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(labelme, case, folder))
        read: dict[str, Any] = {}
        for split in dataset.splits or ("default",):
            classes, _, found = formats.load_labelme_annotations("", str(root / split))
            read |= {name: (classes, detections) for name, detections in found.items()}
    assert read.keys() == {each.name for each in records}
    for image in records:
        classes, detections = read[image.name]
        names = [some_records.named(dataset, each) for each in image.objects]
        said = [] if detections.class_id is None else detections.class_id.tolist()
        assert [classes[each] for each in said] == names
        objects = [{"class": each.class_id, **each.place} for each in image.objects]
        around = kind_of(dataset.kind).reach(objects, dataset.schema)
        if objects:
            np.testing.assert_allclose(detections.xyxy, around, atol=0.01)
        if objects and dataset.kind == "polygon":
            for mask, (left, top, right, bottom) in zip(detections.mask, around, strict=True):
                rows, columns = np.nonzero(mask)
                edges = [columns.min(), rows.min(), columns.max(), rows.max()]
                assert np.abs(np.subtract(edges, [left, top, right, bottom])).max() < 1.5


@some_records.BY_OTHERS
@given(flat("box"))
def test_globox_reads_every_rectangle(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(labelme, case, folder))
        paths = sorted(root.rglob("*.json"))
        annotation = import_module("globox").Annotation
        found = {each.image_id: each for each in map(annotation.from_labelme, paths)}
    assert found.keys() == {each.name for each in records}
    for image in records:
        assert found[image.name].image_size == (image.width, image.height)
        assert [(each.label, *each.ltrb) for each in found[image.name].boxes] == [
            (some_records.named(dataset, each), *each.place["box"]) for each in image.objects
        ]


def files(root: Path) -> dict[str, Path]:
    """By the names of the images that they are about."""
    return {orjson.loads(path.read_bytes())["name"]: path for path in root.rglob("*.json")}


def painted(corners: list[list[int]], mask: str, image: LabelledImage) -> NDArray[np.bool_]:
    """The picture that a mask is, where its two corner pixels say."""
    (left, top), (right, bottom) = corners
    whole = np.zeros((image.height, image.width), dtype=np.bool_)
    picture = Image.open(io.BytesIO(base64.b64decode(mask)))
    whole[top : bottom + 1, left : right + 1] = np.array(picture).astype(np.bool_)
    return whole


@some_records.BY_OTHERS
@given(some_records.datasets("keypoints"))
def test_annotation_parser_reads_every_point_with_its_group(case: Case) -> None:
    dataset, records = case
    reader = import_module("annotation_parser.core").AnnotationFile
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(labelme, case, folder))
        found = {
            name: reader(path, "labelme", keep_json=True).parse()
            for name, path in files(root).items()
        }
    assert found.keys() == {each.name for each in records}
    for image in records:
        groups = [each.number for each in found[image.name]]
        assert sorted({*groups}) == list(range(1, len(image.objects) + 1))
        for number, each in enumerate(image.objects, 1):
            box, *points = [one for one in found[image.name] if one.number == number]
            named = dataset.schema.find(each.class_id)
            assert named is not None
            assert named.skeleton is not None
            assert (box.type.name, box.label) == ("RECTANGLE", named.name)
            assert (box.meta["score"], box.meta["difficult"]) == (each.confidence, each.crowd)
            assert box.meta["attributes"] == each.attributes
            objects = [{"class": named.id, **each.place}]
            around = kind_of("keypoints").reach(objects, dataset.schema)[0]
            assert [*box.coords[0], *box.coords[2]] == around.tolist()
            assert {one.type.name for one in points} == {"POINT"}
            seen = [(one.label, [*one.coords[0], 1 if one.flags else 2]) for one in points]
            asked = zip(named.skeleton.points, each.place["points"], strict=True)
            assert seen == [(point.name, place) for point, place in asked if place[2]]


@some_records.BY_OTHERS
@given(st.sampled_from(WITHOUT_SHAPES).flatmap(some_records.datasets))
def test_annotation_parser_takes_every_flag_line_and_mask(case: Case) -> None:
    """Of these it reads the file, but has no shapes of its own to make of them."""
    dataset, records = case
    model = import_module("annotation_parser.models.labelme_model").JsonLabelme
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(labelme, case, folder))
        found = {
            name: model.model_validate_json(path.read_bytes()) for name, path in files(root).items()
        }
    assert found.keys() == {each.name for each in records}
    for image in records:
        read = found[image.name]
        assert (read.imageWidth, read.imageHeight) == (image.width, image.height)
        assert read.imagePath == Path(image.name).name
        names = [some_records.named(dataset, each) for each in image.objects]
        if dataset.kind == "classify":
            assert read.shapes == []
            classes = [each.name for each in dataset.schema.classes]
            assert read.flags == {name: name in names for name in classes}
            continue
        for shape, name, each in zip(read.shapes, names, image.objects, strict=True):
            assert shape.label == name
            if "line" in each.place:
                assert (shape.shape_type, shape.points) == ("linestrip", each.place["line"])
            else:
                assert shape.shape_type == "mask"
                whole = some_records.drawn(each.place["mask"], Size(image.width, image.height))
                np.testing.assert_array_equal(painted(shape.points, shape.mask, image), whole)


OTHERS = ("classify", "instance_mask", "keypoints", "polyline", "semantic_mask")


@given(st.sampled_from(OTHERS).flatmap(some_records.datasets))
def test_the_rest_is_what_labelme_makes_of_its_own_files(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(labelme, case, folder))
        documents = {
            document["name"]: (path.relative_to(root), document)
            for path in root.rglob("*.json")
            for document in [orjson.loads(path.read_bytes())]
        }
        classes = {path.read_text() for path in root.rglob("labels.txt")}
    assert classes == {"".join(f"{each.name}\n" for each in dataset.schema.classes)}
    for image in records:
        path, document = documents[image.name]
        beside = path.parent / document["imagePath"]
        assert beside == Path(image.split or "default") / image.name
        names = [some_records.named(dataset, each) for each in image.objects]
        if dataset.kind == "classify":
            assert document["flags"].keys() == {each.name for each in dataset.schema.classes}
            assert {name for name, shown in document["flags"].items() if shown} == {*names}
            continue
        shapes = [each for each in document["shapes"] if each["shape_type"] != "point"]
        for shape, name, each in zip(shapes, names, image.objects, strict=True):
            assert (shape["label"], shape["score"]) == (name, each.confidence)
            assert (shape["attributes"], shape["difficult"]) == (each.attributes, each.crowd)
            match each.place:
                case {"line": line}:
                    assert (shape["shape_type"], shape["points"]) == ("linestrip", line)
                case {"mask": mask}:
                    assert shape["shape_type"] == "mask"
                    whole = painted(shape["points"], shape["mask"], image)
                    size = Size(image.width, image.height)
                    np.testing.assert_array_equal(whole, some_records.drawn(mask, size))
                case {"points": points}:
                    group = shape["group_id"]
                    found = {
                        point["label"]: [*point["points"][0], 1 if point["flags"] else 2]
                        for point in document["shapes"]
                        if point["shape_type"] == "point" and point["group_id"] == group
                    }
                    (named,) = (c for c in dataset.schema.classes if c.name == name)
                    assert named.skeleton is not None
                    asked = zip(named.skeleton.points, points, strict=True)
                    assert found == {point.name: seen for point, seen in asked if seen[2]}


def test_pictures_stand_beside_their_files(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3)).save(picture)
    image = LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [], Split.VAL)
    case = Described("p", "n", "box", SCHEMA, (Split.TRAIN, Split.VAL), pictures=True), [image]
    (tmp_path / "made").mkdir()
    root = some_records.extracted(some_records.written(labelme, case, tmp_path / "made", picture))
    assert (root / "val/a/b.png").read_bytes() == picture.read_bytes()
    assert (root / "val/a/b.json").exists()


def read(folder: Path, content: Any, schema: LabelSchema = SCHEMA, kind: str = "box") -> list[Any]:
    (folder / "a").mkdir(exist_ok=True)
    path = folder / "a" / "b.json"
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return list(labelme.read(Folder(folder), Wanted(kind, schema, {"a/b.jpg": Size(9, 9)})))


def document(*shapes: Any, **changed: Any) -> dict[str, Any]:
    size = {"imageHeight": 9, "imageWidth": 9}
    return {"shapes": list(shapes), "imagePath": "b.jpg", "flags": {}} | size | changed


def box(**changed: Any) -> dict[str, Any]:
    return {"label": "car", "shape_type": "rectangle", "points": [[4, 5], [1, 1]]} | changed


def test_a_file_of_labelme_itself_is_of_the_picture_beside_it(tmp_path: Path) -> None:
    (known,) = read(tmp_path, document(box()))
    assert (known.name, known.size) == ("a/b.jpg", Size(9, 9))
    assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]


@pytest.mark.parametrize(
    ("found", "at", "why"),
    [
        (box(label="tram"), "class", "'tram' is not a class"),
        (box(label=None), "class", "is not a class"),
        (box(points=[[1, 1], [40, 5]]), "box[2]", "outside"),
        (box(points=[[1, 1], [4]]), "points[1]", "must be 2 numbers"),
        (box(points=[]), "points", "at least one point"),
        (box(points=None), "points", "a list"),
        (box(shape_type="circle"), "shape_type", "is 'circle', not 'rectangle'"),
        (box(attributes=[1]), "attributes", "an object"),
        (box(score=7), "confidence", "between"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, found: dict[str, Any], at: str, why: str
) -> None:
    refused, known = read(tmp_path, document(found, box()))
    assert refused.at == f"a/b.json: shapes[0].{at}"
    assert why in refused.why
    assert len(known.objects) == 1


def png(width: int, height: int) -> str:
    out = io.BytesIO()
    Image.new("1", (width, height), 1).save(out, "png")
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        ("polygon", box(shape_type="polygon", points=[[1, 1], [4, 4], [1, 4], [4, 1]]), "crosses"),
        ("polyline", box(shape_type="linestrip", points=[[1, 1]]), "two points"),
        ("polyline", box(), "is 'rectangle', not 'linestrip'"),
        ("instance_mask", box(shape_type="mask", points=[[1, 1], [3, 3]], mask=png(9, 9)), "3 x 3"),
        ("instance_mask", box(shape_type="mask", points=[[1, 1], [3, 3]], mask="!"), "base64"),
        ("instance_mask", box(shape_type="mask", points=[[1, 1], [3, 3]], mask="é"), "base64"),
        (
            "instance_mask",
            box(shape_type="mask", points=[[1, 1], [3, 3]], mask="aaaa"),
            "not a PNG",
        ),
        (
            "instance_mask",
            box(shape_type="mask", points=[[8, 1], [10, 3]], mask=png(3, 3)),
            "of the image",
        ),
        ("instance_mask", box(shape_type="mask", points=[[1, 1], [3.5, 3]]), "pixel"),
        ("keypoints", box(shape_type="point", points=[[1, 1]]), "is 'point', not 'rectangle'"),
    ],
)
def test_every_kind_of_shape_is_checked(
    tmp_path: Path, kind: str, found: dict[str, Any], why: str
) -> None:
    refused, _ = read(tmp_path, document(found), kind=kind)
    assert why in refused.why


@pytest.mark.parametrize(
    ("corners", "box_"),
    [
        ([[3, 1], [5, 3], [3, 5], [1, 3]], True),
        ([[3, 1], [1, 3], [3, 5], [5, 3]], True),
        ([[3, 1], [3, 5], [1, 3], [5, 3]], False),
        ([[3, 1], [5, 3], [3, 6], [1, 3]], False),
        ([[3, 1], [5, 3], [3, 5]], False),
    ],
)
def test_four_corners_of_a_rectangle_are_a_box_at_an_angle(
    tmp_path: Path,
    corners: list[list[float]],
    box_: bool,  # noqa: FBT001
) -> None:
    schema = LabelSchema(SCHEMA.classes, rotated=True)
    found = read(tmp_path, document(box(shape_type="polygon", points=corners)), schema)
    if box_:
        half = math.sqrt(2)
        edges = [round(3 - half, 2), round(3 - half, 2), round(3 + half, 2), round(3 + half, 2)]
        assert found[0].objects[0]["box"][:4] == edges
    else:
        assert "corners" in found[0].why


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        ([], "an object"),
        (document(imagePath="../b.jpg"), "not an image"),
        (document(imagePath=None), "no name"),
        (document(imageWidth="9"), "whole number"),
        (document(imageWidth=8), "8 x 9 pixels"),
        (document(shapes=None), "a list"),
        (document(3), "an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: Any, why: str) -> None:
    (refused,) = read(tmp_path, content)
    assert isinstance(refused, Refused)
    assert refused.at.startswith("a/b.json")
    assert why in refused.why


def test_without_files_it_is_a_bad_one(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no JSON"):
        list(labelme.read(Folder(tmp_path), Wanted("box", SCHEMA)))
