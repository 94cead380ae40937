"""What a real photograph shows, said in every kind of annotation.

The coins of scikit-image's photograph, with the outlines that a watershed finds, which were looked
at; and the same in a mirror, and upside down.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import skimage
from numpy.typing import NDArray
from PIL import Image
from shapely import affinity

from bench.outlines import ENLARGED, PHOTOGRAPHS, of_photographs
from tessera.kinds import KINDS, LabelSchema, Question, Size, TileFrame, Window, polygon
from tessera.kinds.objects import Objects
from tessera.shapes.masks import Crop, from_json

Known = list[dict[str, Any]]
VOID, COIN, GROUND, LARGE = range(4)
NAMES = {COIN: "coin", GROUND: "ground", LARGE: "large coin"}
OTHERWISE = {
    "rotated box": "box",
    "polygon with holes": "polygon",
    "several classes": "classify",
    "cuboid in metres": "cuboid",
}
"""What else a kind can be asked as, by a name of its own."""
_LARGE_FROM = 1_500.0
"""Square pixels: half of the coins."""
_BRIGHT_FROM = 155.0
"""Mean grey, of 255: half of the coins."""
_WHOLE_FROM = 0.97
"""Of its convex hull."""
_NEAR_EDGE = 2.0
_ATTRIBUTES = [
    {"name": "shine", "values": ["bright", "dark"]},
    {"name": "grey", "type": "number", "least": 0, "most": 255},
    {"name": "whole", "type": "flag"},
    {"name": "note", "type": "text"},
]
_SLANT = {COIN: 30.0, LARGE: -20.0}
"""Degrees clockwise."""
_RIM = 0.5
"""Of a coin's radius."""
_SLOT = 8.0
"""Pixels between the halves of a large coin's rim."""
_STRIP = 2
"""Pixels around a coin of which it is not said what they show."""
_FAR, _FOCAL = 10.0, 1_000.0
_CORNERS: dict[str, Any] = {
    "points": [{"name": name} for name in ("top", "right", "bottom", "left")],
    "edges": [[0, 1], [1, 2], [2, 3], [3, 0]],
    "flips": [[1, 3]],
}


WAYS = sorted({*KINDS, *OTHERWISE} - {"join", "verify"})


def kind_of(way: str) -> str:
    return OTHERWISE.get(way, way)


_OPTIONS: dict[str, dict[str, Any]] = {
    "rotated box": {"rotated": True},
    "several classes": {"multiple": True},
    "cuboid in metres": {"camera": [[_FOCAL, 0, 192, 0], [0, _FOCAL, 152, 0], [0, 0, 1, 0]]},
}


def schema_of(kind: str) -> dict[str, Any]:
    said = {"attributes": _ATTRIBUTES}
    classes = [
        {"id": COIN, "name": NAMES[COIN], "colour": "#e6194b", **said},
        {"id": GROUND, "name": NAMES[GROUND], "colour": "#3cb44b"},
        {"id": LARGE, "name": NAMES[LARGE], "colour": "#4363d8", "parent": COIN, **said},
    ]
    if kind == "keypoints":
        classes = [{**each, "skeleton": _CORNERS} for each in classes]
    return {"classes": classes, **_OPTIONS.get(kind, {})}


@dataclass(frozen=True, eq=False)
class Photograph:
    name: str
    jpeg: bytes
    size: Size
    coins: Sequence[shapely.Polygon]
    said: Sequence[dict[str, Any]]
    """Of each coin its class and attributes."""

    def known(self, kind: str) -> Known:
        """The truth, in image pixels. Of the whole picture: what most of its coins are like."""
        if kind == "classify":
            return [self._like(_most([each["class"] for each in self.said]))]
        if kind == "several classes":
            return [self._like(each) for each in sorted({each["class"] for each in self.said})]
        if kind == "semantic_mask":
            return self._regions()
        return [
            {**said, **PLACES[kind](self, coin)}
            for said, coin in zip(self.said, self.coins, strict=True)
        ]

    def _like(self, class_id: int) -> dict[str, Any]:
        """What most of its coins of a class look like."""
        shine = _most([e["attributes"]["shine"] for e in self.said if e["class"] == class_id])
        return {"class": class_id, "attributes": {"shine": shine}}

    def _regions(self) -> Known:
        painted = np.full((self.size.height, self.size.width), GROUND)
        for coin in self.coins:
            painted[self.pixels(coin.buffer(_STRIP))] = VOID
        for said, coin in zip(self.said, self.coins, strict=True):
            painted[self.pixels(coin)] = said["class"]
        return [_region(each, painted == each) for each in (COIN, LARGE, GROUND)]

    def pixels(self, coin: shapely.Polygon) -> NDArray[np.bool_]:
        return _inside(coin, (self.size.height, self.size.width))

    def whole(self, kind: str) -> Question:
        """All of it as one question: what a dataset says of it is compared so."""
        window = Window(0, 0, *self.size)
        frame = TileFrame(window, window, self.size)
        return Question(LabelSchema.parse(schema_of(kind)), frame)


