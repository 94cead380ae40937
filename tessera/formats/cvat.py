"""CVAT for images 1.1: one XML file, which CVAT takes as annotations of a task or project.

Coordinates are pixels with two decimals, angles degrees clockwise in [0, 360). Without splits it is
of a task; with splits of a project, in which every image says its `subset`. Parts of one object
share a `group_id`; a polygon has no holes. A mask is cropped, its runs go row by row. Keypoints are
a `skeleton` of `points`, hidden ones `occluded` and those not labelled `outside`. A cuboid's `2` is
its rear, of which CVAT has the right edge first, whatever the names say; cuboids in space are
written as the picture shows them. There is no place for confidence or for crowds.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from tessera.formats import checking
from tessera.formats.archive import Files
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import Attribute, InvalidAnswer, LabelClass, LabelSchema, Size
from tessera.kinds.attributes import Type, Value
from tessera.shapes import rle, solids

MEDIA_TYPE = "application/xml"
FILE = "cvat.xml"
KINDS = frozenset(_ALL) - {"join", "verify"}
OCCLUDED = "occluded"
"""CVAT has this of every shape; it is taken for the flag of this name, if a class has one."""
_CORNERS = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")
_AS_NAMED = (0, 3, 1, 2, 5, 6, 4, 7)
"""Which of our corners each is."""
_TAGS = {
    "box": "box",
    "classify": "tag",
    "cuboid": "cuboid",
    "instance_mask": "mask",
    "keypoints": "skeleton",
    "polygon": "polygon",
    "polyline": "polyline",
    "semantic_mask": "mask",
}
_Marks = dict[str, str]
"""Attributes of an element."""


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {
        "cuboid": [] if dataset.schema.camera is None else [Loses.SHAPE],
        "polygon": [Loses.HOLES],
    }
    crowd = [] if dataset.kind in {"classify", "semantic_mask"} else [Loses.CROWD]
    lost = [Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS]
    return [*lost, *crowd, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["CvatWriter"]:
    with (folder / FILE).open("wb") as out:
        yield CvatWriter(out, dataset)


class CvatWriter:
    def __init__(self, out: BinaryIO, dataset: Described) -> None:
        self._out, self._dataset = out, dataset
        self._classes = {each.id: each for each in dataset.schema.classes}
        # without a declaration it is UTF-8 all the same, and more readers take it
        self._write(f"<annotations>\n<version>1.1</version>\n{_meta(dataset)}\n")

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        marks = {"id": str(image.id - 1), "name": image.name}  # frames count from 0
        if image.split is not None:
            marks["subset"] = image.split
        marks |= {"width": str(image.width), "height": str(image.height)}
        inside = [
            shape
            for number, each in enumerate(image.objects, 1)
            if not each.crowd
            for shape in self._shapes(number, each)
        ]
        self._write(_element("image", marks, "\n".join(["", *inside, ""])) + "\n")

    def finish(self) -> None:
        self._write("</annotations>\n")

    def _write(self, text: str) -> None:
        self._out.write(text.encode())

    def _shapes(self, number: int, found: LabelledObject) -> list[str]:
        """One, but for polygons in parts."""
        named = self._classes[found.class_id]
        occluded = found.attributes.get(OCCLUDED) is True
        common = {"label": named.name, "source": "manual", "occluded": str(int(occluded))}
        tag = _TAGS[self._dataset.kind]
        said = "".join(
            _element("attribute", {"name": name}, escape(_text(value)))
            for name, value in found.attributes.items()
        )
        parts = found.place.get("polygon")
        if parts is None:
            marks, inside = _place(found.place, named, self._dataset.schema)
            return [_element(tag, common | marks, inside + said)]
        group = {"group_id": str(number)} if len(parts) > 1 else {}
        return [
            _element(tag, common | {"points": _points(outer), "z_order": "0"} | group, said)
            for outer, *_ in parts
        ]


def _place(place: Mapping[str, Any], named: LabelClass, schema: LabelSchema) -> tuple[_Marks, str]:
    """Attributes and content of an element."""
    marks, inside = {"z_order": "0"}, ""
    match place:
        case {"box": [left, top, right, bottom, *angle]}:
            edges = zip(("xtl", "ytl", "xbr", "ybr"), (left, top, right, bottom), strict=True)
            marks |= {name: f"{number:.2f}" for name, number in edges}
            if angle:
                marks["rotation"] = f"{angle[0] % 360:.2f}"
        case {"line": line}:
            marks["points"] = _points(line)
        case {"points": seen} if named.skeleton is not None:
            names = (each.name for each in named.skeleton.points)
            inside = "".join(_point(*pair) for pair in zip(names, seen, strict=True))
        case {"mask": mask}:
            height, width = mask["size"]
            pixels = rle.decode(rle.from_string(mask["counts"]), height, width)
            runs = ", ".join(map(str, rle.encode(pixels.T).tolist()))
            marks |= {"rle": runs, "left": str(mask["left"]), "top": str(mask["top"])}
            marks |= {"width": str(width), "height": str(height)}
        case {"cuboid": corners}:
            marks |= _cuboid(corners)
        case {"solid": {"centre": centre, "size": size, "yaw": yaw}}:
            row = np.array([[*centre, *size, yaw]])
            marks |= _cuboid(solids.projected(row, np.array(schema.camera))[0][0].tolist())
        case _:
            del marks["z_order"]
    return marks, inside


def _points(line: Sequence[Sequence[float]]) -> str:
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in line)


def _point(name: str, seen: Sequence[float]) -> str:
    x, y, v = seen
    hidden, missing = str(int(v == 1)), str(int(v == 0))
    marks = {"label": name, "source": "manual", "occluded": hidden, "outside": missing}
    return _element("points", marks | {"points": _points([(x, y)])}, "")


def _cuboid(corners: Sequence[Sequence[float]]) -> _Marks:
    named = zip(_CORNERS, (corners[i] for i in _AS_NAMED), strict=True)
    return {
        f"{axis}{name}": f"{v:.2f}" for name, at in named for axis, v in zip("xy", at, strict=True)
    }


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _element(tag: str, marks: _Marks, inside: str) -> str:
    said = "".join(f" {name}={quoteattr(value)}" for name, value in marks.items())
    return f"<{tag}{said}>{inside}</{tag}>"


def _meta(dataset: Described) -> str:
    name = _element("name", {}, escape(dataset.name))
    labels = _element(
        "labels", {}, "".join(_label(each, dataset) for each in dataset.schema.classes)
    )
    if not dataset.splits:
        return _element("meta", {}, _element("task", {}, name + labels))
    tasks = "".join(
        _element("task", {}, _element("name", {}, each) + _element("subset", {}, each))
        for each in dataset.splits
    )
    return _element(
        "meta", {}, _element("project", {}, name + _element("tasks", {}, tasks) + labels)
    )


def _label(each: LabelClass, dataset: Described) -> str:
    """A skeleton's points are labels of their own, which name it as `parent`."""
    tag = _TAGS[dataset.kind]
    about = {"name": each.name, "color": each.colour, "type": {"box": "rectangle"}.get(tag, tag)}
    said = "".join(_element(tag, {}, escape(text)) for tag, text in about.items())
    asked = "".join(_attribute(attribute) for attribute in each.attributes)
    label = _element("label", {}, said + _element("attributes", {}, asked))
    points = () if each.skeleton is None else each.skeleton.points
    for point in points:
        about = {"name": point.name, "color": each.colour, "type": "points", "parent": each.name}
        said = "".join(_element(tag, {}, escape(text)) for tag, text in about.items())
        label += _element("label", {}, said + _element("attributes", {}, ""))
    return label


