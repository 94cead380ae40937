"""The class of each pixel."""

import json
import random
import tracemalloc
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tessera.kinds import (
    KINDS,
    InvalidAnswer,
    InvalidLabelSchema,
    Opinion,
    Piece,
    Size,
    TileFrame,
    Window,
)
from tessera.kinds.opinions import posterior, weight
from tessera.kinds.semantic_mask import SPECK
from tessera.shapes.masks import Crop, from_json
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of
from tests.seeds import examples

KIND = KINDS["semantic_mask"]
TILE = Size(120, 90)
SCHEMA = a_schema()
QUESTION = about(TILE)
Raster = NDArray[np.int64]
"""Class ids; 0 is void."""


def regions_of(raster: Raster) -> list[dict[str, Any]]:
    found = []
    for label in np.unique(raster[raster > 0]).tolist():
        crop = Crop(0, 0, raster == label).tight()
        assert crop is not None
        found.append({"class": label, "mask": crop.as_json(), "attributes": {}})
    return found


def said(raster: Raster) -> dict[str, Any]:
    return {"regions": regions_of(raster)}


def raster_of(regions: list[dict[str, Any]], size: Size = TILE) -> Raster:
    raster = np.zeros((size.height, size.width), dtype=np.int64)
    for each in regions:
        crop = from_json(each["mask"])
        left, top, right, bottom = crop.window
        raster[top:bottom, left:right][crop.pixels] = each["class"]
    return raster


def a_scene(seed: int, size: Size = TILE, *, void: bool = True) -> Raster:
    """Three classes in smooth patches, and some void."""
    rng = np.random.default_rng(seed)
    fields = [
        ndimage.gaussian_filter(rng.normal(size=(size.height, size.width)), 8) for _ in range(4)
    ]
    scene = np.argmax(fields, axis=0)
    return np.asarray(scene if void else np.maximum(scene, 1))


def a_mask(*edges: int) -> dict[str, Any]:
    left, top, right, bottom = edges
    height, width = bottom - top, right - left
    return {"left": left, "top": top, "size": [height, width], "counts": [0, height * width]}


