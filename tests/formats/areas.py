"""How close pixels are to an outline, for readers that have their own way to fill one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.formats import painting
from tessera.kinds import Size
from tessera.shapes import rasters

FAR = 2.5
"""Pixels: OpenCV takes whole ones for corners, and draws the outline as part of the area."""


def assert_filled(mask: NDArray[np.bool_], outline: Sequence[Any]) -> None:
    """A mask has all that lies well inside an outline, and nothing well outside."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    area = shapely.Polygon(outline)
    assert not (mask & ~shapely.contains_xy(area.buffer(FAR), x, y)).any()
    assert not (shapely.contains_xy(area.buffer(-FAR), x, y) & ~mask).any()


def painted(strokes: rasters.Strokes, size: Size) -> NDArray[np.bool_]:
    """Shape (height, width)."""
    return np.concatenate([*painting.strips([strokes], size)]) > 0
