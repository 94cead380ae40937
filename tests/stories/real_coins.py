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

from bench.outlines import ENLARGED, PHOTOGRAPHS, of_photographs
from tessera.kinds import KINDS, LabelSchema, Question, Size, TileFrame, Window, polygon
from tessera.kinds.objects import Objects
from tessera.shapes.masks import Crop, from_json

Known = list[dict[str, Any]]
COIN, GROUND, LARGE = 1, 2, 3
NAMES = {COIN: "coin", GROUND: "ground", LARGE: "large coin"}
_LARGE_FROM = 1_500.0
"""Square pixels: half of the coins."""
_BRIGHT_FROM = 155.0
"""Mean grey, of 255: half of the coins."""
_NEAR_EDGE = 2.0
_SHINE = {"name": "shine", "values": ["bright", "dark"]}
_CORNERS = {
    "points": [{"name": name} for name in ("top", "right", "bottom", "left")],
    "edges": [[0, 1], [1, 2], [2, 3], [3, 0]],
    "flips": [[1, 3]],
}


def schema_of(kind: str) -> dict[str, Any]:
    classes = [
        {"id": COIN, "name": NAMES[COIN], "colour": "#e6194b", "attributes": [_SHINE]},
        {"id": GROUND, "name": NAMES[GROUND], "colour": "#3cb44b"},
        {"id": LARGE, "name": NAMES[LARGE], "colour": "#4363d8", "attributes": [_SHINE]},
    ]
    if kind == "keypoints":
        classes = [{**each, "skeleton": _CORNERS} for each in classes]
    return {"classes": classes}


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
            shine = _most([each["attributes"]["shine"] for each in self.said])
            class_id = _most([each["class"] for each in self.said])
            return [{"class": class_id, "attributes": {"shine": shine}}]
        if kind == "semantic_mask":
            return self._regions()
        return [
            {**said, **PLACES[kind](self, coin)}
            for said, coin in zip(self.said, self.coins, strict=True)
        ]

    def _regions(self) -> Known:
        painted = np.full((self.size.height, self.size.width), GROUND)
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
    for each in coins:
        shine = "bright" if grey[_inside(each, grey.shape)].mean() >= _BRIGHT_FROM else "dark"
        class_id = LARGE if each.area >= _LARGE_FROM else COIN
        found.append({"class": class_id, "attributes": {"shine": shine}})
    return found


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


PLACES: dict[str, Callable[[Photograph, shapely.Polygon], dict[str, Any]]] = {
    "box": _box,
    "polygon": _polygon,
    "instance_mask": _mask,
    "polyline": _rim,
    "keypoints": _extremes,
    "cuboid": _cuboid,
}


def as_drawn(kind: str, known: Known, question: Question, off: tuple[int, int]) -> dict[str, Any]:
    """What a hand that is a little off says of a tile; what barely shows it leaves out."""
    of = KINDS[kind]
    if isinstance(of, Objects):
        moved = of.shape.moved(of.shape.load(known, question.schema, (0, 0)), *off)
        known = [{**each, **place} for each, place in zip(known, of.shape.dump(moved), strict=True)]
    if kind == "semantic_mask":
        known = _repainted(known, question.frame.image, off)
    label = of.to_tile(known, question)
    assert label is not None
    if "objects" not in label:
        return label
    return {"objects": [each for each in label["objects"] if not each.get("optional")]}


def _repainted(known: Known, image: Size, off: tuple[int, int]) -> Known:
    """Coins that a hand has moved, before the ground, which is wherever they are not."""
    everywhere = Window(0, 0, *image)
    moved = [
        {**each, "mask": from_json(each["mask"]).moved(*off).within(everywhere).as_json()}
        for each in known
        if each["class"] != GROUND
    ]
    return [*moved, _region(GROUND, np.ones((image.height, image.width), dtype=np.bool_))]
