"""Scores, beside what a pencil says."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from demo import score
from demo.score import BoxScore, Tally, accuracy, boxes, tally
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


def test_what_is_found_is_worth_what_it_is_alike_and_the_rest_nothing() -> None:
    alike = np.array([[0.8, 0.0], [0.0, 0.4], [0.0, 0.0]])
    found = tally([COIN, COIN, CUP], [COIN, COIN], alike)
    assert found == Tally(0.8, 3, 2)
    assert found.quality == pytest.approx(2 * 0.8 / 5)
    assert tally([COIN], [CUP], np.ones((1, 1))) == Tally(0, 1, 1)
    assert (found + tally([CUP], [CUP], np.ones((1, 1)))) == Tally(1.8, 4, 3)


@pytest.mark.parametrize(
    ("truth", "found", "worth"), [([], [COIN], 0), ([COIN], [], 0), ([], [], 1)]
)
def test_where_nothing_is_or_nothing_is_said_there_is_nothing_to_match(
    truth: list[int], found: list[int], worth: float
) -> None:
    assert tally(truth, found, np.zeros((len(truth), len(found)))).quality == worth


def test_an_object_that_a_seam_left_in_two_counts_once_at_most() -> None:
    whole, halves = shapely.box(0, 0, 10, 10), [shapely.box(0, 0, 6, 10), shapely.box(4, 0, 10, 10)]
    alike = score.area_ious(np.array([whole]), np.array(halves))
    assert alike == pytest.approx(np.array([[0.6, 0.6]]))
    assert tally([COIN], [COIN, COIN], alike).quality == pytest.approx(2 * 0.6 / 3)


def test_masks_are_as_alike_as_the_pixels_they_share() -> None:
    masks = np.zeros((3, 10, 10), dtype=np.bool_)
    masks[0, :5], masks[1, :, :5], masks[2, 9, 9] = True, True, True
    assert score.mask_ious(masks, masks) == pytest.approx(
        np.array([[1, 25 / 75, 0], [25 / 75, 1, 1 / 51], [0, 0, 1]])
        * [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    )


def test_a_line_is_as_right_as_the_length_that_runs_beside_the_truth() -> None:
    truth = np.array([shapely.LineString([(0, 0), (100, 0)])])
    found = np.array(
        [
            shapely.LineString([(100, 3), (0, 3)]),
            shapely.LineString([(0, 5), (100, 5)]),
            shapely.LineString([(0, 0), (50, 0)]),
        ]
    )
    exact = score.line_f1(truth, found, within=4)[0]
    assert exact[0] == 1
    assert exact[1] == 0
    assert exact[2] == pytest.approx(2 * 0.54 / 1.54)  # the buffer's end reaches 4 px further


def test_points_are_as_close_as_coco_has_it() -> None:
    truth = np.array([[(0, 0), (100, 0), (100, 100), (0, 100)]], dtype=float)
    spread = 2 * 100 * 100 * score.OF_BOX * 0.1**2
    off = truth + np.array([[[3, 4], [0, 0], [0, 0], [0, 0]]])
    assert score.point_similarity(truth, truth, 0.05) == pytest.approx(np.ones((1, 1)))
    assert score.point_similarity(truth, off, 0.05) == pytest.approx(
        np.array([[(3 + np.exp(-25 / spread)) / 4]])
    )


def test_a_point_that_is_not_labelled_is_close_to_none_and_one_too_many_is_nothing() -> None:
    full = np.array([[(0, 0), (100, 0), (100, 100), (0, 100)]], dtype=float)
    short = full.copy()
    short[0, 0] = np.nan
    assert score.point_similarity(full, short, 0.05) == pytest.approx(np.array([[0.75]]))
    assert score.point_similarity(short, full, 0.05) == pytest.approx(np.array([[1.0]]))


def test_mean_iou_is_over_classes_and_leaves_void_out() -> None:
    truth = np.array([[1, 1, 2, 2, 0]])
    assert score.mean_iou([truth], [np.array([[1, 1, 2, 2, 3]])]) == 1
    assert score.mean_iou([truth], [np.array([[1, 1, 1, 2, 2]])]) == pytest.approx(
        (2 / 3 + 1 / 2) / 2
    )
    assert score.mean_iou([truth], [np.array([[1, 1, 0, 0, 0]])]) == 0.5
    assert score.mean_iou([truth], [np.array([[3, 1, 2, 2, 0]])]) == pytest.approx(
        (0.5 + 1 + 0) / 3
    )
    many = [truth, np.array([[1, 1, 1, 1, 1]])], [truth, np.array([[1, 1, 1, 1, 2]])]
    assert score.mean_iou(*many) == pytest.approx((6 / 7 + 2 / 3) / 2)


@given(st.integers(0, 2**32), st.floats(0.02, 0.98))
def test_a_mask_is_decoded_as_coco_encodes_it(seed: int, share: float) -> None:
    bits = np.random.default_rng(seed).random((37, 53)) < share
    encoded = coco_mask.encode(np.asfortranarray(bits.astype(np.uint8)))
    mask = {"left": 5, "top": 3, "size": [37, 53], "counts": encoded["counts"].decode()}
    whole = score.decoded(mask, (70, 50))
    assert whole.shape == (50, 70)
    assert np.array_equal(whole[3:40, 5:58], bits)
    assert whole.sum() == bits.sum()
