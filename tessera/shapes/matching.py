"""Which shapes, seen by different owners, are one object."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from tessera.shapes.boxes import Indices


def mutual_best(first: Indices, second: Indices, score: NDArray[np.float64]) -> Indices:
    """Pairs that are the best for both their ends; ties go to the lower indices.

    Args:
        first: Shape (P,). An index may be in `first` and in `second`, if of different pairs.
        second: Shape (P,).
        score: Shape (P,), higher is better.

    Returns:
        Positions among the P pairs, best first.
    """
    order = np.lexsort((second, first, -score))
    return np.asarray(order[_leading(first[order]) & _leading(second[order])])


def _leading(ends: Indices) -> NDArray[np.bool_]:
    """Which are the first of their number."""
    rank = np.arange(len(ends))
    lead = np.full(ends.max(initial=-1) + 1, len(ends))
    np.minimum.at(lead, ends, rank)
    return np.asarray(lead[ends] == rank)


def best_of(first: Indices, second: Indices, score: NDArray[np.float64]) -> Indices:
    """The best pair of each in `first`, as positions among the pairs; arguments as above."""
    order = np.lexsort((second, -score, first))
    _, starts = np.unique(first[order], return_index=True)
    return np.asarray(order[starts])


def join(owners: Indices, first: Indices, second: Indices) -> Indices:
    """Groups of what pairs link, best first, that never put two shapes of one owner together.

    An owner (an earner, or a tile) that drew two shapes saw two objects, however much they
    overlap: so what touches stays apart.

    Args:
        owners: Shape (N,).
        first: Shape (P,), one end of each pair.
        second: Shape (P,), the other end.

    Returns:
        Shape (N,). Group of each shape, numbered 0, 1, ... by its lowest member.
    """
    groups = _linked(len(owners), first, second)
    contested = _holding_twice(groups, owners)[groups[first]]
    if contested.any():  # seldom, and only there does it matter which pair comes first
        taken = ~contested
        taken[contested] = _one_by_one(owners, first[contested], second[contested])
        groups = _linked(len(owners), first[taken], second[taken])
    return groups


def _linked(count: int, first: Indices, second: Indices) -> Indices:
    """Shape (N,). What pairs link, directly or not; scipy goes from the lowest member up."""
    links = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _holding_twice(groups: Indices, owners: Indices) -> NDArray[np.bool_]:
    """Shape (G,). Which groups have two shapes of one owner."""
    order = np.lexsort((owners, groups))
    again = ~np.diff(np.stack((groups, owners))[:, order]).any(axis=0)
    holding = np.zeros(int(groups.max(initial=-1)) + 1, dtype=bool)
    holding[groups[order[1:][again]]] = True
    return holding


def _one_by_one(owners: Indices, first: Indices, second: Indices) -> list[bool]:
    """Which pairs are taken, the earlier ones first, by union and find."""
    ends, pairs = np.unique(np.stack((first, second)), return_inverse=True)
    root, held = list(range(len(ends))), [{owner} for owner in owners[ends].tolist()]
    taken = []
    for a, b in pairs.T.tolist():
        low, high = sorted((_find(root, a), _find(root, b)))
        taken.append(low == high or held[low].isdisjoint(held[high]))
        if low != high and taken[-1]:
            root[high] = low
            held[low] |= held[high]
    return taken


def _find(root: list[int], each: int) -> int:
    while root[each] != each:
        root[each] = root[root[each]]
        each = root[each]
    return each
