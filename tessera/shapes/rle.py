"""Run lengths of masks, as COCO has them: columns one after another, the first run not set.

Counts are whole numbers, or COCO's string of them: each number from the third on minus the one two
before, in groups of five bits, lowest first, the sixth bit set if more follow, plus 48.
"""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""Shape (height, width)."""
Counts = NDArray[np.int64]

_BITS, _MORE, _SIGN, _LOW, _FIRST = 5, 32, 16, 31, 48
_MOST_GROUPS = 7
"""35 bits: of a picture with 2**32 pixels each run fits, and so does the difference of two."""


def encode(mask: Mask) -> Counts:
    """Shape (R,)."""
    flat = mask.ravel(order="F")
    turns = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(np.concatenate(([0], turns, [flat.size]))).astype(np.int64)


def decode(counts: Counts, height: int, width: int) -> Mask:
    """The mask.

    Raises:
        ValueError: A run is negative, or they do not make up the size.
    """
    check(counts, height, width)
    bits = np.arange(len(counts)) % 2 == 1
    return np.repeat(bits, counts).reshape(width, height).T


def check(counts: Counts, height: int, width: int) -> None:
    """Refuse counts that are not those of a mask of that size.

    Raises:
        ValueError: A run is negative, or they do not make up the size.
    """
    if (counts < 0).any():
        raise ValueError("has a negative run")
    # each on its own first: the sum of hostile numbers can overflow
    if counts.max(initial=0) > height * width or counts.sum() != height * width:
        raise ValueError(f"does not make up {height} x {width} pixels")


def runs(counts: Counts) -> tuple[Counts, Counts]:
    """Where each run of set pixels starts and ends, in pixels from the first; none is empty."""
    ends = np.cumsum(counts)[1::2]
    starts = ends - counts[1::2]
    there = starts < ends
    return starts[there], ends[there]


def of_runs(starts: Counts, ends: Counts, total: int) -> Counts:
    """Counts of a mask of so many pixels, of runs in any order that do not overlap."""
    edges, times = np.unique(np.concatenate((starts, ends)), return_counts=True)
    turns = edges[times == 1]  # where one run ends as the next one starts, nothing changes
    counts = np.diff(turns, prepend=0, append=total)
    return np.asarray(counts if counts[-1] else counts[:-1])


def to_string(counts: Counts) -> str:
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    letters, used = [], []
    unfinished = np.ones(len(counts), dtype=np.bool_)
    while unfinished.any():
        low = rest & _LOW
        rest >>= _BITS
        more = np.where(low & _SIGN, rest != -1, rest != 0)
        letters.append((low + _FIRST + _MORE * more).astype(np.uint8))
        used.append(unfinished)
        unfinished = unfinished & more
    every, there = np.stack(letters, axis=1), np.stack(used, axis=1)
    return every[there].tobytes().decode("ascii")


def from_string(text: str) -> Counts:
    """Counts.

    Raises:
        ValueError: It is no such string.
    """
    try:
        letters = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - _FIRST
    except UnicodeEncodeError as error:
        raise ValueError("has a letter that run lengths do not have") from error
    if not len(letters):
        raise ValueError("is empty")
    if (letters < 0).any() or (letters >= 2 * _MORE).any():
        raise ValueError("has a letter that run lengths do not have")
    ends = np.flatnonzero(letters < _MORE)
    if not len(ends) or ends[-1] != len(letters) - 1:
        raise ValueError("ends within a number")
    starts = np.concatenate(([0], ends[:-1] + 1))
    groups = ends - starts + 1
    if groups.max() > _MOST_GROUPS:
        raise ValueError("has a number that is far too large")
    place = np.arange(len(letters)) - np.repeat(starts, groups)
    numbers = np.add.reduceat((letters & _LOW) << (_BITS * place), starts)
    negative = (letters[ends] & _SIGN) != 0
    numbers[negative] -= np.int64(1) << (_BITS * groups[negative])
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
