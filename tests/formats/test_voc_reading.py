"""Reading Pascal VOC as tools write it, and as nobody should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.formats import painting, voc
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import LabelClass, LabelSchema, Size

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))

BOX = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
SIZE = "<size><width>9</width><height>8</height><depth>3</depth></size>"
ODD, TWICE = ": object[0].polygon.y4", ": object[0].polygon.x4"
OUTLINE = "<polygon><x1>2</x1><y1>2</y1><x2>6</x2><y2>2</y2><x3>6</x3><y3>6</y3></polygon>"


def document(inside: str, about: str = f"<filename>a.jpg</filename>{SIZE}") -> str:
    return f"<annotation>{about}{inside}</annotation>"


def an_object(inside: str, name: str = "car") -> str:
    return f"<object><name>{name}</name>{inside}</object>"


def read(
    folder: Path,
    content: str | bytes,
    kind: str = "box",
    schema: LabelSchema = SCHEMA,
    path: str = "VOC2012/Annotations/a.xml",
) -> list[Any]:
    at = folder / path
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(voc.read(Folder(folder), Wanted(kind, schema, {"a.jpg": Size(9, 8)})))


@pytest.mark.parametrize(
    ("kind", "inside", "at", "why"),
    [
        ("box", an_object(BOX, "tram"), ": object[0].class", "'tram' is not a class"),
        ("box", "<object/>", ": object[0].class", "not a class"),
        ("box", an_object(""), ": object[0].bndbox.xmin", "a number"),
        ("box", an_object(BOX.replace("4", "nan")), ": object[0].box[2]", "finite"),
        ("box", an_object(BOX.replace("4", "40")), ": object[0].box[2]", "outside"),
        ("box", an_object(BOX.replace("4", "1")), ": object[0].box", "no area"),
        ("polygon", an_object(BOX), ": object[0]", "no polygon"),
        ("polygon", an_object("<polygon/>"), ": object[0].polygon[0][0]", "point"),
        ("polygon", an_object(OUTLINE.replace("y3", "z3")), ": object[0].polygon.y3", "a number"),
        ("polygon", an_object(OUTLINE.replace(">6<", ">2<")), ": object[0].polygon[0][0]", "three"),
        ("polygon", an_object(OUTLINE.replace("</p", "<x4>2</x4></p")), ODD, "a number"),
        ("polygon", an_object(OUTLINE.replace("<y3>6</y3>", "")), ": object[0].polygon.y3", ""),
        ("polygon", an_object(OUTLINE.replace("</p", "<x1>2</x1><y1>8</y1></p")), TWICE, "number"),
        ("polygon", an_object(OUTLINE * 2), ": object[0]", "has 2 polygons"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, kind: str, inside: str, at: str, why: str
) -> None:
    refused, known = read(tmp_path, document(inside), kind)
    assert refused.at == f"VOC2012/Annotations/a.xml{at}"
    assert why in refused.why
    assert not known.objects


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not XML"),
        ("<annotation>", "not XML"),
        ("<annotations/>", "begins with 'annotations'"),
        ('<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">]><annotation>&a;</annotation>', "document type"),
        (document("", "<filename>b.jpg</filename>").replace("b", "c"), "is not an image"),
        (document("", SIZE.replace("9", "7")), "7 x 8"),
        (document("", SIZE.replace("9", "x")), "must be a number"),
        (document("", SIZE.replace("9", "1.5")), "whole"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_others_are_not(
    tmp_path: Path, content: str, why: str
) -> None:
    stem = "c" if "c.jpg" in content else "a"
    (refused,) = read(tmp_path, content, path=f"Annotations/{stem}.xml")
    assert why in refused.why
    found = read(tmp_path, document(an_object(BOX)), path="Annotations/z.xml")
    assert [each.name for each in found if isinstance(each, Known)] == ["a.jpg"]


def test_an_image_may_be_known_by_the_path_of_its_file_alone(tmp_path: Path) -> None:
    for about in ("", "<filename>other.jpg</filename>", SIZE.replace("9", "0")):
        (known,) = read(tmp_path, document(an_object(BOX), about))
        assert (known.name, known.size) == ("a.jpg", Size(9, 8))
        assert [each["box"] for each in known.objects] == [[1, 1, 4, 4]]


def test_of_two_images_it_is_the_one_that_is_said_unless_that_is_in_another_folder(
    tmp_path: Path,
) -> None:
    """Tools number their files, and many say of an image's path its last part only."""
    wanted = Wanted("box", SCHEMA, dict.fromkeys(("a.jpg", "1.jpg", "d/a.jpg"), Size(9, 8)))
    for path in ("1", "d/a", "a"):
        at = tmp_path / path / f"Annotations/{path}.xml"
        at.parent.mkdir(parents=True)
        at.write_text(document(an_object(BOX)))
        (known,) = voc.read(Folder(tmp_path / path), wanted)
        assert isinstance(known, Known)
        assert known.name == ("d/a.jpg" if path == "d/a" else "a.jpg")


def test_flags_of_voc_are_flags_of_these_names(tmp_path: Path) -> None:
    flags = [{"name": name, "type": "flag"} for name in ("truncated", "occluded")]
    one = {"id": 1, "name": "car", "colour": "#0000ff", "attributes": flags}
    said = "<attributes><attribute><name>occluded</name><value>false</value></attribute>"
    inside = an_object(f"{BOX}<truncated>1</truncated><difficult>1</difficult>")
    inside += an_object(f"{BOX}<occluded>1</occluded>{said}</attributes>")
    (known,) = read(tmp_path, document(inside), schema=LabelSchema.parse({"classes": [one]}))
    assert [each["attributes"] for each in known.objects] == [
        {"truncated": True},
        {"occluded": False},
    ]
    assert [each.get("optional") for each in known.objects] == [True, None]


@pytest.mark.parametrize(("kind", "number"), [("semantic_mask", 3), ("semantic_mask", 9)])
def test_a_number_of_no_class_is_refused(tmp_path: Path, kind: str, number: int) -> None:
    numbers = np.zeros((8, 9), dtype=np.uint8)
    numbers[0, :3] = 1, number, 255
    path = tmp_path / "VOC2012/SegmentationClass/a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(painting.png(numbers))
    refused, known = read(tmp_path, document(""), kind)
    assert (number == 3 and "'void'" in refused.why) or f"pixel of {number}" in refused.why
    assert [each["class"] for each in known.objects] == [7]
    path.write_bytes(painting.png(numbers[:4]))
    (refused,) = read(tmp_path, document(""), kind)
    why = "has a 'VOC2012/SegmentationClass/a.png' that is of 9 x 4 pixels, not 9 x 8"
    assert refused == Refused("VOC2012/Annotations/a.xml", why)
    assert refused.image == "a.jpg"


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no XML"):
        list(voc.read(Folder(tmp_path), Wanted("box", SCHEMA)))
