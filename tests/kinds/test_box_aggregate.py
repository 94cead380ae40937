import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import Opinion, Outcome, Size, TileFrame, Window, box
from tessera.shapes.boxes import Boxes, as_boxes, ious
from tests.kinds.samples import BOX, a_box, a_schema, about, asked, boxes, opinions, whole

SCHEMA = a_schema()
WHOLE = whole(Size(200, 200))
COIN = a_box(20, 20, 60, 60)
CAT = a_box(100, 90, 180, 160, label=2)


def fused(made: Boxes, trust: Boxes) -> Boxes:
    upright = np.hstack((made, np.zeros((len(made), 1))))
    return np.asarray(box.fuse(upright, trust)[0, :4])


def decide(said: list[Opinion], target: float = 0.95, frame: TileFrame = WHOLE) -> Outcome:
    return BOX.aggregate(said, asked(frame, SCHEMA), target_confidence=target)


def drawn(outcome: Outcome) -> list[tuple[int, list[float]]]:
    return [(each["class"], each["box"]) for each in outcome.label["objects"]]


def test_people_who_agree_are_believed_and_the_more_they_are_the_surer() -> None:
    seen = [decide(opinions(*[boxes(COIN, CAT)] * n)) for n in (1, 2, 3)]
    assert all(drawn(each) == drawn(seen[0]) for each in seen)
    assert [each.confidence for each in seen] == sorted({each.confidence for each in seen})
    assert [each.decided for each in seen] == [False, True, True]


def test_nothing_here_is_as_certain_as_those_who_say_it() -> None:
    one, three = decide(opinions(boxes(), trust=0.8)), decide(opinions(*[boxes()] * 3, trust=0.8))
    assert one.label == three.label == {"objects": []}
    assert one.confidence == pytest.approx(0.8)
    assert three.confidence == pytest.approx(0.8**3 / (0.8**3 + 0.2**3))
    assert three.decided


def test_what_one_of_three_drew_is_dropped_and_what_two_drew_is_kept() -> None:
    outcome = decide(opinions(boxes(COIN, CAT), boxes(COIN), boxes(COIN)))
    assert drawn(outcome) == [(1, [20, 20, 60, 60])]
    assert outcome.confidence == pytest.approx(0.9)
    assert len(decide(opinions(boxes(COIN, CAT), boxes(COIN, CAT), boxes())).label["objects"]) == 2


def test_a_trusted_earner_outweighs_two_doubtful_ones() -> None:
    asked = [
        Opinion("good", boxes(COIN), 0.97),
        Opinion("bad", boxes(), 0.6),
        Opinion("worse", boxes(), 0.55),
    ]
    assert drawn(decide(asked)) == [(1, [20, 20, 60, 60])]


def test_those_worse_than_chance_neither_make_nor_unmake_an_object() -> None:
    honest = decide(opinions(boxes(COIN)))
    spoiled = decide([*opinions(boxes(COIN)), Opinion("spoiler", boxes(CAT), 0.1)])
    assert drawn(spoiled) == drawn(honest)
    assert spoiled.confidence == pytest.approx(honest.confidence)


def test_the_class_is_the_one_with_most_trust_behind_it() -> None:
    as_two = {**COIN, "class": 2}
    outcome = decide(opinions(boxes(COIN), boxes(COIN), boxes(as_two)))
    assert drawn(outcome) == [(1, [20, 20, 60, 60])]
    split = decide(opinions(boxes(COIN), boxes(as_two)))
    assert split.confidence < 0.5
    assert not split.decided


def test_attributes_are_those_most_people_chose() -> None:
    yes, no = ({**COIN, "attributes": {"occluded": each}} for each in ("yes", "no"))
    outcome = decide(opinions(boxes(no), boxes(yes), boxes(no), boxes(COIN)))
    assert outcome.label["objects"][0]["attributes"] == {"occluded": "no"}


def test_touching_and_overlapping_objects_of_one_class_stay_apart() -> None:
    beside, over = a_box(60, 20, 100, 60), a_box(30, 25, 70, 65)
    outcome = decide(opinions(*[boxes(COIN, beside, over)] * 3))
    assert [each["box"] for each in outcome.label["objects"]] == [
        [20, 20, 60, 60],
        [30, 25, 70, 65],
        [60, 20, 100, 60],
    ]


def test_an_object_at_the_windows_edge_that_another_tile_owns_holds_nobody_up() -> None:
    frame = TileFrame(Window(0, 0, 200, 200), Window(0, 0, 180, 180), Size(400, 400))
    sliver = a_box(190, 20, 200, 60)
    asked = opinions(boxes(COIN, sliver), boxes(COIN), boxes(COIN, sliver), boxes(COIN))
    outcome = decide(asked, frame=frame)
    assert outcome.decided
    assert not decide(asked).decided


def test_what_another_tile_owns_is_optional_unless_it_is_certain() -> None:
    frame = TileFrame(Window(0, 0, 200, 200), Window(0, 0, 180, 180), Size(400, 400))
    sure, doubtful = a_box(182, 100, 196, 120), a_box(184, 20, 198, 60)
    outcome = decide(
        opinions(boxes(COIN, sure, doubtful), boxes(COIN, sure, doubtful), boxes(COIN, sure)),
        frame=frame,
    )
    assert outcome.decided
    optional = [each["box"] for each in outcome.label["objects"] if each.get("optional")]
    assert optional == [doubtful["box"]]
    assert len(outcome.label["objects"]) == 3
    for drawn_as_well in ([], [doubtful]):
        answer = boxes(COIN, sure, *drawn_as_well)
        assert BOX.score(answer, outcome.label, asked(WHOLE)) == 1.0, "nobody is blamed for either"


