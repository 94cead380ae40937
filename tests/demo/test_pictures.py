"""Tables and walls: the truth is where the pixels are, whichever way a picture was turned."""

import io
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from demo import hands
from demo.pictures import THINGS, Picture, crops, tables, walls

SEED = 7
TABLES = tables(SEED, hands.polygon)
WALLS = walls(SEED, hands.line)


def test_there_are_dozens_of_things_on_more_than_one_tile_and_some_pictures_are_gold() -> None:
    for pictures in (TABLES, WALLS):
        plain = [each for each in pictures if not each.is_gold]
        assert sum(len(each.truth) for each in plain) >= 90
        assert all(max(each.width, each.height) > 900 for each in pictures)
        assert len(pictures) > len(plain) > 0
        assert len({each.jpeg for each in pictures}) == len(pictures)
        assert len({each.name for each in pictures}) == len(pictures)


@pytest.mark.long
def test_the_same_seed_makes_the_same_pictures_and_another_seed_others() -> None:
    assert tables(SEED, hands.polygon) == TABLES
    assert walls(SEED + 1, hands.line) != WALLS
    assert crops(SEED, 2, 3) == crops(SEED, 2, 3)


def test_as_many_crops_are_gold_as_asked_for() -> None:
    assert sum(each.is_gold for each in crops(SEED, 2, 3)) == 3


@pytest.mark.parametrize("picture", TABLES, ids=lambda picture: picture.name)
def test_coins_are_brighter_than_the_table_around_them(picture: Picture) -> None:
    grey = pixels_of(picture)
    for thing in picture.truth:
        if thing["class"] != THINGS["coin"]:
            continue
        coin = hands.pixels(thing, (picture.width, picture.height))
        around = ndimage.binary_dilation(coin, iterations=7) & ~ndimage.binary_dilation(
            coin, iterations=3
        )
        assert grey[coin].mean() > grey[around].mean() + 10


@pytest.mark.parametrize("picture", WALLS, ids=lambda picture: picture.name)
def test_joints_are_brighter_than_the_bricks_beside_them(picture: Picture) -> None:
    grey = pixels_of(picture)
    for thing in picture.truth:
        line = shapely.LineString(thing["line"])
        beside = [line.parallel_offset(10, side) for side in ("left", "right")]
        here, *there = [float(np.median(along(each, grey))) for each in (line, *beside)]
        assert here > max(there) + 15


@pytest.mark.parametrize("form", ["polygon", "extremes", "cuboid"])
def test_truth_of_every_form_lies_in_its_picture_but_for_a_cuboids_rear(form: str) -> None:
    for picture in tables(SEED, getattr(hands, form)):
        for thing in picture.truth:
            at = np.array(flat(thing))
            limit = [picture.width, picture.height]
            slack = np.array(limit) * (hands.BEYOND if form == "cuboid" else 0)
            assert (at >= -slack).all()
            assert (at <= limit + slack).all()


def flat(thing: dict[str, Any]) -> list[Any]:
    if "polygon" in thing:
        return [point for part in thing["polygon"] for ring in part for point in ring]
    return [point[:2] for point in thing.get("points", thing.get("cuboid", []))]


def pixels_of(picture: Picture) -> NDArray[np.float64]:
    image = Image.open(io.BytesIO(picture.jpeg))
    assert image.size == (picture.width, picture.height)
    return np.asarray(image.convert("L"), dtype=np.float64)


def along(line: Any, grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """The brightness at places on a line; those outside are at the edge."""
    at = [line.interpolate(share, normalized=True) for share in np.linspace(0.1, 0.9, 30)]
    x, y = np.array([(each.x, each.y) for each in at]).T.astype(int)
    height, width = grey.shape
    return np.asarray(grey[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])
