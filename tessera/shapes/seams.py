"""Which of the shapes that the tiles of one image show are one object.

Two tiles' shapes are compared only inside the zone that both windows saw, with a tolerance of about
two pixels; they are one object if each is the other's best match there. Whole shapes are not
compared, and touching is no evidence: that glues neighbours and loses a tenth of the objects.

All in image pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.shapes.boxes import Boxes, Indices, as_boxes, crossing
from tessera.shapes.frames import TileFrame
from tessera.shapes.matching import best_of, join, mutual_best

TOLERANCE = 2.0
"""Pixels by which two drawings of one edge may differ and still be the same."""
REACH = 2 * TOLERANCE
"""Pixels short of a zone that a shape may end and still be meant to go on into it."""
FAR = 5 * TOLERANCE
"""Pixels that a view may fall short of all pieces together and still be the whole object."""
EDGES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Likeness:
    """How two shapes are compared inside a zone, and how alike those of one object are."""

    view: Callable[[Indices, Boxes], NDArray[Any]]
    """What zones show of shapes, row by row."""
    alike: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
    """Of two views of one zone, row by row; in [0, 1]."""
    least: float
    least_of_two_classes: float
    in_pieces: bool = False
    """Whether one tile may show several pieces of an object."""


def cut_edges(bounds: Boxes, frame: TileFrame) -> list[list[str]]:
    """Per shape, the window edges it reaches; where the image ends too, nothing is cut off."""
    window = np.array(frame.window)
    inner = window != (0, 0, *frame.image)
    inwards = np.array([1, 1, -1, -1])
    touching = ((bounds - window) * inwards <= TOLERANCE) & inner
    return [[EDGES[i] for i in np.flatnonzero(row)] for row in touching]


def same_objects(
    bounds: Boxes,
    classes: Indices,
    tiles: Indices,
    frames: Sequence[TileFrame],
    likeness: Likeness,
) -> Indices:
    """Shape (N,). The object that each shape shows, numbered 0, 1, ...

    Args:
        bounds: Shape (N, 4), around each shape.
        classes: Shape (N,).
        tiles: Shape (N,), ascending; indices into frames.
    """
    zones = _zones(frames)
    members, zone, reach, lengthwise = _reaching(bounds, tiles, zones)
    across = np.where(lengthwise, 0, 1)
    rows = np.arange(len(reach))
    first, second = crossing(zone, reach[rows, across], reach[rows, across + 2])
    low, high = _shared(reach[first], reach[second])
    apart = tiles[members[first]] != tiles[members[second]]
    meeting = apart & (low <= high).all(axis=1)
    first, second = first[meeting], second[meeting]
    swap = tiles[members[first]] > tiles[members[second]]
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    used, position = np.unique(np.concatenate((first, second)), return_inverse=True)
    views = likeness.view(members[used], zones.boxes[zone[used]])
    measured = likeness.alike(views[position[: len(first)]], views[position[len(first) :]])
    one_class = classes[members[first]] == classes[members[second]]
    best = _best(first, second, measured, one_class, likeness)
    best = best[np.lexsort((first[best], -measured[best]))]
    owners = np.arange(len(tiles)) if likeness.in_pieces else tiles
    return join(owners, members[first[best]], members[second[best]])


def _best(
    first: Indices,
    second: Indices,
    measured: NDArray[np.float64],
    one_class: NDArray[np.bool_],
    likeness: Likeness,
) -> Indices:
    """Mutual best pairs of one class; then, of what is left, those that fit too well to be two."""
    close = np.flatnonzero(one_class & (measured >= likeness.least))
    best = close[_mutual(first[close], second[close], measured[close], likeness)]
    taken = np.isin(first, first[best]) | np.isin(second, second[best])
    close = np.flatnonzero(~one_class & ~taken & (measured >= likeness.least_of_two_classes))
    return np.concatenate((best, close[mutual_best(first[close], second[close], measured[close])]))


def _mutual(
    first: Indices, second: Indices, measured: NDArray[np.float64], likeness: Likeness
) -> Indices:
    """Where objects come in pieces, it is enough that a pair is the best for one of its two ends.

    A line that turns around inside a zone is one run to one tile, and two to the other.
    """
    if not likeness.in_pieces:
        return mutual_best(first, second, measured)
    return np.unique(
        np.concatenate((best_of(first, second, measured), best_of(second, first, measured)))
    )


@dataclass(frozen=True, slots=True)
class _Zones:
    """What two windows both see. Shape (K, 4), then the two tiles, (K,) each."""

    boxes: Boxes
    one: Indices
    other: Indices


def _zones(frames: Sequence[TileFrame]) -> _Zones:
    """Zones wide enough to compare shapes in, and the seam itself between neighbouring cores.

    Without margin a zone is but a line, which still tells what goes on beyond it. A line tells
    little, though, so it counts only where there is nothing better; and a corner tells nothing.
    """
    windows = as_boxes([each.window for each in frames])
    cores = as_boxes([each.core for each in frames])
    one, other = _meeting(windows)
    low, high = _shared(windows[one], windows[other])
    core_low, core_high = _shared(cores[one], cores[other])
    size, seam = high - low, core_high - core_low
    wide = (size > 2 * REACH).all(axis=1)
    neighbours = (seam >= 0).all(axis=1) & (seam > 0).any(axis=1)
    real = (size >= 0).all(axis=1) & (size > 2 * TOLERANCE).any(axis=1) & (wide | neighbours)
    return _Zones(np.hstack((low, high))[real], one[real], other[real])


def _meeting(windows: Boxes) -> tuple[Indices, Indices]:
    """Pairs of windows that meet, every pair once.

    They are swept downwards in upright bands as wide as a window, each in all bands it reaches: at
    most two, as it reaches no further than its own width.
    """
    width = (windows[:, 2] - windows[:, 0]).max()
    bands = (windows[:, ::2] // width).astype(np.int64)
    both = np.flatnonzero(bands[:, 1] > bands[:, 0])
    tiles = np.concatenate((np.arange(len(windows)), both))
    first, second = crossing(
        np.concatenate((bands[:, 0], bands[both, 1])), windows[tiles, 1], windows[tiles, 3]
    )
    pairs = np.sort(np.stack((tiles[first], tiles[second]), axis=1), axis=1)
    one, other = np.unique(pairs, axis=0).T
    return one, other


def _shared(first: Boxes, second: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left top and right bottom corner of what two boxes share, row by row; may be inside out."""
    return np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])


