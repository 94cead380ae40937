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
from tessera.shapes.masks import Crop

Known = list[dict[str, Any]]
COIN, GROUND = 1, 2
_CORNERS = {
    "points": [{"name": name} for name in ("top", "right", "bottom", "left")],
    "edges": [[0, 1], [1, 2], [2, 3], [3, 0]],
    "flips": [[1, 3]],
}


def schema_of(kind: str) -> dict[str, Any]:
    classes = [
        {"id": COIN, "name": "coin", "colour": "#e6194b"},
        {"id": GROUND, "name": "ground", "colour": "#3cb44b"},
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

    def known(self, kind: str) -> Known:
        """The truth, in image pixels."""
        if kind == "classify":
            return [{"class": COIN, "attributes": {}}]
        if kind == "semantic_mask":
            coins = np.zeros((self.size.height, self.size.width), dtype=np.bool_)
            for each in self.coins:
                coins |= self.pixels(each)
            return [_region(COIN, coins), _region(GROUND, ~coins)]
        return [
            {"class": COIN, **PLACES[kind](self, coin), "attributes": {}} for coin in self.coins
        ]

    def pixels(self, coin: shapely.Polygon) -> NDArray[np.bool_]:
        across, down = np.meshgrid(
            np.arange(self.size.width) + 0.5, np.arange(self.size.height) + 0.5
        )
        return np.asarray(shapely.contains_xy(coin, across, down))

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
    upright = [each for each in upright if each.area > 400]
    turned = _flipped(upright, (0, size.height), (1, -1))
    mirrored = _flipped(upright, (size.width, 0), (-1, 1))
    return (
        Photograph("coins.jpg", _jpeg(grey), size, upright),
        Photograph("mirrored.jpg", _jpeg(grey[:, ::-1]), size, mirrored),
        Photograph("upside down.jpg", _jpeg(grey[::-1]), size, turned),
    )


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
    label = of.to_tile(known, question)
    assert label is not None
    if "objects" not in label:
        return label
    return {"objects": [each for each in label["objects"] if not each.get("optional")]}
