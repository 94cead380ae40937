"""Datumaro, globox, labelformat and DagsHub's converter read what we write.

None of them reads cuboids: those are read by CVAT's documentation, and skeletons are once more.
"""

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import cvat
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tessera.kinds.attributes import Value
from tessera.shapes import solids
from tests.formats import some_records
from tests.formats.some_records import CAMERA, Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
OTHERS = ("cuboid", "solid", "keypoints")
DATUMARO_READS = ("box", "rotated", "classify", "instance_mask", "polygon", "polyline")


def kept(image: LabelledImage) -> list[LabelledObject]:
    return [each for each in image.objects if not each.crowd]


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    described, records = case
    if Loses.SHAPE in cvat.losses(described):
        return
    expected = some_records.as_known(records, confidence=False)
    for image in records:
        expected[image.name] = [e for e in expected[image.name] if "optional" not in e]
        for each in expected[image.name]:
            if "polygon" in each:
                each["polygon"] = [[outer] for outer, *_ in each["polygon"]]
    assert some_records.round_trip(cvat, case) == expected


def in_datumaro(case: Case) -> tuple[list[str], dict[str, Any]]:
    """Names of labels, and items by the names of their images."""
    with some_records.a_folder() as folder:
        some_records.written(cvat, case, folder)
        for each in case[1]:
            picture = folder / "images" / each.name
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.touch()
        labels, found = some_records.opened(folder, "cvat")
    pictures = folder / "images"
    items = {Path(e.media.path).relative_to(pictures).as_posix(): e for e in found}
    assert set(items) == {each.name for each in case[1]}
    return labels, items


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@some_records.BY_OTHERS
@given(st.sampled_from(DATUMARO_READS).flatmap(some_records.with_stems_of_their_own))
def test_datumaro_reads_every_object_as_the_records_have_it(case: Case) -> None:
    described, records = case
    labels, items = in_datumaro(case)
    assert labels == [each.name for each in described.schema.classes]
    for image in records:
        item = items[image.name]
        assert item.attributes["frame"] == image.id - 1
        assert item.media.size == (image.height, image.width)
        if image.split is not None:
            assert item.subset == image.split
        expected = [pair for each in kept(image) for pair in some_records.outlines(each)]
        for drawn, (one, place) in zip(item.annotations, expected, strict=True):
            assert labels[drawn.label] == some_records.named(described, one)
            attributes = {name: v for name, v in drawn.attributes.items() if name != "occluded"}
            assert attributes.keys() == one.attributes.keys() - {"occluded"}
            assert all(alike(v, one.attributes[name]) for name, v in attributes.items())
            same(drawn, place, Size(image.width, image.height))


def alike(found: Any, value: Value) -> bool:
    """Datumaro makes numbers of text that looks like one, whatever it is an attribute of."""
    if isinstance(found, bool) or isinstance(value, bool):
        return str(found).lower() == str(value).lower()
    if isinstance(found, float):
        return math.isclose(found, float(value), rel_tol=1e-9) or math.isnan(found)
    return bool(found == str(value))


def same(found: Any, place: dict[str, Any], size: Size) -> None:
    type_ = found.type.name
    match place:
        case {"outline": outer}:
            assert type_ == "polygon"
            np.testing.assert_allclose(found.points, np.ravel(outer), atol=0.006)
        case {"box": [left, top, right, bottom]}:
            assert type_ == "bbox"
            np.testing.assert_allclose(found.points, [left, top, right, bottom], atol=0.011)
        case {"box": [left, top, right, bottom, angle]}:
            assert type_ == "rotated_bbox"
            middle = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            np.testing.assert_allclose(found.points, [*middle, angle % 360], atol=0.011)
        case {"line": line}:
            assert type_ == "polyline"
            np.testing.assert_allclose(found.points, np.ravel(line), atol=0.006)
        case {"mask": mask}:
            assert type_ == "mask"
            np.testing.assert_array_equal(found.image, some_records.drawn(mask, size))
        case _:
            assert type_ == "label"


def named_points(described: Described, each: LabelledObject) -> list[tuple[str, list[float]]]:
    named = described.schema.find(each.class_id)
    assert named is not None
    assert named.skeleton is not None
    names = (point.name for point in named.skeleton.points)
    return list(zip(names, each.place["points"], strict=True))


