"""What several earners' boxes on one tile come to, object by object."""

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds.geometry import Boxes, Indices, as_boxes, centred_in, ious, pairs, tidy
from tessera.kinds.matching import join
from tessera.kinds.opinions import posterior, probability, weight
from tessera.kinds.protocol import Opinion, TileFrame
from tessera.kinds.schema import LabelSchema

SAME = 0.5
"""IoU from which two boxes may be about one object."""
ENOUGH_FOR_A_MEDIAN = 3


@dataclass(frozen=True, slots=True)
class Found:
    """An object that at least one earner drew."""

    class_id: int
    box: list[float]
    attributes: dict[str, str]
    exists: float
    """Probability that it is there."""
    class_right: float
    """Probability that its class is right, given that it is there."""
    owned: bool
    """Whether its centre lies in the tile's core, so that this tile decides about it."""

    @property
    def kept(self) -> bool:
        return self.exists >= 0.5  # noqa: PLR2004

    @property
    def certainty(self) -> float:
        """Probability that what was decided about it is right."""
        return self.exists * self.class_right if self.kept else 1 - self.exists

    def as_json(self, target_confidence: float) -> dict[str, Any]:
        doubtful = not self.owned and self.certainty < target_confidence
        return {
            "class": self.class_id,
            "box": self.box,
            "attributes": self.attributes,
            "confidence": round(self.certainty, 4),
        } | ({"optional": True} if doubtful else {})


def consensus(
    opinions: list[Opinion], schema: LabelSchema, frame: TileFrame
) -> tuple[list[Found], float]:
    """Match boxes across answers and weigh the evidence for each object.

    One coin for both mistakes: an earner of trust t draws an object that is there with
    probability t, and one that is not with probability 1 - t. (Trust is a mean F1 on gold, so
    1 - t is about the share of objects missed and about the share of boxes drawn in vain.) The
    prior is even, as an object is only in question once somebody drew it.

    Args:
        opinions: In an order that does not depend on who answered first.

    Returns:
        Every object in question; and the probability that there is no further one, given that
        nobody drew it.
    """
    behind = [weight(each.trust, 2) for each in opinions]
    drawn = [box for each in opinions for box in each.answer["boxes"]]
    makers = np.repeat(np.arange(len(opinions)), [len(each.answer["boxes"]) for each in opinions])
    boxes = as_boxes([each["box"] for each in drawn])
    groups = _matched(boxes, np.array([each["class"] for each in drawn], dtype=np.int64), makers)
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    found = [
        _found(
            [(drawn[i], opinions[makers[i]].trust) for i in group],
            probability(2 * math.fsum(behind[makers[i]] for i in group) - math.fsum(behind)),
            schema,
            frame,
        )
        for group in members.values()
    ]
    return found, probability(math.fsum(behind))


def _matched(boxes: Boxes, classes: Indices, makers: Indices) -> Indices:
    """Group boxes by object: best pairs first, those of one class before others.

    Greedy over all pairs instead of one earner after another, so that no answer is the seed.

    Args:
        makers: Shape (N,), ascending.
    """
    starts = np.flatnonzero(np.diff(makers, prepend=-1, append=makers.max(initial=-1) + 1))
    spans = list(pairwise(starts.tolist()))
    firsts, seconds, likeness = [], [], []
    for (a, b), (c, d) in combinations(spans, 2):
        first, second, iou = pairs(ious, boxes[a:b], boxes[c:d], least=SAME)
        firsts.append(first + a)
        seconds.append(second + c)
        likeness.append(iou)
    if not firsts:
        return np.arange(len(boxes))
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    other_class = classes[first] != classes[second]
    order = np.lexsort((second, first, -np.concatenate(likeness), other_class))
    return join(makers, first[order], second[order])


def _found(
    drawn: list[tuple[dict[str, Any], float]], exists: float, schema: LabelSchema, frame: TileFrame
) -> Found:
    votes: dict[int, list[float]] = defaultdict(list)
    for each, trust in drawn:
        votes[each["class"]].append(weight(trust, len(schema.classes)))
    class_id, class_right = posterior(
        {voted: math.fsum(weights) for voted, weights in votes.items()}, len(schema.classes)
    )
    box = fused(as_boxes([each["box"] for each, _ in drawn]), np.array([t for _, t in drawn]))
    left, top, right, bottom = frame.core
    shift_x, shift_y = frame.window[:2]
    core = (left - shift_x, top - shift_y, right - shift_x, bottom - shift_y)
    return Found(
        class_id,
        [tidy(edge) for edge in box],
        _attributes([each for each in drawn if each[0]["class"] == class_id]),
        exists,
        class_right,
        bool(centred_in(box[None], *core)[0]),
    )


def _attributes(drawn: list[tuple[dict[str, Any], float]]) -> dict[str, str]:
    """Each attribute's value with most trust behind it; ties go to the first by name."""
    behind: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each, trust in drawn:
        for name, value in each["attributes"].items():
            behind[name][value].append(weight(trust, 2))
    return {
        name: min(values, key=lambda value: (-math.fsum(values[value]), value))
        for name, values in sorted(behind.items())
    }


def fused(boxes: Boxes, trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """One box from several: per edge the trust-weighted median, or the mean of two.

    Of three or more one may be far off and moves nothing. Of two nobody knows which one is off,
    and the mean has half the variance.

    Args:
        boxes: Shape (N, 4), N >= 1.
        trust: Shape (N,), positive.

    Returns:
        Shape (4,). Never empty: both quantiles grow with each of their values.
    """
    if len(boxes) < ENOUGH_FOR_A_MEDIAN:
        return np.average(boxes, axis=0, weights=trust)
    return np.array([_weighted_median(edge, trust) for edge in boxes.T])


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    # Exactly half on each side: the middle between the two, as for any median.
    low, high = np.searchsorted(below, (0.5 - 1e-9, 0.5 + 1e-9))
    return float(values[order[low]] + values[order[high]]) / 2