@cache
def known(photograph: Photograph, kind: str) -> Known:
    """To look up each pixel of each coin takes longer than to answer."""
    return photograph.known(kind)


@cache
def photographs() -> tuple[Photograph, Photograph, Photograph]:
    coins = next(islice(of_photographs(), PHOTOGRAPHS.index("coins.png"), None))
    grey = skimage.io.imread(Path(skimage.__file__).parent / "data" / "coins.png")
    size = Size(grey.shape[1], grey.shape[0])
    upright = [shapely.transform(coin, lambda at: np.round(at / ENLARGED, 2)) for coin in coins]
    # what touches the picture's edge is no coin, but the ground, which is bright there
    edge = shapely.box(0, 0, *size).boundary
    upright = [each for each in upright if each.area > 400 and each.distance(edge) > _NEAR_EDGE]
    said = _looked_at(grey, upright)
    turned = _flipped(upright, (0, size.height), (1, -1))
    mirrored = _flipped(upright, (size.width, 0), (-1, 1))
    return (
        Photograph("coins.jpg", _jpeg(grey), size, upright, said),
        Photograph("mirrored.jpg", _jpeg(grey[:, ::-1]), size, mirrored, said),
        Photograph("upside down.jpg", _jpeg(grey[::-1]), size, turned, said),
    )


@cache
def parts() -> Sequence[Photograph]:
    """Two of the photographs in pieces: some show more of one class, and some of the other."""
    return [part for each in photographs()[:2] for part in _parts(each)]


def _parts(whole: Photograph) -> Sequence[Photograph]:
    grey = np.asarray(Image.open(io.BytesIO(whole.jpeg)))
    width, height = whole.size.width // 3, whole.size.height // 2
    corners = [(x * width, y * height) for y in range(2) for x in range(3)]
    return [_part(whole, grey, Window(x, y, x + width, y + height)) for x, y in corners]


def _part(whole: Photograph, grey: NDArray[np.uint8], window: Window) -> Photograph:
    held = [shapely.box(*window).contains(coin.centroid) for coin in whole.coins]
    left, top, right, bottom = window
    coins = [
        shapely.transform(coin, lambda at: at - (left, top))
        for coin, is_there in zip(whole.coins, held, strict=True)
        if is_there
    ]
    said = [each for each, is_there in zip(whole.said, held, strict=True) if is_there]
    name = f"{left} {top} of {whole.name}"
    return Photograph(name, _jpeg(grey[top:bottom, left:right]), window.size, coins, said)


def _looked_at(grey: NDArray[np.uint8], coins: Sequence[shapely.Polygon]) -> Known:
    """Class and attributes of each coin."""
    found = []
    for number, each in enumerate(coins, 1):
        mean = round(float(grey[_inside(each, grey.shape)].mean()), 1)
        said = {
            "shine": "bright" if mean >= _BRIGHT_FROM else "dark",
            "grey": mean,
            "whole": each.area / each.convex_hull.area > _WHOLE_FROM,
            "note": f"№ {number}, <b>{'heads' if number % 2 else 'tails'}</b>",
        }
        found.append({"class": _class(each), "attributes": said})
    return found


def _class(coin: shapely.Polygon) -> int:
    return LARGE if coin.area >= _LARGE_FROM else COIN


