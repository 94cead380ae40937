"""The class of each pixel."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
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
from tessera.shapes.masks import Crop, from_json
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of

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


def test_one_spoiler_of_three_moves_no_pixel_and_specks_are_gone() -> None:
    scene = a_scene(7)
    good = [Opinion(name, said(scene), 0.9) for name in "ab"]
    spoiler = Opinion("c", said((scene + 1) % 4), 0.9)
    label = KIND.aggregate([*good, spoiler], QUESTION, target_confidence=0.5).label
    clean = KIND.aggregate(good, QUESTION, target_confidence=0.5).label
    assert np.array_equal(raster_of(label["regions"]), raster_of(clean["regions"]))
    speckled = np.ones((90, 120), dtype=np.int64)
    speckled[40:42, 50:53] = 2
    alone = KIND.aggregate(opinions(said(speckled)), QUESTION, target_confidence=0.5).label
    assert [each["class"] for each in alone["regions"]] == [1]


IMAGE = Size(300, 220)


@pytest.mark.parametrize("margin", [0, 12])
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


def test_the_tile_whose_core_it_is_speaks_and_where_it_says_nothing_a_neighbour_does() -> None:
    wide = Size(180, 90)
    left = TileFrame(Window(0, 0, 100, 90), Window(0, 0, 90, 90), wide)
    right = TileFrame(Window(80, 0, 180, 90), Window(90, 0, 180, 90), wide)
    views = {
        left: [region(1, 0, 0, 100, 90, confidence=0.99)],
        right: [region(2, 20, 0, 100, 90, confidence=0.7)],
    }
    pieces = [
        Piece(frame, KIND.to_image({"regions": _canonical(regions)}, asked(frame)))
        for frame, regions in views.items()
    ]
    raster = raster_of(KIND.merge(pieces, SCHEMA), wide)
    assert (raster[:, :90] == 1).all(), "its own core"
    assert (raster[:, 90:100] == 1).all(), "of which the right tile says nothing"
    assert (raster[:, 100:] == 2).all()


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
