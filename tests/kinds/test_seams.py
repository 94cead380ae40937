import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.kinds import Piece, Size, TileFrame, Window
from tessera.shapes.boxes import ious
from tests.kinds.samples import (
    BOX,
    a_box,
    a_schema,
    asked,
    boxes,
    edges_of,
    known_to,
    opinions,
    scattered,
    seen_by,
    tiles_of,
)
from tests.seeds import examples

SCHEMA = a_schema()
WIDE = Size(180, 100)
LEFT = TileFrame(Window(0, 0, 100, 100), Window(0, 0, 90, 100), WIDE)
RIGHT = TileFrame(Window(80, 0, 180, 100), Window(90, 0, 180, 100), WIDE)


def pieces_of(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[Piece]:
    """Two tiles that share x from 80 to 100; objects in image pixels."""
    return [
        Piece(frame, BOX.to_image(moved(objects, -frame.window.left), asked(frame)))
        for frame, objects in ((LEFT, left), (RIGHT, right))
    ]


def moved(objects: list[dict[str, Any]], by: float) -> dict[str, Any]:
    shift = np.array([by, 0, by, 0])
    return boxes(*[{**each, "box": (each["box"] + shift).tolist()} for each in objects])


def merged(
    left: list[dict[str, Any]], right: list[dict[str, Any]]
) -> list[tuple[int, list[float]]]:
    return [(e["class"], e["box"]) for e in BOX.merge(pieces_of(left, right), SCHEMA)]


def test_an_image_without_objects_has_none() -> None:
    assert BOX.merge([], SCHEMA) == []
    assert BOX.merge(pieces_of([], []), SCHEMA) == []


def test_an_object_that_two_tiles_saw_whole_is_there_once_at_the_mean_of_both() -> None:
    assert merged([a_box(82, 20, 96, 40)], [a_box(83, 21, 97, 41)]) == [
        (1, [82.5, 20.5, 96.5, 40.5])
    ]


def test_an_object_seen_whole_in_one_tile_and_cut_in_the_next_is_the_whole_one() -> None:
    assert merged([a_box(50, 20, 90, 40)], [a_box(80, 21, 91, 41)]) == [(1, [50, 20, 90, 40])]


def test_an_object_larger_than_a_window_is_joined_from_its_pieces() -> None:
    assert merged([a_box(10, 20, 100, 40)], [a_box(80, 21, 170, 41)]) == [(1, [10, 20, 170, 41])]


def test_an_edge_drawn_short_of_the_window_does_not_make_a_piece_whole() -> None:
    assert merged([a_box(10, 20, 97, 40)], [a_box(80, 20, 170, 40)]) == [(1, [10, 20, 170, 40])]


def test_touching_neighbours_of_one_class_are_not_glued() -> None:
    first, second = a_box(60, 20, 90, 40), a_box(90, 20, 120, 40)
    shown = (
        [first, {**second, "box": [90, 20, 100, 40]}],
        [{**first, "box": [80, 20, 90, 40]}, second],
    )
    assert merged(*shown) == [(1, first["box"]), (1, second["box"])]
    assert merged([first], [second]) == [(1, first["box"]), (1, second["box"])]


def test_two_boxes_of_one_tile_are_two_objects_however_alike() -> None:
    twins = [a_box(82, 20, 98, 40), a_box(82, 20, 98, 41)]
    assert len(merged(twins, [])) == 2
    assert len(merged(twins, twins)) == 2


def test_one_object_with_two_classes_is_there_once_with_the_better_class() -> None:
    left = [a_box(82, 20, 98, 40, label=1, confidence=0.6)]
    right = [a_box(82, 20, 98, 40, label=2, confidence=0.9, attributes={})]
    assert merged(left, right) == [(2, [82, 20, 98, 40])]


def test_two_classes_on_one_spot_that_both_tiles_saw_stay_two() -> None:
    rider, horse = a_box(82, 20, 98, 40, label=1), a_box(82, 25, 98, 45, label=2)
    assert merged([rider, horse], [horse, rider]) == [(1, rider["box"]), (2, horse["box"])]


def test_the_tile_whose_core_holds_an_object_speaks_for_it() -> None:
    left = a_box(91, 20, 97, 40, attributes={"occluded": "no"}, confidence=0.99)
    right = a_box(91, 20, 97, 40, attributes={"occluded": "yes"}, confidence=0.8)
    (found,) = BOX.merge(pieces_of([left], [right]), SCHEMA)
    assert found["sources"] == [1, 0]
    assert found["attributes"] == {"occluded": "yes"}
    assert found["confidence"] == 0.99


def agreed(frame: TileFrame, *answers: list[dict[str, Any]]) -> Piece:
    """What people say of a tile; objects in image pixels."""
    said = opinions(*[moved(objects, -frame.window.left) for objects in answers])
    outcome = BOX.aggregate(said, asked(frame), target_confidence=0.95)
    return Piece(frame, BOX.to_image(outcome.label, asked(frame)))


@pytest.mark.parametrize("edges", [(91, 20, 97, 40), (84, 20, 100, 40)], ids=["whole", "cut"])
def test_the_tile_that_owns_an_object_decides_where_its_neighbour_is_in_doubt(
    edges: tuple[float, ...],
) -> None:
    seen = a_box(*edges)
    in_doubt, certain = agreed(LEFT, [seen], []), agreed(LEFT, [seen], [seen])
    nothing, there = agreed(RIGHT, [], []), agreed(RIGHT, [seen], [seen])
    assert BOX.merge([in_doubt, nothing], SCHEMA) == []
    for pieces in ([in_doubt, there], [certain, nothing], [certain, there]):
        (found,) = BOX.merge(pieces, SCHEMA)
        assert found["box"] == list(edges)
        assert "optional" not in found


def test_a_piece_in_doubt_is_still_joined_to_what_its_owner_saw_of_it() -> None:
    image = Size(120, 100)
    first = TileFrame(Window(0, 0, 100, 100), Window(0, 0, 90, 100), image)
    last = TileFrame(Window(20, 0, 120, 100), Window(90, 0, 120, 100), image)
    pieces = [
        agreed(first, *[[a_box(5, 20, 100, 40)]] * 3),
        agreed(last, [a_box(20, 20, 110, 40)], []),
    ]
    assert pieces[1].objects[0]["optional"] is True
    assert [each["box"] for each in BOX.merge(pieces, SCHEMA)] == [[5, 20, 110, 40]]


def test_what_is_optional_to_its_owner_too_stays_optional() -> None:
    crowd = a_box(40, 20, 160, 60, optional=True)
    pieces = [
        Piece(each, BOX.to_image(boxes(*known_to(crowd, each)), asked(each)))
        for each in (LEFT, RIGHT)
    ]
    (found,) = BOX.merge(pieces, SCHEMA)
    assert (found["box"], found["optional"]) == (crowd["box"], True)


def test_without_margin_what_goes_on_beyond_the_seam_is_joined() -> None:
    image = Size(200, 100)
    frames = tiles_of(image, tile=100, margin=0)
    pieces, _ = seen_by(np.random.default_rng(0), [a_box(40, 20, 160, 50)], frames)
    assert [each["box"] for each in BOX.merge(pieces, SCHEMA)] == [[40, 20, 160, 50]]


def test_windows_that_merely_abut_do_not_glue_neighbours_by_their_line() -> None:
    image = Size(744, 300)
    objects = [a_box(112, 180, 207.5, 194), a_box(207.5, 180, 303, 194)]
    frames = tiles_of(image, tile=210, margin=60)
    assert {(0, 210), (210, 420)} <= {(each.window.left, each.window.right) for each in frames}
    pieces, _ = seen_by(np.random.default_rng(0), objects, frames)
    found = BOX.merge(pieces, SCHEMA)
    assert [each["box"] for each in found] == [each["box"] for each in objects]


def nearest(found: list[dict[str, Any]], objects: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    return np.asarray(ious(edges_of(found), edges_of(objects)).argmax(axis=1))


@settings(max_examples=examples(30))
@given(
    st.integers(0, 10_000),
    st.integers(160, 400),
    st.integers(8, 60),
    st.tuples(st.integers(300, 1_100), st.integers(300, 900)),
    st.sampled_from([(6.0, 60.0), (10.0, 120.0), (150.0, 290.0)]),
)
def test_slicing_and_merging_is_the_identity(
    seed: int, tile: int, margin: int, sides: tuple[int, int], sizes: tuple[float, float]
) -> None:
    rng, image = np.random.default_rng(seed), Size(*sides)
    objects = scattered(rng, image, 60, sides=sizes)
    pieces, _ = seen_by(rng, objects, tiles_of(image, tile=tile, margin=margin))
    found = BOX.merge(pieces, SCHEMA)
    match = nearest(found, objects)
    assert sorted(match) == list(range(len(objects)))
    assert np.abs(edges_of(found) - edges_of(objects)[match]).max() <= 1
    assert [each["class"] for each in found] == [objects[i]["class"] for i in match]


@pytest.mark.parametrize(
    "sizes", [(16.0, 120.0), pytest.param((200.0, 900.0), marks=pytest.mark.long)]
)
@pytest.mark.parametrize(
    ("jitter", "misses", "floor"), [(1.5, 0.0, 0.995), (1.5, 0.03, 0.995), (3.0, 0.0, 0.99)]
)
def test_pieces_drawn_by_shaky_hands_are_put_together_as_if_by_one_who_knows(
    jitter: float, misses: float, floor: float, sizes: tuple[float, float]
) -> None:
    rng, image = np.random.default_rng(7), Size(3_000, 2_400)
    objects = scattered(rng, image, 600, sides=sizes)
    frames = tiles_of(image, tile=512, margin=48)
    pieces, truth = seen_by(rng, objects, frames, jitter=jitter, misses=misses)
    found = BOX.merge(pieces, SCHEMA)
    drawn_by: dict[int, set[int]] = {}
    for source, which in enumerate(truth):
        for index in which:
            drawn_by.setdefault(index, set()).add(source)
    match = nearest(found, objects).tolist()
    right = sum(set(e["sources"]) == drawn_by[i] for e, i in zip(found, match, strict=True))
    assert right / len(found) >= floor
    assert len(found) / len(drawn_by) == pytest.approx(1, abs=1 - floor)


@settings(max_examples=examples(20))
@given(st.integers(0, 10_000), st.randoms())
def test_the_order_of_tiles_does_not_matter(seed: int, chance: random.Random) -> None:
    rng, image = np.random.default_rng(seed), Size(700, 500)
    objects = scattered(rng, image, 40, sides=(10, 200))
    pieces, _ = seen_by(rng, objects, tiles_of(image, tile=200, margin=24), jitter=2, misses=0.1)
    order = chance.sample(range(len(pieces)), len(pieces))
    found = BOX.merge(pieces, SCHEMA)
    again = BOX.merge([pieces[i] for i in order], SCHEMA)
    for each in again:
        each["sources"] = [order[i] for i in each["sources"]]
    assert again == found


@settings(max_examples=examples(30))
@given(st.integers(0, 10_000))
def test_every_box_of_every_tile_is_a_source_of_exactly_one_object(seed: int) -> None:
    rng, image = np.random.default_rng(seed), Size(700, 500)
    frames = tiles_of(image, tile=200, margin=24)
    pieces, truth = seen_by(rng, scattered(rng, image, 40, sides=(10, 200)), frames, jitter=8)
    for each in (each for piece in pieces for each in piece.objects):
        each.pop("optional", None)
    found = BOX.merge(pieces, SCHEMA)
    for source, which in enumerate(truth):
        assert sum(source in each["sources"] for each in found) == len(which)
    assert all(len(set(each["sources"])) == len(each["sources"]) for each in found)


@pytest.mark.long
def test_a_wide_image_of_thousands_of_tiles_needs_little_memory() -> None:
    """Each tile meets a few others, however many there are beside it."""
    rng, image = np.random.default_rng(3), Size(30_000, 1_000)
    frames = tiles_of(image, tile=128, margin=32)
    assert len(frames) > 7_000
    pieces, _ = seen_by(rng, scattered(rng, image, 100, sides=(10, 60)), frames, jitter=0)
    tracemalloc.start()
    found = BOX.merge(pieces, SCHEMA)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 100
    assert peak < 100 * 2**20