@some_records.BY_OTHERS
@given(some_records.with_stems_of_their_own("keypoints"))
def test_datumaro_reads_every_point_of_a_skeleton(case: Case) -> None:
    """It passes over the skeleton itself, and whether a point is `outside`."""
    described, records = case
    labels, items = in_datumaro(case)
    for image in records:
        expected = [pair for each in kept(image) for pair in named_points(described, each)]
        found = items[image.name].annotations
        for drawn, (name, (x, y, v)) in zip(found, expected, strict=True):
            assert (drawn.type.name, labels[drawn.label]) == ("points", name)
            np.testing.assert_allclose(drawn.points, [x, y], atol=0.006)
            assert drawn.attributes["occluded"] is (v == 1)


def without_attributes(case: Case) -> Case:
    described, records = case
    classes = tuple(replace(each, attributes=()) for each in described.schema.classes)
    return replace(described, schema=replace(described.schema, classes=classes)), [
        replace(image, objects=[replace(each, attributes={}) for each in image.objects])
        for image in records
    ]


@some_records.BY_OTHERS
@given(some_records.datasets("keypoints").map(without_attributes))
def test_the_converter_of_dagshub_reads_every_skeleton(case: Case) -> None:
    """It takes all that stands in a skeleton for points, attributes too."""
    described, records = case
    module = import_module("dagshub_annotation_converter.converters.cvat")
    with some_records.a_folder() as folder:
        some_records.written(cvat, case, folder)
        read = module.load_cvat_from_xml_file(folder / "cvat.xml")
    assert list(read) == [each.name for each in records]
    for image in records:
        for drawn, each in zip(read[image.name], kept(image), strict=True):
            assert drawn.categories == {some_records.named(described, each): 1}
            assert (drawn.image_width, drawn.image_height) == (image.width, image.height)
            points = named_points(described, each)
            numbered = all(name.isdigit() for name, _ in points)
            points.sort(key=lambda pair: int(pair[0]) if numbered else pair[0])
            for found, (_, (x, y, v)) in zip(drawn.points, points, strict=True):
                assert (found.x, found.y) == (round(x, 2), round(y, 2))
                assert found.visible is (v != 1)


@some_records.BY_OTHERS
@given(some_records.datasets("box"))
def test_globox_and_labelformat_read_every_box(case: Case) -> None:
    described, records = case
    names = {each.id: each.name for each in described.schema.classes}
    with some_records.a_folder() as folder:
        some_records.written(cvat, case, folder)
        globox = import_module("globox").AnnotationSet.from_cvat(folder / "cvat.xml")
        module = import_module("labelformat.formats.cvat")
        labels = list(module.CVATObjectDetectionInput(folder / "cvat.xml").get_labels())
    assert len(labels) == len(records)
    for image, said in zip(records, labels, strict=True):
        expected = [(names[each.class_id], *each.place["box"]) for each in kept(image)]
        found = globox[image.name]
        assert found.image_size == (image.width, image.height)
        assert [(each.label, *each.ltrb) for each in found.boxes] == expected
        about = said.image
        assert (about.filename, about.width, about.height) == (image.name, *found.image_size)
        boxes = [(e.category.name, *(getattr(e.box, s) for s in EDGES)) for e in said.objects]
        assert boxes == expected


EDGES = ("xmin", "ymin", "xmax", "ymax")


