"""Keypoints: where the points of a skeleton lie on each object.

Each object has `"points": [[x, y, v], ...]`, one for each point of its class's skeleton, in that
order, in tile pixels, to 1/100 px. As in COCO v is 0 where a point is not labelled (x and y are 0
then), 1 where it is hidden and 2 where it can be seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.places import coordinate
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes.boxes import Boxes, Indices, as_boxes, hulls
from tessera.shapes.frames import Size, Window
from tessera.shapes.robust import geometric_median
from tessera.shapes.seams import TOLERANCE

FIELDS = frozenset({"points"})
SAME = 0.3
"""Two whose points vary as the sigmas say are 0.67 alike in the mean; of two people who stand a
quarter of their size apart it is 0.3."""
ALIKE = 0.15
"""Less, as a zone may show but one or two points; of several people the best counts."""
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
"""Of its points: a foot or a hand at the edge may be left out, half a person may not."""
IN_PIECES = False

OF_BOX = 0.53
"""Area of an object as a share of the box around its points; COCO's evaluation takes the same where
it has no outline."""
LEAST_AREA = 100.0
"""Square pixels: of very small objects nobody can do better, and one point alone has no area."""
THINNEST = 0.25
"""Width of an object as a share of its length, at least: its points may all lie on one line."""
MOST_POINTS_TOGETHER = 10_000
"""Of all objects of an answer, also those that are not labelled."""
HIDDEN, VISIBLE = 1, 2
_X_Y_V, _ROUNDING = 3, 1e-9


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()
    for number, each in enumerate(schema.classes):
        if each.skeleton is None:
            raise InvalidLabelSchema(f"classes[{number}]", "field 'skeleton' is missing")


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    if "points" not in found:
        raise InvalidAnswer(at, "field 'points' is missing")
    at = f"{at}.points"
    asked = () if named.skeleton is None else named.skeleton.points
    points = [
        _point(each, place, question.tile)
        for place, each in fields.items(found["points"], at, InvalidAnswer, most=len(asked))
    ]
    if len(points) < len(asked):
        missing = asked[len(points)].name
        raise InvalidAnswer(at, f"must be {len(asked)} points; the first missing is {missing!r}")
    if not any(v for _, _, v in points):
        raise InvalidAnswer(at, "must have at least one point that is labelled")
    return {"points": points}


def _point(value: object, at: str, tile: Size) -> list[float]:
    listed = list(fields.items(value, at, InvalidAnswer, most=_X_Y_V))
    if len(listed) < _X_Y_V:
        raise InvalidAnswer(at, "must be x, y, v")
    v = fields.whole(listed[2][1], listed[2][0], InvalidAnswer)
    if not 0 <= v <= VISIBLE:
        raise InvalidAnswer(listed[2][0], "must be 0 (not labelled), 1 (hidden) or 2 (visible)")
    if v == 0:
        for place, each in listed[:2]:
            fields.number(each, place, InvalidAnswer)
        return [0.0, 0.0, 0]
    at_tile = zip(listed[:2], tile, strict=True)
    return [*(coordinate(each, place, end) for (place, each), end in at_tile), v]


def cost(place: Mapping[str, Any], question: Question) -> float:
    del question
    return len(place["points"]) / MOST_POINTS_TOGETHER


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N, K, 4): x, y, v and sigma of each point.

    K is the size of the largest skeleton; where another one has no such point all four are 0.
    """
    del origin
    sigmas = {
        each.id: [point.sigma for point in each.skeleton.points]
        for each in schema.classes
        if each.skeleton is not None
    }
    shapes = np.zeros((len(objects), max(map(len, sigmas.values()), default=0), 4))
    for shape, each in zip(shapes, objects, strict=True):
        count = len(each["points"])
        shape[:count, :3] = each["points"]
        shape[:count, 3] = sigmas[each["class"]]
    return shapes


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    counts = (shapes[..., 3] > 0).sum(axis=1).tolist()
    rows = (np.round(shapes[..., :3], 2) + 0.0).tolist()
    return [
        {"points": [[x, y, int(v)] for x, y, v in points[:count]]}
        for points, count in zip(rows, counts, strict=True)
    ]


def bounds(shapes: Shapes) -> Boxes:
    """Around the points that are labelled."""
    there = _labelled(shapes)[..., None]
    low, high = (np.where(there, shapes[..., :2], end) for end in (np.inf, -np.inf))
    return np.hstack((low.min(axis=1, initial=np.inf), high.max(axis=1, initial=-np.inf)))


