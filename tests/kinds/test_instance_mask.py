"""Objects as pixels."""

import json
import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from scipy import ndimage

from tessera.kinds import KINDS, InvalidAnswer, Opinion, Piece, Size, TileFrame, Window
from tessera.shapes.masks import Crop, from_json
from tests.kinds.samples import a_schema, about, asked, gold_of, opinions, tiles_of
from tests.seeds import examples

KIND = KINDS["instance_mask"]
TILE = Size(120, 90)
SCHEMA = a_schema()
QUESTION = about(TILE)
Pixels = np.ndarray[Any, np.dtype[np.bool_]]


def a_disc(x: float, y: float, radius: float, size: Size = TILE) -> Pixels:
    across, down = np.meshgrid(np.arange(size.width) + 0.5, np.arange(size.height) + 0.5)
    return np.asarray((across - x) ** 2 + (down - y) ** 2 <= radius**2)


def an_object(pixels: Pixels, label: int = 1, **more: Any) -> dict[str, Any]:
    tight = Crop(0, 0, pixels).tight()
    assert tight is not None
    return {"class": label, "mask": tight.as_json(), "attributes": {}, **more}


def said(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


def pixels_of(found: dict[str, Any], size: Size = TILE) -> Pixels:
    whole = np.zeros((size.height, size.width), dtype=np.bool_)
    crop = from_json(found["mask"])
    left, top, right, bottom = crop.window
    whole[top:bottom, left:right] = crop.pixels
    return whole


DISC = a_disc(40, 40, 15)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_a_mask_of_the_whole_tile_as_tools_write_it_is_cut_to_what_is_set() -> None:
    theirs = coco.encode(np.asfortranarray(DISC.astype(np.uint8)))
    for counts in (theirs["counts"].decode(), runs_of(DISC)):
        answer = said({"class": 1, "mask": {"size": [90, 120], "counts": counts}})
        (found,) = KIND.validate(answer, QUESTION)["objects"]
        assert (found["mask"]["left"], found["mask"]["top"]) == (25, 25)
        assert found["mask"]["size"] == [30, 30]
        assert np.array_equal(pixels_of(found), DISC)
        cut = coco.decode({"size": [30, 30], "counts": found["mask"]["counts"]})
        assert np.array_equal(cut, DISC[25:55, 25:55])


def runs_of(mask: Pixels) -> list[int]:
    flat, runs, last = mask.ravel(order="F").tolist(), [0], False
    for bit in flat:
        if bit != last:
            runs.append(0)
            last = bit
        runs[-1] += 1
    return runs


def mask(**changes: Any) -> dict[str, Any]:
    return {"class": 1, "mask": {"size": [2, 3], "counts": [1, 5], **changes}}


@pytest.mark.parametrize(
    ("found", "at"),
    [
        ({"class": 1}, "objects[0]"),
        ({"class": 1, "mask": []}, "objects[0].mask"),
        ({"class": 1, "mask": {"size": [2, 3]}}, "objects[0].mask"),
        (mask(width=3), "objects[0].mask"),
        (mask(size=[2]), "objects[0].mask.size"),
        (mask(size=[2, 3, 1]), "objects[0].mask.size"),
        (mask(size=[2, 0]), "objects[0].mask.size"),
        (mask(size=[2, 3.0]), "objects[0].mask.size[1]"),
        (mask(size=[2**40, 2**40]), "objects[0].mask"),
        (mask(size=[91, 3]), "objects[0].mask"),
        (mask(left=118), "objects[0].mask"),
        (mask(top=89), "objects[0].mask"),
        (mask(left=-1), "objects[0].mask"),
        (mask(left=0.5), "objects[0].mask.left"),
        (mask(counts=[1, 4]), "objects[0].mask.counts"),
        (mask(counts=[1, 6]), "objects[0].mask.counts"),
        (mask(counts=[7, -1]), "objects[0].mask.counts"),
        (mask(counts=[1, 10**30]), "objects[0].mask.counts"),
        (mask(counts=[1, "5"]), "objects[0].mask.counts[1]"),
        (mask(counts=[1] * 9), "objects[0].mask.counts"),
        (mask(counts="15~"), "objects[0].mask.counts"),
        (mask(counts=""), "objects[0].mask.counts"),
        (mask(counts=7), "objects[0].mask.counts"),
        (mask(counts=[6]), "objects[0].mask"),
        (mask(counts=[]), "objects[0].mask.counts"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_with_the_place(found: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(found), QUESTION)
    assert refusal.value.facts["at"] == at


def test_hundreds_of_masks_that_each_cover_everything_are_refused_at_once() -> None:
    full = {"class": 1, "mask": {"size": [90, 120], "counts": [0, 90 * 120]}}
    assert len(KIND.validate(said(*[full] * 8), QUESTION)["objects"]) == 8
    with pytest.raises(InvalidAnswer) as refusal:
        KIND.validate(said(*[full] * 500), QUESTION)
    assert refusal.value.facts["at"] == "objects[8]"


def test_a_few_pixels_far_apart_take_no_room_whatever_size_is_claimed() -> None:
    wide, pixels = about(Size(2_048, 2_048)), 2_048 * 2_048
    objects = [
        {
            "class": 1,
            "mask": {"size": [2_048, 2_048], "counts": [2_048 * i, 1, pixels - 2_048 * i - 1]},
        }
        for i in range(500)
    ]
    tracemalloc.start()
    found = KIND.validate(said(*objects), wide)["objects"]
    assert [each["mask"]["left"] for each in found] == list(range(500))
    assert tracemalloc.get_traced_memory()[1] < pixels
    tracemalloc.stop()


def blobs(seed: int, size: Size) -> list[Pixels]:
    """Things of any form, some in several parts and with holes, that do not overlap."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(size.height, size.width)), 6)
    numbers, count = ndimage.label(noise > np.quantile(noise, 0.7))
    return [numbers == i for i in range(1, count + 1)]


@given(st.integers(0, 1_000))
def test_equal_answers_are_equal_bytes(seed: int) -> None:
    answer = said(*[an_object(each, 1 + i % 3) for i, each in enumerate(blobs(seed, TILE))])
    canonical = KIND.validate(answer, QUESTION)
    shuffled = said(*random.Random(seed).sample(answer["objects"], len(answer["objects"])))
    assert json.dumps(KIND.validate(shuffled, QUESTION)) == json.dumps(canonical)
    assert json.dumps(KIND.validate(canonical, QUESTION)) == json.dumps(canonical)
    assert KIND.score(canonical, canonical, QUESTION) == 1.0


def test_a_score_is_the_panoptic_quality() -> None:
    gold = said(an_object(DISC), an_object(a_disc(90, 40, 15)))
    smaller = a_disc(40, 40, 13)
    iou = smaller.sum() / DISC.sum()
    answer = said(an_object(smaller))
    assert KIND.score(answer, gold, QUESTION) == pytest.approx(2 * iou / 3)
    assert KIND.score(said(an_object(a_disc(55, 40, 15))), gold, QUESTION) == 0, "IoU below half"
    assert KIND.score(said(an_object(DISC, 2)), said(an_object(DISC)), QUESTION) == 0


def shaky(rng: np.random.Generator, truth: Pixels) -> Pixels:
    """An outline as a hand draws it: in places too far out, in others too far in."""
    depth = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(~truth)
    bumps = ndimage.gaussian_filter(rng.normal(size=truth.shape), 3)
    return np.asarray(depth + bumps / bumps.std() * 1.5 + rng.normal(0, 1) > 0)


def iou(one: Pixels, other: Pixels) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("people", [2, 3, 5])
def test_several_shaky_hands_are_better_than_one(people: int) -> None:
    rng = np.random.default_rng(people)
    truth = a_disc(55, 45, 25) & ~a_disc(60, 45, 8)
    better = 0.0
    for _ in range(10):
        drawn = [shaky(rng, truth) for _ in range(people)]
        answers = [said(an_object(each)) for each in drawn]
        outcome = KIND.aggregate(opinions(*answers), QUESTION, target_confidence=0.9)
        (found,) = outcome.label["objects"]
        better += iou(pixels_of(found), truth) > np.mean([iou(each, truth) for each in drawn])
        shuffled = random.Random(1).sample(opinions(*answers), people)
        assert KIND.aggregate(shuffled, QUESTION, target_confidence=0.9) == outcome
    assert better >= 9


def test_one_spoiler_of_three_moves_nothing() -> None:
    spoiler = an_object(a_disc(44, 44, 15))
    good = said(an_object(DISC))
    said_by = [Opinion("a", good, 0.9), Opinion("b", good, 0.9), Opinion("c", said(spoiler), 0.9)]
    outcome = KIND.aggregate(said_by, QUESTION, target_confidence=0.9)
    (found,) = outcome.label["objects"]
    assert np.array_equal(pixels_of(found), DISC)


IMAGE = Size(300, 220)


@pytest.mark.parametrize("margin", [0, 12])
@settings(max_examples=examples(40))
@given(st.integers(0, 1_000))
def test_slicing_and_merging_gives_the_same_pixels_back(margin: int, seed: int) -> None:
    known = [an_object(each, 1 + i % 3) for i, each in enumerate(blobs(seed, IMAGE))]
    known = [each for each in known if pixels_of(each, IMAGE).sum() > 50]
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, question), question))
        for frame in tiles_of(IMAGE, tile=100, margin=margin)
        for question in [asked(frame)]
    ]
    random.Random(seed).shuffle(pieces)
    merged = KIND.merge(pieces, SCHEMA)
    if margin:
        assert [each["mask"] for each in merged] == [each["mask"] for each in in_order(known)]
    else:
        assert np.array_equal(painted(merged), painted(known))
        assert abs(len(merged) - len(known)) <= 1, "a seam without width is little evidence"


def painted(objects: list[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    classes = np.zeros((IMAGE.height, IMAGE.width), dtype=np.int64)
    for each in objects:
        classes[pixels_of(each, IMAGE)] = each["class"]
    return classes


def in_order(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def place(each: dict[str, Any]) -> list[int]:
        left, top, right, bottom = from_json(each["mask"]).window
        return [top, left, bottom, right]

    return sorted(objects, key=place)


@pytest.mark.parametrize("margin", [0, 12])
def test_what_is_larger_than_a_window_comes_back_whole(margin: int) -> None:
    ring = a_disc(150, 110, 105, IMAGE) & ~a_disc(150, 110, 70, IMAGE)
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, [an_object(ring)], asked(frame)), asked(frame)))
        for frame in tiles_of(IMAGE, tile=100, margin=margin)
    ]
    (merged,) = KIND.merge(pieces, SCHEMA)
    assert merged["mask"] == an_object(ring)["mask"]
    assert sorted(merged["sources"]) == [i for i, piece in enumerate(pieces) if piece.objects]


def test_where_two_tiles_differ_each_has_the_say_in_its_core() -> None:
    wide = Size(180, 90)
    left = TileFrame(Window(0, 0, 100, 90), Window(0, 0, 90, 90), wide)
    right = TileFrame(Window(80, 0, 180, 90), Window(90, 0, 180, 90), wide)
    drawn = {left: a_disc(90, 40, 15, wide), right: a_disc(90, 41, 16, wide)}
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, [an_object(seen)], asked(frame)), asked(frame)))
        for frame, seen in drawn.items()
    ]
    (merged,) = KIND.merge(pieces, SCHEMA)
    pixels = pixels_of(merged, wide)
    assert np.array_equal(pixels[:, :90], drawn[left][:, :90])
    assert np.array_equal(pixels[:, 90:], drawn[right][:, 90:])


def test_touching_neighbours_of_one_class_are_not_glued() -> None:
    wide = Size(180, 90)
    left = TileFrame(Window(0, 0, 100, 90), Window(0, 0, 90, 90), wide)
    right = TileFrame(Window(80, 0, 180, 90), Window(90, 0, 180, 90), wide)
    one, other = (np.zeros((90, 180), dtype=np.bool_) for _ in range(2))
    one[20:60, 40:90], other[20:60, 90:140] = True, True
    known = [an_object(one), an_object(other)]
    pieces = [
        Piece(frame, KIND.to_image(gold_of(KIND, known, asked(frame)), asked(frame)))
        for frame in (left, right)
    ]
    merged = KIND.merge(pieces, SCHEMA)
    assert sorted(pixels_of(each, wide).sum() for each in merged) == [one.sum(), other.sum()]
