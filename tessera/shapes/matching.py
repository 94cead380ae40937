"""Which shapes, seen by different owners, are one object."""

import numpy as np
from numpy.typing import NDArray

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
    _, best_of_first = np.unique(first[order], return_index=True)
    _, best_of_second = np.unique(second[order], return_index=True)
    return np.asarray(order[np.intersect1d(best_of_first, best_of_second)])


def best_of(first: Indices, second: Indices, score: NDArray[np.float64]) -> Indices:
    """The best pair of each in `first`, as positions among the pairs; arguments as above."""
    order = np.lexsort((second, -score, first))
    _, starts = np.unique(first[order], return_index=True)
    return np.asarray(order[starts])


def join(owners: Indices, first: Indices, second: Indices) -> Indices:
    """Union-find over pairs, best first, that never puts two shapes of one owner together.

    An owner (an earner, or a tile) that drew two shapes saw two objects, however much they
    overlap: so what touches stays apart.

    Args:
        owners: Shape (N,).
        first: Shape (P,), one end of each pair.
        second: Shape (P,), the other end.

    Returns:
        Shape (N,). Group of each shape, numbered 0, 1, ... by its lowest member.
    """
    root = list(range(len(owners)))
    held = [{owner} for owner in owners.tolist()]
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((_find(root, a), _find(root, b)))
        if low != high and held[low].isdisjoint(held[high]):
            root[high] = low
            held[low] |= held[high]
    roots = np.array([_find(root, each) for each in range(len(root))], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _find(root: list[int], each: int) -> int:
    while root[each] != each:
        root[each] = root[root[each]]
        each = root[each]
    return each
