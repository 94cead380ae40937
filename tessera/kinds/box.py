"""Box: an upright rectangle around each object.

Answer: `{"boxes": [{"class": 3, "box": [left, top, right, bottom], "attributes": {}}]}` in tile
pixels, half-open, to 1/100 px; no boxes means that nothing is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from tessera.kinds import fields, seams
from tessera.kinds.box_consensus import SAME, consensus
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.geometry import Boxes, Indices, as_boxes, ious, pairs, shares, tidy, view_of
from tessera.kinds.opinions import each_once
from tessera.kinds.protocol import (
    Answer,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Size,
    TileFrame,
)
from tessera.kinds.schema import LabelClass, LabelSchema

MOST_BOXES = 500
SLACK = 1.0
"""Pixels a box may reach beyond its tile, as pointers do; it is clipped."""
THINNEST = 0.5
"""Pixels. Below that a box holds nothing."""


def check_schema(schema: LabelSchema) -> None:
    if schema.multiple:
        raise InvalidLabelSchema("multiple", "a box has one class")


def validate(answer: object, schema: LabelSchema, tile: Size) -> Answer:
    found = fields.record(answer, "", InvalidAnswer, required={"boxes"})
    return _canonical(
        [
            _object(element, at, schema, tile)
            for at, element in fields.items(found["boxes"], "boxes", InvalidAnswer, most=MOST_BOXES)
        ]
    )


def _canonical(objects: list[dict[str, Any]]) -> Answer:
    def place(each: dict[str, Any]) -> Any:
        return each["box"], each["class"], list(each["attributes"].items())

    return {"boxes": sorted(objects, key=place)}


def _object(value: object, at: str, schema: LabelSchema, tile: Size) -> dict[str, Any]:
    found = fields.record(
        value, at, InvalidAnswer, required={"class", "box"}, optional=frozenset({"attributes"})
    )
    class_id = fields.whole(found["class"], f"{at}.class", InvalidAnswer)
    named = schema.find(class_id)
    if named is None:
        raise InvalidAnswer(f"{at}.class", "is not a class of this project")
    return {
        "class": class_id,
        "box": _rectangle(found["box"], f"{at}.box", tile),
        "attributes": _attributes(found.get("attributes", {}), f"{at}.attributes", named),
    }


def _rectangle(value: object, at: str, tile: Size) -> list[float]:
    edges = []
    for i, (place, element) in enumerate(fields.items(value, at, InvalidAnswer, most=4)):
        edge, end = fields.number(element, place, InvalidAnswer), tile[i % 2]
        if not -SLACK <= edge <= end + SLACK:
            raise InvalidAnswer(place, f"lies outside the tile, which ends at {end}")
        edges.append(tidy(min(max(edge, 0.0), end)))
    if len(edges) < 4:  # noqa: PLR2004
        raise InvalidAnswer(at, "must be left, top, right, bottom")
    if edges[2] - edges[0] < THINNEST or edges[3] - edges[1] < THINNEST:
        raise InvalidAnswer(at, "has no area: right must exceed left, and bottom exceed top")
    return edges


def _attributes(value: object, at: str, named: LabelClass) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidAnswer(at, "must be an object")
    for name, chosen in value.items():
        asked = named.attribute(name)
        if asked is None:
            raise InvalidAnswer(at, f"class {named.name!r} has no attribute {str(name)[:50]!r}")
        if chosen not in asked.values:
            raise InvalidAnswer(f"{at}.{name}", "is not one of the attribute's values")
    return dict(sorted(value.items()))


def score(answer: Label, gold: Label) -> float:
    """F1 at IoU 0.5, each gold object found once, its class right.

    Optional gold is neither a miss nor, where an answer's box lies mostly on it, a false alarm.
    """
    said, true = answer["boxes"], gold["boxes"]
    optional = np.array([each.get("optional", False) for each in true], dtype=bool)
    drawn, there = _boxes(said), _boxes(true)
    box, found, _ = pairs(ious, drawn, there, least=SAME)
    right = ~optional[found] & (_classes(said)[box] == _classes(true)[found])
    on, excuse, _ = pairs(shares, drawn, there[optional], least=SAME)
    box, found = box[right], found[right]
    size = (len(said), len(true))
    hits = _matched(size, box, found)
    # What can be matched is a matroid: a largest set of hits is part of a largest set of both.
    either = _matched(
        size, np.concatenate((box, on)), np.concatenate((found, np.flatnonzero(optional)[excuse]))
    )
    counted = len(said) - (either - hits) + int(len(true) - optional.sum())
    return 2 * hits / counted if counted else 1.0


def _matched(size: tuple[int, int], rows: Indices, columns: Indices) -> int:
    """How many rows an optimal one-to-one assignment can serve."""
    graph = csr_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=size)
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _boxes(objects: Sequence[Mapping[str, Any]]) -> Boxes:
    return as_boxes([each["box"] for each in objects])


def _classes(objects: Sequence[Mapping[str, Any]]) -> Indices:
    return np.array([each["class"] for each in objects], dtype=np.int64)


def aggregate(
    opinions: Sequence[Opinion],
    schema: LabelSchema,
    frame: TileFrame,
    *,
    target_confidence: float,
) -> Outcome:
    """Match boxes across answers, decide on each object, fuse its outlines.

    The confidence is that of the least certain decision: each object kept or dropped, and one
    imaginary object that nobody drew (so that *nothing here* has a confidence too). A product
    would fall to nothing on a tile of thirty objects, and ask for ever more answers about it.
    Objects centred outside the core do not count: they are another tile's, and at a window's edge
    good people differ. As nobody is asked about them further, they are optional unless certain.
    """
    found, nothing_missed = consensus(each_once(opinions), schema, frame)
    label = _canonical([each.as_json(target_confidence) for each in found if each.kept])
    confidence = min([nothing_missed, *(each.certainty for each in found if each.owned)])
    return Outcome(label, confidence, confidence >= target_confidence)


def to_image(label: Label, frame: TileFrame) -> list[ImageObject]:
    drawn = _boxes(label["boxes"]) + np.tile(frame.window[:2], 2)
    return [
        {
            "class": each["class"],
            "box": [tidy(edge) for edge in box],
            "attributes": each.get("attributes", {}),
            "confidence": each.get("confidence", 1.0),
            "cut": cut,
        }
        | ({"optional": True} if each.get("optional") else {})
        for each, box, cut in zip(
            label["boxes"], drawn.tolist(), seams.cut_edges(drawn, frame), strict=True
        )
    ]


def to_tile(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, frame: TileFrame) -> Answer:
    del schema
    seen = []
    for each in objects:
        view = view_of(each["box"], frame.window)
        if view is None:
            continue
        seen.append(
            {
                "class": each["class"],
                "box": [tidy(edge) for edge in view.box],
                "attributes": dict(sorted(each.get("attributes", {}).items())),
            }
            | ({"optional": True} if view.barely or each.get("optional") else {})
        )
    return _canonical(seen)


def merge(pieces: Sequence[Piece], schema: LabelSchema) -> list[ImageObject]:
    """Objects that two windows saw are matched, those that no window holds are joined."""
    del schema
    return seams.merge_boxes(pieces)
