"""LabelMe's JSON, one file for each image and beside its picture, below a folder for each split.

Coordinates are pixels. Without splits the folder is `default`; `labels.txt` there has the classes.
Rectangles are two corners, boxes at an angle polygons of their four, polylines `linestrip`. Parts
of one polygon share a `group_id`; there are no holes. A mask is a PNG of the part of the picture
whose corner pixels are its two points. Keypoints are a `rectangle` of the class, and a `point` for
each, with the same `group_id`; hidden ones have the flag `hidden`. Classes of the whole image are
its flags. LabelMe has no cuboids.

Beyond LabelMe, which keeps what it does not know, a shape has `score`, `attributes` and, where it
is a crowd, `difficult`, as X-AnyLabeling has them; and a file the `name` of its image.
"""

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

import numpy as np
import orjson

from tessera.formats import archive, checking, outlines, painting
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import Checking, mapping, numbers
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields, kind_of
from tessera.shapes import rle

FILE = "labelme.tar"
KINDS = frozenset(
    {"box", "classify", "instance_mask", "keypoints", "polygon", "polyline", "semantic_mask"}
)
VERSION = "5.5.0"
WHOLE = "default"
HIDDEN = "hidden"
_OUTSIDE = re.compile(r"(\.\./)+")
_DEEPEST = 64
"""Folders that are looked at of a path, from its end."""
_SET, _UNSET = np.uint8(255), np.uint8(0)
_TYPES = {
    "box": "rectangle",
    "instance_mask": "mask",
    "keypoints": "rectangle",
    "polygon": "polygon",
    "polyline": "linestrip",
    "semantic_mask": "mask",
}


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    asked = any(each.attributes for each in dataset.schema.classes)
    of_kind = {
        "classify": [Loses.CONFIDENCE, *([Loses.ATTRIBUTES] if asked else [])],
        "polygon": [Loses.HOLES],
    }
    return [Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["LabelMeWriter"]:
    with (folder / FILE).open("wb") as out:
        yield LabelMeWriter(TarWriter(out), dataset)


class LabelMeWriter:
    def __init__(self, tar: TarWriter, dataset: Described) -> None:
        self._tar, self._dataset, self._stems = tar, dataset, Stems()
        self._classes = {each.id: each for each in dataset.schema.classes}
        names = "".join(f"{each.name}\n" for each in dataset.schema.classes)
        for split in dataset.splits or (WHOLE,):
            tar.add(f"{split}/labels.txt", names.encode())

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        shapes, flags = [], {}
        if self._dataset.kind == "classify":
            shown = {each.class_id for each in image.objects}
            flags = {name.name: id_ in shown for id_, name in self._classes.items()}
        else:
            for number, each in enumerate(image.objects, 1):
                shapes += self._shapes(number, each)
        document = {
            "version": VERSION,
            "flags": flags,
            "shapes": shapes,
            "imagePath": PurePosixPath(image.name).name,
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
            "name": image.name,
        }
        split = image.split or WHOLE
        self._tar.add(f"{split}/{self._stems.of(image.name)}.json", orjson.dumps(document))
        if picture is not None:
            self._tar.add_file(f"{split}/{image.name}", picture)

    def finish(self) -> None:
        self._tar.close()

    def _shapes(self, number: int, found: LabelledObject) -> list[dict[str, Any]]:
        """One, but for polygons in parts and for keypoints."""
        named, place = self._classes[found.class_id], found.place
        common = {
            "label": named.name,
            "score": found.confidence,
            "group_id": None,
            "description": "",
            "difficult": found.crowd,
            "flags": {},
            "attributes": found.attributes,
            "mask": None,
        }
        if "points" in place:
            schema = self._dataset.schema
            (around,) = kind_of("keypoints").reach([{"class": named.id, **place}], schema).tolist()
            of_box = {"shape_type": "rectangle", "points": [around[:2], around[2:]]}
            return [
                common | shape | {"group_id": number} for shape in (of_box, *_points(place, named))
            ]
        if "polygon" in place:
            group = {"group_id": number} if len(place["polygon"]) > 1 else {}
            outer = ({"shape_type": "polygon", "points": part[0]} for part in place["polygon"])
            return [common | shape | group for shape in outer]
        return [common | _shape(place)]


def _shape(place: Mapping[str, Any]) -> dict[str, Any]:
    match place:
        case {"box": [left, top, right, bottom]}:
            return {"shape_type": "rectangle", "points": [[left, top], [right, bottom]]}
        case {"box": box}:
            return {"shape_type": "polygon", "points": outlines.corners_of(box)}
        case {"line": line}:
            return {"shape_type": "linestrip", "points": line}
    mask = place["mask"]
    left, top, (height, width) = mask["left"], mask["top"], mask["size"]
    pixels = rle.decode(rle.from_string(mask["counts"]), height, width)
    return {
        "shape_type": "mask",
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "mask": base64.b64encode(painting.png(np.where(pixels, _SET, _UNSET))).decode(),
    }


def _points(place: Mapping[str, Any], named: LabelClass) -> Iterator[dict[str, Any]]:
    points = () if named.skeleton is None else named.skeleton.points
    for point, (x, y, v) in zip(points, place["points"], strict=True):
        if v:
            flags = {HIDDEN: True} if v == 1 else {}
            shape = {"shape_type": "point", "label": point.name, "points": [[x, y]]}
            yield shape | {"flags": flags, "attributes": {}}


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; an image without a `name` is known by its path, beside its file's."""
    documents = [name for name in files.names() if name.endswith(".json")]
    if not documents:
        raise BadFile("", "has no JSON file")
    reader = _Reader(wanted)
    for name in documents:
        document: Mapping[str, Any] = {}
        try:
            document = mapping(checking.loaded(files, name), "")
            yield from reader.image(name, document)
        except InvalidAnswer as error:
            yield checking.refused(name, error, reader.name(name, document))
        except BadFile as error:
            yield checking.unreadable(error)


_Shapes = list[Mapping[str, Any]]


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._checking = wanted, Checking(wanted)

    def image(self, path: str, document: Mapping[str, Any]) -> Iterator[Known | Refused]:
        name = self.name(path, document)
        if self._checking.is_foreign(name):
            yield from self._checking.image(path, name, None, [], self._class)
            return
        size = _size(document)
        shapes = [
            (at, mapping(each, at))
            for at, each in fields.items(
                document.get("shapes"), "shapes", InvalidAnswer, most=1_000_000
            )
        ]
        if self._wanted.kind == "classify":
            shown = mapping(document.get("flags"), "flags")
            classes = [(f"{path}: flags", name_) for name_, value in shown.items() if value is True]
            yield from self._checking.image(path, name, size, classes, self._class)
        else:
            objects = _objects(path, shapes, self._wanted.kind)
            # of an unknown one nothing is read
            of = size or self._wanted.images.get(str(name), Size(0, 0))
            yield from self._checking.image(path, name, size, objects, partial(self._object, of))

    def name(self, path: str, document: Mapping[str, Any]) -> object:
        """Ours, or the image's path from here; if that leads out, its end that is a known name."""
        name, beside = document.get("name"), document.get("imagePath")
        if name is not None or not isinstance(beside, str):
            return name
        there = normpath(PurePosixPath(path).parent / beside.replace("\\", "/"))
        outside = _OUTSIDE.match(there)
        inside = there[outside.end() :] if outside else there
        parts = PurePosixPath(inside).parts[-_DEEPEST:] if outside else ()
        ends = ("/".join(parts[i:]) for i in range(len(parts)))
        return next((end for end in ends if end in self._wanted.images), inside)

    def _class(self, name: str) -> Mapping[str, Any]:
        return {"class": self._checking.named(name).id}

    def _object(self, size: Size, shapes: _Shapes) -> Mapping[str, Any]:
        first, kind = shapes[0], self._wanted.kind
        allowed = [_TYPES[kind], *(["polygon"] if self._wanted.schema.rotated else [])]
        for each in shapes if kind == "polygon" else shapes[:1]:
            if (type_ := each.get("shape_type")) not in allowed:
                raise InvalidAnswer("shape_type", f"is {str(type_)[:50]!r}, not {_TYPES[kind]!r}")
        named = self._checking.named(first.get("label"))
        said = mapping(first.get("attributes") or {}, "attributes")
        found = {"class": named.id, "attributes": said, **self._place(shapes, named, size)}
        if first.get("score") is not None:
            found["confidence"] = first["score"]
        if first.get("difficult") is True:
            found["optional"] = True
        return found

    def _place(self, shapes: _Shapes, named: LabelClass, size: Size) -> dict[str, Any]:
        match self._wanted.kind:
            case "box" if shapes[0]["shape_type"] == "polygon":
                return {"box": outlines.box_of(_line(shapes[0]), "points")}
            case "box":
                corners = np.array(_line(shapes[0]))
                return {"box": [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]}
            case "polygon":
                return {"polygon": [[_line(each)] for each in shapes]}
            case "polyline":
                return {"line": _line(shapes[0])}
            case "keypoints":
                return {"points": _seen(shapes[1:], named)}
        return {"mask": _mask(shapes[0], size)}


def _size(document: Mapping[str, Any]) -> Size | None:
    """If it is told."""
    sides = ("imageWidth", "imageHeight")
    if all(document.get(side) is None for side in sides):
        return None
    return Size(*(fields.whole(document.get(side), side, InvalidAnswer) for side in sides))


def _objects(
    path: str, shapes: Sequence[tuple[str, Mapping[str, Any]]], kind: str
) -> Iterator[tuple[str, _Shapes]]:
    """The shapes of each object: polygons of one group and label, or a group with its points last.

    What else is in a group belongs together, but is not one object.
    """
    objects: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for at, each in shapes:
        key, group = at, each.get("group_id")
        if group is not None and kind in {"polygon", "keypoints"}:
            key = repr((group, each.get("label") if kind == "polygon" else None))
        objects.setdefault(key, []).append((at, each))
    for parts in objects.values():
        parts.sort(key=lambda part: part[1].get("shape_type") == "point")
        yield f"{path}: {parts[0][0]}", [each for _, each in parts]


def _line(shape: Mapping[str, Any]) -> list[list[float]]:
    line = [
        numbers(each, at, 2)
        for at, each in fields.items(shape.get("points"), "points", InvalidAnswer, most=100_000)
    ]
    if not line:
        raise InvalidAnswer("points", "must have at least one point")
    return line


def _seen(points: Sequence[Mapping[str, Any]], named: LabelClass) -> list[list[float]]:
    """In the order of the class; what is not there is not labelled."""
    found: dict[str, list[float]] = {}
    for each in points:
        hidden = mapping(each.get("flags") or {}, "flags").get(HIDDEN) is True
        name = str(each.get("label"))
        if name in found:
            raise Unfit("", f"has the point {name[:50]!r} twice", Code.REPEATED)
        found[name] = [*_line(each)[0], 1 if hidden else 2]
    asked = () if named.skeleton is None else named.skeleton.points
    if foreign := found.keys() - {each.name for each in asked}:
        raise Unfit("", f"has a point {min(foreign)[:50]!r}", Code.UNKNOWN_POINT)
    return [found.get(each.name, [0.0, 0.0, 0]) for each in asked]


def _mask(shape: Mapping[str, Any], size: Size) -> dict[str, Any]:
    corners = _line(shape)
    if len(corners) != 2 or any(not number.is_integer() for at in corners for number in at):  # noqa: PLR2004
        raise InvalidAnswer("points", "must be the first and the last pixel of the mask")
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in corners)
    if not (0 <= left <= right < size.width and 0 <= top <= bottom < size.height):
        raise InvalidAnswer("points", "are not two pixels of the image, the first above the last")
    extent = Size(right - left + 1, bottom - top + 1)
    try:
        png = base64.b64decode(str(shape.get("mask")), validate=True)
    except ValueError as error:  # of letters that are not ASCII it is no binascii.Error
        raise InvalidAnswer("mask", "is not base64") from error
    pixels = painting.numbers_of(io.BytesIO(png), extent) > 0
    counts = rle.to_string(rle.encode(pixels))
    return {"left": left, "top": top, "size": [extent.height, extent.width], "counts": counts}
