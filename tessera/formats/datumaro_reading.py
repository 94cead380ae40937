"""Reading Datumaro's JSON; see `datumaro`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tessera.formats import checking, json_stream
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping, numbers, points
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields

CROWD, SCORE = "is_crowd", "score"
"""Attributes for what a label says beside its shape."""
AS_DRAWN = (0, 4, 5, 1, 7, 6, 2, 3)
"""Our corners in Datumaro's order: the upper face from the front left one, then the lower one."""
TYPES = {
    "box": "bbox",
    "classify": "label",
    "instance_mask": "mask",
    "keypoints": "points",
    "polygon": "polygon",
    "polyline": "polyline",
    "semantic_mask": "mask",
}
_MOST_NAMES = 1_000


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; images are known by the path of their picture."""
    documents = [
        name
        for name in files.names()
        if name.endswith(".json") and "annotations" in name.split("/")[:-1]
    ]
    if not documents:
        raise BadFile("annotations", "has no JSON file")
    checked = Checking(wanted)
    for name in documents:
        try:
            categories = mapping(_told(files, name), "categories")
            reader = _Reader(_labels(categories), _point_names(categories), checked, wanted)
        except InvalidAnswer as error:
            raise BadFile(f"{name}: {error.facts['at']}", error.facts["why"]) from error
        for at, item in _items(files, name):
            yield from reader.image(at, item)
            del item  # before the next is read


def _told(files: Files, name: str) -> object:
    """They may stand behind the items, which need them; a file may be of any length."""
    with files.open(name) as file:
        for member, _, value in json_stream.members(file, name, images=True):
            if member == "categories":
                return value
    return None


def _items(files: Files, name: str) -> Iterator[tuple[str, object]]:
    there = False
    with files.open(name) as file:
        for member, number, value in json_stream.members(file, name, images=True):
            if member == "items" and number is None:
                there = value == []
            elif member == "items":
                yield f"{name}: items[{number}]", value
    if not there:
        raise BadFile(f"{name}: items", "must be a list")


def _labels(categories: Mapping[str, Any]) -> list[object]:
    label = mapping(categories.get("label"), "categories.label")
    return [
        mapping(each, at).get("name")
        for at, each in fields.items(
            label.get("labels"), "categories.label.labels", InvalidAnswer, most=100_000
        )
    ]


def _point_names(categories: Mapping[str, Any]) -> dict[str, list[object]]:
    """By the number of the label; of those that have names."""
    told = mapping(categories.get("points") or {}, "points")
    at = "categories.points.items"
    found = dict[str, list[object]]()
    for place, each in fields.items(told.get("items", []), at, InvalidAnswer, most=100_000):
        about = mapping(each, place)
        listed = fields.items(
            about.get("labels", []), f"{place}.labels", InvalidAnswer, most=_MOST_NAMES
        )
        if names := [name for _, name in listed]:
            found[repr(about.get("label_id"))] = names
    return found


_Annotations = list[Mapping[str, Any]]


class _Reader:
    def __init__(
        self,
        labels: Sequence[object],
        points_of: Mapping[str, Sequence[object]],
        checked: Checking,
        wanted: Wanted,
    ) -> None:
        self._labels, self._points_of = labels, points_of
        self._wanted, self._checking = wanted, checked

    def image(self, at: str, item: object) -> Iterator[Known | Refused]:
        image: Mapping[str, Any] = {}
        try:
            found = mapping(item, "")
            image = mapping(found.get("image"), "image")
            checking.as_json(item)  # not again read from it: that would take twice as much
            size = image.get("size")
            height, width = (None, None) if size is None else numbers(size, "image.size", 2)
            objects = list(self._objects(at, found.get("annotations", [])))
        except InvalidAnswer as error:
            yield checking.refused(at, error, image.get("path"))
            return
        told = None if height is None or width is None else Size(int(width), int(height))
        yield from self._checking.image(at, image.get("path"), told, objects, self._object)

    def _objects(self, at: str, annotations: object) -> Iterator[tuple[str, _Annotations]]:
        """What is said of each object: polygons of one group and label are parts of one."""
        parts: dict[tuple[object, object], _Annotations] = {}
        for place, each in fields.items(annotations, "annotations", InvalidAnswer, most=2**31):
            annotation = mapping(each, place)
            key = repr(annotation.get("group")), repr(annotation.get("label_id"))
            if annotation.get("type") == "polygon" and annotation.get("group"):
                if key in parts:
                    parts[key].append(annotation)
                    continue
                parts[key] = [annotation]
            yield f"{at}.{place}", parts.get(key, [annotation])

    def _object(self, annotations: _Annotations) -> Mapping[str, Any]:
        first = annotations[0]
        label = fields.whole(first.get("label_id"), "label_id", InvalidAnswer)
        if not 0 <= label < len(self._labels):
            raise InvalidAnswer("label_id", "is no label of this file")
        named = self._checking.named(self._labels[label])
        said = dict(mapping(first.get("attributes", {}), "attributes"))
        place = self._place(annotations, named)
        found = {"class": named.id, "attributes": said, **checking.turned(place, said, named)}
        if SCORE in said and named.attribute(SCORE) is None:
            found["confidence"] = said.pop(SCORE)
        if named.attribute(CROWD) is None and said.pop(CROWD, False) is True:
            found["optional"] = True
        return found

    def _place(self, annotations: _Annotations, named: LabelClass) -> Mapping[str, Any]:
        first = annotations[0]
        type_ = first.get("type")
        if self._wanted.kind == "box" and "rotated" in first:
            return {"box": first["rotated"]}
        if type_ != self._type():
            raise InvalidAnswer("type", f"is {str(type_)[:50]!r}, not {self._type()!r}")
        place: dict[str, Any] = {}
        match type_:
            case "bbox":
                left, top, width, height = numbers(first.get("bbox"), "bbox", 4)
                place = {"box": [left, top, left + width, top + height]}
            case "polygon":
                outlines = [points(each.get("points"), "points") for each in annotations]
                place = {"polygon": [[outline] for outline in outlines]}
            case "polyline":
                place = {"line": points(first.get("points"), "points")}
            case "points":
                names = self._points_of.get(repr(first.get("label_id")))
                place = {"points": _by_name(_seen(first), names, named)}
            case "mask":
                place = {"mask": first.get("rle")}
            case "cuboid_2d":
                place = {"cuboid": _corners(first.get("points"))}
            case "cuboid_3d":
                place = {"solid": _solid(first)}
        return place

    def _type(self) -> str:
        in_space = self._wanted.schema.camera is not None
        return TYPES.get(self._wanted.kind, "cuboid_3d" if in_space else "cuboid_2d")


def _seen(annotation: Mapping[str, Any]) -> list[list[object]]:
    """Points that nothing is said of are visible."""
    at = points(annotation.get("points"), "points")
    said = annotation.get("visibility")
    visible = [2] * len(at) if said is None else said
    listed = [each for _, each in fields.items(visible, "visibility", InvalidAnswer, most=len(at))]
    if len(listed) < len(at):
        raise InvalidAnswer("visibility", "must have as many elements as there are points")
    return [[*point, v] for point, v in zip(at, listed, strict=True)]


def _by_name(
    seen: list[list[object]], names: Sequence[object] | None, named: LabelClass
) -> list[list[object]]:
    """In the order of the class; without names they are taken to be in that already."""
    if names is None or named.skeleton is None:
        return seen
    if len(names) != len(seen):
        raise InvalidAnswer("points", f"must be {len(names)}, as many as have names")
    found: dict[str, list[object]] = {}
    for name, point in zip(map(repr, names), seen, strict=True):
        if name in found:
            raise Unfit("points", f"has the point {name[:50]} twice", Code.REPEATED)
        found[name] = point
    asked = [each.name for each in named.skeleton.points]
    if foreign := found.keys() - set(map(repr, asked)):
        raise Unfit("points", f"has a point {min(foreign)[:50]}", Code.UNKNOWN_POINT)
    return [found.get(repr(each), [0.0, 0.0, 0]) for each in asked]


def _corners(value: object) -> list[list[float]]:
    drawn = [
        numbers(each, place, 2)
        for place, each in fields.items(value, "points", InvalidAnswer, most=len(AS_DRAWN))
    ]
    if len(drawn) < len(AS_DRAWN):
        raise InvalidAnswer("points", "must be eight corners")
    return [drawn[AS_DRAWN.index(i)] for i in range(len(AS_DRAWN))]


def _solid(annotation: Mapping[str, Any]) -> dict[str, Any]:
    about_x, yaw, about_z = numbers(annotation.get("rotation"), "rotation", 3)
    if about_x or about_z:
        raise InvalidAnswer("rotation", "must be about y only")
    centre, size = annotation.get("position"), annotation.get("scale")
    return {"centre": centre, "size": size, "yaw": yaw}