def _attribute(asked: Attribute) -> str:
    """CVAT's numbers lie between two ends; what does not is text to it."""
    kind, values = "text", [""]
    if asked.type is Type.CHOICE:
        kind, values = "select", [*asked.values]
    elif asked.type is Type.FLAG:
        kind, values = "checkbox", ["false"]
    elif asked.least is not None and asked.most is not None:
        kind, values = "number", [str(asked.least), str(asked.most), "0.01"]
    about = {
        "name": asked.name,
        "mutable": "False",
        "input_type": kind,
        "default_value": values[0],
        "values": "\n".join(values),
    }
    return _element(
        "attribute", {}, "".join(_element(tag, {}, escape(text)) for tag, text in about.items())
    )


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; every XML file there is, one image after another."""
    documents = [name for name in files.names() if name.endswith(".xml")]
    if not documents:
        raise BadFile("", "has no XML file")
    reader = _Reader(wanted)
    for name in documents:
        with files.open(name) as file:
            checking.refuse_doctype(file, name)
            try:
                yield from reader.images(name, file)
            except (ET.ParseError, *checking.NOT_XML) as error:
                raise BadFile(name, f"is not XML: {error}") from error


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._checking = wanted, Checking(wanted)

    def images(self, path: str, file: BinaryIO) -> Iterator[Known | Refused]:
        events = ET.iterparse(file, events=("start", "end"))  # noqa: S314 - it has no entities
        _, root = next(events)
        if root.tag != "annotations":
            raise BadFile(path, f"begins with {root.tag[:50]!r}, not 'annotations'")
        number = 0
        for event, element in events:
            if event == "end" and element.tag == "image":
                yield from self._image(f"{path}: image[{number}]", element)
                number += 1
                root.clear()
            elif event == "end" and element.tag == "track":
                yield Refused(f"{path}: track {element.get('id')}", "is of a video, not of images")
                root.clear()

    def _image(self, at: str, image: ET.Element) -> Iterator[Known | Refused]:
        name = image.get("name")
        if self._checking.is_foreign(name):
            yield from self._checking.image(at, name, None, [], partial(self._object, Size(0, 0)))
            return
        try:
            size = Size(*(_whole(image, side) for side in ("width", "height")))
            objects = list(_objects(at, image))
        except InvalidAnswer as error:
            yield checking.refused(at, error, name)
            return
        yield from self._checking.image(at, name, size, objects, partial(self._object, size))

    def _object(self, size: Size, parts: Sequence[ET.Element]) -> Mapping[str, Any]:
        first = parts[0]
        expected = _TAGS[self._wanted.kind]
        if first.tag != expected:
            raise InvalidAnswer("", f"is a {first.tag[:50]}, not a {expected}")
        named = self._checking.named(first.get("label"))
        said = {each.get("name", ""): each.text or "" for each in first.iterfind("attribute")}
        attributes = checking.typed(said, named)
        asked = named.attribute(OCCLUDED)
        if asked is not None and asked.type is Type.FLAG and first.get("occluded") == "1":
            attributes[OCCLUDED] = attributes.get(OCCLUDED, True)
        return {"class": named.id, "attributes": attributes, **_read(parts, named, size)}


def _objects(at: str, image: ET.Element) -> Iterator[tuple[str, list[ET.Element]]]:
    """The elements of each object: polygons of one group and label are parts of one."""
    groups: dict[tuple[str | None, str | None], list[ET.Element]] = {}
    for number, each in enumerate(image):
        key = each.get("group_id"), each.get("label")
        if each.tag == "polygon" and key[0] not in {None, "0"}:
            if key in groups:
                groups[key].append(each)
                continue
            groups[key] = [each]
            yield f"{at}[{number}]", groups[key]
        else:
            yield f"{at}[{number}]", [each]


def _read(parts: Sequence[ET.Element], named: LabelClass, size: Size) -> dict[str, Any]:
    first, place = parts[0], dict[str, Any]()
    match first.tag:
        case "box":
            edges = [_number(first, mark) for mark in ("xtl", "ytl", "xbr", "ybr")]
            turn = [] if first.get("rotation") is None else [_number(first, "rotation")]
            place = {"box": edges + turn}
        case "polygon":
            place = {"polygon": [[_line(each)] for each in parts]}
        case "polyline":
            place = {"line": _line(first)}
        case "skeleton":
            place = {"points": _seen(first, named)}
        case "mask":
            place = {"mask": _mask(first, size)}
        case "cuboid":
            drawn = [[_number(first, f"{axis}{name}") for axis in "xy"] for name in _CORNERS]
            place = {"cuboid": [drawn[_AS_NAMED.index(i)] for i in range(len(_AS_NAMED))]}
    return place


def _number(element: ET.Element, mark: str) -> float:
    try:
        return float(element.get(mark, ""))
    except ValueError as error:
        raise InvalidAnswer(mark, "must be a number") from error


def _whole(element: ET.Element, mark: str) -> int:
    number = _number(element, mark)
    if not number.is_integer():
        raise InvalidAnswer(mark, "must be a whole number")
    return int(number)


def _line(element: ET.Element) -> list[list[float]]:
    pairs = element.get("points", "").split(";")
    try:
        return [[float(number) for number in pair.split(",")] for pair in pairs]
    except ValueError as error:
        raise InvalidAnswer("points", "must be x,y;x,y;...") from error


def _seen(skeleton: ET.Element, named: LabelClass) -> list[list[float]]:
    """In the order of the class; what is not there is not labelled."""
    by_name: dict[str | None, ET.Element] = {}
    for each in skeleton.iterfind("points"):
        name = each.get("label")
        if name in by_name:
            raise Unfit("points", f"has the point {str(name)[:50]!r} twice", Code.REPEATED)
        by_name[name] = each
    points = () if named.skeleton is None else named.skeleton.points
    if foreign := by_name.keys() - {asked.name for asked in points}:
        why = f"has a point {min(map(str, foreign))[:50]!r}"
        raise Unfit("points", why, Code.UNKNOWN_POINT)
    found = []
    for asked in points:
        point = by_name.get(asked.name)
        if point is None or point.get("outside") == "1":
            found.append([0.0, 0.0, 0])
        else:
            found.append([*_line(point)[0], 1 if point.get("occluded") == "1" else 2])
    return found


def _mask(element: ET.Element, size: Size) -> dict[str, Any]:
    left, top, width, height = (
        _whole(element, mark) for mark in ("left", "top", "width", "height")
    )
    if min(left, top, width - 1, height - 1) < 0:
        raise InvalidAnswer("", "begins outside the image, or has no size")
    if left + width > size.width or top + height > size.height:
        raise InvalidAnswer("", "reaches out of the image")
    try:
        runs = np.array([int(run) for run in element.get("rle", "").split(",")], dtype=np.int64)
        pixels = rle.decode(runs, width, height).T
    except (ValueError, OverflowError) as error:
        raise InvalidAnswer("rle", f"are no runs of {width} x {height} pixels") from error
    counts = rle.to_string(rle.encode(pixels))
    return {"left": left, "top": top, "size": [height, width], "counts": counts}
