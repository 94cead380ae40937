"""Estimates that one bad value does not move."""

import numpy as np
from numpy.typing import NDArray


def weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The value with half of the weight on either side; between two, the middle of both.

    Args:
        values: Shape (N,), N >= 1.
        weights: Shape (N,), positive.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    low, high = np.searchsorted(below, (0.5 - 1e-9, 0.5 + 1e-9))
    return float(values[order[low]] + values[order[high]]) / 2


def geometric_median(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The point with the least weighted sum of distances to all; of two, the mean of both.

    Source: Weiszfeld 1937, with the step away from the points of Vardi & Zhang 2000.

    Args:
        points: Shape (N, D), N >= 1.
        weights: Shape (N,), positive.

    Returns:
        Shape (D,).
    """
    at = np.average(points, axis=0, weights=weights)
    if len(points) < 3:  # noqa: PLR2004
        return np.asarray(at)
    for _ in range(_STEPS):
        away = np.linalg.norm(points - at, axis=1)
        on = away < _TINY
        pull = np.where(on, 0, weights / np.where(on, 1, away))
        if not pull.any():
            break
        step = np.average(points, axis=0, weights=pull)
        force = np.linalg.norm((pull[:, None] * (points - at)).sum(axis=0))
        stay = min(1.0, weights[on].sum() / force) if on.any() and force > 0 else 0.0
        new = (1 - stay) * step + stay * at
        done = np.linalg.norm(new - at) < _CLOSE
        at = new
        if done:
            break
    return np.asarray(at)


_STEPS, _TINY, _CLOSE = 100, 1e-9, 1e-4