def _reaching(
    bounds: Boxes, tiles: Indices, zones: _Zones
) -> tuple[Indices, Indices, Boxes, NDArray[np.bool_]]:
    """Which shapes each zone shows, and where.

    Returns:
        For V views: index of the shape (V,), index of the zone (V,), the shape's bounds clipped
        to the zone and widened by the tolerance (V, 4), whether the zone is wider than high (V,).
    """
    of_zone = np.concatenate((zones.one, zones.other))
    numbers = np.tile(np.arange(len(zones.one)), 2)
    start = np.searchsorted(tiles, of_zone, side="left")
    counts = np.searchsorted(tiles, of_zone, side="right") - start
    before = np.cumsum(counts) - counts
    members = np.arange(counts.sum()) + np.repeat(start - before, counts)
    zone = np.repeat(numbers, counts)
    around, limits = bounds[members], zones.boxes[zone]
    reaching = (
        (around[:, :2] <= limits[:, 2:] + REACH) & (around[:, 2:] >= limits[:, :2] - REACH)
    ).all(axis=1)
    members, zone, around, limits = (each[reaching] for each in (members, zone, around, limits))
    size = limits[:, 2:] - limits[:, :2]
    return members, zone, widened(around, limits), size[:, 0] > size[:, 1]


def widened(bounds: Boxes, zones: Boxes) -> Boxes:
    """Boxes clipped to zones, row by row, and then widened by the tolerance."""
    low = np.clip(bounds[:, :2], zones[:, :2], zones[:, 2:]) - TOLERANCE
    high = np.clip(bounds[:, 2:], zones[:, :2], zones[:, 2:]) + TOLERANCE
    return np.hstack((low, high))
