import json
import random
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import InvalidAnswer, Size
from tessera.shapes.boxes import as_boxes, ious
from tests.kinds.samples import BOX, a_box, about, boxes

TILE = Size(100, 80)
QUESTION = about(TILE)


def validated(answer: object) -> dict[str, Any]:
    return BOX.validate(answer, QUESTION)


def scored(answer: dict[str, Any], gold: dict[str, Any]) -> float:
    return BOX.score(answer, gold, QUESTION)


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"objects": [], "extra": 1}, ""),
        ({"objects": {}}, "objects"),
        ({"objects": [[]]}, "objects[0]"),
        ({"objects": [{"class": 1}]}, "objects[0]"),
        ({"objects": [a_box(1, 1, 9, 9, optional=True)]}, "objects[0]"),
        ({"objects": [a_box(1, 1, 9, 9, confidence=1.0)]}, "objects[0]"),
        ({"objects": [a_box(1, 1, 9, 9, label=7)]}, "objects[0].class"),
        ({"objects": [{"class": True, "box": [1, 1, 9, 9]}]}, "objects[0].class"),
        ({"objects": [{"class": 1.0, "box": [1, 1, 9, 9]}]}, "objects[0].class"),
        ({"objects": [a_box(1, 1, 9)]}, "objects[0].box"),
        ({"objects": [a_box(1, 1, 9, 9, 9)]}, "objects[0].box"),
        ({"objects": [{"class": 1, "box": "1199"}]}, "objects[0].box"),
        ({"objects": [a_box(1, 1, 1, 9)]}, "objects[0].box"),
        ({"objects": [a_box(9, 1, 1, 9)]}, "objects[0].box"),
        ({"objects": [a_box(1, 9, 9, 9)]}, "objects[0].box"),
        ({"objects": [a_box(-1, 1, 0, 9)]}, "objects[0].box"),
        ({"objects": [a_box(float("nan"), 1, 9, 9)]}, "objects[0].box[0]"),
        ({"objects": [a_box(1, 1, float("inf"), 9)]}, "objects[0].box[2]"),
        ({"objects": [a_box(1, -1.01, 9, 9)]}, "objects[0].box[1]"),
        ({"objects": [a_box(1, 1, 101.01, 9)]}, "objects[0].box[2]"),
        ({"objects": [a_box(1, 1, 9, 81.01)]}, "objects[0].box[3]"),
        ({"objects": [a_box(1, 1, 1e300, 9)]}, "objects[0].box[2]"),
        ({"objects": [a_box(1, 1, 10**400, 9)]}, "objects[0].box[2]"),
        ({"objects": [{"class": 1, "box": [True, 1, 9, 9]}]}, "objects[0].box[0]"),
        ({"objects": [{"class": 1, "box": ["1", 1, 9, 9]}]}, "objects[0].box[0]"),
        ({"objects": [{"class": 1, "box": [None, 1, 9, 9]}]}, "objects[0].box[0]"),
        ({"objects": [a_box(1, 1, 9, 9, attributes=[])]}, "objects[0].attributes"),
        ({"objects": [a_box(1, 1, 9, 9, attributes={"worn": "yes"})]}, "objects[0].attributes"),
        (
            {"objects": [a_box(1, 1, 9, 9, label=2, attributes={"occluded": "yes"})]},
            "objects[0].attributes",
        ),
        (
            {"objects": [a_box(1, 1, 9, 9, attributes={"occluded": "maybe"})]},
            "objects[0].attributes.occluded",
        ),
        (
            {"objects": [a_box(1, 1, 9, 9, attributes={"occluded": ["yes"]})]},
            "objects[0].attributes.occluded",
        ),
        ({"objects": [a_box(1, 1, 9, 9)] * 2_001}, "objects"),
    ],
)
def test_a_hostile_answer_is_refused_with_the_place(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        validated(answer)
    assert refusal.value.code == "invalid-answer"
    assert refusal.value.facts["at"] == at
    assert refusal.value.facts["why"]


def test_five_hundred_boxes_are_not_too_many_and_one_more_is() -> None:
    assert len(validated(boxes(*[a_box(1, 1, 9, 9)] * 500))["objects"]) == 500
    with pytest.raises(InvalidAnswer):
        validated(boxes(*[a_box(1, 1, 9, 9)] * 501))


def test_nothing_here_is_an_answer() -> None:
    assert validated({"objects": []}) == {"objects": []}


def test_a_pixel_beyond_the_tile_is_clipped_and_the_rest_rounded() -> None:
    answer = {"objects": [{"class": 1, "box": [-1, -0.004, 50.126, 81]}]}
    assert json.dumps(validated(answer)) == json.dumps(boxes(a_box(0.0, 0.0, 50.13, 80.0)))


coordinates = st.floats(-1, 81)
objects = st.builds(
    lambda a, b, c, d, label, occluded: {
        "class": label,
        "box": [min(a, b), min(c, d), max(a, b), max(c, d)],
        "attributes": {"occluded": occluded} if label == 1 and occluded else {},
    },
    *[coordinates] * 4,
    st.integers(1, 3),
    st.sampled_from(["", "yes", "no"]),
).filter(lambda each: each["box"][2] - each["box"][0] > 3 and each["box"][3] - each["box"][1] > 3)
answers = st.lists(objects, max_size=6).map(lambda each: {"objects": each})


@given(answers, st.randoms())
def test_equal_answers_are_equal_bytes(answer: dict[str, Any], chance: random.Random) -> None:
    shuffled = {"objects": chance.sample(answer["objects"], len(answer["objects"]))}
    canonical = validated(answer)
    assert json.dumps(validated(shuffled)) == json.dumps(canonical)
    assert json.dumps(validated(canonical)) == json.dumps(canonical)
    for each in canonical["objects"]:
        left, top, right, bottom = each["box"]
        assert 0 <= left < right <= TILE.width
        assert 0 <= top < bottom <= TILE.height


numbers = st.none() | st.booleans() | st.integers() | st.floats()
shapes = st.fixed_dictionaries(
    {"class": numbers | st.integers(1, 3), "box": st.lists(st.floats(-2, 102) | numbers)},
    optional={"attributes": st.dictionaries(st.text(max_size=3), numbers), "id": numbers},
)


@given(st.fixed_dictionaries({"objects": st.lists(shapes | numbers, max_size=3)}) | numbers)
def test_no_json_breaks_the_reading_of_answers(answer: Any) -> None:
    try:
        canonical = validated(answer)
    except InvalidAnswer:
        return
    assert validated(canonical) == canonical


def best_by_trying_all(answer: dict[str, Any], gold: dict[str, Any]) -> float:
    said, true = answer["objects"], gold["objects"]
    wanted = sum(not each.get("optional") for each in true)
    like = ious(as_boxes([e["box"] for e in said]), as_boxes([e["box"] for e in true]))
    hits = max(
        sum(
            like[i, j] >= 0.5 and said[i]["class"] == true[j]["class"]
            for i, j in enumerate(order)
            if j < len(true)
        )
        for order in permutations(range(max(len(said), len(true))), len(said))
    )
    return 2 * hits / (len(said) + wanted) if said or wanted else 1.0


crowded = st.lists(
    st.builds(
        lambda x, y, width, label: a_box(x, y, x + width, y + 10, label=label),
        *[st.integers(0, 4).map(float)] * 2,
        st.integers(8, 14).map(float),
        st.integers(1, 2),
    ),
    max_size=5,
).map(lambda each: {"objects": each})


@given(crowded, crowded)
def test_the_score_is_f1_under_the_best_assignment(
    answer: dict[str, Any], gold: dict[str, Any]
) -> None:
    assert scored(answer, gold) == pytest.approx(best_by_trying_all(answer, gold))


@given(answers)
def test_the_truth_itself_scores_one_and_anything_else_is_within_bounds(
    gold: dict[str, Any],
) -> None:
    assert scored(validated(gold), validated(gold)) == 1.0
    assert scored(boxes(), gold) == (0.0 if gold["objects"] else 1.0)
    assert 0 <= scored(boxes(a_box(0, 0, 40, 40)), gold) <= 1


@given(answers, st.lists(st.booleans(), min_size=6, max_size=6))
def test_optional_objects_may_be_drawn_or_left_out(
    gold: dict[str, Any], choices: list[bool]
) -> None:
    hidden = {"objects": [{**each, "optional": True} for each in gold["objects"]]}
    some = {"objects": [e for e, kept in zip(gold["objects"], choices, strict=False) if kept]}
    assert scored(some, hidden) == 1.0


def test_an_optional_object_excuses_neither_a_second_box_nor_one_around_everything() -> None:
    sliver = a_box(95, 0, 100, 20, optional=True)
    there = a_box(10, 10, 40, 40)
    gold = boxes(there, sliver)
    assert scored(boxes(there), gold) == 1.0
    assert scored(boxes(there, a_box(96, 0, 100, 20, label=2)), gold) == 1.0
    assert scored(boxes(there, *[a_box(96, 0, 100, 20)] * 2), gold) == pytest.approx(2 / 3)
    assert scored(boxes(a_box(0, 0, 100, 80)), boxes(sliver)) == 0.0


def test_a_crowd_excuses_everybody_who_is_drawn_in_it() -> None:
    crowd = a_box(0, 0, 100, 50, optional=True)
    people = [a_box(x, 10, x + 9, 40) for x in range(0, 90, 10)]
    there = a_box(10, 60, 40, 90)
    assert scored(boxes(there, *people), boxes(there, crowd)) == 1.0
    assert scored(boxes(*people), boxes(there, crowd)) == 0.0
    assert scored(boxes(there, *people), boxes(there)) == pytest.approx(2 / 11)


def test_a_box_of_the_wrong_class_is_a_miss_and_a_false_alarm() -> None:
    assert scored(boxes(a_box(0, 0, 9, 9, label=2)), boxes(a_box(0, 0, 9, 9))) == 0.0


def test_thousands_of_boxes_on_one_spot_score_in_no_time() -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform((0, 0, 70, 70), (5, 5, 75, 75), (2_000, 4))
    piled = [a_box(*row) for row in rows.tolist()]
    assert scored(boxes(*piled), boxes(a_box(2, 2, 72, 72))) == pytest.approx(2 / 2_001)
