"""Gold whose answer became known is told from gold that is easy, or hard: simulated crowds."""

import numpy as np
import pytest
from scipy.special import expit, logit

from tessera.truth.leaks import FEWEST, LEAKED, Leak, leak

SPREAD = 0.4
"""Of the logarithm of a person's times."""
GOOD = (9.0, 1.5)
"""Beta of how reliable people are: 0.86 in the mean."""
ANSWERS = (20, 30, 60, 150)


def answered(  # noqa: PLR0913 - all that may differ
    dice: np.random.Generator,
    count: int,
    *,
    hardness: float | None = None,
    slowness: float | None = None,
    since: float | None = None,
    share: float = 0.5,
    faster: float = 2.0,
    drift: float = 0.4,
) -> Leak:
    """One gold task and people in the order in which they meet it.

    Args:
        since: From which part of them on some know the answer; nobody does.
        share: Of these, who know it.
        faster: In spreads of a person's own times, that these are.
        drift: Likewise, that people have got faster with all tasks by the last of them.
    """
    trust = np.clip(dice.beta(*GOOD, count), 0.05, 0.98)
    known = np.clip(trust + dice.normal(0, 0.06, count), 0.05, 0.98)
    right = expit(logit(trust) + (dice.normal(0, 1.2) if hardness is None else hardness))
    off = dice.normal(0, 0.6) if slowness is None else slowness
    times = dice.normal(off, 1, count) - drift * np.linspace(0, 1, count)
    times += np.where(dice.random(count) < 0.03, dice.exponential(3, count), 0)  # tea breaks
    if since is not None:
        knows = (np.arange(count) >= since * count) & (dice.random(count) < share)
        right, times = np.where(knows, 0.97, right), np.where(knows, times - faster, times)
    scores = (dice.random(count) < right).astype(float)
    return leak(scores, known, times * SPREAD, np.full(count, SPREAD))


def strengths(count: int, *, times: int, **how: float) -> np.ndarray:
    dice = np.random.default_rng(count)
    return np.array([answered(dice, count, **how).strength for _ in range(times)])


NOT_LEAKED = {
    "as any other": {},
    "people got faster": {"drift": 1.0},
    "easy": {"hardness": 3.0, "slowness": -1.0},
    "hard": {"hardness": -2.5, "slowness": 1.0},
}


@pytest.mark.parametrize("how", NOT_LEAKED)
@pytest.mark.parametrize("count", ANSWERS)
def test_what_nobody_knew_is_not_retired(how: str, count: int) -> None:
    assert strengths(count, times=40, **NOT_LEAKED[how]).max() < LEAKED


@pytest.mark.long
@pytest.mark.parametrize("how", NOT_LEAKED)
@pytest.mark.parametrize("count", ANSWERS)
def test_of_a_thousand_that_nobody_knew_at_most_one_is_retired(how: str, count: int) -> None:
    assert (strengths(count, times=1_000, **NOT_LEAKED[how]) >= LEAKED).mean() <= 0.001


@pytest.mark.parametrize(
    ("count", "share", "least"),
    [(30, 0.95, 0.4), (60, 0.95, 0.85), (150, 0.5, 0.85), (150, 0.95, 0.95)],
)
def test_what_went_round_after_a_third_of_the_answers_is_found(
    count: int, share: float, least: float
) -> None:
    found = strengths(count, times=60, since=1 / 3, share=share)
    assert (found >= LEAKED).mean() >= least


def test_what_is_hard_shows_by_being_answered_rightly_though_nobody_is_faster() -> None:
    found = strengths(150, times=60, since=1 / 3, share=0.5, hardness=-2.5, faster=0.0)
    assert (found >= LEAKED).mean() > 0.3


def test_numbers_for_people_to_read() -> None:
    scores = np.array([0.0, 1.0, 1.0, 1.0])
    told = leak(scores, np.full(4, 0.8), np.full(4, np.log(2.0)), np.full(4, SPREAD))
    assert (told.answers, told.accuracy) == (4, 0.75)
    assert told.expected == pytest.approx(0.8)
    assert (told.early, told.late) == (0.5, 1.0)
    assert told.pace == pytest.approx(2.0)
    assert told.strength == 0, "so few answers tell nothing"
    unknown = np.full(FEWEST, np.nan)
    untimed = leak(np.ones(FEWEST), np.full(FEWEST, 0.8), unknown, np.full(FEWEST, SPREAD))
    assert (untimed.pace, untimed.strength < 1) == (None, True)
    (one,) = (leak(*(np.array([each]) for each in (1.0, 0.9, 0.0, 0.4))) for _ in range(1))
    assert (one.early, one.late) == (1, 1)


def test_what_does_not_fit_together_is_refused() -> None:
    ones = np.ones(3)
    with pytest.raises(ValueError, match="every answer"):
        leak(np.ones(2), ones, ones, ones)
    with pytest.raises(ValueError, match="some answers"):
        leak(np.ones(0), np.ones(0), np.ones(0), np.ones(0))
