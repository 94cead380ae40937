"""Boxes of one image, seen by many tiles, put together so that each object is there once.

Two tiles' boxes are compared only inside the zone that both windows saw, with a tolerance of about
two pixels; they are one object if each is the other's best match there. Whole shapes are not
compared, and touching is no evidence: that glues neighbours and loses a tenth of the objects.

All in image pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessera.kinds.geometry import Boxes, Indices, areas, as_boxes, centred_in, crossing
from tessera.kinds.matching import join, mutual_best
from tessera.kinds.protocol import ImageObject, Piece, TileFrame

TOLERANCE = 2.0
"""Pixels by which two drawings of one edge may differ and still be the same."""
ALIKE = 0.2
"""IoU, inside the zone and with the tolerance, from which boxes of one class may be one object."""
ALIKE_OF_TWO_CLASSES = 0.6
"""The same where the classes differ: it must be plain that only the class is in doubt."""
REACH = 2 * TOLERANCE
"""Pixels short of a zone that a box may end and still be meant to go on into it."""
FAR = 5 * TOLERANCE
"""Pixels that a box may fall short of all pieces together and still be the whole object."""
EDGES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Seen:
    """All boxes of all tiles. Shape (N, 4), then (N,) each."""

    boxes: Boxes
    classes: Indices
    confidence: NDArray[np.float64]
    cut: NDArray[np.bool_]
    """Whether the window ends before the object does."""
    firm: NDArray[np.bool_]
    """Not optional."""
    tiles: Indices


def cut_edges(boxes: Boxes, frame: TileFrame) -> list[list[str]]:
    """Per box, the window edges it touches; where the image ends too, nothing is cut off.

    Args:
        boxes: Shape (N, 4), image pixels.
    """
    window = np.array(frame.window)
    inner = window != (0, 0, *frame.image)
    touching = (np.abs(boxes - window) <= TOLERANCE) & inner
    return [[EDGES[i] for i in np.flatnonzero(row)] for row in touching]


def merge_boxes(pieces: Sequence[Piece]) -> list[ImageObject]:
    """Every object of an image once, in reading order; see `Kind.merge`."""
    order = sorted(range(len(pieces)), key=lambda i: pieces[i].frame.window)
    drawn = [each for i in order for each in pieces[i].objects]
    if not drawn:
        return []
    seen = Seen(
        boxes=as_boxes([each["box"] for each in drawn]),
        classes=np.array([each["class"] for each in drawn], dtype=np.int64),
        confidence=np.array([each["confidence"] for each in drawn], dtype=np.float64),
        cut=np.array([bool(each["cut"]) for each in drawn]),
        firm=np.array([not each.get("optional", False) for each in drawn]),
        tiles=np.repeat(np.arange(len(order)), [len(pieces[i].objects) for i in order]),
    )
    frames = [pieces[i].frame for i in order]
    return list(_objects(seen, same_objects(seen, frames), frames, drawn, order))


def same_objects(seen: Seen, frames: Sequence[TileFrame]) -> Indices:
    """Shape (N,). The object that each box shows, numbered 0, 1, ..."""
    members, zones, views, lengthwise = _views(seen, _zones(frames))
    across = np.where(lengthwise, 0, 1)
    rows = np.arange(len(views))
    first, second = crossing(zones, views[rows, across], views[rows, across + 2])
    tiles = seen.tiles[members]
    first, second = first[tiles[first] != tiles[second]], second[tiles[first] != tiles[second]]
    swap = tiles[first] > tiles[second]
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    alike = _iou(views[first], views[second])
    one_class = seen.classes[members[first]] == seen.classes[members[second]]
    best = _best(first, second, alike, one_class)
    best = best[np.lexsort((first[best], -alike[best]))]
    return join(seen.tiles, members[first[best]], members[second[best]])


def _best(
    first: Indices, second: Indices, alike: NDArray[np.float64], one_class: NDArray[np.bool_]
) -> Indices:
    """Mutual best pairs of one class; then, of what is left, those that fit too well to be two."""
    close = np.flatnonzero(one_class & (alike >= ALIKE))
    best = close[mutual_best(first[close], second[close], alike[close])]
    taken = np.isin(first, first[best]) | np.isin(second, second[best])
    close = np.flatnonzero(~one_class & ~taken & (alike >= ALIKE_OF_TWO_CLASSES))
    return np.concatenate((best, close[mutual_best(first[close], second[close], alike[close])]))


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


def _views(seen: Seen, zones: _Zones) -> tuple[Indices, Indices, Boxes, NDArray[np.bool_]]:
    """Each box as each zone it reaches shows it, widened by the tolerance.

    Returns:
        For V views: index of the box (V,), index of the zone (V,), the clipped and widened box
        (V, 4), and whether the zone is wider than high (V,).
    """
    tiles = np.concatenate((zones.one, zones.other))
    numbers = np.tile(np.arange(len(zones.one)), 2)
    start = np.searchsorted(seen.tiles, tiles, side="left")
    counts = np.searchsorted(seen.tiles, tiles, side="right") - start
    before = np.cumsum(counts) - counts
    members = np.arange(counts.sum()) + np.repeat(start - before, counts)
    zone = np.repeat(numbers, counts)
    boxes, limits = seen.boxes[members], zones.boxes[zone]
    reaching = (
        (boxes[:, :2] <= limits[:, 2:] + REACH) & (boxes[:, 2:] >= limits[:, :2] - REACH)
    ).all(axis=1)
    members, zone, boxes, limits = (each[reaching] for each in (members, zone, boxes, limits))
    low = np.clip(boxes[:, :2], limits[:, :2], limits[:, 2:]) - TOLERANCE
    high = np.clip(boxes[:, 2:], limits[:, :2], limits[:, 2:]) + TOLERANCE
    size = limits[:, 2:] - limits[:, :2]
    return members, zone, np.hstack((low, high)), size[:, 0] > size[:, 1]


def _iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union, row by row."""
    low, high = _shared(first, second)
    shared = np.maximum(high - low, 0).prod(axis=1)
    return np.asarray(shared / (areas(first) + areas(second) - shared))


