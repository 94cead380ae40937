"""Cuboid: a box in space around each object, as the picture shows it.

Without a camera each object has `"cuboid"`: its eight corners [x, y] in tile pixels, to 1/100 px,
the front face's left top, right top, right bottom, left bottom (as whoever stands before it sees
them), then those of the rear behind each. They may lie outside the tile, by as much as it is
large.

If the label schema has a `camera`, each object has `"solid"` instead: `{"centre": [x, y, z],
"size": [length, height, width], "yaw": angle}`, in metres and radians; see `shapes.solids`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import solids
from tessera.shapes.boxes import Boxes, Indices, clip, firsts, row_ious, tidy, visible
from tessera.shapes.frames import Size, Window
from tessera.shapes.robust import weighted_median
from tessera.shapes.seams import widened

FIELDS = frozenset({"cuboid", "solid"})
SAME = 0.5
"""As detections of cars are matched in KITTI: by the upright boxes around them. Depth is hard to
see, and does not make two objects of one."""
ALIKE = 0.3
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
"""The tile that holds an object's centre sees as much of it, so that it never may leave it out."""
IN_PIECES = False

SIGMA = 0.05
"""Spread of good people's corners, as a share of the object's size; as of COCO's keypoints."""
LEAST_AREA = 1.0
"""Square pixels of a face."""
LEAST_SIDE, LONGEST_SIDE = 0.01, 1_000.0
NEAREST, FARTHEST = 0.1, 10_000.0
"""Metres in front of the camera, of each corner."""
LARGEST_OF_A_CAMERA = 1e9
"""Of its numbers; beyond that pixels are too large to reckon with."""
ENOUGH_FOR_A_MEDIAN = 3
_CORNERS, _DIGITS, _SLANT = 8, 4, 0.01


