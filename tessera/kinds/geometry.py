"""Axis-aligned boxes as arrays: rows of (left, top, right, bottom), pixels, half-open."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds.protocol import Window

Boxes = NDArray[np.float64]
"""Shape (N, 4)."""
Indices = NDArray[np.int64]

BARELY_VISIBLE = 0.25
"""Share of an object below which a tile may leave it out."""
CROWD = 16
"""Boxes that one box is compared with, at most; more are on one spot only to do harm."""
_STRIP = 256


def as_boxes(rows: list[Any]) -> Boxes:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def areas(boxes: Boxes) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Area that each box of the first (N) shares with each of the second (M). Shape (N, M)."""
    sides = [
        np.minimum.outer(first[:, axis + 2], second[:, axis + 2])
        - np.maximum.outer(first[:, axis], second[:, axis])
        for axis in (0, 1)
    ]
    return np.asarray(np.maximum(sides[0], 0) * np.maximum(sides[1], 0))


def ious(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each with each. Shape (N, M); no box may be empty."""
    shared = overlaps(first, second)
    return np.asarray(shared / (areas(first)[:, None] + areas(second)[None, :] - shared))


def shares(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Share of each first box that lies on each second one. Shape (N, M)."""
    return np.asarray(overlaps(first, second) / areas(first)[:, None])


def pairs(
    measure: Callable[[Boxes, Boxes], NDArray[np.float64]],
    first: Boxes,
    second: Boxes,
    *,
    least: float,
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Which pairs measure at least so much; for each first box its `CROWD` best at most.

    In strips, and capped, so that thousands of boxes on one spot cost neither memory nor time.

    Returns:
        Indices into first and second, and the measure; shape (P,) each, by first, then best.
    """
    strips = [
        _best_in(measure(first[start : start + _STRIP], second), least, start)
        for start in range(0, max(len(first), 1), _STRIP)
    ]
    rows, columns, values = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    return rows, columns, values


def _best_in(
    measured: NDArray[np.float64], least: float, start: int
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    row, column = np.nonzero(measured >= least)
    value = measured[row, column]
    order = np.lexsort((column, -value, row))
    _, begins, counts = np.unique(row, return_index=True, return_counts=True)
    rank = np.arange(len(row)) - np.repeat(begins, counts)
    best = order[rank < CROWD]
    return row[best] + start, column[best], value[best]


def centred_in(
    boxes: Boxes, left: float, top: float, right: float, bottom: float
) -> NDArray[np.bool_]:
    """Which boxes have their centre inside a half-open rectangle. Shape (N,)."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return np.asarray((left <= x) & (x < right) & (top <= y) & (y < bottom))


def crossing(
    groups: Indices, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[Indices, Indices]:
    """Pairs of closed intervals of the same group that meet, by sorting and sweeping.

    Args:
        groups: Shape (N,). Intervals of different groups never pair.
        low: Shape (N,).
        high: Shape (N,); not below `low`.

    Returns:
        Indices (first, second), shape (P,) each; every pair once, the one that starts first first.
    """
    order = np.lexsort((low, groups))
    # One sorted line for all groups: each gets a stretch of its own, longer than any interval.
    shift = groups[order] * (high.max(initial=0) - low.min(initial=0) + 1)
    ends = np.searchsorted(shift + low[order], shift + high[order], side="right")
    counts = ends - np.arange(len(order)) - 1
    first = np.repeat(np.arange(len(order)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[first], order[first + 1 + within]


def tidy(value: float) -> float:
    """To 1/100 px, the precision of every answer; never -0.0, so that equal is equal bytes."""
    return round(float(value), 2) + 0.0


@dataclass(frozen=True, slots=True)
class View:
    """What a window shows of a box."""

    box: tuple[float, float, float, float]
    """In the window's own pixels."""
    area: float
    barely: bool
    """So little of it that nobody can be blamed for leaving it out."""


def view_of(box: list[float], window: Window) -> View | None:
    """A box of the image as the window shows it; None if it shows less than a pixel of it.

    What can be shown is limited by the window too: an object ten windows long that fills this
    one is in plain view, though a tenth of it is here.
    """
    shares, edges = [], []
    for axis in (0, 1):
        start, stop = window[axis], window[axis + 2]
        low, high = max(box[axis], start), min(box[axis + 2], stop)
        length = box[axis + 2] - box[axis]
        visible = high - low
        if length <= 0 or visible < min(length, 1.0):
            return None
        shares.append(visible / min(length, stop - start))
        edges.append((low - start, high - start))
    (left, right), (top, bottom) = edges
    area = (right - left) * (bottom - top)
    barely = shares[0] * shares[1] < BARELY_VISIBLE
    return View((left, top, right, bottom), area, barely)
