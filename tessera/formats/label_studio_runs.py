"""Label Studio's run lengths of a mask: those of its picture's red, green, blue and alpha values.

Row by row. 32 bits of how many values follow; 5 of how many bits a value has, less 1; four times 4
of how many bits a length may have, less 1. Then runs: 1 bit whether one value is repeated, 2 bits
which of the four lengths, the length less 1, and the value or values.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import Size, Window
from tessera.shapes import rasters, rle

_LENGTHS = (3, 4, 8, 16)
"""Bits of the four kinds of lengths that we write."""
_CHANNELS, _SET, _BITS = 4, 255, 8


def packed(mask: Mapping[str, Any], size: Size) -> list[int]:
    """Bytes of canonical JSON in an image: each run repeated, with the shortest length for it."""
    height, width = mask["size"]
    pixels = rle.decode(rle.from_string(mask["counts"]), height, width)
    across = rasters.from_counts(rle.encode(pixels.T), width).moved(mask["top"], mask["left"])
    runs = across.counts(Window(0, 0, size.height, size.width)) * _CHANNELS
    longest = 2 ** _LENGTHS[-1]
    pieces = -(-runs // longest)
    lengths = np.full(pieces.sum(), longest)
    some = runs > 0
    lengths[np.cumsum(pieces)[some] - 1] = (runs[some] - 1) % longest + 1
    sort = np.searchsorted([2**bits for bits in _LENGTHS], lengths)
    bits = np.array(_LENGTHS)[sort]
    values = np.repeat(np.arange(len(runs)) % 2 * _SET, pieces)
    codes = ((((4 | sort) << bits) | (lengths - 1)) << _BITS) | values
    head = [(size.width * size.height * _CHANNELS, 32), (_BITS - 1, 5)]
    head += [(length - 1, 4) for length in _LENGTHS]
    first, used = np.array(head).T
    every = np.concatenate((first, codes)), np.concatenate((used, 3 + bits + _BITS))
    found: list[int] = np.packbits(_lowest(*every)).tolist()
    return found


def _lowest(codes: NDArray[np.int64], used: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The lowest bits of each, as many as it uses, highest first."""
    owner, place = rasters.spread(used)
    return ((codes[owner] >> (used[owner] - 1 - place)) & 1).astype(np.uint8)


def unpacked(value: object, size: Size) -> dict[str, Any]:
    """The mask of what is not wholly transparent, of the whole image.

    Args:
        value: Decoded JSON, as hostile as it may be.

    Raises:
        ValueError: It is no such list, or of another size.
    """
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise ValueError("must be a list of bytes")
    bits = "".join(f"{each:08b}" for each in bytes(value))
    starts, ends = _opaque(bits, size.width * size.height)
    counts = rle.of_runs(starts, ends, size.width * size.height)
    pixels = rle.decode(counts, size.width, size.height).T
    column_wise = rle.to_string(rle.encode(pixels))
    return {"left": 0, "top": 0, "size": [size.height, size.width], "counts": column_wise}


def _opaque(bits: str, pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of pixels start and end of which alpha, the last of four values, is above 0."""
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        if place > len(bits):
            raise ValueError("ends too early")
        return int(bits[place - count : place], 2)

    length = take(32)
    if length != pixels * _CHANNELS:
        raise ValueError(f"is of {length} values, not {_CHANNELS} of each pixel")
    wide = take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    runs, done = [(0, 0)], 0
    while done < length:
        repeated = take(1)
        end = min(done + 1 + take(lengths[take(2)]), length)
        if repeated and take(wide):
            runs.append((done, end))
        elif not repeated:
            runs += [(i, i + 1) for i in range(done, end) if take(wide)]
        done = end
    starts, ends = np.array(runs, dtype=np.int64).T // _CHANNELS  # rounds alpha's place down
    some = starts < ends
    return starts[some], ends[some]