def _objects(
    seen: Seen,
    groups: Indices,
    frames: Sequence[TileFrame],
    drawn: list[ImageObject],
    order: list[int],
) -> Iterator[ImageObject]:
    boxes = _outlines(seen, groups, frames)
    classes = _classes(seen, groups)
    winning = seen.classes == classes[groups]
    confidence = np.zeros(len(boxes))
    np.maximum.at(confidence, groups[winning], seen.confidence[winning])
    cores = as_boxes([each.core for each in frames])[seen.tiles]
    elsewhere = ~centred_in(boxes[groups], *cores.T)
    own = centred_in(seen.boxes, *cores.T)  # what a tile sees of it, as when people were asked
    firm, owned = (np.bincount(groups, each, len(boxes)) > 0 for each in (seen.firm, own))
    size = -areas(seen.boxes)
    best_first = np.lexsort((size, elsewhere, groups))
    sources: list[list[int]] = [[] for _ in boxes]
    for group, tile in zip(
        groups[best_first].tolist(), seen.tiles[best_first].tolist(), strict=True
    ):
        sources[group].append(order[tile])
    by_class = np.lexsort((size, elsewhere, ~winning, groups))
    _, starts = np.unique(groups[by_class], return_index=True)
    speaker = by_class[starts].tolist()
    rows, names, sure = boxes.tolist(), classes.tolist(), confidence.tolist()
    in_order = np.lexsort((classes, boxes[:, 2], boxes[:, 3], boxes[:, 0], boxes[:, 1]))
    for i in in_order[(firm | owned)[in_order]].tolist():
        yield {
            "class": names[i],
            "box": rows[i],
            "attributes": drawn[speaker[i]]["attributes"],
            "confidence": sure[i],
            "sources": sources[i],
        } | ({} if firm[i] else {"optional": True})


def _outlines(seen: Seen, groups: Indices, frames: Sequence[TileFrame]) -> Boxes:
    """One box per group: the mean of those that are whole, or the hull of the pieces.

    Tiles that see an object whole know its edges as well as each other; a piece tells nothing of
    the edges that it lacks. An edge drawn a little short of the window looks whole, so what is
    whole must also reach about as far as all pieces together.
    """
    count = int(groups.max()) + 1
    hull = np.tile((np.inf, np.inf, -np.inf, -np.inf), (count, 1))
    np.minimum.at(hull[:, :2], groups, seen.boxes[:, :2])
    np.maximum.at(hull[:, 2:], groups, seen.boxes[:, 2:])
    short = np.abs(seen.boxes - hull[groups]).max(axis=1) > FAR
    weights = np.where(seen.cut | short, 0.0, np.maximum(seen.confidence, 1e-6))
    total = np.bincount(groups, weights, count)
    mean = np.stack([np.bincount(groups, weights * edge, count) for edge in seen.boxes.T], axis=1)
    whole = total > 0
    hull[whole] = mean[whole] / total[whole, None]
    width, height = frames[0].image
    inside = np.clip(hull, 0, (width, height, width, height))
    return np.asarray(np.round(inside, 2) + 0.0)


def _classes(seen: Seen, groups: Indices) -> Indices:
    """Shape (G,). The class with most confidence times area behind it; ties to the lowest id."""
    pairs, which = np.unique(np.stack((groups, seen.classes)), axis=1, return_inverse=True)
    behind = np.bincount(which.ravel(), seen.confidence * areas(seen.boxes))
    ranked = np.lexsort((pairs[1], -behind, pairs[0]))
    _, starts = np.unique(pairs[0][ranked], return_index=True)
    return np.asarray(pairs[1][ranked[starts]])