@some_records.BY_OTHERS
@given(st.sampled_from(OTHERS).flatmap(some_records.datasets))
def test_cuboids_and_skeletons_are_as_cvat_documents_them(case: Case) -> None:
    described, records = case
    with some_records.a_folder() as folder:
        some_records.written(cvat, case, folder)
        root = ET.parse(folder / "cvat.xml").getroot()  # noqa: S314
    for image, element in zip(records, root.iterfind("image"), strict=True):
        shapes = list(element)
        for each, shape in zip(kept(image), shapes, strict=True):
            named = described.schema.find(each.class_id)
            assert named is not None
            assert shape.get("label") == named.name
            said = {e.get("name"): e.text for e in shape.iterfind("attribute")}
            assert said.keys() == each.attributes.keys()
            if described.kind == "keypoints":
                assert shape.tag == "skeleton"
                assert named.skeleton is not None
                points = list(shape.iterfind("points"))
                for point, asked, (x, y, v) in zip(
                    points, named.skeleton.points, each.place["points"], strict=True
                ):
                    assert point.get("label") == asked.name
                    assert point.get("points") == f"{x:.2f},{y:.2f}"
                    assert (point.get("outside"), point.get("occluded")) == VISIBILITY[v]
                continue
            corners = np.array(each.place.get("cuboid") or projected(each.place["solid"]))
            # CVAT: edges front left, front right, rear right, rear left, each from the top
            order = ["tl1", "tr1", "br1", "bl1", "tr2", "tl2", "bl2", "br2"]
            found = [[float(shape.get(f"{a}{name}", "")) for a in "xy"] for name in order]
            assert shape.tag == "cuboid"
            np.testing.assert_allclose(found, corners, atol=0.006)


VISIBILITY = {0: ("1", "0"), 1: ("0", "1"), 2: ("0", "0")}


def projected(solid: dict[str, Any]) -> Any:
    row = np.array([[*solid["centre"], *solid["size"], solid["yaw"]]])
    return solids.projected(row, np.array(CAMERA))[0][0]


def test_labels_say_which_attributes_and_points_there_are(tmp_path: Path) -> None:
    asked = [
        {"name": "side", "values": ["left", "right"]},
        {"name": "seats", "type": "number", "least": 1, "most": 9},
        {"name": "weight", "type": "number"},
        {"name": "note", "type": "text"},
        {"name": "occluded", "type": "flag"},
    ]
    skeleton = {"points": [{"name": "front"}, {"name": "rear"}]}
    one = {"id": 1, "name": "a & b", "colour": "#0000ff", "attributes": asked, "skeleton": skeleton}
    case: Case = Described("p", "n", "keypoints", LabelSchema.parse({"classes": [one]})), []
    some_records.written(cvat, case, tmp_path)
    root = ET.parse(tmp_path / "cvat.xml").getroot()  # noqa: S314
    label, *points = root.iterfind("meta/task/labels/label")
    about = [label.findtext(tag) for tag in ("name", "color", "type")]
    assert about == ["a & b", "#0000ff", "skeleton"]
    assert [[e.findtext(tag) for tag in ("name", "parent")] for e in points] == [
        ["front", "a & b"],
        ["rear", "a & b"],
    ]
    assert [(e.findtext("input_type"), e.findtext("values")) for e in label.iter("attribute")] == [
        ("select", "left\nright"),
        ("number", "1.0\n9.0\n0.01"),
        ("text", ""),
        ("text", ""),
        ("checkbox", "false"),
    ]


def read(
    folder: Path, content: str | bytes, schema: LabelSchema = SCHEMA, kind: str = "box"
) -> list[Any]:
    path = folder / "annotations.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(cvat.read(Folder(folder), Wanted(kind, schema, {"a.jpg": Size(9, 9)})))


def document(inside: str, image: str = 'name="a.jpg" width="9" height="9"') -> str:
    return f"<annotations><meta/><image id='0' {image}>{inside}</image></annotations>"


BOX = 'label="car" xtl="1" ytl="1" xbr="4" ybr="4"'


