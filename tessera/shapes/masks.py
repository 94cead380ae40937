"""Masks as crops: what is set of an object, and where in the picture that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tessera.shapes import rle
from tessera.shapes.boxes import Boxes
from tessera.shapes.frames import Window


@dataclass(frozen=True, slots=True)
class Crop:
    left: int
    top: int
    pixels: rle.Mask
    """Shape (height, width)."""

    @property
    def window(self) -> Window:
        height, width = self.pixels.shape
        return Window(self.left, self.top, self.left + width, self.top + height)

    def within(self, window: Window) -> "Crop":
        """What lies in a window; may have no pixels at all."""
        left, top, right, bottom = _shared(self.window, window)
        rows = slice(top - self.top, max(bottom, top) - self.top)
        columns = slice(left - self.left, max(right, left) - self.left)
        return Crop(left, top, self.pixels[rows, columns])

    def tight(self) -> "Crop | None":
        """Without rows and columns at its edges in which nothing is set; None if nothing is."""
        rows, columns = (np.flatnonzero(self.pixels.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        return Crop(self.left + int(left), self.top + int(top), self.pixels[top:bottom, left:right])

    def moved(self, right: int, down: int) -> "Crop":
        return replace(self, left=self.left + right, top=self.top + down)

    def as_json(self) -> dict[str, Any]:
        return {
            "left": self.left,
            "top": self.top,
            "size": list(self.pixels.shape),
            "counts": rle.to_string(rle.encode(self.pixels)),
        }


def from_json(mask: dict[str, Any]) -> Crop:
    """A crop from canonical JSON."""
    height, width = mask["size"]
    counts = rle.from_string(mask["counts"])
    return Crop(mask["left"], mask["top"], rle.decode(counts, height, width))


def bounds(crops: Sequence[Crop]) -> Boxes:
    return np.array([each.window for each in crops], dtype=np.float64).reshape(-1, 4)


def canvas_of(crops: Sequence[Crop]) -> Window:
    """The smallest window that holds them all."""
    around = bounds(crops)
    left, top = around[:, :2].min(axis=0).astype(int).tolist()
    right, bottom = around[:, 2:].max(axis=0).astype(int).tolist()
    return Window(left, top, right, bottom)


def place_of(crop: Crop, canvas: Window) -> tuple[slice, slice]:
    """Rows and columns of a canvas that a crop covers; it lies inside."""
    left, top, right, bottom = crop.window
    return (
        slice(top - canvas.top, bottom - canvas.top),
        slice(left - canvas.left, right - canvas.left),
    )


def iou(first: Crop, second: Crop) -> float:
    shared_window = _shared(first.window, second.window)
    if shared_window.left >= shared_window.right or shared_window.top >= shared_window.bottom:
        return 0.0
    one, other = first.within(shared_window).pixels, second.within(shared_window).pixels
    shared = np.count_nonzero(one & other)
    either = np.count_nonzero(first.pixels) + np.count_nonzero(second.pixels) - shared
    return shared / either if either else 0.0


def voted(crops: Sequence[Crop], trust: NDArray[np.float64]) -> Crop:
    """What at least half of the trust has set; of two, what lies half-way between their outlines.

    The latter is the zero of the mean signed distance (Rohlfing & Maurer 2007). Where nothing is
    left, the one with most trust.
    """
    canvas = canvas_of(crops)
    total = np.zeros((canvas.size.height, canvas.size.width))
    for crop, weight in zip(crops, trust.tolist(), strict=True):
        field = _inwards(crop, canvas) if len(crops) == 2 else None  # noqa: PLR2004
        if field is None:
            total[place_of(crop, canvas)] += np.where(crop.pixels, weight, 0)
        else:
            total += weight * field
    least = 0.0 if len(crops) == 2 else trust.sum() / 2 - 1e-9  # noqa: PLR2004
    found = Crop(canvas.left, canvas.top, total > least).tight()
    return crops[int(np.argmax(trust))] if found is None else found


def _inwards(crop: Crop, canvas: Window) -> NDArray[np.float64]:
    """How far inside the outline each pixel of a canvas lies, below zero outside."""
    mask = np.zeros((canvas.size.height + 2, canvas.size.width + 2), dtype=np.bool_)
    mask[1:-1, 1:-1][place_of(crop, canvas)] = crop.pixels
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    return np.asarray((inside - outside)[1:-1, 1:-1])


def widened(crop: Crop, zone: Window, by: int) -> Crop:
    """What a zone shows of it, a few pixels larger on every side, as is the zone.

    A zone may be a line without width: what lies close to it on either side counts as on it.
    """
    left, top, right, bottom = zone
    larger = Window(left - by, top - by, right + by, bottom + by)
    near = crop.within(larger)
    if not near.pixels.size:
        return near
    padded = np.pad(near.pixels, by)
    grown = ndimage.maximum_filter(padded, size=2 * by + 1, mode="constant")
    return Crop(near.left - by, near.top - by, grown).within(larger)


def stitched(crops: Sequence[Crop], cores: Sequence[Window]) -> Crop:
    """One of several pieces: each place is decided by the piece whose core holds it.

    What lies in nobody's core counts if any piece has it.

    Args:
        cores: Of the tile that each piece was seen in.
    """
    canvas = canvas_of(crops)
    whole = np.zeros((canvas.size.height, canvas.size.width), dtype=np.bool_)
    for i, crop in enumerate(crops):
        mine = crop.pixels.copy()
        for j, core in enumerate(cores):
            if core != cores[i] and j != i:
                other = crop.within(core)
                mine[place_of(other, crop.window)] = False
        whole[place_of(crop, canvas)] |= mine
    found = Crop(canvas.left, canvas.top, whole).tight()
    return crops[0] if found is None else found


def _shared(first: Window, second: Window) -> Window:
    """What two windows share; without area, at the edge of the first, if nothing."""
    left = min(max(first.left, second.left), first.right)
    top = min(max(first.top, second.top), first.bottom)
    right = max(min(first.right, second.right), left)
    bottom = max(min(first.bottom, second.bottom), top)
    return Window(left, top, right, bottom)
