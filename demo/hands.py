"""How things are drawn: as points that a hand moves, and as what a kind's answers are made of.

A place is an answer's `polygon`, `line`, `points` or `cuboid`, in pixels of the tile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from demo.pictures import Form, Points, Thing

Place = dict[str, Any]
Tile = tuple[int, int]
"""Width, height."""
Bits = npt.NDArray[np.bool_]
"""Shape (height, width)."""
Say = Callable[[Sequence[Thing], Tile], dict[str, Any]]
LEAST_AREA = 4.0
"""Square pixels; nobody sees less."""
BEYOND = 0.9
"""Share of the tile that a corner may lie outside of it."""
DEPTH = (0.2, -0.2)
"""From a cuboid's front to its rear, as a share of the front's sides."""


class Hand(NamedTuple):
    """One way of drawing."""

    form: Form
    """A place around an outline, or along a line."""
    points: Callable[[Place], Points]
    """What the hand puts down, one point after another."""
    moved: Callable[[Place, Points, Tile], Place]
    """The place with its points there instead, or as it was if that is nothing to be drawn."""


def polygon(outline: Points) -> Place:
    return {"polygon": [[outline.tolist()]]}


def line(points: Points) -> Place:
    return {"line": points.tolist()}


def extremes(outline: Points) -> Place:
    """Its topmost, rightmost, lowest and leftmost point, all of them to be seen."""
    x, y = outline.T
    ends = outline[[y.argmin(), x.argmax(), y.argmax(), x.argmin()]]
    return {"points": [[*at, 2] for at in ends.tolist()]}


def cuboid(outline: Points) -> Place:
    """As if it stood on its edge, its front towards us."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    front = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    rear = front + (front[2] - front[0]) * DEPTH
    return {"cuboid": np.round(np.vstack((front, rear)), 2).tolist()}


def objects(things: Sequence[Thing], _: Tile) -> dict[str, Any]:
    return {"objects": [{"attributes": {}, **each} for each in things]}


def masks(things: Sequence[Thing], tile: Tile) -> dict[str, Any]:
    """The pixels of each polygon."""
    filled = [(each["class"], pixels(each, tile)) for each in things]
    found = [{"class": name, "mask": _mask(bits)} for name, bits in filled if bits.any()]
    return objects(found, tile)


def painted(things: Sequence[Thing], tile: Tile, ground: int) -> dict[str, Any]:
    """Every pixel: the class of the last polygon that covers it, or the ground's."""
    canvas = np.full(tile[::-1], ground)
    for each in things:
        canvas[pixels(each, tile)] = each["class"]
    classes = np.unique(canvas).tolist()
    regions = [{"class": name, "mask": _mask(canvas == name)} for name in classes]
    return {"regions": [{**each, "attributes": {}} for each in regions]}


def pixels(thing: Mapping[str, Any], tile: Tile) -> Bits:
    """Those whose centres lie inside its `polygon`: an odd number of edges is left of them."""
    width, height = tile
    bits = np.zeros((height, width + 1), dtype=np.bool_)
    rows = np.arange(height) + 0.5
    for ring in _rings(thing):
        x, y = np.array(ring)[..., None].transpose(1, 0, 2)
        next_x, next_y = np.roll(x, -1, axis=0), np.roll(y, -1, axis=0)
        edge, row = np.nonzero((y <= rows) != (next_y <= rows))
        along = (rows[row] - y[edge, 0]) / (next_y - y)[edge, 0]
        left_of = np.ceil(x[edge, 0] + along * (next_x - x)[edge, 0] - 0.5)
        np.logical_xor.at(bits, (row, np.clip(left_of, 0, width).astype(int)), np.True_)
    return np.logical_xor.accumulate(bits, axis=1)[:, :-1]


def _mask(bits: Bits) -> dict[str, Any]:
    """As run lengths of the part that holds it, columns one after another, the first not set."""
    rows, columns = (np.flatnonzero(bits.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    part = bits[top : rows[-1] + 1, left : columns[-1] + 1]
    flat = part.ravel(order="F")
    turns = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(turns, prepend=0, append=flat.size)
    return {"left": left, "top": top, "size": list(part.shape), "counts": counts.tolist()}


def _rings(place: Mapping[str, Any]) -> Iterator[list[list[float]]]:
    return (ring for part in place["polygon"] for ring in part)


def _polygon_moved(place: Place, points: Points, tile: Tile) -> Place:
    """Without what crosses itself, leaves the tile or is too small to be seen."""
    rest = iter(points)
    parts = [
        shapely.Polygon(*_shell_and_holes([[next(rest) for _ in ring] for ring in part]))
        for part in place["polygon"]
    ]
    drawn = shapely.make_valid(shapely.unary_union([shapely.make_valid(each) for each in parts]))
    inside = shapely.set_precision(drawn & shapely.box(0, 0, *tile), 0.01)
    found = [
        [_open(part.exterior), *(_open(hole) for hole in part.interiors if _seen(hole))]
        for part in shapely.get_parts(inside)
        if part.geom_type == "Polygon" and part.area >= LEAST_AREA
    ]
    return {"polygon": found} if found else {"polygon": place["polygon"]}


def _shell_and_holes(rings: list[Any]) -> tuple[Any, list[Any]]:
    return rings[0], rings[1:]


def _seen(hole: shapely.LinearRing) -> bool:
    return bool(shapely.Polygon(hole).area >= LEAST_AREA)


def _open(ring: shapely.LinearRing) -> list[list[float]]:
    points: list[list[float]] = np.round(shapely.get_coordinates(ring)[:-1], 2).tolist()
    return points


def _line_moved(place: Place, points: Points, tile: Tile) -> Place:
    drawn = _inside(points, tile)
    length = np.hypot(*np.diff(drawn, axis=0).T).sum()
    return {"line": drawn.tolist() if length >= LEAST_AREA else place["line"]}


def _points_moved(place: Place, points: Points, tile: Tile) -> Place:
    rest = iter(_inside(points, tile).tolist())
    return {"points": [[*next(rest), v] if v else [0, 0, 0] for *_, v in place["points"]]}


def _cuboid_moved(place: Place, points: Points, tile: Tile) -> Place:
    limits = np.array(tile)
    drawn = np.round(np.clip(points, -BEYOND * limits, (1 + BEYOND) * limits), 2)
    faces = shapely.polygons(drawn.reshape(2, 4, 2))
    sound = shapely.is_valid(faces) & (shapely.area(faces) >= LEAST_AREA)
    return {"cuboid": drawn.tolist() if sound.all() else place["cuboid"]}


def _inside(points: Points, tile: Tile) -> Points:
    return np.asarray(np.round(np.clip(points, 0.0, np.array(tile, dtype=float)), 2))


HANDS: Mapping[str, Hand] = MappingProxyType(
    {
        "polygon": Hand(
            polygon,
            lambda place: np.array([point for ring in _rings(place) for point in ring]),
            _polygon_moved,
        ),
        "polyline": Hand(line, lambda place: np.array(place["line"]), _line_moved),
        "keypoints": Hand(
            extremes,
            lambda place: np.array([(x, y) for x, y, v in place["points"] if v]),
            _points_moved,
        ),
        "cuboid": Hand(cuboid, lambda place: np.array(place["cuboid"]), _cuboid_moved),
    }
)
"""By the kind in whose places things are drawn."""
