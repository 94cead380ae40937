"""The grid: which window of an image each tile shows, and which part of it is its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Rect(NamedTuple):
    """Whole pixels, half-open: right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class TileBox:
    """One tile of an image.

    Attributes:
        index: Place in reading order, from 0.
        core: What is the tile's own: the cores of an image cover it, each pixel once.
        window: What the earner sees: the core and context around it.
    """

    index: int
    row: int
    column: int
    core: Rect
    window: Rect


class _Span(NamedTuple):
    core: tuple[int, int]
    window: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """The boxes of an image, each made when it is asked for: there may be very many."""

    columns: tuple[_Span, ...]
    rows: tuple[_Span, ...]

    def __len__(self) -> int:
        return len(self.columns) * len(self.rows)

    def __iter__(self) -> Iterator[TileBox]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> TileBox:
        """The box at this place in reading order.

        Raises:
            IndexError: There is none.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        row, column = divmod(index, len(self.columns))
        across, down = self.columns[column], self.rows[row]
        return TileBox(
            index=index,
            row=row,
            column=column,
            core=Rect(across.core[0], down.core[0], across.core[1], down.core[1]),
            window=Rect(across.window[0], down.window[0], across.window[1], down.window[1]),
        )


def grid(width: int, height: int, *, tile: int, margin: int) -> Grid:
    """Cover an image with windows of one size, in reading order.

    Windows stand `tile - 2 * margin` apart, so that neighbours share `2 * margin` pixels, and
    the last row and column move inward instead of being cut short. Cores meet in the middle of
    what two windows share. So every pixel of a core has at least `margin` pixels of context on
    each side, except where the image itself ends, and a core inside the image has the side
    `tile - 2 * margin`; at the edges of the image, where no context can be had, the core reaches
    to the edge.

    Args:
        tile: Side of a window, pixels.
        margin: Least context around a core. An object up to `2 * margin` wide lies wholly in
            at least one window.

    Returns:
        Boxes in image pixels. All windows have one size: `tile`, or the image's where it is
        smaller.

    Raises:
        ValueError: A length is not positive, or `margin` is not in [0, tile / 2).
    """
    if min(width, height, tile) < 1 or not 0 <= 2 * margin < tile:
        raise ValueError(f"no grid of {tile} with margin {margin} on {width} x {height}")
    return Grid(_spans(width, tile, margin), _spans(height, tile, margin))


def whole(width: int, height: int) -> Grid:
    """The image as its only tile."""
    return grid(width, height, tile=max(width, height), margin=0)


def _spans(length: int, tile: int, margin: int) -> tuple[_Span, ...]:
    last = max(length - tile, 0)
    starts = [*range(0, last, tile - 2 * margin), last]
    meets = [(left + tile + right) // 2 for left, right in pairwise(starts)]
    edges = [0, *meets, length]
    return tuple(
        _Span(core, (start, min(start + tile, length)))
        for core, start in zip(pairwise(edges), starts, strict=True)
    )
