"""Datumaro's own JSON, format version 1.0: `annotations/<split>.json` and `images/<split>/...`.

Without splits the file is `default.json`. Coordinates are pixels. Labels are numbered from 0 in the
order of the schema; `infos.class_ids` has their ids. What a label says beside its shape stands in
attributes, as Datumaro's other readers put it there: `score`, and `is_crowd` where it is true.

Parts of one object share a `group`. A polygon has no holes. A box at an angle, which Datumaro's
JSON has not, is a polygon of its four corners, with `rotated` beside it, as its box is here.
Cuboids in the picture are `cuboid_2d`, their corners in the order that Datumaro draws them in;
those in space `cuboid_3d` in metres, along and about the camera's axes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from tessera.formats import archive, checking
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import Checking, mapping, numbers, points
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size, Window, fields
from tessera.shapes import rasters, rle, turned

FILE = "datumaro.tar"
KINDS = frozenset(_ALL) - {"join", "verify"}
VERSION = "1.0"
WHOLE = "default"
"""What the only split is called of a dataset that is not divided."""
_CROWD, _SCORE = "is_crowd", "score"
_MOST_NAMES = 1_000
_AS_DRAWN = (0, 4, 5, 1, 7, 6, 2, 3)
"""Our corners in Datumaro's order: the upper face from the front left one, then the lower one."""
_TYPES = {
    "box": "bbox",
    "classify": "label",
    "instance_mask": "mask",
    "keypoints": "points",
    "polygon": "polygon",
    "polyline": "polyline",
    "semantic_mask": "mask",
}


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    holes = [Loses.HOLES] if dataset.kind == "polygon" else []
    taken = {each.name for known in dataset.schema.classes for each in known.attributes}
    score = [Loses.CONFIDENCE] if _SCORE in taken else []
    crowd = [Loses.CROWD] if _CROWD in taken else []
    return [Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS, *holes, *score, *crowd]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["DatumaroWriter"]:
    with ExitStack() as undo:
        spools = {
            split: undo.enter_context(NamedTemporaryFile(dir=folder))
            for split in dataset.splits or (WHOLE,)
        }
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        yield DatumaroWriter(tar, dataset, spools)


class DatumaroWriter:
    """Pictures go straight into the archive; what is said of them waits on disk until the end."""

    def __init__(self, tar: TarWriter, dataset: Described, spools: Mapping[str, IO[bytes]]) -> None:
        """Begin the documents.

        Args:
            spools: An empty file for each split, which has a name; the caller's to remove.
        """
        self._tar, self._dataset, self._spools = tar, dataset, spools
        self._labels = {each.id: place for place, each in enumerate(dataset.schema.classes)}
        self._between = dict.fromkeys(spools, b"\n")
        self._stems = Stems()
        head = {
            "dm_format_version": VERSION,
            "media_type": 2,  # images
            "infos": {"class_ids": {each.name: each.id for each in dataset.schema.classes}},
            "categories": _categories(dataset.schema),
        }
        for spool in spools.values():
            spool.write(orjson.dumps(head).removesuffix(b"}") + b',"items":[')

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split = image.split or WHOLE
        said: list[dict[str, Any]] = []
        for number, each in enumerate(image.objects, 1):
            said += self._annotations(number, image, each)
        item = {
            "id": self._stems.of(image.name),
            "annotations": said,
            "image": {"path": image.name, "size": [image.height, image.width]},
        }
        self._spools[split].write(self._between[split] + orjson.dumps(item))
        self._between[split] = b",\n"
        if picture is not None:
            self._tar.add_file(f"images/{split}/{image.name}", picture)

    def finish(self) -> None:
        for split, spool in self._spools.items():
            spool.write(b"]}\n")
            spool.flush()
            self._tar.add_file(f"annotations/{split}.json", Path(spool.name))
        self._tar.close()

    def _annotations(
        self, number: int, image: LabelledImage, found: LabelledObject
    ) -> list[dict[str, Any]]:
        shapes = _shapes(image, found.place)
        common = {
            "id": number,
            "attributes": {
                _SCORE: found.confidence,
                **({_CROWD: True} if found.crowd else {}),
                **found.attributes,
            },
            "group": number if len(shapes) > 1 else 0,
            "label_id": self._labels[found.class_id],
            "z_order": 0,
        }
        return [common | shape for shape in shapes]


