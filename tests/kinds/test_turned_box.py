"""Boxes at an angle, and boxes from four taps."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import InvalidAnswer, LabelSchema, Opinion, Piece, Size
from tessera.shapes import turned
from tests.kinds.samples import (
    BOX,
    a_box,
    a_schema,
    about,
    asked,
    boxes,
    gold_of,
    opinions,
    tiles_of,
    whole,
)

TILE = Size(200, 160)
SCHEMA = LabelSchema.parse({**a_schema().as_json(), "rotated": True})
QUESTION = about(TILE, SCHEMA)


def validated(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = BOX.validate(boxes(*objects), QUESTION)["objects"]
    return found


def outline(box: list[float]) -> shapely.Polygon:
    return shapely.Polygon(turned.corners(np.array([[*box, 0][:5]]))[0])


def same(one: list[float], other: list[float]) -> float:
    first, second = outline(one), outline(other)
    return float(first.intersection(second).area / first.union(second).area)


def test_a_clockwise_turn_brings_the_right_top_corner_down() -> None:
    at = turned.corners(np.array([[40, 60, 80, 70, 30]]))[0]
    assert at[1][1] > at[0][1], "the right end is lower, as y goes down"
    assert np.allclose(at.mean(axis=0), (60, 65))


def test_only_a_schema_that_says_so_takes_angles() -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        BOX.validate(boxes(a_box(10, 10, 60, 30, 5)), about(TILE))
    assert refusal.value.facts["at"] == "objects[0].box"
    assert validated(a_box(10, 10, 60, 30, 5))[0]["box"] == [10, 10, 60, 30, 5]
    assert validated(a_box(10, 10, 60, 30, 0))[0]["box"] == [10, 10, 60, 30]


turned_boxes = st.builds(
    lambda x, y, w, h, angle: [x - w, y - h, x + w, y + h, angle],
    st.floats(60, 140),
    st.floats(60, 100),
    *[st.floats(2, 40)] * 2,
    st.floats(-360, 360),
)


@given(turned_boxes)
def test_the_canonical_form_is_the_same_rectangle_at_less_than_45_degrees(
    box: list[float],
) -> None:
    (found,) = validated(a_box(*box))
    assert same(found["box"], box) > 0.98, "but for rounding"
    assert -45 <= [*found["box"], 0][4] < 45
    assert json.dumps(validated(found)) == json.dumps([found])
    more = [*box[:4], box[4] - 180 if box[4] > 0 else box[4] + 180]
    assert same(validated(a_box(*more))[0]["box"], found["box"]) > 0.98


@pytest.mark.parametrize(
    ("box", "at"),
    [
        ([10, 10, 60, 30, 361], "objects[0].box[4]"),
        ([10, 10, 60, 30, float("nan")], "objects[0].box[4]"),
        ([10, 10, 60, 30, 5, 5], "objects[0].box"),
        ([10, 30, 60, 10, 5], "objects[0].box"),
        ([190, 10, 260, 30, 5], "objects[0].box"),
        ([-2000, 70, 2200, 90, 5], "objects[0].box"),
        ([1e300, 70, 1e301, 90, 5], "objects[0].box"),
    ],
)
def test_hostile_angles_and_edges_are_refused(box: list[float], at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        validated(a_box(*box))
    assert refusal.value.facts["at"] == at


def test_an_angle_off_by_little_is_still_right_and_one_across_is_not() -> None:
    gold = boxes(a_box(50, 70, 150, 90, 20))
    assert BOX.score(boxes(a_box(50, 70, 150, 90, 24)), gold, QUESTION) == 1.0
    assert BOX.score(boxes(a_box(90, 30, 110, 130, 20)), gold, QUESTION) == 0.0


@pytest.mark.parametrize("angle", [3.0, 44.0, -44.5])
def test_several_shaky_hands_turn_a_box_better_than_one(angle: float) -> None:
    rng = np.random.default_rng(4)
    truth = [60, 60, 140, 90, angle]
    noisy = [
        BOX.validate(boxes(a_box(*(np.array(truth) + rng.normal(0, 3, 5)).tolist())), QUESTION)
        for _ in range(5)
    ]
    said = [*opinions(*noisy), Opinion("off", boxes(a_box(60, 60, 140, 90, -20)), 0.6)]
    outcome = BOX.aggregate(said, QUESTION, target_confidence=0.9)
    (found,) = outcome.label["objects"]
    alone = [same(each["objects"][0]["box"], truth) for each in noisy]
    assert same(found["box"], truth) > np.median(alone)
    assert outcome == BOX.aggregate(said[::-1], QUESTION, target_confidence=0.9)


@pytest.mark.parametrize("margin", [0, 16])
@given(st.lists(turned_boxes, min_size=1, max_size=1), st.integers(0, 3))
def test_slicing_and_merging_gives_a_turned_box_back(
    margin: int, rows: list[list[float]], moved: int
) -> None:
    image = Size(700, 500)
    known = [
        {**each, "box": [v + 110.0 * moved * (i < 4) for i, v in enumerate(each["box"])]}
        for each in validated(*[a_box(*row) for row in rows])
    ]
    pieces = [
        Piece(frame, BOX.to_image(gold_of(BOX, known, question), question))
        for frame in tiles_of(image, tile=128, margin=margin)
        for question in [asked(frame, SCHEMA)]
    ]
    merged = BOX.merge(pieces, SCHEMA)
    off = np.abs(
        turned.corners(np.array([[*merged[0]["box"], 0][:5]]))
        - turned.corners(np.array([[*known[0]["box"], 0][:5]]))
    )
    assert len(merged) == 1
    assert off.max() < 1


def test_four_taps_give_the_box_and_are_kept() -> None:
    taps = [[60, 12.004], [20, 50], [70, 90], [110, 40]]
    (found,) = validated({"class": 1, "extremes": taps})
    assert found["box"] == [20, 12, 110, 90]
    assert found["extremes"] == [[60, 12], [20, 50], [70, 90], [110, 40]]
    assert validated(found) == [found]


@pytest.mark.parametrize(
    ("extremes", "at"),
    [
        (None, "objects[0].extremes"),
        ([[1, 1], [2, 2], [3, 3]], "objects[0].extremes"),
        ([[1, 1]] * 5, "objects[0].extremes"),
        ([[1, 1]] * 4, "objects[0].extremes"),
        ([[1, 1], [2], [3, 3], [9, 9]], "objects[0].extremes[1]"),
        ([[1, 1], [2, 900], [3, 3], [9, 9]], "objects[0].extremes[1][1]"),
        ([[1, 1], [2, "x"], [3, 3], [9, 9]], "objects[0].extremes[1][1]"),
    ],
)
def test_taps_that_make_no_box_are_refused(extremes: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        validated({"class": 1, "extremes": extremes})
    assert refusal.value.facts["at"] == at


def test_taps_beside_another_box_are_refused() -> None:
    taps = [[60, 12], [20, 50], [70, 90], [110, 40]]
    with pytest.raises(InvalidAnswer) as refusal:
        validated({"class": 1, "box": [20, 12, 110, 91], "extremes": taps})
    assert refusal.value.facts["at"] == "objects[0].box"


def test_an_object_that_its_earner_does_not_vouch_for_counts_for_half() -> None:
    there, beside = a_box(10, 10, 60, 40), a_box(100, 100, 150, 140)
    gold = boxes(there, beside)
    unsure = {**beside, "unsure": True}
    question = about(TILE)
    scores = [
        BOX.score(boxes(*said), gold, question)
        for said in ([there, beside], [there, unsure], [there])
    ]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3
    wrong = a_box(150, 10, 190, 40)
    sure, doubted = (
        BOX.score(boxes(there, {**wrong, **more}), boxes(there), question)
        for more in ({}, {"unsure": True})
    )
    assert sure < doubted < 1
    assert BOX.validate(boxes(unsure), question)["objects"] == [unsure]
    for value in (1, None, "yes"):
        with pytest.raises(InvalidAnswer):
            BOX.validate(boxes({**there, "unsure": value}), question)


def test_who_does_not_vouch_for_an_object_convinces_less() -> None:
    there = a_box(10, 10, 60, 40)
    frame = asked(whole(TILE))
    sure = BOX.aggregate(opinions(*[boxes(there)] * 2), frame, target_confidence=0.95)
    doubt = boxes({**there, "unsure": True})
    less = BOX.aggregate(opinions(doubt, doubt), frame, target_confidence=0.95)
    assert less.label["objects"][0]["confidence"] < sure.label["objects"][0]["confidence"]
    assert "unsure" not in less.label["objects"][0]
