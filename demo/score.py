"""How good a dataset is, held against the truth. Pure; owes nothing to what it measures.

All lengths are image pixels. An object counts as found if an annotation of its class is alike
enough, as for boxes [left, top, right, bottom] with IoU >= 0.5; matching is one to one and optimal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from demo.truth import Labelled

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int64]
"""Shape (height, width); class ids."""
Shapes = npt.NDArray[Any]
"""Of shapely's geometries."""
LEAST_IOU = 0.5
VOID = 0
OF_BOX = 0.53
"""Area of an object as a share of the box around it, as COCO's evaluation takes it."""


@dataclass(frozen=True)
class BoxScore:
    precision: float
    recall: float
    mean_iou: float
    """Of what was found."""


def boxes(truth: Sequence[Labelled], found: Sequence[Labelled]) -> BoxScore:
    if not truth or not found:
        return BoxScore(0.0, 0.0, 0.0)
    overlap = _iou(_array(truth), _array(found))
    same = np.equal.outer([t.class_id for t in truth], [f.class_id for f in found])
    overlap = np.where(same, overlap, 0.0)
    matched = overlap[linear_sum_assignment(overlap, maximize=True)]
    good = matched[matched >= LEAST_IOU]
    mean = float(good.mean()) if good.size else 0.0
    return BoxScore(good.size / len(found), good.size / len(truth), mean)


def accuracy(truth: Mapping[str, int], found: Mapping[str, Sequence[int]]) -> float:
    """Share of images labelled with exactly their class; an image without a label is wrong."""
    return sum(list(found.get(name, ())) == [class_id] for name, class_id in truth.items()) / len(
        truth
    )


def _array(objects: Sequence[Labelled]) -> Floats:
    return np.array([each.box for each in objects], dtype=np.float64)


def _iou(a: Floats, b: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    areas_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union: Floats = areas_a[:, None] + areas_b[None, :] - common
    result: Floats = common / union
    return result


@dataclass(frozen=True)
class Tally:
    """What several images come to together."""

    credit: float = 0.0
    """Of what was found, each in [LEAST_IOU, 1]."""
    there: int = 0
    said: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.credit + other.credit, self.there + other.there, self.said + other.said)

    @property
    def quality(self) -> float:
        """With the IoU as credit, panoptic quality (Kirillov et al. 2019); with 1, F1."""
        return 2 * self.credit / (self.there + self.said) if self.there + self.said else 1.0


def tally(truth: Sequence[int], found: Sequence[int], alike: Floats) -> Tally:
    """One image.

    Args:
        truth: Class of each object; `found` likewise.
        alike: Shape (truth, found), in [0, 1].
    """
    same = np.equal.outer(np.array(truth, dtype=int), np.array(found, dtype=int))
    worth = np.where(same & (alike >= LEAST_IOU), alike, 0.0)
    matched = worth[linear_sum_assignment(worth, maximize=True)]
    return Tally(float(matched.sum()), len(truth), len(found))


def areas(things: Sequence[Mapping[str, Any]]) -> Shapes:
    """What their polygons cover."""
    return _listed(
        [
            shapely.MultiPolygon([(outer, holes) for outer, *holes in each["polygon"]])
            for each in things
        ]
    )


def lines(things: Sequence[Mapping[str, Any]]) -> Shapes:
    return _listed([shapely.LineString(each["line"]) for each in things])


def _listed(shapes: Sequence[shapely.Geometry]) -> Shapes:
    found = np.empty(len(shapes), dtype=object)
    found[:] = shapes
    return found


def area_ious(truth: Shapes, found: Shapes) -> Floats:
    """Shape (truth, found); both are arrays of polygons."""
    common = shapely.area(shapely.intersection(truth[:, None], found))
    return np.asarray(common / (shapely.area(truth)[:, None] + shapely.area(found) - common))


def mask_ious(truth: Bits, found: Bits) -> Floats:
    """Shape (truth, found), of masks one above the other: first axis objects."""
    first, second = (
        csr_array(each.reshape(len(each), -1).astype(float)) for each in (truth, found)
    )
    common = (first @ second.T).toarray()
    sizes = first.sum(axis=1)[:, None] + second.sum(axis=1)
    return np.asarray(common / np.maximum(sizes - common, 1))


def line_f1(truth: Shapes, found: Shapes, within: float) -> Floats:
    """F1 of the lengths that have the other line within so many pixels; shape (truth, found)."""
    covered = _covered(truth[:, None], shapely.buffer(found, within))
    true = _covered(found, shapely.buffer(truth, within)[:, None])
    return np.asarray(2 * covered * true / np.maximum(covered + true, 1e-9))


def _covered(lines: Shapes, by: Shapes) -> Floats:
    return np.asarray(shapely.length(shapely.intersection(lines, by)) / shapely.length(lines))


def point_similarity(truth: Floats, found: Floats, sigma: float) -> Floats:
    """Object keypoint similarity (COCO), the size that of the box around; shape (truth, found).

    Args:
        truth: Shape (objects, points, 2), likewise `found`; NaN where a point is not labelled,
            which is never close to any.
    """
    off = truth[:, None] - found
    area = np.prod(np.nanmax(truth, axis=1) - np.nanmin(truth, axis=1), axis=1) * OF_BOX
    spread = 2 * area[:, None, None] * (2 * sigma) ** 2
    similar = np.nan_to_num(np.exp(-(off**2).sum(axis=-1) / spread))
    return np.asarray(similar.sum(axis=-1) / (~np.isnan(truth[..., 0])).sum(axis=1)[:, None])


def mean_iou(truth: Sequence[Classes], found: Sequence[Classes]) -> float:
    """Over the classes of all images together; where the truth is VOID nothing counts."""
    true, said = (np.concatenate([each.ravel() for each in maps]) for maps in (truth, found))
    true, said = true[true != VOID], said[true != VOID]
    shared, here, there = (
        np.bincount(each, minlength=int(max(true.max(), said.max())) + 1)
        for each in (true[true == said], true, said)
    )
    named = np.flatnonzero(here + there > 0)
    named = named[named != VOID]
    return float((shared[named] / (here + there - shared)[named]).mean())


def decoded(mask: Mapping[str, Any], size: tuple[int, int]) -> Bits:
    """An object's mask as a dataset has it, on a picture of a width and height.

    The counts are COCO's string: five bits a letter, lowest first, and from the third number on
    each is written as its difference to the one two before.
    """
    numbers: list[int] = []
    value = shift = 0
    for letter in mask["counts"].encode():
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
        value = shift = 0
    height, width = mask["size"]
    part = np.repeat(np.arange(len(numbers)) % 2 == 1, numbers).reshape(width, height).T
    whole = np.zeros(size[::-1], dtype=np.bool_)
    left, top = mask.get("left", 0), mask.get("top", 0)
    whole[top : top + height, left : left + width] = part
    return whole