def region(label: int, *edges: int, **more: Any) -> dict[str, Any]:
    return {"class": label, "mask": a_mask(*edges), **more}


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (None, ""),
        ({}, ""),
        ({"regions": [], "void": []}, ""),
        ({"regions": {}}, "regions"),
        ({"regions": [[]]}, "regions[0]"),
        ({"regions": [{"class": 1}]}, "regions[0]"),
        ({"regions": [region(9, 0, 0, 5, 5)]}, "regions[0].class"),
        ({"regions": [region(1, 0, 0, 5, 5, unsure=True)]}, "regions[0]"),
        ({"regions": [region(1, 0, 0, 5, 5, attributes={"x": 1})]}, "regions[0].attributes"),
        ({"regions": [region(1, 0, 0, 121, 5)]}, "regions[0].mask"),
        (
            {"regions": [{"class": 1, "mask": {"size": [9, 9], "counts": [3]}}]},
            "regions[0].mask.counts",
        ),
        ({"regions": [region(1, 0, 0, 5, 5), region(1, 6, 6, 9, 9)]}, "regions[1].class"),
        ({"regions": [region(1, 0, 0, 5, 5), region(2, 4, 4, 9, 9)]}, "regions[1].mask"),
        ({"regions": [region(i, 0, 0, 1, 1) for i in range(4)]}, "regions"),
    ],
)
def test_regions_that_make_no_sense_are_refused_with_the_place(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(answer, QUESTION)
    assert refusal.value.facts["at"] == at


def test_an_overlap_is_refused_with_both_regions_and_the_pixel() -> None:
    regions = [region(3, 0, 0, 5, 5), region(1, 50, 50, 60, 70), region(2, 59, 69, 70, 80)]
    with pytest.raises(InvalidAnswer, match=r"regions\[2\].*regions\[1\] at pixel \(59, 69\)"):
        KIND.validate({"regions": regions}, QUESTION)


def test_a_schema_has_no_option() -> None:
    KIND.check_schema(SCHEMA)
    with pytest.raises(InvalidLabelSchema):
        KIND.check_schema(a_schema(multiple=True))


@given(st.integers(0, 1_000))
def test_equal_answers_are_equal_bytes(seed: int) -> None:
    answer = said(a_scene(seed))
    canonical = KIND.validate({"regions": answer["regions"][::-1]}, QUESTION)
    assert json.dumps(canonical) == json.dumps(answer)
    assert json.dumps(KIND.validate(canonical, QUESTION)) == json.dumps(canonical)
    assert KIND.score(canonical, canonical, QUESTION) == 1.0
    assert KIND.validate({"regions": []}, QUESTION) == {"regions": []}


def test_the_score_is_the_mean_iou_without_what_gold_leaves_void() -> None:
    gold = np.zeros((90, 120), dtype=np.int64)
    gold[:, :40], gold[:, 40:80] = 1, 2
    answer = gold.copy()
    answer[:, 40:60] = 1
    assert KIND.score(said(answer), said(gold), QUESTION) == pytest.approx((40 / 60 + 20 / 40) / 2)
    beyond = gold.copy()
    beyond[:, 80:] = 3
    assert KIND.score(said(beyond), said(gold), QUESTION) == 1.0, "nobody knows what is there"
    assert KIND.score(said(np.zeros_like(gold)), said(gold), QUESTION) == 0
    assert KIND.score(said(gold), said(np.zeros_like(gold)), QUESTION) == 1.0
    third = gold.copy()
    third[:9, :40] = 3
    expected = (81 * 40 / (90 * 40) + 1 + 0) / 3
    assert KIND.score(said(third), said(gold), QUESTION) == pytest.approx(expected)


def shaky(rng: np.random.Generator, scene: Raster) -> Raster:
    """Borders as a hand draws them, off by a pixel or two here and there."""
    down, across = (ndimage.gaussian_filter(rng.normal(size=scene.shape), 4) * 14 for _ in range(2))
    rows, columns = np.indices(scene.shape)
    return np.asarray(
        ndimage.map_coordinates(scene, [rows + down, columns + across], order=0, mode="nearest")
    )


def test_several_shaky_hands_are_better_than_one_and_sure_of_it() -> None:
    rng = np.random.default_rng(2)
    scene = a_scene(5, void=False)
    drawn = [said(shaky(rng, scene)) for _ in range(3)]
    people = opinions(*drawn)
    outcome = KIND.aggregate(people, QUESTION, target_confidence=0.95)
    alone = [KIND.score(each, said(scene), QUESTION) for each in drawn]
    assert KIND.score(outcome.label, said(scene), QUESTION) > max(alone)
    assert outcome.decided, "they differ along borders only"
    shuffled = random.Random(4).sample(people, 3)
    assert KIND.aggregate(shuffled, QUESTION, target_confidence=0.95) == outcome
    assert KIND.validate(plain(outcome.label), QUESTION) == plain(outcome.label)


def plain(label: dict[str, Any]) -> dict[str, Any]:
    return {
        "regions": [{k: v for k, v in e.items() if k != "confidence"} for e in label["regions"]]
    }


def test_who_disagree_about_an_object_are_not_sure() -> None:
    scene = np.ones((90, 120), dtype=np.int64)
    other = scene.copy()
    other[20:50, 30:70] = 2
    outcome = KIND.aggregate(opinions(said(scene), said(other)), QUESTION, target_confidence=0.95)
    assert not outcome.decided
    assert outcome.confidence == pytest.approx(0.5, abs=0.1)
    sliver = scene.copy()
    sliver[20:50, 30:33] = 2
    outcome = KIND.aggregate(opinions(said(scene), said(sliver)), QUESTION, target_confidence=0.95)
    assert outcome.decided, "three pixels are how hands differ"


@given(st.integers(0, 1_000), st.integers(1, 5))
def test_each_pixel_is_what_its_votes_say_and_a_region_as_sure_as_its_pixels(
    seed: int, people: int
) -> None:
    rng = np.random.default_rng(seed)
    tile, trust = Size(20, 15), rng.uniform(0.3, 0.95, people)
    drawn = [np.kron(rng.integers(0, 4, (3, 4)), np.ones((5, 5), dtype=int)) for _ in trust]
    said_by = [Opinion(str(i), said(each), trust[i]) for i, each in enumerate(drawn)]
    label = KIND.aggregate(said_by, about(tile), target_confidence=0.9).label
    best, sure = np.zeros((15, 20), dtype=int), np.zeros((15, 20))
    for place in np.ndindex(15, 20):
        votes: dict[int, float] = defaultdict(float)
        for each, t in zip(drawn, trust.tolist(), strict=True):
            votes[int(each[place])] += weight(t, 4)
        if votes[0] == max(votes.values()):
            votes[0] -= 1e-12  # rather a class than nothing
        best[place], sure[place] = posterior(votes, 4)
    assert np.array_equal(raster_of(label["regions"], tile), best)
    for each in label["regions"]:
        assert each["confidence"] == pytest.approx(sure[best == each["class"]].mean(), abs=1e-4)


def test_the_largest_doubt_is_as_large_as_the_odds_in_the_worst_place() -> None:
    scene = np.ones((90, 120), dtype=np.int64)
    one, other = scene.copy(), scene.copy()
    one[10:30, 10:30], other[50:70, 60:90] = 2, 3
    people = [Opinion("a", said(scene), 0.9), Opinion("b", said(one), 0.6)]
    people.append(Opinion("c", said(other), 0.8))
    _, expected = posterior({1: weight(0.9, 4) + weight(0.6, 4), 3: weight(0.8, 4)}, 4)
    outcome = KIND.aggregate(people, QUESTION, target_confidence=0.9)
    assert outcome.confidence == pytest.approx(expected)


def test_doubt_about_what_is_another_tiles_does_not_count() -> None:
    frame = TileFrame(Window(0, 0, 120, 90), Window(0, 0, 60, 90), Size(180, 90))
    scene = np.ones((90, 120), dtype=np.int64)
    beyond, within = scene.copy(), scene.copy()
    beyond[20:60, 60:], within[20:60, :60] = 2, 2
    for other, decided in ((beyond, True), (within, False)):
        people = opinions(said(scene), said(other))
        outcome = KIND.aggregate(people, asked(frame), target_confidence=0.95)
        assert outcome.decided is decided


def test_one_spoiler_of_three_moves_no_pixel() -> None:
    scene = a_scene(7)
    good = [Opinion(name, said(scene), 0.9) for name in "ab"]
    spoiler = Opinion("c", said((scene + 1) % 4), 0.9)
    label = KIND.aggregate([*good, spoiler], QUESTION, target_confidence=0.5).label
    clean = KIND.aggregate(good, QUESTION, target_confidence=0.5).label
    assert np.array_equal(raster_of(label["regions"]), raster_of(clean["regions"]))


@given(st.integers(0, 1_000))
def test_specks_become_what_surrounds_them(seed: int) -> None:
    scene = a_scene(seed % 10)
    rows, columns = np.random.default_rng(seed).integers(0, (90, 120), (30, 2)).T
    for across in (0, 1):
        scene[rows, np.minimum(columns + across, 119)] = 1 + seed % 3
    label = KIND.aggregate(opinions(said(scene)), QUESTION, target_confidence=0.5).label
    assert np.array_equal(raster_of(label["regions"]), without_specks(scene))


def without_specks(scene: Raster) -> Raster:
    """As `aggregate` has it, pixel by pixel."""
    cleaned = scene.copy()
    for value in range(4):
        islands, count = ndimage.label(scene == value, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            island = islands == number
            if island.sum() < SPECK:
                votes = np.zeros(4)
                for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
                    beside = np.roll(island, step, axis)
                    edge = np.zeros(island.shape[axis], dtype=np.bool_)
                    edge[0 if step == 1 else -1] = True
                    beside &= ~(edge[:, None] if axis == 0 else edge[None, :])
                    votes += np.bincount(scene[beside & ~island], minlength=4)
                cleaned[island] = votes.argmax()
    return cleaned


IMAGE = Size(300, 220)


@pytest.mark.parametrize("margin", [0, 12])
@settings(max_examples=examples(40))
@given(st.integers(0, 1_000))
def test_slicing_and_merging_gives_the_same_pixels_back(margin: int, seed: int) -> None:
    scene = a_scene(seed, IMAGE)
    known = regions_of(scene)
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(IMAGE, tile=100, margin=margin)
        for question in [asked(frame)]
    ]
    merged = KIND.merge(pieces, SCHEMA)
    assert np.array_equal(raster_of(merged, IMAGE), scene)
    random.Random(seed).shuffle(pieces)
    again = KIND.merge(pieces, SCHEMA)
    assert [e["mask"] for e in again] == [e["mask"] for e in merged]


def test_the_tile_whose_core_it_is_has_the_say_even_that_nothing_is_there() -> None:
    wide = Size(180, 90)
    left = TileFrame(Window(0, 0, 100, 90), Window(0, 0, 90, 90), wide)
    right = TileFrame(Window(80, 0, 180, 90), Window(90, 0, 180, 90), wide)
    views = {
        right: [region(2, 20, 0, 100, 90, confidence=0.7)],
        left: [region(1, 0, 0, 100, 60, confidence=0.99), region(2, 0, 60, 90, 90, confidence=0.9)],
    }
    pieces = [
        Piece(frame, KIND.to_image({"regions": _canonical(regions)}, asked(frame)))
        for frame, regions in views.items()
    ]
    merged = KIND.merge(pieces, SCHEMA)
    expected = np.zeros((90, 180), dtype=np.int64)
    expected[:60, :90], expected[60:, :90], expected[:, 100:] = 1, 2, 2
    assert np.array_equal(raster_of(merged, wide), expected)
    assert [each["sources"] for each in merged] == [[1], [0, 1]], "most pixels first"
    mean = (0.7 * 80 * 90 + 0.9 * 90 * 30) / (80 * 90 + 90 * 30)
    assert [each["confidence"] for each in merged] == [0.99, pytest.approx(mean, abs=1e-4)]


def test_an_image_of_a_thousand_megapixels_is_never_held_at_once() -> None:
    image = Size(32_000, 32_000)
    far = Window(31_900, 31_900, 32_000, 32_000)
    pieces = [
        Piece(
            frame, KIND.to_image({"regions": _canonical([region(1, 0, 0, 50, 50)])}, asked(frame))
        )
        for frame in (TileFrame(w, w, image) for w in (Window(0, 0, 100, 100), far))
    ]
    tracemalloc.start()
    (merged,) = KIND.merge(pieces, SCHEMA)
    assert merged["mask"]["size"] == [31_950, 31_950]
    assert KIND.reach([merged], SCHEMA).tolist() == [[0, 0, 31_950, 31_950]]
    for piece in pieces:
        (there,) = gold_of(KIND, [merged], asked(piece.frame))["regions"]
        assert there["mask"] == _canonical([region(1, 0, 0, 50, 50)])[0]["mask"]
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_few_pixels_far_apart_take_no_room_whatever_size_is_claimed() -> None:
    side, classes = 2_048, 500
    question = about(Size(side, side), a_schema(classes))
    masks = [
        {"size": [side, side], "counts": [i, 1, side**2 - 2 - 2 * i, 1, i]} for i in range(classes)
    ]
    answer = {"regions": [{"class": i + 1, "mask": each} for i, each in enumerate(masks)]}
    tracemalloc.start()
    found = KIND.validate(answer, question)["regions"]
    assert tracemalloc.get_traced_memory()[1] < side**2
    tracemalloc.stop()
    assert [each["mask"]["size"] for each in found] == [
        [side - 2 * i, side] for i in range(classes)
    ]


def test_of_known_regions_that_overlap_the_first_is_in_front() -> None:
    known = _canonical([region(2, 10, 10, 30, 30), region(1, 0, 0, 50, 50, attributes={})])
    known.append(_canonical([region(2, 40, 40, 60, 60)])[0])
    raster = raster_of(gold_of(KIND, known, QUESTION)["regions"])
    expected = np.zeros((90, 120), dtype=np.int64)
    expected[40:60, 40:60], expected[:50, :50], expected[10:30, 10:30] = 2, 1, 2
    assert np.array_equal(raster, expected)
    assert gold_of(KIND, [], QUESTION) == {"regions": []}


def _canonical(regions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "mask": Crop(
                each["mask"]["left"],
                each["mask"]["top"],
                np.ones(each["mask"]["size"], dtype=np.bool_),
            ).as_json(),
        }
        for each in regions
    ]
