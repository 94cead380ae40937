"""Which objects of an image its tiles may show: pure, and quick for thousands of both."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import Window
from tessera.shapes.boxes import Boxes

Picks = NDArray[np.int64]
"""Indices of objects, ascending; shape (P,)."""


def views(reach: Boxes, windows: Sequence[Window]) -> Iterator[tuple[int, Picks]]:
    """For each window the objects that may show in it.

    Windows that cover the same columns, as tiles above one another do, look for what lies in
    those only once, and then at nothing else.

    Args:
        reach: Shape (N, 4), around each object; see `Kind.reach`.

    Yields:
        Index into windows, and indices into objects. Column by column; one at a time, because
        all together may not fit into memory.
    """
    left, top, right, bottom = reach.T.copy()

    def columns(number: int) -> tuple[int, int]:
        return windows[number].left, windows[number].right

    for (start, end), numbers in groupby(sorted(range(len(windows)), key=columns), key=columns):
        here = np.flatnonzero((left <= end) & (right >= start))
        above, below = top[here], bottom[here]
        for number in numbers:
            window = windows[number]
            yield number, here[(above <= window.bottom) & (below >= window.top)]
