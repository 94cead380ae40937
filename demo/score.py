"""How good a dataset is, held against the truth. Pure.

Boxes are [left, top, right, bottom] in image pixels. An object counts as found if an annotation
of its class overlaps it with IoU >= 0.5; matching is one to one and optimal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from demo.truth import Labelled

Floats = npt.NDArray[np.float64]
LEAST_IOU = 0.5


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