@pytest.mark.parametrize(
    ("inside", "at", "why"),
    [
        (f"<box {BOX.replace('car', 'tram')}/>", "image[0][0].class", "'tram' is not a class"),
        (f"<box {BOX.replace('4', '40')}/>", "image[0][0].box[2]", "outside"),
        (f"<box {BOX.replace('4', 'nan')}/>", "image[0][0].box[2]", "finite"),
        (f"<box {BOX.replace('4', '')}/>", "image[0][0].xbr", "a number"),
        ('<box label="car"/>', "image[0][0].xtl", "a number"),
        ("<box/>", "image[0][0].class", "not a class"),
        (f"<box {BOX} rotation='9'/>", "image[0][0].box", "at most 4"),
        ('<polygon label="car" points="1,1"/>', "image[0][0]", "is a polygon, not a box"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, inside: str, at: str, why: str
) -> None:
    good = f"<box {BOX}/>"
    refused, known = read(tmp_path, document(inside + good))
    assert isinstance(refused, Refused)
    assert refused.at == f"annotations.xml: {at}"
    assert why in refused.why
    assert [each["box"] for each in known.objects] == [[1, 1, 4, 4]]


POINT = '<points label="x" points="1,1"/>'


def mask(runs: str, left: float, top: float) -> str:
    return f'<mask label="car" rle="{runs}" left="{left}" top="{top}" width="3" height="2"/>'


@pytest.mark.parametrize(
    ("kind", "inside", "why"),
    [
        ("polygon", '<polygon label="car" points="0,0;4,4;0,4;4,0"/>', "crosses"),
        ("polygon", '<polygon label="car" points="0,0;4,4;0"/>', "x, y"),
        ("polygon", '<polygon label="car" points="0;a"/>', "must be x,y;x,y"),
        ("polygon", '<polygon label="car"/>', "must be x,y;x,y"),
        ("instance_mask", mask("0,9", 0, 0), "runs"),
        ("instance_mask", mask("-1,7", 0, 0), "runs"),
        ("instance_mask", mask(f"{2**70}", 0, 0), "runs"),
        ("instance_mask", mask("0,6", 7, 0), "out of"),
        ("instance_mask", mask("0,6", -1, 0), "outside"),
        ("instance_mask", mask("0,6", 1.5, 0), "whole"),
        ("keypoints", f'<skeleton label="car">{POINT}</skeleton>', "point 'x'"),
        ("keypoints", '<skeleton label="car"/>', "at least one point"),
    ],
)
def test_every_kind_of_shape_is_checked(tmp_path: Path, kind: str, inside: str, why: str) -> None:
    skeleton = {"points": [{"name": "front"}, {"name": "rear"}]}
    one = {"id": 1, "name": "car", "colour": "#0000ff", "skeleton": skeleton}
    schema = LabelSchema.parse({"classes": [one]})
    refused, _ = read(tmp_path, document(inside), schema, kind)
    assert why in refused.why


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ('name="b.jpg" width="9" height="9"', "'b.jpg' is not an image"),
        ('name="../a.jpg" width="9" height="9"', "not an image"),
        ('width="9" height="9"', "no name"),
        ('name="a.jpg" width="8" height="9"', "8 x 9 pixels"),
        ('name="a.jpg" width="x" height="9"', "must be a number"),
        ('name="a.jpg"', "must be a number"),
    ],
)
def test_an_image_of_another_project_is_refused(tmp_path: Path, image: str, why: str) -> None:
    (refused,) = read(tmp_path, document(f"<box {BOX}/>", image))
    assert why in refused.why


def test_a_flag_of_this_name_is_what_cvat_has_of_every_shape(tmp_path: Path) -> None:
    flag = [{"name": "occluded", "type": "flag"}]
    one = {"id": 1, "name": "car", "colour": "#0000ff", "attributes": flag}
    inside = f"<box {BOX} occluded='1'/><box {BOX} occluded='0'/>"
    inside += f"<box {BOX} occluded='0'><attribute name='occluded'>false</attribute>"
    inside += "<attribute name='colour'>red</attribute></box>"
    (known,) = read(tmp_path, document(inside), LabelSchema.parse({"classes": [one]}))
    assert [each["attributes"] for each in known.objects] == [
        {"occluded": True},
        {},
        {"occluded": False},
    ]


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">]><annotations>&a;</annotations>'
    for content in ("", "{}", "<VOC/>", "<annotations><image></annotations>", bomb):
        with pytest.raises(BadFile):
            read(tmp_path, content)
    with pytest.raises(BadFile, match="document type"):
        read(tmp_path, bomb.encode("utf-16"))
    (tmp_path / "annotations.xml").unlink()
    with pytest.raises(BadFile, match="no XML"):
        list(cvat.read(Folder(tmp_path), Wanted("box", SCHEMA)))


def test_tracks_of_videos_are_refused(tmp_path: Path) -> None:
    (refused,) = read(tmp_path, '<annotations><meta/><track id="4"><box/></track></annotations>')
    assert refused == Refused("annotations.xml: track 4", "is of a video, not of images")
