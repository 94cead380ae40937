"""Instance mask: the pixels of each object.

Each object has `"mask": {"left": 3, "top": 5, "size": [height, width], "counts": "..."}`: COCO's
run lengths of a part of the tile that begins at pixel (left, top), as a string or as whole numbers.
Canonical is the smallest part that holds the object, and the string. `left` and `top` are 0 if
they are not there, so the mask of a whole tile is taken as tools write it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import masks, rasters, rle
from tessera.shapes.boxes import Boxes, Indices, visible
from tessera.shapes.frames import Size, Window
from tessera.shapes.masks import Crop
from tessera.shapes.rasters import Strokes
from tessera.shapes.seams import TOLERANCE

FIELDS = frozenset({"mask"})
SAME = 0.5
ALIKE = 0.3
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
IN_PIECES = False

MOST_COVERED = 8
"""Times that the objects of an answer may cover their tile together."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    if "mask" not in found:
        raise InvalidAnswer(at, "field 'mask' is missing")
    return {"mask": read_mask(found["mask"], f"{at}.mask", question.tile).as_json()}


def read_mask(value: object, at: str, tile: Size) -> Strokes:
    """A mask from hostile JSON, in tile pixels.

    Pixels are never counted out: two that are set in a size of millions cost as much as two.

    Raises:
        InvalidAnswer: It does not fit into the tile, its counts do not fit its size, or nothing
            is set.
    """
    found = fields.record(
        value,
        at,
        InvalidAnswer,
        required={"size", "counts"},
        optional=frozenset({"left", "top"}),
    )
    size = [
        fields.whole(each, place, InvalidAnswer)
        for place, each in fields.items(found["size"], f"{at}.size", InvalidAnswer, most=2)
    ]
    if len(size) < 2 or min(size) < 1:  # noqa: PLR2004
        raise InvalidAnswer(f"{at}.size", "must be height and width")
    left, top = (
        fields.whole(found.get(edge, 0), f"{at}.{edge}", InvalidAnswer) for edge in ("left", "top")
    )
    height, width = size
    if min(left, top) < 0 or left + width > tile.width or top + height > tile.height:
        raise InvalidAnswer(at, f"reaches out of the tile, which is {tile.width} x {tile.height}")
    try:
        counts = _counts(found["counts"], f"{at}.counts", height * width)
        rle.check(counts, height, width)
    except ValueError as error:
        raise InvalidAnswer(f"{at}.counts", str(error)) from error
    strokes = rasters.from_counts(counts, height)
    if not strokes.pixels:
        raise InvalidAnswer(at, "has no pixel")
    return strokes.moved(left, top)


def _counts(value: object, at: str, pixels: int) -> rle.Counts:
    if isinstance(value, str):
        return rle.from_string(value)
    numbers = [
        fields.whole(each, place, InvalidAnswer)
        for place, each in fields.items(value, at, InvalidAnswer, most=pixels + 2)
    ]
    if any(not 0 <= each <= pixels for each in numbers):
        raise ValueError(f"has a run that does not lie between 0 and {pixels}")
    return np.array(numbers, dtype=np.int64)


def cost(place: Mapping[str, Any], question: Question) -> float:
    height, width = place["mask"]["size"]
    covered: float = height * width / (question.tile.width * question.tile.height)
    return covered / MOST_COVERED


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,) of `Crop`."""
    del schema, origin
    return _as_array([masks.from_json(each["mask"]) for each in objects])


def _as_array(crops: Sequence[Crop]) -> Shapes:
    shapes = np.empty(len(crops), dtype=object)
    shapes[:] = crops
    return shapes


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [{"mask": each.as_json()} for each in shapes]


def bounds(shapes: Shapes) -> Boxes:
    return masks.bounds(list(shapes))


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return _as_array([each.moved(int(right), int(down)) for each in shapes])


def clipped(shapes: Shapes, window: Window) -> Clipped:
    inside = [each.within(window).tight() for each in shapes]
    source = np.array([i for i, each in enumerate(inside) if each is not None], dtype=np.int64)
    there = _as_array([each for each in inside if each is not None])
    seen, share = visible(bounds(shapes)[source], bounds(there), window)
    return Clipped(there[seen], source[seen], share[seen])


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Intersection over union."""
    return np.array([masks.iou(*pair) for pair in zip(first, second, strict=True)], dtype=float)


def credit(first: Shapes, second: Shapes) -> Measures:
    """The IoU, with which a score is the panoptic quality (Kirillov et al. 2019)."""
    return likeness(first, second)


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    return _as_array([shapes[0] if len(shapes) == 1 else masks.voted(list(shapes), trust)])


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    return _as_array(
        [
            masks.widened(each, Window(*zone), int(TOLERANCE))
            for each, zone in zip(shapes, zones.astype(int).tolist(), strict=True)
        ]
    )


def alike(first: Shapes, second: Shapes) -> Measures:
    return likeness(first, second)


def together(seen: Seen, groups: Indices) -> Shapes:
    """Each place as the tile has it whose core holds it, if that tile has the object at all."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return _as_array([_one(seen, members) for members in np.split(order, starts[1:])])


def _one(seen: Seen, members: Indices) -> Crop:
    crops: list[Crop] = list(seen.shapes[members])
    if len(crops) == 1:
        return crops[0]
    return masks.stitched(crops, [seen.frames[tile].core for tile in seen.tiles[members]])