def _labelled(shapes: Shapes) -> NDArray[np.bool_]:
    """Shape (N, K)."""
    return np.asarray(shapes[..., 2] > 0)


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return np.asarray(shapes + np.array([right, down, 0, 0]) * _labelled(shapes)[..., None])


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Points outside are not labelled; what has none left is not there. The share is of points."""
    inside = _inside(shapes, as_boxes([window]))
    left, all_of_it = (_labelled(each).sum(axis=1) for each in (inside, shapes))
    source = np.flatnonzero(left)
    return Clipped(inside[source], source, left[source] / all_of_it[source])


def _inside(shapes: Shapes, boxes: Boxes) -> Shapes:
    """Only the points in boxes, row by row or all in one; the others are not labelled."""
    at, limits = shapes[..., :2], boxes[:, None]
    inside = ((limits[..., :2] <= at) & (at <= limits[..., 2:])).all(axis=2)
    kept = np.array(shapes)
    kept[~inside, :3] = 0
    return kept


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Object keypoint similarity over the points that both have."""
    both = _labelled(first) & _labelled(second) & _one_skeleton(first, second)
    return _mean(_similarity(first, second, np.maximum(_areas(first), _areas(second))), both, both)


def credit(first: Shapes, second: Shapes) -> Measures:
    """Object keypoint similarity (Ronchi & Perona 2017) over the points that the truth has.

    One that the drawing lacks is none; more points than the truth has do not count, nor does
    whether a point is hidden.
    """
    both = _labelled(first) & _labelled(second) & _one_skeleton(first, second)
    return _mean(_similarity(first, second, _areas(second)), both, _labelled(second))


def _one_skeleton(first: Shapes, second: Shapes) -> NDArray[np.bool_]:
    """Whether both have as many points, row by row; shape (N, 1)."""
    return np.asarray(((first[..., 3] > 0) == (second[..., 3] > 0)).all(axis=1, keepdims=True))


def _mean(similar: Measures, both: NDArray[np.bool_], of: NDArray[np.bool_]) -> Measures:
    """Of what both have, over what counts; 0 where nothing does."""
    return np.asarray((similar * both).sum(axis=1) / np.maximum(of.sum(axis=1), 1))


def _similarity(first: Shapes, second: Shapes, areas: Measures, free: float = 0.0) -> Measures:
    """Of each point, (N, K); so many pixels apart cost nothing."""
    off = np.hypot(*np.moveaxis(first[..., :2] - second[..., :2], -1, 0))
    sigma = np.maximum(first[..., 3], second[..., 3])
    spread = np.sqrt(areas)[:, None] * 2 * np.where(sigma > 0, sigma, 1)
    return np.asarray(np.exp(-((np.maximum(off - free, 0) / spread) ** 2) / 2))


def _areas(shapes: Shapes) -> Measures:
    sides = np.diff(bounds(shapes).reshape(-1, 2, 2), axis=1)[:, 0]
    sides = np.maximum(sides, sides.max(axis=1, keepdims=True) * THINNEST)
    return np.asarray(np.maximum(OF_BOX * sides.prod(axis=1), LEAST_AREA))


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    """Per point the geometric median of those who label it, if they have half of the trust.

    It can be seen if at least half of them, by trust, see it. Where they agree on no point, those
    are kept that most label.
    """
    there = _labelled(shapes)
    behind, seeing = trust @ there, trust @ (shapes[..., 2] == VISIBLE)
    kept = behind >= min(trust.sum() / 2, behind.max()) - _ROUNDING
    fused = np.array(shapes[0])
    fused[:, :3] = 0
    for k in np.flatnonzero(kept).tolist():
        labelled = there[:, k]
        fused[k, :2] = geometric_median(shapes[labelled, k, :2], trust[labelled])
        fused[k, 2] = VISIBLE if seeing[k] >= behind[k] / 2 - _ROUNDING else HIDDEN
    return fused[None]


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """The points in a zone, a little widened; a fifth column has the area of the whole object."""
    wider = zones + np.array([-TOLERANCE, -TOLERANCE, TOLERANCE, TOLERANCE])
    areas = np.broadcast_to(_areas(shapes)[:, None, None], (*shapes.shape[:2], 1))
    return np.concatenate((_inside(shapes, wider), areas), axis=2)


def alike(first: Shapes, second: Shapes) -> Measures:
    """Similarity of the points in the zone; one that only one of the two has is none."""
    here, there = _labelled(first), _labelled(second)
    areas = np.maximum(first[:, :1, 4], second[:, :1, 4])[:, 0]
    similar = _similarity(first, second, areas, free=TOLERANCE)
    return _mean(similar, here & there & _one_skeleton(first, second), here | there)


def together(seen: Seen, groups: Indices) -> Shapes:
    """Each point from the tile whose core holds it; else from the tile that owns the object."""
    hull = hulls(seen.bounds, groups)
    order = np.lexsort((-seen.tiles, seen.confidence, seen.owned(hull[groups])))
    shapes, group, core = seen.shapes[order], groups[order], seen.cores[order]
    x, y, there = shapes[..., 0].T, shapes[..., 1].T, _labelled(shapes)
    left, top, right, bottom = core.T
    own = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).T
    joined = np.zeros((len(hull), *shapes.shape[1:]))
    joined[group, :, 3] = shapes[..., 3]
    for said in (there, there & own):
        row, point = np.nonzero(said)
        joined[group[row], point] = shapes[row, point]  # who comes last has the last word
    return joined
