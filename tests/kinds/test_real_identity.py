"""Slicing and merging gives back what a real photograph shows: 29 coins, as a watershed has them.

They are 20 to 105 px across, and many lie close together, so that seams cut all sorts of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import shapely

from tessera.kinds import KINDS, ImageObject, LabelSchema, Piece, box
from tessera.kinds.shape import IN_IMAGE
from tessera.shapes import turned
from tessera.shapes.boxes import ious
from tests.kinds.samples import asked, gold_of, tiles_of
from tests.stories.real_coins import COIN, WAYS, kind_of, known, photographs, schema_of

PHOTOGRAPH = photographs()[0]
TILINGS = ((96, 16), (128, 24), (200, 40))
"""Side of a tile and its margin. On the first no tile shows 13 of the coins whole."""


def opened(coin: shapely.Polygon) -> dict[str, Any]:
    """All of its outline but the last stretch, as a line."""
    return {"line": shapely.get_coordinates(coin.exterior)[:-1].tolist()}


SORTS = sorted({*WAYS, "opened"} - {"classify", "several classes", "keypoints"})


def there(sort: str) -> tuple[str, LabelSchema, Sequence[dict[str, Any]]]:
    """Kind, label schema, and what is known of the photograph."""
    if sort != "opened":
        return kind_of(sort), LabelSchema.parse(schema_of(sort)), known(PHOTOGRAPH, sort)
    objects = [{"class": COIN, **opened(coin), "attributes": {}} for coin in PHOTOGRAPH.coins]
    return "polyline", LabelSchema.parse(schema_of("polyline")), objects


def cut(
    kind: str, schema: LabelSchema, objects: Sequence[dict[str, Any]], tiling: tuple[int, int]
) -> list[Piece]:
    """What each tile has of the objects, as `merge` takes it."""
    tile, margin = tiling
    questions = [
        asked(each, schema) for each in tiles_of(PHOTOGRAPH.size, tile=tile, margin=margin)
    ]
    return [
        Piece(each.frame, KINDS[kind].to_image(gold_of(KINDS[kind], objects, each), each))
        for each in questions
    ]


def apart(found: Mapping[str, Any], true: Mapping[str, Any]) -> float:
    """By how many pixels the furthest point is off; of masks each pixel must be right."""
    for exact in {"mask", "solid"} & true.keys():
        return 0.0 if found[exact] == true[exact] else np.inf
    if key := {"points", "cuboid"} & true.keys():
        name = key.pop()
        return float(np.abs(np.subtract(found[name], true[name])).max())
    return float(shapely.hausdorff_distance(outline(found), outline(true)))


def outline(place: Mapping[str, Any]) -> shapely.Geometry:
    if "line" in place:
        return shapely.LineString(place["line"])
    if "polygon" in place:
        return shapely.MultiPolygon([(outer, holes) for outer, *holes in place["polygon"]])
    return shapely.Polygon(turned.corners(box.load([place], LabelSchema(()), IN_IMAGE))[0])


def assert_the_same(
    kind: str, schema: LabelSchema, found: list[ImageObject], true: Sequence[dict[str, Any]]
) -> None:
    reach = KINDS[kind].reach
    which = ious(reach(found, schema), reach(true, schema)).argmax(axis=1).tolist()
    assert sorted(which) == list(range(len(true)))
    for name in ("class", "attributes"):
        assert [each[name] for each in found] == [true[i][name] for i in which]
    off = [apart(each, true[i]) for each, i in zip(found, which, strict=True)]
    assert max(off) <= 1


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("sort", SORTS)
def test_real_objects_that_were_cut_into_tiles_and_merged_are_where_they_were(
    sort: str, tiling: tuple[int, int]
) -> None:
    kind, schema, objects = there(sort)
    pieces = cut(kind, schema, objects, tiling)
    assert sum(len(each.objects) for each in pieces) > len(objects), "seams have cut some"
    assert_the_same(kind, schema, KINDS[kind].merge(pieces, schema), objects)


def in_one_tile(coin: shapely.Polygon, pieces: Sequence[Piece]) -> bool:
    around = shapely.box(*coin.bounds)
    return any(shapely.box(*each.frame.window).covers(around) for each in pieces)


@pytest.mark.parametrize("tiling", TILINGS[1:])
def test_real_keypoints_come_back_whole_where_each_object_fits_on_some_tile(
    tiling: tuple[int, int],
) -> None:
    kind, schema, objects = there("keypoints")
    pieces = cut(kind, schema, objects, tiling)
    assert all(in_one_tile(each, pieces) for each in PHOTOGRAPH.coins)
    assert_the_same(kind, schema, KINDS[kind].merge(pieces, schema), objects)


def test_keypoints_that_no_tile_shows_whole_are_joined_only_where_two_show_the_same_point() -> None:
    """Nothing else tells that they are one. Of what comes in pieces no point is lost."""
    kind, schema, objects = there("keypoints")
    pieces = cut(kind, schema, objects, (96, 4))
    found = [labelled(each) for each in KINDS[kind].merge(pieces, schema)]
    shown = [labelled(each) for piece in pieces for each in piece.objects]
    in_pieces = 0
    for coin, around in zip(map(labelled, objects), PHOTOGRAPH.coins, strict=True):
        parts = [each for each in found if each <= coin]
        assert sorted(map(sorted, parts)) == sorted(map(sorted, linked(coin, shown)))
        assert len(parts) == 1 or not in_one_tile(around, pieces)
        in_pieces += len(parts) > 1
    assert (len(found), in_pieces) == (len(objects) + 8, 8)


def labelled(found: Mapping[str, Any]) -> set[tuple[float, ...]]:
    return {tuple(point) for point in found["points"] if point[2]}


def linked(
    coin: set[tuple[float, ...]], shown: Sequence[set[tuple[float, ...]]]
) -> list[set[tuple[float, ...]]]:
    """What tiles show of a coin, put together wherever they show the same point."""
    groups: list[set[tuple[float, ...]]] = []
    for part in filter(None, (coin & each for each in shown)):
        others = [each for each in groups if not each & part]
        groups = [*others, part.union(*(each for each in groups if each & part))]
    return groups