def _shapes(image: LabelledImage, place: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One, but for polygons in parts."""
    if "polygon" in place:
        return [{"type": "polygon", "points": _flat(outer)} for outer, *_ in place["polygon"]]
    return [_shape(image, place)]


def _shape(image: LabelledImage, place: Mapping[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any]
    match place:
        case {"box": [left, top, right, bottom]}:
            size = [round(right - left, 2), round(bottom - top, 2)]
            shape = {"type": "bbox", "bbox": [left, top, *size]}
        case {"box": box}:
            corners = np.round(turned.corners(np.array([box]))[0], 2)
            shape = {"type": "polygon", "points": corners.ravel().tolist(), "rotated": box}
        case {"line": line}:
            shape = {"type": "polyline", "points": _flat(line)}
        case {"points": seen}:
            flat = _flat([(x, y) for x, y, _ in seen])
            shape = {"type": "points", "points": flat, "visibility": [v for *_, v in seen]}
        case {"mask": mask}:
            counts = rasters.from_json(mask).counts(Window(0, 0, image.width, image.height))
            extent = [image.height, image.width]
            shape = {"type": "mask", "rle": {"counts": rle.to_string(counts), "size": extent}}
        case {"cuboid": corners}:
            shape = {"type": "cuboid_2d", "points": [corners[i] for i in _AS_DRAWN]}
        case {"solid": {"centre": centre, "size": sides, "yaw": yaw}}:
            turn = [0.0, yaw, 0.0]
            shape = {"type": "cuboid_3d", "position": centre, "rotation": turn, "scale": sides}
        case _:
            shape = {"type": "label"}
    return shape


def _flat(line: Sequence[Sequence[float]]) -> list[float]:
    return [number for point in line for number in point]


def _categories(schema: LabelSchema) -> dict[str, Any]:
    above = {each.id: each.name for each in schema.classes}
    labels = [
        {
            "name": each.name,
            "parent": "" if each.parent is None else above[each.parent],
            "attributes": sorted(asked.name for asked in each.attributes),
        }
        for each in schema.classes
    ]
    colours = [
        {"label_id": place, **dict(zip("rgb", bytes.fromhex(each.colour[1:]), strict=True))}
        for place, each in enumerate(schema.classes)
    ]
    skeletons = [
        {
            "label_id": place,
            "labels": [point.name for point in each.skeleton.points],
            "joints": [[a + 1, b + 1] for a, b in each.skeleton.edges],
            "positions": [],
        }
        for place, each in enumerate(schema.classes)
        if each.skeleton is not None
    ]
    return {
        "label": {"labels": labels, "label_groups": [], "attributes": []},
        "mask": {"colormap": colours},
        **({"points": {"items": skeletons}} if skeletons else {}),
    }


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; images are known by the path of their picture."""
    documents = [
        name
        for name in files.names()
        if name.endswith(".json") and "annotations" in name.split("/")[:-1]
    ]
    if not documents:
        raise BadFile("annotations", "has no JSON file")
    for name in documents:
        document = checking.loaded(files, name)
        try:
            labels = _labels(mapping(document, ""))
            points_of = _point_names(document)
            items = list(fields.items(document.get("items"), "items", InvalidAnswer, most=2**31))
        except InvalidAnswer as error:
            raise BadFile(f"{name}: {error.facts['at']}", error.facts["why"]) from error
        reader = _Reader(labels, points_of, wanted)
        for at, item in items:
            yield from reader.image(f"{name}: {at}", item)


def _labels(document: Mapping[str, Any]) -> list[object]:
    categories = mapping(document.get("categories"), "categories")
    label = mapping(categories.get("label"), "categories.label")
    return [
        mapping(each, at).get("name")
        for at, each in fields.items(
            label.get("labels"), "categories.label.labels", InvalidAnswer, most=100_000
        )
    ]


def _point_names(document: Mapping[str, Any]) -> dict[str, list[object]]:
    """By the number of the label; of those that have names."""
    told = mapping(mapping(document["categories"], "categories").get("points") or {}, "points")
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
        wanted: Wanted,
    ) -> None:
        self._labels, self._points_of = labels, points_of
        self._wanted, self._checking = wanted, Checking(wanted)

    def image(self, at: str, item: object) -> Iterator[Known | Refused]:
        try:
            found = mapping(item, "")
            image = mapping(found.get("image"), "image")
            size = image.get("size")
            height, width = (None, None) if size is None else numbers(size, "image.size", 2)
            objects = list(self._objects(at, found.get("annotations", [])))
        except InvalidAnswer as error:
            yield checking.refused(at, error)
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
        if _SCORE in said and named.attribute(_SCORE) is None:
            found["confidence"] = said.pop(_SCORE)
        if named.attribute(_CROWD) is None and said.pop(_CROWD, False) is True:
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
        return _TYPES.get(self._wanted.kind, "cuboid_3d" if in_space else "cuboid_2d")


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
    found = dict(zip(map(repr, names), seen, strict=True))
    asked = [each.name for each in named.skeleton.points]
    if foreign := found.keys() - set(map(repr, asked)):
        raise Unfit("points", f"has a point {min(foreign)[:50]}", Code.UNKNOWN_POINT)
    return [found.get(repr(name), [0.0, 0.0, 0]) for name in asked]


def _corners(value: object) -> list[list[float]]:
    drawn = [
        numbers(each, place, 2)
        for place, each in fields.items(value, "points", InvalidAnswer, most=len(_AS_DRAWN))
    ]
    if len(drawn) < len(_AS_DRAWN):
        raise InvalidAnswer("points", "must be eight corners")
    return [drawn[_AS_DRAWN.index(i)] for i in range(len(_AS_DRAWN))]


def _solid(annotation: Mapping[str, Any]) -> dict[str, Any]:
    about_x, yaw, about_z = numbers(annotation.get("rotation"), "rotation", 3)
    if about_x or about_z:
        raise InvalidAnswer("rotation", "must be about y only")
    centre, size = annotation.get("position"), annotation.get("scale")
    return {"centre": centre, "size": size, "yaw": yaw}
