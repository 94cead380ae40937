from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.special import logsumexp
from scipy.stats import binom

from tessera.truth.calibration import (
    SATURATED,
    USUAL,
    Bin,
    Calibration,
    calibrate,
    expected_calibration_error,
    reliability,
    share_interval,
    told_apart,
)
from tessera.truth.confusion import estimate
from tessera.truth.votes import UNKNOWN, Floats, Indices
from tests.seeds import seeds
from tests.truth.crowd import answers, as_often, some_of

Followed = Callable[[Floats], tuple[float, Floats]]

SAID = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))


def known(seed: int, *, items: int = 120, classes: int = 3) -> tuple[Floats, Indices]:
    """Log probabilities of items, and a truth that is as probable as its third root says."""
    dice = np.random.default_rng(seed)
    odds = dice.normal(0, 4, (items, classes))
    odds -= logsumexp(odds, axis=1, keepdims=True)
    real = np.exp(odds / 3)
    real /= real.sum(axis=1, keepdims=True)
    return odds, (dice.random((items, 1)) > real.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)


def lost(values: Floats, odds: Floats, truth: Indices) -> float:
    """Minus the logarithm of how probable temperature and biases are, given what is known."""
    total = 20 * np.log(values[0] / USUAL) ** 2 / 2 + 2 * (values[1:] ** 2).sum() / 2
    for row, is_ in zip(np.maximum(odds, SATURATED), truth, strict=True):
        scores = values[0] * row + values[1:]
        total -= scores[is_] - logsumexp(scores)
    return float(total)


@pytest.mark.parametrize("seed", seeds(5))
def test_on_an_ambiguous_crowd_gold_takes_away_most_of_the_false_confidence(seed: int) -> None:
    votes, truth = answers([as_often(0.85, 3)] * 20, seed, items=1_000, per_item=10, ambiguous=0.4)
    gold = some_of(truth, 0.2, seed)
    found = estimate(votes, known=gold)
    probable = calibrate(found.log_posterior, gold).apply(found.log_posterior)
    scored = gold == UNKNOWN
    raw = expected_calibration_error(found.sure[scored], (found.labels == truth)[scored])
    sure, right = probable.max(axis=1)[scored], (probable.argmax(axis=1) == truth)[scored]
    assert raw > 0.1
    assert expected_calibration_error(sure, right) < raw / 2


@pytest.mark.parametrize("seed", seeds(5))
def test_a_crowd_that_takes_one_class_for_another_gets_a_bias_against_it(seed: int) -> None:
    dice = np.random.default_rng(seed)
    odds = np.log(np.full((200, 2), 0.5))
    learnt = calibrate(odds, (dice.random(200) < 0.9).astype(np.int64))
    assert learnt.bias[1] > learnt.bias[0]
    assert learnt.apply(odds)[0, 1] == pytest.approx(0.9, abs=0.07)


def test_from_nothing_the_usual_temperature_is_learnt_and_no_bias() -> None:
    learnt = calibrate(SAID, np.full(3, UNKNOWN))
    assert (learnt.temperature, learnt.known) == (USUAL, 0)
    assert learnt.bias.tolist() == [0.0, 0.0]
    raised = np.exp(SAID) ** USUAL
    np.testing.assert_allclose(learnt.apply(SAID), raised / raised.sum(axis=1, keepdims=True))


def test_a_little_gold_hardly_moves_it_and_much_does() -> None:
    odds, truth = known(1, items=2_000)
    few = np.where(np.arange(2_000) < 3, truth, UNKNOWN)
    assert calibrate(odds, few).known == 3
    assert abs(calibrate(odds, few).temperature - USUAL) < 0.02
    sharp = np.maximum(odds * 0.4, SATURATED)
    assert calibrate(sharp, truth).temperature == pytest.approx(1 / 3 / 0.4, abs=0.08)


def test_items_whose_truth_is_not_known_teach_nothing() -> None:
    odds, truth = known(2)
    half = np.where(np.arange(len(truth)) % 2, truth, UNKNOWN)
    first, second = calibrate(odds, half), calibrate(odds[1::2], truth[1::2])
    assert first.known == second.known == 60
    assert first.temperature == second.temperature
    assert first.bias.tolist() == second.bias.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_nearby_is_more_probable_than_what_is_learnt(seed: int) -> None:
    odds, truth = known(seed)
    learnt = calibrate(odds, truth)
    values = np.r_[learnt.temperature, learnt.bias]
    assert 0.05 < learnt.temperature < 1.4, "else it is an edge"
    assert np.abs(approx_fprime(values, lost, 1e-6, odds, truth)).max() < 0.02
    assert lost(values, odds, truth) < lost(np.r_[USUAL, 0, 0, 0], odds, truth)


@pytest.mark.long
def test_the_slope_that_is_followed_is_that_of_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed: list[Followed] = []

    def recorded(loss: Followed, start: Floats, **how: Any) -> Any:
        followed.append(loss)
        return minimize(loss, start, **how)

    monkeypatch.setattr("tessera.truth.calibration.minimize", recorded)
    odds, truth = known(3)
    calibrate(odds, truth)
    (loss,) = followed
    dice = np.random.default_rng(3)
    for _ in range(20):
        at = np.r_[dice.uniform(0.05, 1.4), dice.uniform(-2, 2, 3)]
        value, slope = loss(at)
        assert value == pytest.approx(lost(at, odds, truth))
        np.testing.assert_allclose(
            slope, approx_fprime(at, lost, 1e-7, odds, truth), rtol=1e-3, atol=1e-3
        )


