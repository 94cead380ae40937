"""What is known of a picture, known of the same picture seen in a mirror. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from tessera.kinds import semantic_mask
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import Answer, Label, Question
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import IN_IMAGE
from tessera.kinds.subjects import shown
from tessera.shapes import rasters, turned

_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def may_mirror(kind_name: str, schema: LabelSchema) -> bool:
    """Whether an answer can be mirrored at all; whether it should be, the operator says."""
    if kind_name == "join" or schema.camera is not None:
        return False
    for each in schema.classes if shown(kind_name, schema)[0] == "keypoints" else ():
        skeleton = each.skeleton
        paired = {end for pair in skeleton.flips for end in pair} if skeleton else set()
        for number, point in enumerate(skeleton.points if skeleton else ()):
            if number not in paired and _SIDES.search(point.name.replace("_", " ")):
                return False
    return True


def mirrored(kind_name: str, label: Label, question: Question) -> Answer:
    from tessera.kinds import KINDS  # noqa: PLC0415 - which has all kinds

    if kind_name == "verify":
        if "label" not in label:
            return dict(label)
        of, schema = shown(kind_name, question.schema)
        under = Question(schema, question.frame)
        return {**label, "label": mirrored(of, label["label"], under)}
    kind, width = KINDS[kind_name], question.tile.width
    if kind is semantic_mask:
        regions = [{**each, "mask": _other_way(each["mask"], width)} for each in label["regions"]]
        return {**label, "regions": regions}
    if not isinstance(kind, Objects):
        return dict(label)
    flipped = [
        {**each, **_FLIPS[kind_name](each, width, question.schema)} for each in label["objects"]
    ]
    shapes = kind.shape.load(flipped, question.schema, IN_IMAGE)
    # the form of answers has an order of points, and of objects
    tidied = [
        each if "extremes" in each else {**each, **place}
        for each, place in zip(flipped, kind.shape.dump(shapes), strict=True)
    ]
    rows = kind.shape.bounds(kind.shape.load(tidied, question.schema, IN_IMAGE)).tolist()
    order = sorted(
        range(len(tidied)), key=lambda i: (rows[i], tidied[i]["class"], orjson.dumps(tidied[i]))
    )
    return {**label, "objects": [tidied[i] for i in order]}


def _across(points: Sequence[Sequence[float]], width: int) -> list[list[float]]:
    return [[round(width - x, 2) + 0.0, *rest] for x, *rest in points]


def _flip_box(each: Mapping[str, Any], width: int, schema: LabelSchema) -> dict[str, Any]:
    del schema
    left, top, right, bottom, *angle = each["box"]
    edges = [round(width - right, 2) + 0.0, top, round(width - left, 2) + 0.0, bottom]
    if angle:
        row = turned.normal(np.array([[*edges, -angle[0]]]))
        return {"box": (np.round(row[0], 2) + 0.0).tolist()}
    if "extremes" not in each:
        return {"box": edges}
    highest, leftmost, lowest, rightmost = _across(each["extremes"], width)
    return {"box": edges, "extremes": [highest, rightmost, lowest, leftmost]}


def _flip_points(each: Mapping[str, Any], width: int, schema: LabelSchema) -> dict[str, Any]:
    points = [[round(width - x, 2) + 0.0, y, v] if v else [x, y, v] for x, y, v in each["points"]]
    named = schema.find(each["class"])
    for one, other in named.skeleton.flips if named is not None and named.skeleton else ():
        points[one], points[other] = points[other], points[one]
    return {"points": points}


def _flip_cuboid(each: Mapping[str, Any], width: int, schema: LabelSchema) -> dict[str, Any]:
    del schema
    corners = _across(each["cuboid"], width)
    return {"cuboid": [corners[i] for i in (1, 0, 3, 2, 5, 4, 7, 6)]}


def _other_way(mask: Mapping[str, Any], width: int) -> dict[str, Any]:
    strokes = rasters.from_json(dict(mask))
    columns = width - 1 - strokes.columns
    order = np.lexsort((strokes.tops, columns))
    return rasters.Strokes(columns[order], strokes.tops[order], strokes.bottoms[order]).as_json()


_FLIPS: Mapping[str, Callable[[Mapping[str, Any], int, LabelSchema], dict[str, Any]]] = {
    "box": _flip_box,
    "cuboid": _flip_cuboid,
    "instance_mask": lambda each, width, _: {"mask": _other_way(each["mask"], width)},
    "keypoints": _flip_points,
    "polygon": lambda each, width, _: {
        "polygon": [[_across(ring, width) for ring in part] for part in each["polygon"]]
    },
    "polyline": lambda each, width, _: {"line": _across(each["line"], width)},
}
