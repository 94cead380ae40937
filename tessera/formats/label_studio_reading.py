"""Reading Label Studio's tasks; see `label_studio`."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tessera.formats import checking, json_stream
from tessera.formats import label_studio_runs as runs
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping, numbers
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields

TYPES = {
    "box": "rectanglelabels",
    "instance_mask": "brushlabels",
    "keypoints": "rectanglelabels",
    "polygon": "polygonlabels",
    "semantic_mask": "brushlabels",
}
POINT = "keypointlabels"


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; every JSON file there is.

    Of several annotations of a task the one counts that is said to be `ground_truth`; where there
    are none, the first of its predictions.
    """
    documents = [name for name in files.names() if name.endswith(".json")]
    if not documents:
        raise BadFile("", "has no JSON file")
    reader = _Reader(wanted)
    for name in documents:
        with files.open(name) as file:
            for number, task in json_stream.elements(file, name):
                at = f"{name}: [{number}]"
                try:
                    checking.as_json(task)  # not again read from it: that would take twice as much
                    yield from reader.image(at, mapping(task, ""))
                except InvalidAnswer as error:
                    yield checking.refused(at, error, reader.told(task))
                del task  # before the next is read


_SENT = re.compile(r"/data/upload/\d+/[0-9a-f]{8}-(?P<name>.+)")
"""The path of a file that was sent to Label Studio."""
_Results = list[Mapping[str, Any]]


class _Region(NamedTuple):
    results: _Results
    """What is said of it; that which says where it is first."""
    again: bool = False
    """Whether there was another of its id, and by the same control."""


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._checking = wanted, Checking(wanted)

    def image(self, at: str, task: Mapping[str, Any]) -> Iterator[Known | Refused]:
        name = self._name(mapping(task.get("data"), "data"))
        if self._checking.is_foreign(name):
            yield from self._checking.image(at, name, None, [], self._class)
            return
        results = [
            (place, mapping(each, place))
            for place, each in fields.items(
                _annotation(task).get("result"), "result", InvalidAnswer, most=1_000_000
            )
        ]
        size = _size(results)
        if self._wanted.kind == "classify":
            found = ((f"{at}.{place}", each) for place, each in _chosen(results))
            yield from self._checking.image(at, name, size, found, self._class)
        else:
            # without any result nothing is read
            of = size or self._wanted.images.get(str(name), Size(0, 0))
            yield from self._checking.image(
                at, name, size, _regions(at, results, self._wanted.kind), partial(self._object, of)
            )

    def told(self, task: object) -> object:
        """The name of its image, of a task that may be anything."""
        found = task.get("data") if isinstance(task, dict) else None
        data = found if isinstance(found, dict) else {}
        try:
            return self._name(data)
        except InvalidAnswer:
            return _image(data)

    def _name(self, data: Mapping[str, Any]) -> object:
        """The image's name as it is, or as Label Studio has it for files that it serves itself."""
        name = _image(data)
        if not isinstance(name, str) or name in self._wanted.images:
            return name
        try:
            where = urlsplit(name)
        except ValueError as error:
            why = f"{name[:300]!r} is no address of an image: {error}"
            raise Unfit("data", why, Code.BAD_NAME) from error
        served = parse_qs(where.query).get("d", [])
        sent = _SENT.fullmatch(where.path)
        tried = [*served, *([sent["name"]] if sent else []), where.path.lstrip("/")]
        return next((each for each in tried if each in self._wanted.images), [*served, name][0])

    def _class(self, chosen: tuple[object, object]) -> Mapping[str, Any]:
        name, score = chosen
        return {
            "class": self._checking.named(name).id,
            **({} if score is None else {"confidence": score}),
        }

    def _object(self, size: Size, region: _Region) -> Mapping[str, Any]:
        results, type_ = region.results, TYPES[self._wanted.kind]
        first = next((each for each in results if self._has_class(each)), results[0])
        if region.again:
            raise Unfit("id", "is that of another region", Code.REPEATED)
        if first.get("type") != type_:
            raise InvalidAnswer("type", f"is {str(first.get('type'))[:50]!r}, not {type_!r}")
        value = mapping(first.get("value"), "value")
        label = _only(value.get(type_), f"value.{type_}")
        named = self._checking.named(label)
        points = [each for each in results if each.get("type") == POINT]
        said = {
            name: _attribute(mapping(each.get("value"), "value")) if named.attribute(name) else None
            for each in results
            if each is not first and each.get("type") != POINT
            for name in [str(each.get("from_name"))]
        }
        found = {"class": named.id, "attributes": checking.typed(said, named)}
        found |= self._place(value, points, named, size)
        return found if first.get("score") is None else found | {"confidence": first["score"]}

    def _has_class(self, result: Mapping[str, Any]) -> bool:
        """Of a region that several controls name; others than that of its class are attributes."""
        type_ = TYPES[self._wanted.kind]
        try:
            value = mapping(result.get("value"), "value")
            return bool(self._checking.named(_only(value.get(type_), type_)))
        except InvalidAnswer:
            return False

    def _place(
        self, value: Mapping[str, Any], points: _Results, named: LabelClass, size: Size
    ) -> dict[str, Any]:
        match self._wanted.kind:
            case "box":
                return {"box": _box(value, size)}
            case "polygon":
                outline = [
                    _pixels(numbers(point, place, 2), size)
                    for place, point in fields.items(
                        value.get("points"), "value.points", InvalidAnswer, most=100_000
                    )
                ]
                return {"polygon": [[outline]]}
            case "keypoints":
                return {"points": _seen(points, named, size)}
        try:
            return {"mask": runs.unpacked(value.get("rle"), size)}
        except ValueError as error:
            raise InvalidAnswer("value.rle", str(error)) from error