@given(
    st.lists(st.lists(st.floats(-1e4, 0), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.02, 1.5),
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_what_is_calibrated_are_probabilities(
    odds: list[list[float]], temperature: float, bias: list[float]
) -> None:
    probable = Calibration(temperature, np.array(bias), 1).apply(np.array(odds))
    np.testing.assert_allclose(probable.sum(axis=1), 1)
    assert ((probable > 0) & (probable < 1)).all()


def test_no_agreement_however_large_makes_anything_certain() -> None:
    learnt = Calibration(USUAL, np.zeros(2), 0)
    much, more = learnt.apply(np.array([[0.0, SATURATED], [0.0, -1e6]]))[:, 0]
    assert much == more < 0.96


def test_the_reliability_curve_is_by_tenths_and_leaves_empty_ones_out() -> None:
    confidence = np.array([0.05, 0.51, 0.59, 0.93, 0.97, 1.0, 1.0])
    right = np.array([False, True, False, True, True, False, True])
    found = reliability(confidence, right)
    assert [each.items for each in found] == [1, 2, 4]
    assert [each.accuracy for each in found] == [0, 0.5, 0.75]
    assert [each.confidence for each in found] == pytest.approx([0.05, 0.55, 0.975])


def test_the_calibration_error_is_how_far_the_tenths_are_off_weighted_by_items() -> None:
    confidence = np.array([0.6, 0.6, 0.9, 0.9, 0.9, 0.9])
    right = np.array([True, False, True, True, True, True])
    assert expected_calibration_error(confidence, right) == pytest.approx((2 * 0.1 + 4 * 0.1) / 6)
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0
    assert expected_calibration_error(np.array([1.0]), np.array([False])) == 1


def test_errors_of_one_tenth_do_not_make_up_for_those_of_another() -> None:
    confidence, right = np.array([0.75, 0.25]), np.array([False, True])
    assert confidence.mean() == right.mean()
    assert expected_calibration_error(confidence, right) == 0.75


def test_of_nothing_there_is_no_curve_and_no_error() -> None:
    nothing = np.array([])
    assert reliability(nothing, nothing.astype(bool)) == []
    assert np.isnan(expected_calibration_error(nothing, nothing.astype(bool)))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_every_item_is_in_one_tenth(items: list[tuple[float, bool]]) -> None:
    confidence = np.array([each for each, _ in items])
    right = np.array([each for _, each in items])
    found = reliability(confidence, right)
    assert sum(each.items for each in found) == len(items)
    assert sum(each.items * each.accuracy for each in found) == pytest.approx(right.sum())
    assert [each.confidence for each in found] == sorted(each.confidence for each in found)
    assert all(isinstance(each, Bin) for each in found)
    assert 0 <= expected_calibration_error(confidence, right) <= 1


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [
        (0, 10, 0, 0.3084971),
        (10, 10, 0.6915029, 1),
        (5, 10, 0.1870860, 0.8129140),
        (1, 1, 0.025, 1),
        (0, 0, 0, 1),
    ],
)
def test_a_share_lies_where_clopper_and_pearson_say(
    right: int, of: int, low: float, high: float
) -> None:
    assert share_interval(right, of) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 40), st.integers(1, 40), st.floats(0.5, 0.999))
def test_either_end_would_be_as_improbable_as_is_left(
    right: int, more: int, coverage: float
) -> None:
    of, tail = right + more, (1 - coverage) / 2
    low, high = share_interval(right, of, coverage=coverage)
    assert 0 <= low < high <= 1
    assert binom.cdf(right, of, high) == pytest.approx(tail, rel=1e-5)
    if right:
        assert binom.sf(right - 1, of, low) == pytest.approx(tail, rel=1e-5)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("of", [5, 40, 300])
def test_a_share_lies_within_at_least_nineteen_times_in_twenty(share: float, of: int) -> None:
    drawn = np.random.default_rng(11).binomial(of, share, 1_500)
    interval = {right: share_interval(right, of) for right in set(drawn.tolist())}
    within = [interval[right][0] <= share <= interval[right][1] for right in drawn.tolist()]
    assert np.mean(within) >= 0.95


def test_more_coverage_is_wider_and_more_items_are_narrower() -> None:
    low, high = share_interval(30, 40)
    assert share_interval(30, 40, coverage=0.99)[0] < low < share_interval(300, 400)[0] < 0.75
    assert share_interval(30, 40, coverage=0.99)[1] > high > share_interval(300, 400)[1] > 0.75


@pytest.mark.parametrize("seed", seeds(20))
def test_no_item_of_known_truth_has_a_part_in_its_own_calibration(seed: int) -> None:
    """Whatever one of them is known to be, it is told to be the same."""
    dice = np.random.default_rng(seed)
    log_posterior = np.log(dice.dirichlet(np.ones(3), 60))
    truth = np.where(dice.random(60) < 0.5, dice.integers(0, 3, 60), UNKNOWN)
    known = np.flatnonzero(truth != UNKNOWN)
    said = told_apart(log_posterior, truth)
    which = int(dice.integers(len(known)))
    truth[known[which]] = (truth[known[which]] + 1) % 3
    assert told_apart(log_posterior, truth)[which] == said[which]


def test_a_crowd_that_takes_one_class_for_another_is_told_right_once_gold_has_said_so() -> None:
    """All say the second class, and half as surely where it is the first."""
    truth = np.tile([0, 1], 200)
    log_posterior = np.log(np.where(truth[:, None] == 0, [[0.1, 0.9]], [[0.001, 0.999]]))
    assert (told_apart(log_posterior, truth) == truth).mean() > 0.95
    assert len(told_apart(log_posterior, np.full(400, UNKNOWN))) == 0