def _inside(coin: shapely.Polygon, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    height, width = shape
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.asarray(shapely.contains_xy(coin, across, down))


def _most(said: Sequence[Any]) -> Any:
    return min(set(said), key=lambda each: (-said.count(each), each))


def _flipped(
    coins: Sequence[shapely.Polygon], edge: tuple[int, int], way: tuple[int, int]
) -> Sequence[shapely.Polygon]:
    return [
        shapely.transform(each, lambda at: np.array(edge) + at * np.array(way)) for each in coins
    ]


def _jpeg(grey: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(out, "JPEG", quality=95)
    return out.getvalue()


def _region(label: int, pixels: NDArray[np.bool_]) -> dict[str, Any]:
    crop = Crop(0, 0, pixels).tight()
    assert crop is not None
    return {"class": label, "mask": crop.as_json(), "attributes": {}}


def _box(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    return {"box": [round(edge, 2) for edge in coin.bounds]}


def _polygon(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    return polygon.dump(np.array([shapely.MultiPolygon([coin])]))[0]


def _mask(photograph: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    return {"mask": _region(COIN, photograph.pixels(coin))["mask"]}


def _rim(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    """The lower half of its edge, from left to right."""
    left, top, right, bottom = coin.bounds
    lower = shapely.box(left - 1, (top + bottom) / 2, right + 1, bottom + 1)
    inside = shapely.line_merge(shapely.intersection(coin.exterior, lower))
    run = max(shapely.get_parts(inside), key=shapely.length)
    return {"line": np.round(shapely.get_coordinates(run), 2).tolist()}


def _extremes(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    at = shapely.get_coordinates(coin.exterior)
    ends = [at[:, 1].argmin(), at[:, 0].argmax(), at[:, 1].argmax(), at[:, 0].argmin()]
    return {"points": [[*np.round(at[i], 2).tolist(), 2] for i in ends]}


def _cuboid(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    """As if it stood on its edge, a little thick."""
    left, top, right, bottom = coin.bounds
    front = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return {"cuboid": np.round(np.vstack((front, front + np.array([3, -3]))), 2).tolist()}


def _at_an_angle(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    """Its lower half, as if it lay turned."""
    angle, about = _SLANT[_class(coin)], coin.centroid
    left, top, right, bottom = affinity.rotate(coin, -angle, about).bounds
    middle = affinity.rotate(
        shapely.Point((left + right) / 2, (top + 3 * bottom) / 4), angle, about
    )
    wide, high = (right - left) / 2, (bottom - top) / 4
    edges = [middle.x - wide, middle.y - high, middle.x + wide, middle.y + high]
    return {"box": [*(round(edge, 2) for edge in edges), angle]}


def _ring(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    """What is left of it without its middle; a large one's is cut in two."""
    rim = coin.difference(coin.buffer(-_RIM * np.sqrt(coin.area / np.pi)))
    if _class(coin) == LARGE:
        x, y = coin.centroid.coords[0]
        rim = rim.difference(shapely.box(x - _SLOT / 2, y - 999, x + _SLOT / 2, y + 999))
    whole = shapely.MultiPolygon(shapely.get_parts(shapely.set_precision(rim, 0.01)).tolist())
    return polygon.dump(np.array([whole]))[0]


def _solid(_: Photograph, coin: shapely.Polygon) -> dict[str, Any]:
    """As if it stood in front of a camera, thick and turned a little."""
    left, top, right, bottom = coin.bounds
    ((_, _, x, _), (_, _, y, _), _) = _OPTIONS["cuboid in metres"]["camera"]
    per_pixel = _FAR / _FOCAL
    centre = [((left + right) / 2 - x) * per_pixel, ((top + bottom) / 2 - y) * per_pixel, _FAR]
    sides = [0.2, (bottom - top) * per_pixel, (right - left) * per_pixel]
    yaw = 1.5 if _class(coin) == LARGE else 1.7
    return {"solid": {"centre": _to_cm(centre), "size": _to_cm(sides), "yaw": yaw}}


def _to_cm(metres: Sequence[float]) -> list[float]:
    return [round(each, 2) for each in metres]


PLACES: dict[str, Callable[[Photograph, shapely.Polygon], dict[str, Any]]] = {
    "box": _box,
    "polygon": _polygon,
    "instance_mask": _mask,
    "polyline": _rim,
    "keypoints": _extremes,
    "cuboid": _cuboid,
    "rotated box": _at_an_angle,
    "polygon with holes": _ring,
    "cuboid in metres": _solid,
}


def as_drawn(kind: str, known: Known, question: Question, off: tuple[int, int]) -> dict[str, Any]:
    """What a hand that is a little off says of a tile; what barely shows it leaves out."""
    of = KINDS[kind]
    if question.schema.camera is not None:
        known = [_stood(each, off) for each in known]
    elif isinstance(of, Objects):
        moved = of.shape.moved(of.shape.load(known, question.schema, (0, 0)), *off)
        known = [{**each, **place} for each, place in zip(known, of.shape.dump(moved), strict=True)]
    if kind == "semantic_mask":
        known = [_repainted(each, question.frame.image, off) for each in known]
    label = of.to_tile(known, question)
    assert label is not None
    if "objects" not in label:
        return label
    return {"objects": [each for each in label["objects"] if not each.get("optional")]}


def _repainted(each: dict[str, Any], image: Size, off: tuple[int, int]) -> dict[str, Any]:
    mask = from_json(each["mask"]).moved(*off).within(Window(0, 0, *image))
    return {**each, "mask": mask.as_json()}


def _stood(each: dict[str, Any], off: tuple[int, int]) -> dict[str, Any]:
    """Elsewhere in space, so that it looks that many pixels off."""
    x, y, z = each["solid"]["centre"]
    centre = [round(at + by * _FAR / _FOCAL, 2) for at, by in zip((x, y), off, strict=True)]
    return {**each, "solid": {**each["solid"], "centre": [*centre, z]}}
