"""Where on a map a TIFF says that its pixels are.

Source: OGC 19-008r4 (GeoTIFF 1.1), 7.1 and annex B; of the sign of a scale, and of which tags hold
if there are several, what GDAL makes of them, as everybody has seen the file with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from tessera.images.decoder import containers
from tessera.images.formats import Format
from tessera.shapes.georeference import Georeference, World

_MODEL_TYPE, _RASTER_TYPE = 1024, 1025
_GEODETIC, _PROJECTED = 2048, 3072
_MAP_OF = {1: _PROJECTED, 2: _GEODETIC}
"""The key with the number of the map, by type of model."""
_AREA, _POINT = 1, 2
"""Whether whole numbers are at corners of pixels, or at their middles."""
_NUMBERS = range(1024, 32767)
"""Those of the EPSG register; what is above was made up by whoever wrote the file."""
_KEY = 4
"""Numbers to each key, and to the head before them."""


def georeference(kind: Format, file: BinaryIO, orientation: int) -> Georeference | None:
    """None if the file does not say it, or in a way that no world file could.

    Nor if it says, too, that its rows do not go down: readers differ in whether that concerns the
    map.

    Raises:
        Broken: The tables cannot be followed.
    """
    if kind is not Format.TIFF or orientation != 1:
        return None
    tags = containers.first_page(file)
    keys = _keys(tags.get(containers.GEO_KEYS, ()))
    corner = _of_corners(tags)
    if corner is None:
        return None
    a, d, b, e, c, f = corner
    if keys.get(_RASTER_TYPE, _AREA) != _POINT:
        c, f = c + (a + b) / 2, f + (d + e) / 2
    try:
        world = World.of([a, d, b, e, c, f])
    except ValueError:
        return None
    number = keys.get(_MAP_OF.get(keys.get(_MODEL_TYPE, 0), 0), 0)
    return Georeference(world, number if number in _NUMBERS else None)


def _of_corners(tags: Mapping[int, Sequence[Any]]) -> tuple[float, ...] | None:
    """As of a world file, but of what lies at (0, 0) in the file's own sense."""
    match [
        tags.get(tag, ())
        for tag in (containers.PIXEL_SCALE, containers.TIE_POINTS, containers.TRANSFORMATION)
    ]:
        case [[across, down, *_], [i, j, _, x, y, _, *_], _]:
            return across, 0.0, 0.0, -abs(down), x - i * across, y + j * abs(down)
        case [_, _, [a, b, _, c, d, e, _, f, *_]]:
            return a, d, b, e, c, f
    return None


def _keys(numbers: Sequence[int]) -> dict[int, int]:
    """Those whose value stands in the directory itself."""
    rows = [numbers[at : at + _KEY] for at in range(_KEY, len(numbers) - _KEY + 1, _KEY)]
    return {key: value for key, elsewhere, count, value in rows if not elsewhere and count == 1}
