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