@dataclass(frozen=True, slots=True)
class Cuboid:
    corners: NDArray[np.float64]
    """Shape (8, 2), in the pixels that the object is given in."""
    solid: NDArray[np.float64] | None
    """Shape (7,); does not depend on pixels."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options(but={"camera"})
    if schema.camera is None:
        return
    camera = np.array(schema.camera)
    if np.abs(camera).max() > LARGEST_OF_A_CAMERA:
        raise InvalidLabelSchema("camera", f"has a number beyond {LARGEST_OF_A_CAMERA:g}")
    if np.abs(camera[2, :3] - (0, 0, 1)).max() > _SLANT:
        raise InvalidLabelSchema("camera[2]", "must begin with 0, 0, 1: depth is z, in metres")
    if np.linalg.matrix_rank(camera[:, :3]) < len(camera):
        raise InvalidLabelSchema("camera", "does not show three dimensions")


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    wanted, other = ("cuboid", "solid") if question.schema.camera is None else ("solid", "cuboid")
    if other in found:
        raise InvalidAnswer(f"{at}.{other}", f"must be given as {wanted!r} in this project")
    if wanted not in found:
        raise InvalidAnswer(at, f"field {wanted!r} is missing")
    at, value = f"{at}.{wanted}", found[wanted]
    if wanted == "cuboid":
        return {"cuboid": _corners(value, at, question.tile)}
    return {"solid": _solid(value, at, question)}


def _corners(value: object, at: str, tile: Size) -> list[list[float]]:
    corners = [
        _numbers(each, place, 2) for place, each in fields.items(value, at, InvalidAnswer, most=8)
    ]
    if len(corners) < _CORNERS:
        raise InvalidAnswer(at, "must be eight corners")
    for i, corner in enumerate(corners):
        if not all(-end <= v <= 2 * end for v, end in zip(corner, tile, strict=True)):
            raise InvalidAnswer(f"{at}[{i}]", "lies further outside than the tile is large")
    tidied = [[tidy(v) for v in corner] for corner in corners]
    faces = shapely.polygons(np.reshape(tidied, (2, 4, 2)))
    sound = np.asarray(shapely.is_valid(faces) & (shapely.area(faces) >= LEAST_AREA))
    if not sound.all():
        name = "rear" if sound[0] else "front"
        raise InvalidAnswer(at, f"has a {name} face that crosses itself or has no area")
    _within_reach(np.array([tidied]), at, tile)
    return tidied


def _solid(value: object, at: str, question: Question) -> dict[str, Any]:
    found = fields.record(value, at, InvalidAnswer, required={"centre", "size", "yaw"})
    centre = _numbers(found["centre"], f"{at}.centre", 3)
    size = _numbers(found["size"], f"{at}.size", 3)
    yaw = fields.number(found["yaw"], f"{at}.yaw", InvalidAnswer)
    # what is kept is what is checked: the last digit may be the one that is too near
    row = _rounded(np.array([*centre, *size, yaw]))
    if not ((row[3:6] >= LEAST_SIDE) & (row[3:6] <= LONGEST_SIDE)).all():
        raise InvalidAnswer(f"{at}.size", f"must lie between {LEAST_SIDE} and {LONGEST_SIDE:g} m")
    if np.abs(row[:3]).max() > FARTHEST:
        raise InvalidAnswer(f"{at}.centre", f"lies further away than {FARTHEST:g} m")
    if abs(yaw) > 2 * math.pi:
        raise InvalidAnswer(f"{at}.yaw", "must lie between -2 pi and 2 pi")
    corners, depth = solids.projected(row[None], np.array(question.schema.camera))
    if depth.min() < NEAREST:
        raise InvalidAnswer(at, "is not wholly in front of the camera")
    _within_reach(corners - question.frame.window[:2], at, question.tile)
    return _written(row)


def _within_reach(corners: NDArray[np.float64], at: str, tile: Size) -> None:
    around = _around(corners)[0]
    if (around[:2] >= tile).any() or (around[2:] <= 0).any():
        raise InvalidAnswer(at, "lies outside the tile")


def _numbers(value: object, at: str, count: int) -> list[float]:
    numbers = [
        fields.number(each, place, InvalidAnswer)
        for place, each in fields.items(value, at, InvalidAnswer, most=count)
    ]
    if len(numbers) < count:
        raise InvalidAnswer(at, f"must be {count} numbers")
    return numbers


def _rounded(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """To a tenth of a millimetre, the angle in [-pi, pi)."""
    turned = (row[6] + math.pi) % (2 * math.pi) - math.pi
    turned = turned if round(turned, _DIGITS) < round(math.pi, _DIGITS) else -math.pi
    return np.asarray(np.round([*row[:6], turned], _DIGITS) + 0.0)


def _written(row: NDArray[np.float64]) -> dict[str, Any]:
    x, y, z, length, height, width, yaw = _rounded(row).tolist()
    return {"centre": [x, y, z], "size": [length, height, width], "yaw": yaw}


def cost(place: Mapping[str, Any], question: Question) -> float:
    del place, question
    return 0.0


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,) of `Cuboid`."""
    if schema.camera is None:
        return _as_array([Cuboid(np.array(each["cuboid"], float), None) for each in objects])
    rows = np.array(
        [[*s["centre"], *s["size"], s["yaw"]] for s in (each["solid"] for each in objects)]
    ).reshape(-1, 7)
    corners, _ = solids.projected(rows, np.array(schema.camera))
    pixels = corners - origin
    return _as_array([Cuboid(*pair) for pair in zip(pixels, rows, strict=True)])


def _as_array(cuboids: Sequence[Cuboid]) -> Shapes:
    shapes = np.empty(len(cuboids), dtype=object)
    shapes[:] = cuboids
    return shapes


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [
        {"cuboid": (np.round(each.corners, 2) + 0.0).tolist()}
        if each.solid is None
        else {"solid": _written(each.solid)}
        for each in shapes
    ]


def bounds(shapes: Shapes) -> Boxes:
    return _around(_all_corners(shapes))


