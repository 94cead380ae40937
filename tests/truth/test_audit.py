"""Intervals of a sample: by exact sums over all that could be drawn, and by drawing."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from tessera.truth.audit import LEVEL, Sampled, accuracy, right_interval


@cache
def intervals(size: int, population: int, level: float) -> list[tuple[int, int]]:
    """By what a sample finds."""
    return [
        right_interval(Sampled(found, size, population), level=level) for found in range(size + 1)
    ]


def coverage(right: int, size: int, population: int, level: float) -> float:
    """How often the interval of a random sample holds the real number: the sum over all samples."""
    chance = hypergeom.pmf(np.arange(size + 1), population, right, size)
    holds = [low <= right <= high for low, high in intervals(size, population, level)]
    return float(chance[holds].sum())


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("population", "size"), [(1, 1), (2, 1), (7, 3), (40, 1), (40, 39), (60, 20), (300, 30)]
)
def test_of_every_population_the_interval_holds_the_truth_as_often_as_it_says(
    population: int, size: int, level: float
) -> None:
    least = min(coverage(right, size, population, level) for right in range(population + 1))
    assert least >= level - 1e-9


@pytest.mark.long
def test_of_populations_that_are_too_large_to_try_all_it_does_too() -> None:
    dice = np.random.default_rng(7)
    for _ in range(8):
        population = int(dice.integers(1_000, 3_000_000))
        size = int(dice.integers(1, 400))
        right = population - int(population * dice.random() ** 4)
        assert coverage(right, size, population, LEVEL) >= LEVEL - 1e-9, (right, size, population)


@given(st.data())
def test_it_holds_what_was_seen_and_what_it_refutes_is_really_unlikely(data: st.DataObject) -> None:
    population = data.draw(st.integers(1, 400))
    size = data.draw(st.integers(0, population))
    found = data.draw(st.integers(0, size))
    low, high = right_interval(Sampled(found, size, population))
    assert found <= low <= high <= population - (size - found)
    tail = (1 - LEVEL) / 2
    if low > found:
        assert hypergeom.sf(found - 1, population, low - 1, size) <= tail
    if high < population - (size - found):
        assert hypergeom.cdf(found, population, high + 1, size) <= tail
    assert high == low or size < population, "who has looked at all knows"


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_more_that_is_right_and_a_larger_sample_say_more(
    size: int, more: int, data: st.DataObject
) -> None:
    population = size + more
    found = data.draw(st.integers(0, size - 1))
    low, high = right_interval(Sampled(found, size, population))
    better_low, better_high = right_interval(Sampled(found + 1, size, population))
    assert low <= better_low
    assert high <= better_high


def test_a_sample_that_cannot_be_is_refused() -> None:
    for right, size, population in ((2, 1, 5), (-1, 1, 5), (1, 6, 5)):
        with pytest.raises(ValueError, match="no such sample"):
            Sampled(right, size, population)
    for corrected, later in ((3, 0), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="corrected"):
            accuracy(Sampled(8, 10, 100), corrected=corrected, later=later)


def test_nothing_is_said_where_nothing_was_sampled_or_is_left() -> None:
    assert accuracy(Sampled(0, 0, 100)) is None
    assert accuracy(Sampled(0, 1, 1), corrected=1) is None


def test_what_was_settled_later_may_all_be_wrong_or_right() -> None:
    known = accuracy(Sampled(95, 100, 1_000))
    later = accuracy(Sampled(95, 100, 1_000), later=1_000)
    assert known is not None
    assert later is not None
    assert later.value == known.value == 0.95
    assert later.low == known.low / 2
    assert later.high == (known.high + 1) / 2


@pytest.mark.parametrize("seed", range(2))
def test_the_interval_holds_the_real_accuracy_of_labels_that_were_corrected_and_grew(
    seed: int,
) -> None:
    """A project in small: labels, a sample, its wrong ones corrected, some gone, others new."""
    dice = np.random.default_rng(seed)
    held, times = 0, 1_000
    for _ in range(times):
        right = dice.random(int(dice.integers(50, 400))) < dice.uniform(0.5, 1)
        sample = np.zeros(len(right), dtype=bool)
        size = int(dice.integers(1, 50))
        sample[dice.choice(len(right), size, replace=False)] = True
        stays = dice.random(len(right)) < np.where(right, 0.9, 0.6)  # whatever the sample was
        corrected = sample & ~right & stays & (dice.random(len(right)) < 0.8)
        there = stays  # those that were corrected are known of, too
        later = dice.random(int(dice.integers(0, 40))) < 0.7
        told = accuracy(
            Sampled(int((sample & there & right).sum()), int((sample & there).sum()),
                    int(there.sum())),
            corrected=int(corrected.sum()),
            later=len(later),
        )  # fmt: skip
        left = np.r_[right[there & ~corrected], later]
        held += told is None or not len(left) or told.low <= left.mean() <= told.high
    assert held / times >= LEVEL
