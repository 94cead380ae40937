"""Masks as upright strokes, and pictures of classes as sections of columns.

Strokes are never as many as pixels: a mask of two pixels at opposite corners is two strokes however
far apart they are, and one of a picture of 30,000 x 30,000 a few million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tessera.shapes import rle
from tessera.shapes.boxes import Indices
from tessera.shapes.frames import Size, Window

Values = NDArray[np.int64]
"""Shape (S,). What each section of a picture shows, a whole number from 0."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """Where something is set: parts of columns of pixels, none of them empty. Shape (N,) each."""

    columns: Indices
    tops: Indices
    bottoms: Indices
    """Half-open."""

    @property
    def pixels(self) -> int:
        return int((self.bottoms - self.tops).sum())

    def moved(self, right: int, down: int) -> "Strokes":
        return Strokes(self.columns + right, self.tops + down, self.bottoms + down)

    def within(self, window: Window) -> "Strokes":
        tops = np.maximum(self.tops, window.top)
        bottoms = np.minimum(self.bottoms, window.bottom)
        inside = (window.left <= self.columns) & (self.columns < window.right) & (tops < bottoms)
        return Strokes(self.columns[inside], tops[inside], bottoms[inside])

    def counts(self, window: Window) -> rle.Counts:
        """Run lengths of a picture that is as large as a window, and holds them all."""
        width, height = window.size
        foot = (self.columns - window.left) * height - window.top
        return rle.of_runs(foot + self.tops, foot + self.bottoms, width * height)

    def as_json(self) -> dict[str, Any]:
        """The smallest crop that holds them all; there must be some."""
        left, top = int(self.columns.min()), int(self.tops.min())
        right, bottom = int(self.columns.max()) + 1, int(self.bottoms.max())
        return {
            "left": left,
            "top": top,
            "size": [bottom - top, right - left],
            "counts": rle.to_string(self.counts(Window(left, top, right, bottom))),
        }


def from_json(mask: dict[str, Any]) -> Strokes:
    """Strokes of a mask in canonical JSON."""
    counts = rle.from_string(mask["counts"])
    return from_counts(counts, mask["size"][0]).moved(mask["left"], mask["top"])


def from_counts(counts: rle.Counts, height: int) -> Strokes:
    """Runs cut at the foot of each column; counts as `rle.check` lets them pass."""
    starts, ends = rle.runs(counts)
    first = starts // height
    reached = (ends - 1) // height - first + 1
    run, within = spread(reached)
    columns = first[run] + within
    foot = columns * height
    return Strokes(columns, np.maximum(starts[run] - foot, 0), np.minimum(ends[run] - foot, height))


def joined(parts: Sequence[Strokes]) -> Strokes:
    """All of them; there must be some."""
    return Strokes(
        np.concatenate([each.columns for each in parts]),
        np.concatenate([each.tops for each in parts]),
        np.concatenate([each.bottoms for each in parts]),
    )


def spread(counts: Indices) -> tuple[Indices, Indices]:
    """For counts 2, 0, 3: what each is of, 0 0 2 2 2; and its place there, 0 1 0 1 2."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


@dataclass(frozen=True, slots=True)
class Sections:
    """A picture cut so that nothing changes inside a section: parts of columns, in their order."""

    starts: Indices
    """Shape (S,). Pixels before each, counted down the columns, one column after another."""
    lengths: Indices
    """Shape (S,)."""
    size: Size

    @classmethod
    def of(cls, drawn: Sequence[Strokes], size: Size) -> "Sections":
        """As few as cut at both ends of every stroke, and at the head of every column."""
        height, pixels = size.height, size.width * size.height
        cut = np.zeros(pixels + 1, dtype=np.bool_)
        cut[::height] = True
        for each in drawn:
            foot = each.columns * height
            cut[foot + each.tops] = cut[foot + each.bottoms] = True
        bounds = np.flatnonzero(cut)
        return cls(bounds[:-1], np.diff(bounds), size)

    def covered(self, strokes: Strokes) -> Indices:
        """The sections that strokes cover, stroke by stroke; they were cut at their ends."""
        foot = strokes.columns * self.size.height
        first = np.searchsorted(self.starts, foot + strokes.tops)
        last = np.searchsorted(self.starts, foot + strokes.bottoms)
        stroke, within = spread(last - first)
        return first[stroke] + within

    def strokes(self, chosen: Indices) -> Strokes:
        columns, tops = np.divmod(self.starts[chosen], self.size.height)
        return Strokes(columns, tops, tops + self.lengths[chosen])

    def pixels(self, values: NDArray[Any]) -> NDArray[Any]:
        """The picture, shape (height, width), of one value for each section."""
        size = self.size
        return np.repeat(values, self.lengths).reshape(size.width, size.height).T

    def without_specks(self, values: Values, least: int) -> Values:
        """Each island of fewer pixels becomes what most of its shore is.

        An island is all of one value that hangs together, if only at corners. Ties go to the
        lowest value, and an island that small beside another counts as it was.

        Args:
            values: Shape (S,).
        """
        one, other, border = self._borders()
        same = values[one] == values[other]
        links = coo_array(
            (np.ones(int(same.sum())), (one[same], other[same])), shape=(len(values),) * 2
        )
        _, island = connected_components(links, directed=False)
        speck = np.bincount(island, self.lengths) < least
        inside = np.concatenate((one[~same], other[~same]))
        outside = np.concatenate((other[~same], one[~same]))
        shore = np.tile(border[~same], 2)
        near = speck[island[inside]]
        choices = int(values.max(initial=0)) + 1
        keys = island[inside[near]] * choices + values[outside[near]]
        pairs, which = np.unique(keys, return_inverse=True)
        behind = np.bincount(which, shore[near], len(pairs))
        islands, candidates = np.divmod(pairs, choices)
        order = np.lexsort((candidates, -behind, islands))
        specks, best = np.unique(islands[order], return_index=True)
        becomes = np.full(len(speck), -1)
        becomes[specks] = candidates[order[best]]
        return np.where(becomes[island] >= 0, becomes[island], values)

    def _borders(self) -> tuple[Indices, Indices, Indices]:
        """Pairs of sections that touch, and along how many pixels; at a corner, none.

        Shape (P,) each; every pair once.
        """
        height, ends = self.size.height, self.starts + self.lengths
        above = np.flatnonzero(self.starts[1:] % height)  # not where a column begins
        foot = self.starts // height * height
        low = np.maximum(self.starts - 1, foot) + height
        high = np.minimum(ends + 1, foot + height) + height
        first = np.searchsorted(self.starts, low, side="right") - 1
        last = np.searchsorted(self.starts, high, side="left")
        here = foot + height < self.size.width * height
        left, within = spread(np.where(here, last - first, 0))
        right = first[left] + within
        border = np.minimum(ends[left] + height, ends[right]) - np.maximum(
            self.starts[left] + height, self.starts[right]
        )
        return (
            np.concatenate((above, left)),
            np.concatenate((above + 1, right)),
            np.concatenate((np.ones(len(above), dtype=np.int64), border)),
        )
