"""Scores, beside what a pencil says."""

import pytest

from demo.score import BoxScore, accuracy, boxes
from demo.truth import Labelled

COIN, CUP = 3, 5


def coin(left: float, top: float, right: float, bottom: float) -> Labelled:
    return Labelled(COIN, (left, top, right, bottom))


THERE = coin(0, 0, 10, 10)
ELSEWHERE = coin(100, 100, 120, 110)


def test_all_found_exactly_is_perfect_in_whatever_order() -> None:
    assert boxes([THERE, ELSEWHERE], [ELSEWHERE, THERE]) == BoxScore(1, 1, 1)


def test_what_overlaps_by_half_is_found_and_lowers_the_mean() -> None:
    twice_as_tall = coin(0, 0, 10, 20)  # 100 of 200 in common
    assert boxes([THERE, ELSEWHERE], [twice_as_tall, ELSEWHERE]) == BoxScore(1, 1, 0.75)


def test_what_overlaps_by_less_is_missed_and_is_a_false_alarm() -> None:
    shifted = coin(5, 0, 15, 10)  # 50 of 150 in common
    assert boxes([THERE, ELSEWHERE], [shifted, ELSEWHERE]) == BoxScore(0.5, 0.5, 1)
    a_little_taller = coin(0, 0, 10, 20.1)  # 100 of 201
    assert boxes([THERE, ELSEWHERE], [a_little_taller, ELSEWHERE]) == BoxScore(0.5, 0.5, 1)


def test_the_right_place_with_the_wrong_name_is_not_found() -> None:
    assert boxes([THERE, ELSEWHERE], [Labelled(CUP, THERE.box), ELSEWHERE]) == BoxScore(0.5, 0.5, 1)


def test_what_was_missed_lowers_recall_alone() -> None:
    assert boxes([THERE, ELSEWHERE], [THERE]) == BoxScore(1, 0.5, 1)


def test_what_is_not_there_lowers_precision_alone() -> None:
    invented = [coin(50, 50, 60, 60), coin(70, 50, 80, 60), Labelled(CUP, (0, 50, 9, 59))]
    assert boxes([THERE], [THERE, *invented]) == BoxScore(0.25, 1, 1)


def test_an_object_is_found_once_however_often_it_was_drawn() -> None:
    assert boxes([THERE], [THERE, THERE, coin(0, 0, 10, 9)]) == BoxScore(1 / 3, 1, 1)


def test_pairs_are_chosen_so_that_all_is_found_that_can_be() -> None:
    # the first of `found` overlaps both objects, and the nearer one most: 8 of 12, and 7 of 13;
    # the second overlaps enough of the nearer one alone: 7.5 of 12.5
    truth = [coin(10, 0, 20, 10), coin(15, 0, 25, 10)]
    found = [coin(12, 0, 22, 10), coin(7.5, 0, 17.5, 10)]
    score = boxes(truth, found)
    assert (score.precision, score.recall) == (1, 1)
    assert score.mean_iou == pytest.approx((7.5 / 12.5 + 7 / 13) / 2)


@pytest.mark.parametrize(("truth", "found"), [([THERE], []), ([], [THERE]), ([], [])])
def test_without_objects_or_without_boxes_nothing_is_found(
    truth: list[Labelled], found: list[Labelled]
) -> None:
    assert boxes(truth, found) == BoxScore(0, 0, 0)


def test_an_image_is_right_with_exactly_its_class() -> None:
    truth = {"right.jpg": COIN, "wrong.jpg": COIN, "both.jpg": COIN, "none.jpg": COIN}
    found = {"right.jpg": [COIN], "wrong.jpg": [CUP], "both.jpg": [COIN, CUP], "gold.jpg": [CUP]}
    assert accuracy(truth, found) == 0.25
    assert accuracy(truth, {name: [COIN] for name in truth}) == 1