def test_the_core_is_in_image_pixels_and_the_boxes_are_not() -> None:
    frame = TileFrame(Window(180, 0, 380, 200), Window(200, 0, 360, 200), Size(900, 200))
    mine, theirs = a_box(100, 50, 150, 90), a_box(2, 50, 30, 90)
    settled = decide(opinions(boxes(mine, theirs), boxes(mine), boxes(mine)), frame=frame)
    assert settled.decided
    assert not decide(opinions(boxes(mine, theirs), boxes(theirs)), frame=frame).decided


def answer_of(rng: np.random.Generator, truth: np.ndarray[Any, Any], jitter: float) -> Any:
    moved = np.clip(truth + rng.normal(0, jitter, truth.shape), 0, 200)
    answer = boxes(*[a_box(*row, label=1 + i % 3) for i, row in enumerate(moved.tolist())])
    return BOX.validate(answer, about(Size(200, 200), SCHEMA))


TRUTH = np.array(
    [[20.0 * i, 20.0 * j, 20.0 * i + 18, 20.0 * j + 18] for i in range(9) for j in (1, 3)]
)


@given(st.integers(0, 10_000), st.integers(3, 6), st.randoms())
def test_neither_the_order_of_opinions_nor_that_of_boxes_matters(
    seed: int, people: int, chance: random.Random
) -> None:
    rng = np.random.default_rng(seed)
    asked = [
        Opinion(f"earner {i}", answer_of(rng, TRUTH, 3.0), float(rng.uniform(0.5, 0.97)))
        for i in range(people)
    ]
    one, other = decide(asked), decide(chance.sample(asked, people))
    assert json.dumps(one.label) == json.dumps(other.label)
    assert one.confidence == other.confidence


def mean_iou(answer: dict[str, Any]) -> float:
    made = as_boxes([each["box"] for each in answer["objects"]])
    return float(ious(made, TRUTH).max(axis=1).mean())


@given(st.integers(0, 10_000), st.floats(-6, 6))
def test_several_shaky_hands_draw_better_than_one_and_one_that_is_off_does_no_harm(
    seed: int, off: float
) -> None:
    rng = np.random.default_rng(seed)
    said = opinions(*[answer_of(rng, TRUTH, 1.5) for _ in range(5)])
    alone = np.mean([mean_iou(each.answer) for each in said])
    for group in (said, [*said, Opinion("off", answer_of(rng, TRUTH + off, 0), 0.9)]):
        outcome = decide(group)
        assert BOX.score(outcome.label, {"objects": as_gold()}, asked(WHOLE)) == 1.0
        assert mean_iou(outcome.label) > alone


def as_gold() -> list[dict[str, Any]]:
    return [a_box(*row, label=1 + i % 3) for i, row in enumerate(TRUTH.tolist())]


rows = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50)),
    min_size=1,
    max_size=7,
)


@given(rows, st.lists(st.floats(0.05, 0.99), min_size=7, max_size=7))
def test_a_fused_box_lies_within_its_boxes_and_is_never_empty(
    given_rows: list[tuple[int, int, int, int]], trust: list[float]
) -> None:
    made = as_boxes([[x, y, x + w, y + h] for x, w, y, h in given_rows])
    result = fused(made, np.array(trust[: len(made)]))
    assert (made.min(axis=0) - 1e-9 <= result).all()
    assert (result <= made.max(axis=0) + 1e-9).all()
    assert (result[:2] < result[2:]).all()


def test_a_fused_edge_is_the_median_and_of_two_the_mean() -> None:
    made = as_boxes([[0, 0, 10, 10], [2, 2, 12, 12], [40, 40, 99, 99]])
    assert fused(made, np.full(3, 0.9)).tolist() == [2, 2, 12, 12]
    assert fused(made[:2], np.full(2, 0.9)).tolist() == pytest.approx([1, 1, 11, 11])
    even = as_boxes([[0, 0, 10, 10]] * 2 + [[4, 4, 14, 14]] * 2)
    assert fused(even, np.full(4, 0.7)).tolist() == [2, 2, 12, 12]


def test_a_full_tile_is_decided_by_four_who_each_miss_a_little() -> None:
    rng = np.random.default_rng(5)
    asked = []
    for i in range(4):
        answer = answer_of(rng, TRUTH, 1.0)
        answer["objects"].pop(4 * i)
        asked.append(Opinion(f"earner {i}", answer, 0.93))
    outcome = decide(asked)
    assert len(outcome.label["objects"]) == len(TRUTH)
    assert outcome.decided


def test_thousands_of_boxes_on_one_spot_do_not_hold_the_others_up() -> None:
    piled = boxes(*[a_box(0, 0, 200 - i / 100, 200) for i in range(2_000)])
    asked = [
        *opinions(*[boxes(COIN)] * 3),
        Opinion("flood", piled, 0.6),
        Opinion("too", piled, 0.6),
    ]
    outcome = decide(asked)
    assert (1, [20, 20, 60, 60]) in drawn(outcome)