def _all_corners(shapes: Shapes) -> NDArray[np.float64]:
    return np.array([each.corners for each in shapes]).reshape(-1, _CORNERS, 2)


def _around(corners: NDArray[np.float64]) -> Boxes:
    return np.hstack((corners.min(axis=1), corners.max(axis=1)))


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return _as_array(
        [Cuboid(each.corners + np.array([right, down]), each.solid) for each in shapes]
    )


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Whole, where a window shows some of it."""
    around = bounds(shapes)
    shown, share = visible(around, clip(around, window), window)
    seen = np.flatnonzero(shown)
    return Clipped(shapes[seen], seen, share[seen])


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Intersection over union of the upright boxes around them."""
    return row_ious(bounds(first), bounds(second))


def credit(first: Shapes, second: Shapes) -> Measures:
    """With a camera the intersection over union in space; without, how close the corners are."""
    if len(first) and first[0].solid is not None:
        return solids.ious(_all_solids(first), _all_solids(second))
    return solids.corner_similarity(_all_corners(first), _all_corners(second), SIGMA)


def _all_solids(shapes: Shapes) -> NDArray[np.float64]:
    return np.array([each.solid for each in shapes]).reshape(-1, 7)


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    """Which side is the front is voted on; then each number is the median, or the mean of two.

    Who has it the other way around is told by the drawing that is most like all others, whichever
    side of those is the front, and is turned before the medians are taken. With a camera they are
    taken in space: of a size the median is that of its logarithm, too.
    """
    corners = _all_corners(shapes)
    order = np.lexsort(corners.reshape(len(shapes), -1).T)  # where votes are even, too
    shapes, corners, trust = shapes[order], corners[order], trust[order]
    swapped = corners[:, solids.FROM_BEHIND]
    off, off_swapped = (
        np.abs(each[:, None] - corners).sum(axis=(2, 3)) for each in (corners, swapped)
    )
    model = int(np.argmin(trust @ np.minimum(off, off_swapped)))
    behind = off_swapped[:, model] < off[:, model]
    outvoted = trust[behind].sum() > trust[~behind].sum()
    facing = np.where(behind[:, None, None], swapped, corners)
    fused = _middle(facing.reshape(len(shapes), -1), trust).reshape(_CORNERS, 2)
    fused = fused[solids.FROM_BEHIND] if outvoted else fused
    if shapes[0].solid is None:
        return _as_array([Cuboid(fused, None)])
    rows = _all_solids(shapes)
    ahead = rows[model, 6]
    apart = rows[:, 6] + math.pi * behind - ahead
    rows[:, 6] = ahead + (apart + math.pi) % (2 * math.pi) - math.pi
    solid = _middle(rows, trust)
    solid[6] += math.pi * outvoted
    return _as_array([Cuboid(fused, solid)])


def _middle(rows: NDArray[np.float64], trust: Measures) -> NDArray[np.float64]:
    if len(rows) < ENOUGH_FOR_A_MEDIAN:
        return np.asarray(np.average(rows, axis=0, weights=trust))
    return np.array([weighted_median(column, trust) for column in rows.T])


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """Upright boxes around what zones show, widened by the tolerance; and around all. (N, 8)."""
    around = bounds(shapes)
    return np.hstack((widened(around, zones), around))


def alike(first: Shapes, second: Shapes) -> Measures:
    """As alike as what the zone shows, and as the whole: every tile draws all of a cuboid.

    So neighbours that touch at a seam are two. The mean is the geometric one.
    """
    shown = row_ious(first[:, :4], second[:, :4])
    return np.asarray(np.sqrt(shown * row_ious(first[:, 4:], second[:, 4:])))


def together(seen: Seen, groups: Indices) -> Shapes:
    """Per group the one of the tile that owns it; of several the one that is most certain."""
    order = np.lexsort((seen.tiles, -seen.confidence, ~seen.owned(seen.bounds), groups))
    return np.asarray(seen.shapes[order[firsts(groups[order])]])
