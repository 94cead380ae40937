"""Where the pixels of an image are on a map, and on earth. Pure.

A map is a coordinate reference system, by its number in the EPSG register; PROJ turns its places
into degrees. On most maps y goes up. Pixels are image pixels, continuous, from the corner of the
first.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyproj import Transformer

Points = NDArray[np.float64]
"""Shape (N, 2)."""
DEGREES = 4326
"""WGS 84, which is also what RFC 7946 has GeoJSON in; here always longitude first."""
_DECIMALS = 10
"""Of degrees: a hundredth of a millimetre."""
_HALF_AROUND = 180.0
_FARTHEST = (180.0, 90.0)
_LOOKED_AT = 9
"""Places along each side of an image."""
_MIDDLE = 0.5
_LEAST, _THIN = 1e-12, 1e-6
"""Of the sides of a pixel on the map, and of its area as a share of that of an upright one."""
_FORWARD, _INVERSE = "FORWARD", "INVERSE"


class World(NamedTuple):
    """The middle of the pixel in column i and row j is at (a i + b j + c, d i + e j + f)."""

    a: float
    d: float
    b: float
    e: float
    c: float
    f: float

    @classmethod
    def of(cls, numbers: Sequence[Any]) -> Self:
        """Of a, d, b, e, c, f.

        Raises:
            ValueError: They are not six numbers, or lay all pixels on a line.
        """
        if len(numbers) != len(cls._fields) or not all(map(_is_finite, numbers)):
            raise ValueError("must be six finite numbers")
        found = cls(*map(float, numbers))
        across, down = math.hypot(found.a, found.d), math.hypot(found.b, found.e)
        area = abs(found.a * found.e - found.b * found.d)
        if min(across, down) < _LEAST or area < _THIN * across * down:
            raise ValueError("must not lay all pixels on a line")
        return found

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


def _is_finite(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(value)  # type: ignore[arg-type]


class Georeference(NamedTuple):
    world: World
    epsg: int | None
    """None: the file does not say which map it is, or it is one that has no number."""

    @classmethod
    def of(cls, value: object) -> Self:
        """What `as_json` made of one.

        Raises:
            ValueError: It is none.
        """
        if not isinstance(value, Mapping):
            raise ValueError("must be an object")  # noqa: TRY004 - one error for all of it
        world, epsg = value.get("world"), value.get("epsg")
        if not isinstance(world, list):
            raise ValueError("must have a world of six numbers")  # noqa: TRY004
        if epsg is not None and type(epsg) is not int:
            raise ValueError("must have a whole number as its epsg")
        return cls(World.of(world), epsg)

    def as_json(self) -> dict[str, Any]:
        return {"world": list(self.world), "epsg": self.epsg}

    def moved(self, right: float, down: float) -> "Georeference":
        """Of a part of the image that begins so many pixels further to the right and down."""
        world = self.world
        c, f = world.a * right + world.b * down, world.d * right + world.e * down
        return Georeference(world._replace(c=world.c + c, f=world.f + f), self.epsg)

    def is_on_earth(self, width: int, height: int) -> bool:
        """Whether all of an image of this size has its longitude and latitude.

        It has not if the map is unknown or does not reach so far; nor if it lies around a pole or
        across the line where longitudes jump, as RFC 7946 would have it cut in two there.
        """
        if self.epsg is None or _to_degrees(self.epsg) is None:
            return False
        across, down = np.meshgrid(
            np.linspace(0, width, _LOOKED_AT), np.linspace(0, height, _LOOKED_AT)
        )
        pixels = np.column_stack([across.ravel(), down.ravel()])
        places = self.on_earth(pixels)
        if not (np.abs(places) <= _FARTHEST).all():
            return False
        longitudes = places[:, 0].reshape(across.shape)
        steps = [np.abs(np.diff(longitudes, axis=axis)).max() for axis in (0, 1)]
        if max(steps) >= _HALF_AROUND:
            return False
        return bool(np.abs(self.in_pixels(places) - pixels).max() < 1)

    def on_earth(self, pixels: Any) -> Points:
        """Longitudes and latitudes, shape (N, 2), of pixels, likewise."""
        return _turned(self.epsg, self.world.on_map(pixels), _FORWARD).round(_DECIMALS)

    def in_pixels(self, places: Any, epsg: int | None = DEGREES) -> Points:
        """Pixels, shape (N, 2), of places on any map, likewise; infinite where it has none."""
        if epsg != self.epsg:
            degrees = _turned(epsg, np.asarray(places, float), _FORWARD)
            places = _turned(self.epsg, degrees, _INVERSE)
        return self.world.in_pixels(places)

    def flips(self, width: int, height: int) -> bool:
        """Whether rings go the other way round in degrees than in pixels.

        They do on maps with north up, as there y goes up and on pictures down.
        """
        x, y = width / 2, height / 2
        middle, right, below = self.on_earth([[x, y], [x + 1, y], [x, y + 1]])
        (a, b), (c, d) = right - middle, below - middle
        return bool(math.copysign(1, a * d - b * c) < 0)


def is_known(epsg: int) -> bool:
    """Whether there is a way from this map to longitude and latitude."""
    return _to_degrees(epsg) is not None


def _turned(epsg: int | None, places: Points, direction: str) -> Points:
    """Between places on a map and degrees; infinite if there is no such map."""
    transformer = None if epsg is None else _to_degrees(epsg)
    if transformer is None:
        return np.full_like(places, np.inf)
    x, y = places.T
    return np.column_stack(transformer.transform(x, y, direction=direction))


@lru_cache(maxsize=64)
def _to_degrees(epsg: int) -> "Transformer | None":
    # here, as it takes a third of a second and 20 MB, and few datasets are of the earth
    from pyproj import CRS, Transformer  # noqa: PLC0415
    from pyproj.exceptions import ProjError  # noqa: PLC0415

    try:
        crs = CRS.from_epsg(epsg).to_2d()
        if not crs.is_projected and not crs.is_geographic:
            return None
        return Transformer.from_crs(crs, DEGREES, always_xy=True)
    except ProjError:
        return None
