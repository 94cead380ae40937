"""Pictures to be labelled, each with its truth: made of the photographs at run time."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyvips

from demo import mosaic, photos, truth

Points = npt.NDArray[np.float64]
"""Shape (N, 2): x, y."""
Thing = dict[str, Any]
"""One object as in an answer: its `class`, and where it is."""
Form = Callable[[Points], dict[str, Any]]
"""What an outline or a line comes to in a kind's own words."""

THINGS = {"coin": 1, "cup": 2, "saucer": 3, "spoon": 4}
JOINTS = {"row": 1, "end": 2}


@dataclass(frozen=True)
class Picture:
    name: str
    jpeg: bytes
    width: int
    """Pixels; likewise height."""
    height: int
    truth: Sequence[Thing]
    """In its pixels."""
    is_gold: bool


class _Part(NamedTuple):
    """A photograph, whole, with its place and size on a sheet."""

    photo: str
    left: int
    top: int
    width: int
    height: int


def crops(seed: int, of_each: int, gold: int) -> list[Picture]:
    """Single photographs; all that is true of them is their class."""
    found = photos.singles(seed, of_each)
    random.Random(seed).shuffle(found)
    return [
        Picture(p.file_name, p.jpeg, p.width, p.height, [{"class": p.class_id}], i < gold)
        for i, p in enumerate(found)
    ]


def mosaics(seed: int) -> list[Picture]:
    """A large one, and smaller ones for gold; the truth is boxes."""
    main = mosaic.main_scene(seed)
    with tempfile.TemporaryDirectory() as folder:
        return [
            Picture(
                scene.file_name,
                scene.write(Path(folder)).read_bytes(),
                scene.width,
                scene.height,
                [{"class": each.class_id, "box": list(each.box)} for each in scene.objects()],
                is_gold=scene is not main,
            )
            for scene in [main, *mosaic.gold_scenes(seed)]
        ]


def tables(seed: int, form: Form, *, plain: int = 3, gold: int = 2) -> list[Picture]:
    """Coins beside three cups of coffee, 33 things each, about 1,270 x 720 px or upright."""
    return list(_sheets(f"{seed}:table", "outlines", THINGS, _table, form, (plain, gold)))


def walls(seed: int, form: Form, *, plain: int = 2, gold: int = 2) -> list[Picture]:
    """The joints of a brick wall, 70 lines each, about 1,000 px on a side."""
    return list(_sheets(f"{seed}:wall", "lines", JOINTS, _wall, form, (plain, gold)))


def _table(rng: random.Random) -> list[_Part]:
    third = rng.randint(220, 250)
    coins = round(384 / 303 * 3 * third)
    cups = [_Part("coffee.png", coins, i * third, third * 3 // 2, third) for i in range(3)]
    return [_Part("coins.png", 0, 0, coins, 3 * third), *cups]


def _wall(rng: random.Random) -> list[_Part]:
    side = rng.randint(940, 1_060)
    return [_Part("brick.png", 0, 0, side, side)]


def _sheets(
    seed: str,
    what: str,
    classes: dict[str, int],
    laid: Callable[[random.Random], list[_Part]],
    form: Form,
    counts: tuple[int, int],
) -> Iterator[Picture]:
    """Every one of another size, turned and mirrored at random."""
    rng, known = random.Random(seed), truth.drawn(what)
    for number in range(sum(counts)):
        parts, turns, mirrored = laid(rng), rng.randrange(4), rng.random() < 0.5
        image = _turned(_joined(parts), turns, mirrored=mirrored)
        width, height = (image.height, image.width)[:: 1 if turns % 2 else -1]
        drawn = [
            (classes[stroke.name], _placed(stroke, part, known[part.photo].size))
            for part in parts
            for stroke in known[part.photo].strokes
        ]
        things = [
            {"class": name, **form(_turned_points(at, (width, height), turns, mirrored=mirrored))}
            for name, at in drawn
        ]
        jpeg = image.jpegsave_buffer(Q=90, keep="none")
        name = f"{'gold' if number >= counts[0] else 'plain'}-{number}.jpg"
        yield Picture(name, jpeg, image.width, image.height, things, number >= counts[0])


def _joined(parts: Sequence[_Part]) -> Any:
    width, height = (max(p.left + p.width for p in parts), max(p.top + p.height for p in parts))
    sheet = pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb")
    for part in parts:
        photo = photos.open_rgb(part.photo)
        if photo.bands == 1:
            photo = photo.bandjoin([photo, photo])
        resized = photo.resize(part.width / photo.width, vscale=part.height / photo.height)
        sheet = sheet.insert(resized, part.left, part.top)
    return sheet


def _turned(image: Any, turns: int, *, mirrored: bool) -> Any:
    """Mirrored, and then so many quarter turns clockwise."""
    return (image.fliphor() if mirrored else image).rot(f"d{turns * 90}")


def _turned_points(at: Points, size: tuple[int, int], turns: int, *, mirrored: bool) -> Points:
    """The same of points.

    Args:
        size: Width and height before.
    """
    width, height = size
    x, y = at.T
    if mirrored:
        x = width - x
    for _ in range(turns):
        x, y = height - y, x
        width, height = height, width
    return np.round(np.stack((x, y), axis=1), 2)


def _placed(stroke: truth.Stroke, part: _Part, size: tuple[int, int]) -> Points:
    scale = np.array([part.width / size[0], part.height / size[1]])
    return np.asarray(np.array(stroke.points) * scale + (part.left, part.top))
