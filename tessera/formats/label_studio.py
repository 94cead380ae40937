"""Label Studio's JSON of tasks: an image each, with one annotation, whose result is a list.

Coordinates are per cent of the image's width and height. A rectangle is where its left top corner
is, about which `rotation` turns it clockwise, in degrees. Keypoints are regions of their own; the
rectangle around them, which has the class, is their `parentID`. What else is said of a region is in
results of the same `id`: choices, numbers and texts, `from_name` the attribute's name. Classes that
are sorts of others are a `taxonomy`, all others `choices`.

`data.image` is the image's name: to show it Label Studio needs its storage's prefix before it. The
split is `data.split`. There is no place for crowds, holes, or that two polygons are one object;
polylines and cuboids are not Label Studio's.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from tessera.formats import label_studio_runs as runs
from tessera.formats.label_studio_reading import POINT, TYPES, read
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import Attribute, LabelClass, LabelSchema, Size, kind_of
from tessera.kinds.attributes import Type, Value
from tessera.shapes import turned

__all__ = ["FILE", "KINDS", "MEDIA_TYPE", "files", "losses", "read", "writer"]

MEDIA_TYPE = "application/json"
FILE = "label_studio.json"
KINDS = frozenset({"box", "classify", "instance_mask", "keypoints", "polygon", "semantic_mask"})
_POINT_WIDTH = 0.5
"""Per cent; only how large it is drawn."""


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    schema = dataset.schema
    of_kind = {
        "classify": [
            *([Loses.ATTRIBUTES] if any(each.attributes for each in schema.classes) else []),
            *([Loses.CONFIDENCE] if schema.multiple else []),
        ],
        "keypoints": [Loses.VISIBILITY],
        "polygon": [Loses.HOLES, Loses.PARTS],
    }
    crowd = [] if dataset.kind in {"classify", "semantic_mask"} else [Loses.CROWD]
    lost = [Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS]
    return [*lost, *crowd, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["LabelStudioWriter"]:
    with (folder / FILE).open("wb") as out:
        yield LabelStudioWriter(out, dataset)


class LabelStudioWriter:
    def __init__(self, out: BinaryIO, dataset: Described) -> None:
        self._out, self._dataset = out, dataset
        self._classes = {each.id: each for each in dataset.schema.classes}
        self._between = b"[\n"

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        split = {} if image.split is None else {"split": image.split}
        if self._dataset.kind == "classify":
            result = _choices(image.objects, self._dataset.schema)
        else:
            seen = (each for each in image.objects if not each.crowd)
            result = [
                about
                for number, each in enumerate(seen, 1)
                for about in self._regions(f"{image.id}-{number}", image, each)
            ]
        size = {"original_width": image.width, "original_height": image.height}
        task = {
            "id": image.id,
            "data": {"image": image.name, **split},
            "annotations": [{"result": [size | about for about in result]}],
        }
        self._out.write(self._between + orjson.dumps(task))
        self._between = b",\n"

    def finish(self) -> None:
        self._out.write((b"" if self._between == b",\n" else self._between) + b"]\n")

    def _regions(
        self, region: str, image: LabelledImage, found: LabelledObject
    ) -> Iterator[dict[str, Any]]:
        """All that is said of one object; polygons have a region for each part."""
        named, size = self._classes[found.class_id], Size(image.width, image.height)
        parts = found.place.get("polygon", [None])
        for number, part in enumerate(parts, 1):
            id_ = region if len(parts) == 1 else f"{region}-{number}"
            place = found.place if part is None else {"outline": part[0]}
            about = {"id": id_, "to_name": "image", "image_rotation": 0}
            type_ = TYPES[self._dataset.kind]
            value = self._value(place, found.class_id, size) | {type_: [named.name]}
            label = {"type": type_, "from_name": "label", "value": value}
            yield about | label | {"score": found.confidence}
            for name, said in found.attributes.items():
                asked = named.attribute(name)
                if asked is not None:
                    yield about | {"from_name": name} | _said(asked, said)
            for point in _points(place, named, size):
                yield about | point | {"id": f"{id_}-{point['value'][POINT][0]}", "parentID": id_}

    def _value(self, place: Mapping[str, Any], class_id: int, size: Size) -> dict[str, Any]:
        match place:
            case {"outline": outline}:
                return {"points": [_per_cent(point, size) for point in outline], "closed": True}
            case {"mask": mask}:
                return {"format": "rle", "rle": runs.packed(mask, size)}
            case {"box": box}:
                return _rectangle(box, size)
        around = kind_of(self._dataset.kind).reach(
            [{"class": class_id, **place}], self._dataset.schema
        )
        return _rectangle(around[0].tolist(), size)


def _choices(objects: Sequence[LabelledObject], schema: LabelSchema) -> list[dict[str, Any]]:
    """One result for all classes of an image; where there is but one, how certain it is."""
    if not objects:
        return []
    names = {each.id: each.name for each in schema.classes}
    chosen: list[Any] = [names[each.class_id] for each in objects]
    type_ = "choices"
    if any(each.parent for each in schema.classes):
        type_ = "taxonomy"
        chosen = [[names[i] for i in schema.lineage(each.class_id)[::-1]] for each in objects]
    about = {"id": "class", "type": type_, "from_name": "class", "to_name": "image"}
    sure = {} if schema.multiple else {"score": objects[0].confidence}
    return [about | {"value": {type_: chosen}} | sure]


def _said(asked: Attribute, value: Value) -> dict[str, Any]:
    match asked.type:
        case Type.NUMBER:
            return {"type": "number", "value": {"number": value}}
        case Type.TEXT:
            return {"type": "textarea", "value": {"text": [value]}}
        case Type.FLAG:
            return {"type": "choices", "value": {"choices": ["true" if value else "false"]}}
        case Type.CHOICE:
            return {"type": "choices", "value": {"choices": [value]}}


def _points(place: Mapping[str, Any], named: LabelClass, size: Size) -> Iterator[dict[str, Any]]:
    if "points" not in place or named.skeleton is None:
        return
    for point, (x, y, v) in zip(named.skeleton.points, place["points"], strict=True):
        if v:
            across, down = _per_cent((x, y), size)
            value = {"x": across, "y": down, "width": _POINT_WIDTH, POINT: [point.name]}
            yield {"type": POINT, "from_name": "point", "value": value}


def _per_cent(point: Sequence[float], size: Size) -> list[float]:
    return [100 * number / length for number, length in zip(point, size, strict=True)]


def _rectangle(box: Sequence[float], size: Size) -> dict[str, Any]:
    left, top, right, bottom, angle = [*box, 0.0][:5]
    corner = turned.corners(np.array([[left, top, right, bottom, angle]]))[0, 0].tolist()
    (x, y) = _per_cent(corner if angle else (left, top), size)
    width, height = _per_cent((right - left, bottom - top), size)
    return {"x": x, "y": y, "width": width, "height": height, "rotation": angle % 360}
