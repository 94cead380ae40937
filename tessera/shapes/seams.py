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

from tessera.shapes.boxes import Boxes, Indices, as_boxes, crossing, shared_by, sides
from tessera.shapes.frames import TileFrame
from tessera.shapes.matching import best_of, join, mutual_best

TOLERANCE = 2.0
"""Pixels by which two drawings of one edge may differ and still be the same."""
REACH = 2 * TOLERANCE
"""Pixels short of a zone that a shape may end and still be meant to go on into it."""
FAR = 5 * TOLERANCE
"""Pixels that a view may fall short of all pieces together and still be the whole object."""
DOUBT = 0.25
"""Share of the least likeness by which one has to be above or below it to tell by itself."""
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


@dataclass(frozen=True, slots=True)
class Told:
    """What people have said of pairs of shapes: their indices, and whether they are one object."""

    first: Indices
    second: Indices
    same: NDArray[np.bool_]


NOTHING_TOLD = Told(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))
_SAME, _APART = 2.0, -1.0
"""Better and worse than anything that is measured."""


def same_objects(
    bounds: Boxes,
    classes: Indices,
    tiles: Indices,
    frames: Sequence[TileFrame],
    likeness: Likeness,
    told: Told = NOTHING_TOLD,
) -> Indices:
    """Shape (N,). The object that each shape shows, numbered 0, 1, ...

    Args:
        bounds: Shape (N, 4), around each shape.
        classes: Shape (N,).
        tiles: Shape (N,), ascending; indices into frames.
        told: Of pairs that `doubtful` has found.
    """
    met = _met(bounds, classes, tiles, frames, likeness)
    measured = met.measured.copy()
    for first, second, same in zip(told.first, told.second, told.same, strict=True):
        measured[met.are(first, second)] = _SAME if same else _APART
    best = _best(met.first, met.second, measured, met.one_class, likeness)
    best = best[np.lexsort((met.first[best], -measured[best]))]
    owners = np.arange(len(tiles)) if likeness.in_pieces else tiles
    return join(owners, met.members[met.first[best]], met.members[met.second[best]])


def doubtful(
    bounds: Boxes,
    classes: Indices,
    tiles: Indices,
    frames: Sequence[TileFrame],
    likeness: Likeness,
) -> tuple[Indices, Indices]:
    """Pairs of which the likeness is too close to the least to tell; arguments as above.

    Returns:
        The lower and the higher index of each, shape (D,), in their order.
    """
    met = _met(bounds, classes, tiles, frames, likeness)
    low, high = likeness.least * (1 - DOUBT), likeness.least * (1 + DOUBT)
    close = np.flatnonzero(met.one_class & (met.measured >= low))
    best = close[mutual_best(met.first[close], met.second[close], met.measured[close])]
    pairs = np.sort(np.stack((met.members[met.first[best]], met.members[met.second[best]])), axis=0)
    keys = pairs[0] * len(tiles) + pairs[1]
    sure = met.measured[best] >= high
    return np.divmod(np.setdiff1d(keys[~sure], keys[sure]), len(tiles))


@dataclass(frozen=True, slots=True)
class _Met:
    """Views of shapes inside zones, and P pairs of views of two tiles that meet in one."""

    members: Indices
    """Shape (V,). Which shape each view is of."""
    first: Indices
    """Shape (P,). Which view; of the lower tile."""
    second: Indices
    measured: NDArray[np.float64]
    one_class: NDArray[np.bool_]

    def are(self, first: int, second: int) -> NDArray[np.bool_]:
        """Shape (P,). Which pairs are of these two shapes."""
        ends = self.members[self.first], self.members[self.second]
        either = (ends[0] == first) & (ends[1] == second)
        return np.asarray(either | ((ends[0] == second) & (ends[1] == first)))


def _met(
    bounds: Boxes,
    classes: Indices,
    tiles: Indices,
    frames: Sequence[TileFrame],
    likeness: Likeness,
) -> _Met:
    zones = _zones(frames)
    members, zone, reach, lengthwise = _reaching(bounds, tiles, zones)
    across = np.where(lengthwise, 0, 1)
    rows = np.arange(len(reach))
    first, second = crossing(zone, reach[rows, across], reach[rows, across + 2])
    short, _ = sides(shared_by(reach.take(first, axis=0), reach.take(second, axis=0)))
    tile = tiles[members]
    meeting = (tile[first] != tile[second]) & (short >= 0)
    first, second = first[meeting], second[meeting]
    swap = tile[first] > tile[second]
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    used = np.zeros(len(members), dtype=bool)
    used[first] = used[second] = True
    views = likeness.view(members[used], zones.boxes.take(zone[used], axis=0))
    position = np.cumsum(used) - 1
    ends = (views.take(position[each], axis=0) for each in (first, second))
    measured = likeness.alike(*ends)
    one_class = classes[members[first]] == classes[members[second]]
    return _Met(members, first, second, measured, one_class)


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
    zones = shared_by(windows.take(one, axis=0), windows.take(other, axis=0))
    seams = shared_by(cores.take(one, axis=0), cores.take(other, axis=0))
    (short, long), (narrow, tall) = sides(zones), sides(seams)
    neighbours = (narrow >= 0) & (tall > 0)
    real = (short >= 0) & (long > 2 * TOLERANCE) & ((short > 2 * REACH) | neighbours)
    return _Zones(zones[real], one[real], other[real])


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
    low, high = (each(tiles[first], tiles[second]) for each in (np.minimum, np.maximum))
    return np.divmod(np.unique(low * len(windows) + high), len(windows))


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
    edges, ends = bounds.T.copy(), zones.boxes.T.copy()  # by far most rows end here
    reaching = np.ones(len(members), dtype=bool)
    for low, high in ((0, 2), (1, 3)):
        reaching &= edges[low][members] <= ends[high][zone] + REACH
        reaching &= edges[high][members] >= ends[low][zone] - REACH
    members, zone = members[reaching], zone[reaching]
    around, limits = bounds.take(members, axis=0), zones.boxes.take(zone, axis=0)
    left, top, right, bottom = limits.T
    return members, zone, widened(around, limits), right - left > bottom - top


def widened(bounds: Boxes, zones: Boxes) -> Boxes:
    """Boxes clipped to zones, row by row, and then widened by the tolerance."""
    wide = np.empty(bounds.shape)
    for i, more in enumerate((-TOLERANCE, -TOLERANCE, TOLERANCE, TOLERANCE)):
        low, high = zones[:, i % 2], zones[:, i % 2 + 2]
        wide[:, i] = np.clip(bounds[:, i], low, high) + more
    return wide