def _image(data: Mapping[str, Any]) -> object:
    return data.get("image", next(iter(data.values()), None))


def _size(results: Sequence[tuple[str, Mapping[str, Any]]]) -> Size | None:
    """Of the first that tells it; choices and relations often do not."""
    width, height = "original_width", "original_height"
    for place, each in results:
        if each.get(width) is not None:
            sides = ((each.get(side), f"{place}.{side}") for side in (width, height))
            return Size(*(fields.whole(*side, InvalidAnswer) for side in sides))
    return None


def _annotation(task: Mapping[str, Any]) -> Mapping[str, Any]:
    listed = {
        name: [
            mapping(each, place)
            for place, each in fields.items(task.get(name, []), name, InvalidAnswer, most=10_000)
        ]
        for name in ("annotations", "predictions")
    }
    made = [each for each in listed["annotations"] if not each.get("was_cancelled")]
    if listed["annotations"] and not made:
        raise Unfit("annotations", "were all skipped", Code.UNLABELLED)
    chosen = [each for each in made if each.get("ground_truth")] or made
    if len(chosen) > 1:
        raise InvalidAnswer("annotations", "are several; say of one that it is the ground truth")
    chosen = chosen or listed["predictions"]
    if not chosen:
        raise InvalidAnswer("annotations", "are missing")
    return chosen[0]


def _chosen(
    results: Sequence[tuple[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, tuple[object, object]]]:
    """Each class that is said of the image, and how certain it is."""
    for place, each in results:
        type_ = each.get("type")
        if not isinstance(type_, str) or type_ not in {"choices", "taxonomy"}:
            raise InvalidAnswer(f"{place}.type", f"is {str(type_)[:50]!r}, not 'choices'")
        value = mapping(each.get("value"), f"{place}.value").get(type_)
        for at, choice in fields.items(value, f"{place}.value.{type_}", InvalidAnswer, most=10_000):
            lowest = choice[-1] if isinstance(choice, list) and choice else choice
            yield at, (lowest, each.get("score"))


def _regions(
    at: str, results: Sequence[tuple[str, Mapping[str, Any]]], kind: str
) -> Iterator[tuple[str, _Region]]:
    """Each region, by the place of the first result about it.

    Points belong to the box around them; of other kinds what lies in a region is one of its own.
    So is what has no id.
    """
    ids = {repr(each["id"]) for _, each in results if _is_shape(each) and each.get("id")}
    about: dict[str, _Region] = {}
    begins: dict[str, str] = {}
    drawn = defaultdict[str, set[str]](set)
    for place, each in results:
        id_ = each.get("id")
        if kind == "keypoints" and each.get("parentID") and repr(id_) not in ids:
            id_ = each["parentID"]
        key = place if id_ is None or id_ == "" else repr(id_)
        if not _is_shape(each):
            about.setdefault(key, _Region([])).results.append(each)
        elif repr(each.get("from_name")) in drawn[key]:
            key = place
            about[key] = _Region([each], again=True)
        else:
            about.setdefault(key, _Region([])).results.insert(len(drawn[key]), each)
            drawn[key].add(repr(each.get("from_name")))
        begins.setdefault(key, place)
    for key, region in about.items():
        yield f"{at}.{begins[key]}", region


def _is_shape(result: Mapping[str, Any]) -> bool:
    return str(result.get("type")).endswith("labels") and result.get("type") != POINT


def _only(value: object, at: str) -> object:
    listed = [each for _, each in fields.items(value, at, InvalidAnswer, most=1)]
    if not listed:
        raise InvalidAnswer(at, "must have one element")
    return listed[0]


def _attribute(value: Mapping[str, Any]) -> object:
    if "number" in value:
        return value["number"]
    said = value.get("choices", value.get("text"))
    return said if isinstance(said, str) else _only(said, "value")


def _pixels(point: Sequence[float], size: Size) -> list[float]:
    return [number * length / 100 for number, length in zip(point, size, strict=True)]


def _box(value: Mapping[str, Any], size: Size) -> list[float]:
    x, y, across, down, angle = (
        fields.number(value.get(name, 0), f"value.{name}", InvalidAnswer)
        for name in ("x", "y", "width", "height", "rotation")
    )
    left, top = _pixels((x, y), size)
    width, height = _pixels((across, down), size)
    if not angle:
        return [left, top, left + width, top + height]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    middle = left + (width * cos - height * sin) / 2, top + (width * sin + height * cos) / 2
    edges = [
        m + sign * s / 2 for sign in (-1, 1) for m, s in zip(middle, (width, height), strict=True)
    ]
    return [*map(float, edges), angle]


def _seen(results: _Results, named: LabelClass, size: Size) -> list[list[float]]:
    """In the order of the class; what is there is visible."""
    found: dict[str, list[float]] = {}
    for each in results:
        value = mapping(each.get("value"), "value")
        name = _only(value.get(POINT), f"value.{POINT}")
        if not isinstance(name, str):
            raise InvalidAnswer(f"value.{POINT}", "must be the name of a point")
        at = [fields.number(value.get(axis), f"value.{axis}", InvalidAnswer) for axis in "xy"]
        if name in found:
            raise Unfit("", f"has the point {name[:50]!r} twice", Code.REPEATED)
        found[name] = [*_pixels(at, size), 2]
    points = () if named.skeleton is None else named.skeleton.points
    if foreign := found.keys() - {each.name for each in points}:
        raise Unfit("", f"has a point {min(foreign)[:50]!r}", Code.UNKNOWN_POINT)
    return [found.get(each.name, [0.0, 0.0, 0]) for each in points]
