"""Which objects of an image its tiles may show: pure, and quick for thousands of both."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import Window

Picks = NDArray[np.int64]
"""Indices of objects, ascending; shape (P,)."""

_EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)


def views(
    objects: Sequence[Mapping[str, Any]], windows: Sequence[Window]
) -> Iterator[tuple[int, Picks]]:
    """For each window the objects that share area with it, and those that have no box.

    Windows that cover the same columns, as tiles above one another do, look for what lies in
    those only once, and then at nothing else.

    Yields:
        Index into windows, and indices into objects. Column by column; one at a time, because
        all together may not fit into memory.
    """
    boxes = [each.get("box", _EVERYWHERE) for each in objects]
    left, top, right, bottom = np.array(boxes, dtype=np.float64).reshape(-1, 4).T.copy()

    def columns(number: int) -> tuple[int, int]:
        return windows[number].left, windows[number].right

    for (start, end), numbers in groupby(sorted(range(len(windows)), key=columns), key=columns):
        here = np.flatnonzero((left < end) & (right > start))
        above, below = top[here], bottom[here]
        for number in numbers:
            window = windows[number]
            yield number, here[(above < window.bottom) & (below > window.top)]
