"""Mosaics of the photographs, made at run time, with their truth in mosaic pixels.

A scene is a grid of cells. Each cell is paved with a photograph that shows no object of the
classes; on most lies one photograph with objects, whole, at a scale of its own.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyvips

from demo import photos, truth
from demo.truth import Box, Coco, Labelled

SCALES = (1.0, 2.5)
# Sides of an object in the mosaic, pixels. A quarter of the least is more than 8 px, so whatever
# shows a quarter of its area is also wide enough to be drawn: earners and gold agree.
SIDES = (33, 640)
# How often each photograph with objects lies in the large mosaic: 267 objects.
DECK = {
    "coins.png": 5,
    "coffee.png": 6,
    "chelsea.png": 6,
    "astronaut.png": 5,
    "camera.png": 5,
    "rocket.jpg": 5,
    "motorcycle_left.png": 3,
    "motorcycle_right.png": 3,
    "cell.png": 4,
}


class Grid(NamedTuple):
    columns: int
    rows: int
    cell_width: int
    cell_height: int


MAIN = Grid(8, 8, 1500, 1125)
GOLD = Grid(2, 2, 1000, 700)


@dataclass(frozen=True)
class Placement:
    """A photograph, whole, at a size and place; `left` and `top` count from its cell's corner."""

    photo: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    ground: str
    ground_scale: float
    ground_shift: tuple[float, float]
    placement: Placement | None


@dataclass(frozen=True)
class Scene:
    """One picture to be made; `cells` in reading order."""

    file_name: str
    grid: Grid
    cells: tuple[Cell, ...]

    @property
    def width(self) -> int:
        return self.grid.columns * self.grid.cell_width

    @property
    def height(self) -> int:
        return self.grid.rows * self.grid.cell_height

    def placements(self) -> list[Placement]:
        """The photographs with objects, in scene pixels."""
        return [
            Placement(
                photo=put.photo,
                left=put.left + i % self.grid.columns * self.grid.cell_width,
                top=put.top + i // self.grid.columns * self.grid.cell_height,
                width=put.width,
                height=put.height,
            )
            for i, cell in enumerate(self.cells)
            if (put := cell.placement) is not None
        ]

    def objects(self) -> list[Labelled]:
        """Every object in scene pixels, all of them whole."""
        known = _known()
        return [
            Labelled(thing.class_id, _moved(thing.box, put, known[put.photo].size))
            for put in self.placements()
            for thing in known[put.photo].objects
        ]

    def write(self, folder: Path) -> Path:
        """Make the picture, streaming; takes seconds and, on four cores, under 300 MB."""
        path = folder / self.file_name
        pictures = [_cell_image(cell, self.grid) for cell in self.cells]
        joined = pyvips.Image.arrayjoin(pictures, across=self.grid.columns)
        # Some photographs carry a broken colour profile, which is not this picture's.
        joined.jpegsave(str(path), Q=88, keep="none")
        return path


def main_scene(seed: int) -> Scene:
    """The mosaic to be labelled: 12,000 x 9,000 px."""
    deck: list[str | None] = [photo for photo, times in DECK.items() for _ in range(times)]
    deck += [None] * (MAIN.columns * MAIN.rows - len(deck))
    return _scene("mosaic.jpg", MAIN, deck, random.Random(f"{seed}:main"))


def gold_scenes(seed: int, count: int = 8) -> list[Scene]:
    """Smaller scenes, 2,000 x 1,400 px, whose full truth is imported as gold.

    Each has three photographs with objects and one cell without; three scenes or more show
    every class.
    """
    rng = random.Random(f"{seed}:gold")
    each = GOLD.columns * GOLD.rows - 1
    rounds = math.ceil(count * each / len(DECK))
    photos_in_turn = [photo for _ in range(rounds) for photo in rng.sample(list(DECK), len(DECK))]
    decks = [photos_in_turn[i * each : (i + 1) * each] for i in range(count)]
    return [
        _scene(f"gold-{number}.jpg", GOLD, [*deck, None], rng)
        for number, deck in enumerate(decks, start=1)
    ]


def coco(scenes: Sequence[Scene]) -> Coco:
    return truth.coco_of([(s.file_name, s.width, s.height, s.objects()) for s in scenes])


def _scene(name: str, grid: Grid, deck: Sequence[str | None], rng: random.Random) -> Scene:
    shuffled = rng.sample(deck, len(deck))
    quiet = [photo for photo, known in _known().items() if not known.objects]
    cells = []
    for photo in shuffled:
        ground, scale = rng.choice(quiet), rng.uniform(*SCALES)
        shift = (rng.random(), rng.random())
        placement = None if photo is None else _placed(photo, grid, rng)
        cells.append(Cell(ground, scale, shift, placement))
    return Scene(name, grid, tuple(cells))


def _placed(photo: str, grid: Grid, rng: random.Random) -> Placement:
    known = _known()[photo]
    scale = rng.uniform(*scale_range(photo, grid))
    width, height = (math.floor(side * scale) for side in known.size)
    left = rng.randint(0, grid.cell_width - width)
    top = rng.randint(0, grid.cell_height - height)
    return Placement(photo, left, top, width, height)


def scale_range(photo: str, grid: Grid) -> tuple[float, float]:
    """Scales at which the photograph fits a cell and its objects' sides stay within SIDES."""
    known = _known()[photo]
    sides = [side for thing in known.objects for side in _sides(thing.box)]
    low = max(SCALES[0], SIDES[0] / min(sides))
    fits = (grid.cell_width / known.size[0], grid.cell_height / known.size[1])
    return low, min(SCALES[1], SIDES[1] / max(sides), *fits)


class _Known(NamedTuple):
    size: tuple[int, int]
    objects: list[Labelled]


@cache
def _known() -> dict[str, _Known]:
    objects = truth.objects_by_image(truth.boxes())
    return {
        image["file_name"]: _Known((image["width"], image["height"]), objects[image["file_name"]])
        for image in truth.boxes()["images"]
    }


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _moved(box: Box, put: Placement, size: tuple[int, int]) -> Box:
    across, down = put.width / size[0], put.height / size[1]
    left, top, right, bottom = box
    return (
        put.left + left * across,
        put.top + top * down,
        put.left + right * across,
        put.top + bottom * down,
    )


def _cell_image(cell: Cell, grid: Grid) -> Any:
    image = photos.open_rgb(cell.ground).resize(cell.ground_scale)
    # Shifted by less than one repeat, so one repeat more than covers the cell.
    shift = [int(s * side) for s, side in zip(cell.ground_shift, _size(image), strict=True)]
    times = [math.ceil(c / side) + 1 for c, side in zip(grid[2:], _size(image), strict=True)]
    image = image.replicate(*times).crop(*shift, *grid[2:])
    put = cell.placement
    return image if put is None else image.insert(_resized(put), put.left, put.top)


def _resized(put: Placement) -> Any:
    image = photos.open_rgb(put.photo)
    return image.resize(put.width / image.width, vscale=put.height / image.height)


def _size(image: Any) -> tuple[int, int]:
    return image.width, image.height
