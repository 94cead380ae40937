"""What gold tells of labels, beside how right they really are, in crowds whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from tessera.quality.estimated_accuracy import by_gold
from tessera.truth.audit import LEVEL
from tessera.truth.calibration import calibrate, expected_calibration_error
from tessera.truth.confusion import believe, estimate
from tessera.truth.gold_panels import ByGold, told_by
from tessera.truth.panels import panels_of
from tessera.truth.votes import UNKNOWN
from tests.truth.crowd import answers, as_often, some_of


@dataclass(frozen=True)
class Simulated:
    told: ByGold
    labels: int
    real: float
    """Accuracy of all that is not gold, by the labels that it gets."""
    recall: list[float]
    """By class; so precision."""
    precision: list[float]


@cache
def simulated(seed: int, items: int = 500, share: float = 0.2) -> Simulated:
    dice = np.random.default_rng([seed, 1])
    crowd = [as_often(dice.uniform(0.5, 0.95), 3) for _ in range(30)]
    votes, truth = answers(crowd, seed, items=items, per_item=3, ambiguous=0.1)
    gold = some_of(truth, share, seed)
    told = told_by(votes, gold, [10, 20, 30])
    assert told is not None
    anew = estimate(votes, known=gold)
    panels, known = panels_of(votes, gold)
    calibration = calibrate(believe(panels, anew.crowd, known=known), known)
    said = calibration.apply(anew.log_posterior).argmax(axis=1)
    right, ordinary = said == truth, gold == UNKNOWN
    recall, precision = (
        [float(right[ordinary & (which == number)].mean()) for number in range(3)]
        for which in (truth, said)
    )
    real = float(right[ordinary].mean())
    return Simulated(told, int(ordinary.sum()), real, recall, precision)


def noise(times: int) -> float:
    """Three standard errors of how often an interval holds."""
    return float(3 * np.sqrt(LEVEL * (1 - LEVEL) / times))


def hold(projects: Sequence[Simulated]) -> None:
    """The interval of the accuracy holds the real one; and it is not off to one side."""
    held, off = [], []
    for each in projects:
        found = by_gold(each.told, labels=each.labels)
        assert found is not None
        held.append(found.low <= each.real <= found.high)
        off.append(found.value - each.real)
    assert np.mean(held) >= LEVEL - noise(len(held))
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(len(off))


@pytest.mark.long
def test_the_interval_by_gold_holds_the_real_accuracy_as_often_as_it_says() -> None:
    hold([simulated(seed) for seed in range(16)])


@pytest.mark.long
def test_it_does_in_more_projects_too() -> None:
    hold([simulated(seed) for seed in range(100)])


def test_so_do_those_of_precision_and_recall_of_each_class() -> None:
    held = []
    for seed in range(4):
        each = simulated(seed, items=2_000, share=0.05)
        for number, of_class in enumerate(each.told.classes):
            assert of_class.choice == 10 * (number + 1)
            told = ((of_class.recall, each.recall), (of_class.precision, each.precision))
            for interval, real in told:
                assert interval is not None
                held.append(interval.low <= real[number] <= interval.high)
    assert np.mean(held) >= LEVEL - noise(len(held))


def test_each_gold_item_counts_once_however_many_have_answered_it() -> None:
    votes, truth = answers([as_often(0.8)] * 40, 3, items=60, per_item=24)
    gold = some_of(truth, 0.3, 3)
    ordinary = np.flatnonzero(gold[votes.items] == UNKNOWN)
    few = np.concatenate([ordinary[votes.items[ordinary] == item][:4] for item in range(60)])
    some = votes.only(np.sort(np.r_[few, np.flatnonzero(gold[votes.items] != UNKNOWN)]))
    told = told_by(some, gold, [0, 1])
    assert told is not None
    assert told.items == (gold != UNKNOWN).sum()
    assert len(told.panels.truth) == 6 * told.items


def test_how_sure_panels_are_is_about_how_often_they_are_right() -> None:
    told = [simulated(seed).told.panels for seed in range(16)]
    confidence = np.concatenate([each.confidence for each in told])
    right = np.concatenate([each.right for each in told])
    assert expected_calibration_error(confidence, right) < 0.05


def test_what_is_confused_most_is_named() -> None:
    table = np.array([[0.6, 0.4, 0.0], [0.05, 0.95, 0.0], [0.0, 0.02, 0.98]])
    votes, truth = answers([table] * 20, 5, items=400, per_item=2)
    told = told_by(votes, some_of(truth, 0.5, 5), [7, 8, 9])
    assert told is not None
    assert told.classes[0].mistaken_for == 8
    assert [each.mistaken_for for each in told.classes][2] in (None, 8)


def test_without_gold_nothing_is_told() -> None:
    votes, truth = answers([as_often(0.8)] * 9, 1, items=20, per_item=3)
    assert told_by(votes, np.full(len(truth), UNKNOWN), [0, 1]) is None


def test_a_crowd_that_is_mostly_wrong_is_told_to_be() -> None:
    votes, truth = answers([as_often(0.4, 3)] * 20, 2, items=300, per_item=3)
    told = told_by(votes, some_of(truth, 0.3, 2), [0, 1, 2])
    assert told is not None
    assert told.right / told.items == pytest.approx(0.45, abs=0.15)
