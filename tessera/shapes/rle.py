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


def encode_within(mask: Mask, left: int, top: int, height: int, width: int) -> Counts:
    """Of a mask that is but a part of a picture, without making that; shape (R,).

    Args:
        left: Where the part begins in the picture; so `top`.
        height: Of the picture; so `width`.
    """
    edge = np.zeros((1, mask.shape[1]), dtype=np.int8)
    turns = np.diff(mask.astype(np.int8), axis=0, prepend=edge, append=edge).T
    column, row = np.nonzero(turns)  # a start and an end in turns, as each column has as many
    flat = (left + column) * height + top + row
    starts, ends = flat[::2], flat[1::2]
    # where a column is set to its end and the next one from its start, the run goes on
    apart = np.concatenate(([True], starts[1:] > ends[:-1])) if len(starts) else starts > 0
    last = np.concatenate((apart[1:], [True])) if len(starts) else apart
    edges = np.stack((starts[apart], ends[last]), axis=1).ravel()
    return np.diff(np.concatenate(([0], edges, [height * width]))).astype(np.int64)


def decode(counts: Counts, height: int, width: int) -> Mask:
    """The mask.

    Raises:
        ValueError: A run is negative, or they do not make up the size.
    """
    if (counts < 0).any():
        raise ValueError("has a negative run")
    # each on its own first: the sum of hostile numbers can overflow
    if counts.max(initial=0) > height * width or counts.sum() != height * width:
        raise ValueError(f"does not make up {height} x {width} pixels")
    bits = np.arange(len(counts)) % 2 == 1
    return np.repeat(bits, counts).reshape(width, height).T


def to_string(counts: Counts) -> str:
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    letters, used = [], []
    open_ = np.ones(len(counts), dtype=np.bool_)
    for _ in range(_MOST_GROUPS):
        low = rest & _LOW
        rest = rest >> _BITS
        more = np.where(low & _SIGN, rest != -1, rest != 0)
        letters.append(low + _FIRST + _MORE * more)
        used.append(open_)
        open_ = open_ & more
    every, there = np.stack(letters, axis=1), np.stack(used, axis=1)
    return bytes(every[there].astype(np.uint8)).decode("ascii")


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
