"""World files: where the pixels of an image lie on a map, as GIS tools have it beside the image.

Six lines `a d b e c f`: the middle of the pixel in column i and row j, counted from 0, is at
(a i + b j + c, d i + e j + f). Our own coordinates begin at the corner of the first pixel, half a
pixel before its middle. On most maps y goes up, so that e is below 0.
"""

import math
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Shape (N, 2)."""
_LINES = 6
_MIDDLE = 0.5
_LEAST, _THIN = 1e-12, 1e-6
"""Of the sides of a pixel on the map, and of its area as a share of that of an upright one."""


class World(NamedTuple):
    a: float
    d: float
    b: float
    e: float
    c: float
    f: float

    @classmethod
    def parse(cls, text: str) -> "World":
        """Read one.

        Raises:
            ValueError: It is none, or lays all pixels on a line.
        """
        numbers = [float(each) for each in text.split()]
        if len(numbers) != _LINES or not all(map(math.isfinite, numbers)):
            raise ValueError("must be six finite numbers")
        found = cls(*numbers)
        across, down = math.hypot(found.a, found.d), math.hypot(found.b, found.e)
        area = abs(found.a * found.e - found.b * found.d)
        if min(across, down) < _LEAST or area < _THIN * across * down:
            raise ValueError("must not lay all pixels on a line")
        return found

    def text(self) -> str:
        return "".join(f"{each!r}\n" for each in self)

    def on_map(self, points: Any) -> Points:
        """Of pixels, shape (N, 2)."""
        return np.asarray((np.asarray(points) - _MIDDLE) @ self._turn() + (self.c, self.f))

    def in_pixels(self, points: Any) -> Points:
        """Of places on the map, shape (N, 2)."""
        away = np.asarray(points) - (self.c, self.f)
        return np.asarray(np.linalg.solve(self._turn().T, away.T).T + _MIDDLE)

    def _turn(self) -> Points:
        """What a row of (i, j) is multiplied by."""
        return np.array([[self.a, self.d], [self.b, self.e]])


PIXELS = World(1.0, 0.0, 0.0, 1.0, _MIDDLE, _MIDDLE)
"""Of a map that is the image: to the right and down, in pixels."""


def name_of(image: str) -> str:
    """Of the world file of an image: `a/b.jgw` of `a/b.jpg`, `.tfw` of `.tif`, `.wld` of none."""
    path = PurePosixPath(image)
    ending = path.suffix.lower().removeprefix(".")
    return str(path.with_suffix(f".{ending[0]}{ending[-1]}w" if ending else ".wld"))


def names_of(image: str) -> list[str]:
    """All that tools call it, and where our archive has it."""
    path = PurePosixPath(image)
    known = [name_of(image), f"{image}w", str(path.with_suffix(".wld"))]
    return [*known, *(f"images/{each}" for each in known)]
