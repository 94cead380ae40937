"""Axis-aligned boxes as arrays: rows of (left, top, right, bottom), pixels, half-open."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tessera.shapes.frames import Size, Window

Boxes = NDArray[np.float64]
"""Shape (N, 4)."""
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Ends = float | NDArray[np.float64]
"""Of all, or shape (N,)."""

CROWD = 16
"""Boxes that one box is compared with, at most; more are on one spot only to do harm."""
_NEARLY = 1e-3
_STRIP = 256


def as_boxes(rows: Sequence[Iterable[float]]) -> Boxes:
    return np.fromiter(chain.from_iterable(rows), dtype=np.float64).reshape(-1, 4)


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


def row_ious(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union, row by row; nothing of two boxes without area."""
    shared = overlap(first, second)
    either = areas(first) + areas(second) - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))


def shared_by(first: Boxes, second: Boxes) -> Boxes:
    """What two boxes share, row by row; a line, a point or inside out where that is nothing.

    Column by column, as everything here that has to be quick: numpy is slow along short axes.
    """
    shared = np.empty(first.shape)
    for i, inner in enumerate((np.maximum, np.maximum, np.minimum, np.minimum)):
        inner(first[:, i], second[:, i], out=shared[:, i])
    return shared


def overlap(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Area that two boxes share, row by row. Shape (N,)."""
    short, long = sides(shared_by(first, second))
    return np.asarray(np.maximum(short, 0) * np.maximum(long, 0))


def sides(boxes: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The shorter and the longer side of each, shape (N,); below 0 of boxes that are inside out."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.minimum(width, height), np.maximum(width, height)


def furthest(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """How far the edges of two boxes are apart at most, row by row."""
    left, top, right, bottom = np.abs(first - second).T
    return np.asarray(np.maximum(np.maximum(left, top), np.maximum(right, bottom)))


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


def firsts(numbers: Indices) -> Indices:
    """Where each run of equal numbers, none negative, starts."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def hulls(boxes: Boxes, groups: Indices) -> Boxes:
    """The box around all of each group. Shape (G, 4).

    Args:
        boxes: Shape (N, 4), at least one.
        groups: Shape (N,). 0 to G - 1, each at least once.
    """
    order = np.argsort(groups, kind="stable")
    starts, boxes = firsts(groups[order]), boxes[order]
    low = np.minimum.reduceat(boxes[:, :2], starts)
    return np.hstack((low, np.maximum.reduceat(boxes[:, 2:], starts)))


def centred_in(boxes: Boxes, left: Ends, top: Ends, right: Ends, bottom: Ends) -> NDArray[np.bool_]:
    """Which boxes have their centre inside a half-open rectangle. Shape (N,)."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return np.asarray((left <= x) & (x < right) & (top <= y) & (y < bottom))


def owned(boxes: Boxes, cores: Boxes, image: Size) -> NDArray[np.bool_]:
    """Which have the centre of what an image shows of them in a core; all in image pixels.

    As cores partition an image, each box is some core's, also one beyond or along its last edge.

    Args:
        boxes: Shape (N, 4).
        cores: Shape (N, 4), or (1, 4) for all.
    """
    inside = np.clip(boxes, 0, np.nextafter(np.tile(np.array(image, dtype=np.float64), 2), 0))
    return centred_in(inside, *cores.T)


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


def hundredths(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`tidy` of each, but far faster; halves are left to it."""
    times = values * 100
    rounded = np.asarray(np.rint(times) / 100) + 0.0
    halves = np.abs(np.abs(times - np.rint(times)) - 0.5) < _NEARLY
    rounded[halves] = [tidy(each) for each in values[halves].tolist()]
    return rounded


def visible(
    whole: Boxes, shown: Boxes, window: Window
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which objects a window shows at least a pixel of, and how much of what it could show.

    What can be shown is limited by the window too: an object ten windows long that fills this
    one is in plain view, though a tenth of it is here.

    Args:
        whole: Shape (N, 4), around each object.
        shown: Shape (N, 4), around what the window shows of it; the same pixels.

    Returns:
        Shape (N,) each; the share is that of the lengths, multiplied.
    """
    length = whole[:, 2:] - whole[:, :2]
    seen = shown[:, 2:] - shown[:, :2]
    possible = np.minimum(length, window.size)
    share = np.divide(seen, possible, out=np.ones_like(seen), where=possible > 0)
    enough = np.asarray((seen >= np.minimum(length, 1.0)).all(axis=1))
    return enough, np.asarray(share.prod(axis=1))


def clip(boxes: Boxes, window: Window) -> Boxes:
    """Boxes without what lies outside a window; wholly outside, a line or a point is left."""
    left, top, right, bottom = window
    return np.clip(boxes, (left, top, left, top), (right, bottom, right, bottom))
