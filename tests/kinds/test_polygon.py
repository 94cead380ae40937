import json
import random
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.kinds import Opinion, Piece, Size, TileFrame, Window, polygon
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.objects import Objects
from tessera.shapes import nested, rings
from tessera.shapes.seams import TOLERANCE
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of
from tests.seeds import examples

POLYGON = Objects(polygon)
TILE, LARGE = Size(100, 80), Size(400, 400)
SCHEMA = a_schema()
Ring = list[list[float]]
Known = list[dict[str, Any]]

seeds = st.integers(0, 10_000)


def answer(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


def square(left: float, top: float, side: float) -> Ring:
    right, bottom = left + side, top + side
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def an_object(area: Any, label: int = 1, **more: Any) -> dict[str, Any]:
    """Of any shapely geometry."""
    (place,) = polygon.dump(rings.solid(np.array([area], dtype=object)))
    return {"class": label, **place, "attributes": {}, **more}


def area_of(placed: dict[str, Any]) -> Any:
    return nested.areas_of([placed["polygon"]])[0]


def blob(rng: np.random.Generator, centre: Any, radius: float, *, holes: int = 0) -> Any:
    """A smooth outline; holes lie well inside."""
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wave = 1 + 0.15 * np.sin(3 * around + rng.uniform(0, 6)) + 0.1 * np.sin(around)
    steps = radius * wave[:, None] * np.column_stack((np.cos(around), np.sin(around)))
    middles = [(centre[0] + side * radius * 0.35, centre[1]) for side in (-1, 1)]
    pierced = [shapely.Point(each).buffer(radius * 0.2) for each in middles[:holes]]
    return shapely.Polygon(np.asarray(centre) + steps) - shapely.union_all(pierced)


def shaken(rng: np.random.Generator, area: Any, most: float, tile: Size) -> Any:
    """As an unsteady hand draws it, smoothly so that next to nothing crosses."""
    phase = rng.uniform(0, 2 * np.pi, 2)
    off = shapely.transform(area, lambda at: at + most * np.sin(at[:, ::-1] / 9 + phase))
    return shapely.intersection(shapely.make_valid(off), shapely.box(0, 0, *tile))


def validated(said: object, tile: Size = TILE) -> dict[str, Any]:
    return POLYGON.validate(said, about(tile))


BOW = [[10, 10], [40, 40], [40, 10], [10, 40]]
FIGURE_OF_EIGHT = [[10, 10], [30, 10], [20, 20], [30, 30], [10, 30], [20, 20]]
COMB = [[x / 8, y] for x in range(0, 784, 2) for y in ((1, 40) if x % 4 else (40, 1))]
RAGGED: Ring = [*COMB, [98, 79], [0, 79]]


@pytest.mark.parametrize(
    ("parts", "at", "why"),
    [
        (None, "", "must be a list"),
        ([], "", "at least one part"),
        ([[]], "[0]", "at least one ring"),
        ([[[]]], "[0][0]", "at least three different points"),
        ([square(1, 1, 9)], "[0][0][0]", "must be a list"),
        (square(1, 1, 9), "[0][0]", "must be a list"),
        ([[[[7]]]], "[0][0][0]", "x, y"),
        ([[[[7, 8, 9]]]], "[0][0][0]", "at most 2"),
        ([[[[7, None]]]], "[0][0][0][1]", "number"),
        ([[[[7, float("nan")]]]], "[0][0][0][1]", "finite"),
        ([[[[10**400, 7]]]], "[0][0][0][0]", "too large"),
        ([[[[1, 1], [101.01, 1], [9, 9]]]], "[0][0][1][0]", "ends at 100"),
        ([[[[1, 1], [9, -1.01], [9, 9]]]], "[0][0][1][1]", "ends at 80"),
        ([[[[1, 1], [9, 9], [9.001, 9], [9, 9.004]]]], "[0][0]", "three different points"),
        ([[[[1, 1], [5, 5], [9, 9]]]], "[0][0]", "crosses or touches itself"),
        ([[BOW]], "[0][0]", "crosses or touches itself, at 25, 25"),
        ([[FIGURE_OF_EIGHT]], "[0][0]", "crosses or touches itself, at 20, 20"),
        ([[square(1, 1, 9)], [BOW]], "[1][0]", "crosses or touches itself, at 25, 25"),
        ([[square(1, 1, 70), BOW]], "[0][1]", "crosses or touches itself, at 25, 25"),
        ([[square(1, 1, 0.99)]], "[0][0]", "less than 1 square pixel"),
        ([[square(1, 1, 9), square(3, 3, 0.9)]], "[0][1]", "less than 1 square pixel"),
        ([[square(1, 1, 9), square(20, 1, 9)]], "[0][1]", "reaches out"),
        ([[square(1, 1, 9), square(1, 3, 3)]], "[0]", "touch along an edge"),
        ([[square(1, 1, 19), square(3, 3, 6), square(5, 5, 6)]], "[0]", "cross"),
        ([[square(1, 1, 19), square(3, 3, 9), square(5, 5, 3)]], "[0]", "overlap"),
        ([[square(1, 1, 9)], [square(5, 5, 9)]], "", "overlap"),
        ([[square(1, 1, 9)], [square(10, 1, 9)]], "", "touch along an edge"),
        ([[square(1, 1, 9)], [square(3, 3, 3)]], "", "overlap"),
        ([[RAGGED]], "", "hatched"),
        ([[square(1, 1, 9)]] * 1_251, "", "more than 5000 points"),
        ([[[[1, 1]] * 5_001]], "[0][0]", "at most 5000"),
    ],
)
def test_what_bounds_no_clear_area_is_refused_with_the_place(parts: Any, at: str, why: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        validated(answer({"class": 1, "polygon": parts}))
    assert refusal.value.facts["at"] == f"objects[0].polygon{at}"
    assert why in str(refusal.value.facts["why"])


def test_an_object_without_an_outline_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match=r"objects\[0\]: field 'polygon' is missing"):
        validated(answer({"class": 1}))


def test_options_of_other_kinds_are_refused() -> None:
    polygon.check_schema(SCHEMA)
    with pytest.raises(InvalidLabelSchema):
        polygon.check_schema(a_schema(multiple=True))


def read_back(ring: Ring) -> str:
    (found,) = validated(answer({"class": 1, "polygon": [[ring]]}))["objects"]
    return json.dumps(found["polygon"])


def test_a_ring_closed_by_hand_with_double_clicks_is_the_plain_one() -> None:
    clumsy: Ring = [[9, 1], [9, 1], [9, 9], [1, 9], [1, 9.001], [1, 1], [9, 1.004]]
    assert read_back(clumsy) == "[[[[1.0, 1.0], [9.0, 1.0], [9.0, 9.0], [1.0, 9.0]]]]"


def test_a_pixel_beyond_the_tile_is_clipped_and_the_rest_rounded() -> None:
    drawn: Ring = [[-1, -0.004], [50.126, -0.5], [100.9, 81]]
    assert read_back(drawn) == "[[[[0.0, 0.0], [50.13, 0.0], [100.0, 80.0]]]]"


def test_what_crosses_itself_only_once_rounded_is_refused_and_never_kept() -> None:
    hair: Ring = [[0, 0], [9, 0], [9, 9], [4.506, 0.004], [4.496, 9], [0, 9]]
    assert shapely.Polygon(hair).is_valid
    with pytest.raises(InvalidAnswer):
        read_back(hair)


def redrawn(ring: Ring, chance: random.Random) -> Ring:
    """From another starting point, closed, and in either direction."""
    start = chance.randrange(len(ring))
    return (ring[start:] + ring[: start + 1])[:: chance.choice((1, -1))]


@given(seeds, st.integers(1, 5), st.randoms())
def test_equal_answers_are_equal_bytes(seed: int, count: int, chance: random.Random) -> None:
    rng, objects = np.random.default_rng(seed), []
    for i in range(count):
        area = blob(rng, rng.uniform(25, 55, 2), 20, holes=int(rng.integers(3)))
        apart = shapely.box(90, i * 10, 95, i * 10 + 6)
        objects.append(an_object(area | apart, int(rng.integers(1, 4))))
    canonical = validated(answer(*objects))
    again = []
    for each in chance.sample(objects, count):
        parts = [
            [redrawn(ring, chance) for ring in (outline, *chance.sample(holes, len(holes)))]
            for outline, *holes in chance.sample(each["polygon"], 2)
        ]
        again.append({**each, "polygon": parts})
    assert json.dumps(validated(answer(*again))) == json.dumps(canonical)
    assert json.dumps(validated(canonical)) == json.dumps(canonical)


coordinates = st.integers(0, 12) | st.floats(-1, 12)
points = st.tuples(coordinates, coordinates).map(list)
loose = st.lists(points, min_size=3, max_size=6)
numbers = st.none() | st.booleans() | st.integers() | st.floats()
nearly = st.lists(loose | numbers | st.lists(numbers, max_size=3), max_size=3)


@settings(max_examples=examples(300))
@given(st.lists(st.lists(loose, min_size=1, max_size=3) | nearly, max_size=3) | numbers)
def test_no_json_breaks_the_reading_and_what_is_read_is_sound(parts: Any) -> None:
    try:
        canonical = validated(answer({"class": 1, "polygon": parts}))
    except InvalidAnswer:
        return
    assert validated(canonical) == canonical
    (found,) = canonical["objects"]
    assert area_of(found).is_valid


SPECKS = [square(2 + 1.5 * x, 2 + 1.5 * y, 1.2) for x in range(49) for y in range(25)]
SCRIBBLE = (np.random.default_rng(0).integers(0, 800, (5_000, 2)) / 10).tolist()
STAIRS = [[(x + right) / 50, x / 50] for x in range(2_400) for right in (0, 1)]


@pytest.mark.parametrize(
    "parts",
    [[[SCRIBBLE]], [[each] for each in SPECKS], [[square(1, 1, 78), *SPECKS]], [[STAIRS]]],
)
def test_hostile_outlines_cost_no_time(parts: Any) -> None:
    start = time.process_time()
    with suppress(InvalidAnswer):
        validated(answer({"class": 1, "polygon": parts}))
    assert time.process_time() - start < 5, "seconds of work, as it took before it was bounded"


def scored(said: dict[str, Any], gold: dict[str, Any]) -> float:
    return POLYGON.score(said, gold, about(LARGE))


def test_the_truth_itself_scores_one_and_a_worse_outline_scores_less() -> None:
    truth = blob(np.random.default_rng(2), (100, 100), 50, holes=2)
    gold = answer(an_object(truth))
    worse = [scored(answer(an_object(truth.buffer(by))), gold) for by in (0.0, 1.0, 3.0, 6.0, 12.0)]
    assert worse[0] == 1.0
    assert all(b < a for a, b in pairwise(worse))
    assert worse[1] > 0.95
    assert scored(answer(an_object(truth, 2)), gold) == 0.0


def test_a_careless_outline_around_a_large_object_is_not_as_good_as_its_area() -> None:
    truth = shapely.box(20, 20, 380, 380)
    careless = shapely.box(26, 26, 374, 374)
    iou = careless.area / truth.area
    assert iou > 0.9
    assert scored(answer(an_object(careless)), answer(an_object(truth))) == pytest.approx(iou / 2)


def test_of_drawings_that_share_nothing_the_most_trusted_is_taken() -> None:
    drawn = rings.solid(np.array([shapely.box(0, 0, 20, 20), shapely.box(50, 0, 70, 20)]))
    for trust, best in (((0.6, 0.8), 1), ((0.8, 0.6), 0)):
        assert polygon.fuse(drawn, np.array(trust))[0].equals(drawn[best])


def decide(said: list[Opinion]) -> dict[str, Any]:
    return POLYGON.aggregate(said, about(LARGE), target_confidence=0.95).label


def test_what_touches_or_overlaps_stays_apart_and_an_object_in_parts_together() -> None:
    cards = [shapely.box(*each) for each in ((20, 20, 60, 60), (30, 25, 70, 65), (60, 20, 100, 60))]
    behind_a_pole = shapely.box(110, 10, 140, 60) | shapely.box(150, 10, 180, 60)
    drawn = answer(*[an_object(each) for each in (*cards, behind_a_pole)])
    found = [area_of(each) for each in decide(opinions(drawn, drawn, drawn))["objects"]]
    assert all(shapely.equals(sorted(found, key=lambda each: each.bounds), [*cards, behind_a_pole]))


def plain(label: dict[str, Any]) -> dict[str, Any]:
    decided = {"confidence", "optional"}
    return answer(*[{k: v for k, v in e.items() if k not in decided} for e in label["objects"]])


@settings(max_examples=examples(20))
@given(seeds, st.integers(2, 5), st.randoms())
def test_neither_the_order_of_opinions_nor_that_of_objects_matters(
    seed: int, people: int, chance: random.Random
) -> None:
    rng = np.random.default_rng(seed)
    truth = [blob(rng, (70 + 90 * (i % 3), 70 + 90 * (i // 3)), 35, holes=i % 3) for i in range(6)]
    said = []
    for i in range(people):
        objects = [
            an_object(shaken(rng, each, 2, LARGE), 1 + k % 3) for k, each in enumerate(truth)
        ]
        drawn = validated(answer(*objects), LARGE)
        said.append(Opinion(f"earner {i}", drawn, float(rng.uniform(0.5, 0.97))))
    label = decide(said)
    assert json.dumps(decide(chance.sample(said, people))) == json.dumps(label)
    assert validated(plain(label), LARGE) == plain(label)


MIDDLE = TileFrame(Window(200, 100, 300, 180), Window(210, 110, 290, 170), Size(1000, 800))


def shown(area: Any) -> Known:
    return list(gold_of(POLYGON, [an_object(area)], asked(MIDDLE))["objects"])


def test_gold_is_what_the_window_shows_and_its_barely_visible_parts_are_optional() -> None:
    assert shown(shapely.box(190, 120, 210, 140)) == [an_object(shapely.box(0, 20, 10, 40))]
    sliver = an_object(shapely.box(0, 20, 10, 40), optional=True)
    assert shown(shapely.box(150, 120, 210, 140)) == [sliver]
    assert shown(shapely.box(150, 120, 200, 140)) == []


def test_an_object_that_the_window_cuts_in_two_is_one_object_of_two_parts() -> None:
    (found,) = shown(shapely.box(150, 110, 240, 170) - shapely.box(190, 130, 300, 150))
    assert [part[0][0] for part in found["polygon"]] == [[0, 10], [0, 50]]


@given(seeds)
def test_gold_is_a_valid_answer_that_scores_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    middles, sizes = rng.uniform((190, 90), (310, 190), (5, 2)), rng.uniform(4, 60, 5)
    areas = [blob(rng, *each, holes=2) for each in zip(middles, sizes, strict=True)]
    gold = gold_of(POLYGON, [an_object(each) for each in areas], asked(MIDDLE))
    assert POLYGON.validate(plain(gold), asked(MIDDLE)) == plain(gold)
    assert POLYGON.score(plain(gold), gold, asked(MIDDLE)) == 1


def scene(rng: np.random.Generator, image: Size, cell: int, *, mixed: bool = True) -> Known:
    """One object to a cell, pierced; if mixed, some in two parts, some two that touch."""
    objects: Known = []
    for top in range(0, image.height - cell + 1, cell):
        for left in range(0, image.width - cell + 1, cell):
            middle, radius = (left + cell / 2, top + cell / 2), cell * 0.36
            whole = blob(rng, middle, radius, holes=int(rng.integers(3)))
            at = round(middle[0] + rng.uniform(-radius / 2, radius / 2), 2)
            half = shapely.box(left, top, at, top + cell)
            cleft = shapely.box(at - 5, top, at + 5, top + cell)
            sorts = [[whole & half, whole - half], [whole - cleft], [whole], [whole]]
            label, sort = int(rng.integers(1, 4)), rng.integers(4) if mixed else 3
            objects += [an_object(area, label) for area in sorts[sort]]
    return objects


def seen_by(
    rng: np.random.Generator, objects: Known, frames: list[TileFrame], jitter: float = 0
) -> list[Piece]:
    """What each tile says of the objects."""
    pieces = []
    for frame in frames:
        drawn = []
        for each in gold_of(POLYGON, objects, asked(frame))["objects"]:
            area = rings.solid(np.array([shaken(rng, area_of(each), jitter, frame.window.size)]))
            drawn += [{**each, **place} for place in polygon.dump(area[~shapely.is_empty(area)])]
        pieces.append(Piece(frame, POLYGON.to_image(answer(*drawn), asked(frame))))
    return pieces


def matched(found: Known, objects: Known) -> list[int]:
    """For each that was found the object that it is most alike."""
    there, here = (polygon.load(some, SCHEMA, (0, 0)) for some in (objects, found))
    return [int(polygon.likeness(np.full(len(there), each), there).argmax()) for each in here]


@settings(max_examples=examples(40))
@given(
    seeds,
    st.integers(150, 320),
    st.just(0) | st.integers(8, 50),
    st.tuples(st.integers(300, 700), st.integers(300, 600)),
    st.sampled_from([40, 90, 290]),
)
def test_slicing_and_merging_is_the_identity(
    seed: int, tile: int, margin: int, sides: tuple[int, int], cell: int
) -> None:
    """To a pixel. Without margin nobody knows what belongs together, and clefts at seams close."""
    rng, image = np.random.default_rng(seed), Size(*sides)
    objects = scene(rng, image, cell if margin else max(cell, 90), mixed=margin > 0)
    found = POLYGON.merge(seen_by(rng, objects, tiles_of(image, tile=tile, margin=margin)), SCHEMA)
    match = matched(found, objects)
    assert sorted(match) == list(range(len(objects)))
    for each, truth in zip(found, [objects[i] for i in match], strict=True):
        assert each["class"] == truth["class"]
        assert area_of(truth).buffer(1 if margin else TOLERANCE).covers(area_of(each))
        assert area_of(each).buffer(1).covers(area_of(truth))


def test_an_object_that_its_own_tile_saw_whole_is_that_whole_one() -> None:
    image = Size(180, 100)
    left = TileFrame(Window(0, 0, 100, 100), Window(0, 0, 90, 100), image)
    right = TileFrame(Window(80, 0, 180, 100), Window(90, 0, 180, 100), image)
    whole, part = shapely.box(50, 20, 92, 40), shapely.box(0, 21, 14, 41)
    seen = [(each, answer(an_object(area))) for each, area in ((left, whole), (right, part))]
    pieces = [Piece(each, POLYGON.to_image(label, asked(each))) for each, label in seen]
    (found,) = POLYGON.merge(pieces, SCHEMA)
    assert area_of(found).equals(whole)
    assert found["sources"] == [0, 1]


@pytest.mark.parametrize("margin", [40, 0])
def test_pieces_drawn_by_shaky_hands_are_put_together_as_if_by_one_who_knows(margin: int) -> None:
    rng, image = np.random.default_rng(7), Size(1_600, 1_200)
    objects = scene(rng, image, 150, mixed=margin > 0)
    pieces = seen_by(rng, objects, tiles_of(image, tile=384, margin=margin), jitter=1.5)
    found = POLYGON.merge(pieces, SCHEMA)
    match = matched(found, objects)
    assert sorted(match) == list(range(len(objects)))
    there = polygon.load([objects[i] for i in match], SCHEMA, (0, 0))
    likeness = polygon.likeness(polygon.load(found, SCHEMA, (0, 0)), there)
    assert likeness.min() > 0.85
    assert likeness.mean() > 0.93


@settings(max_examples=examples(10))
@given(seeds, st.randoms())
def test_the_order_of_tiles_does_not_matter(seed: int, chance: random.Random) -> None:
    rng, image = np.random.default_rng(seed), Size(700, 500)
    pieces = seen_by(rng, scene(rng, image, 120), tiles_of(image, tile=200, margin=24))
    order = chance.sample(range(len(pieces)), len(pieces))
    found = POLYGON.merge(pieces, SCHEMA)
    moved = POLYGON.merge([pieces[i] for i in order], SCHEMA)
    again = [{**each, "sources": [order[i] for i in each["sources"]]} for each in moved]
    assert json.dumps(again) == json.dumps(found)
