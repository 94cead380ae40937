from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from tessera.quality.trust import (
    MINIMUM_TRUST,
    NEWCOMER,
    Rating,
    Trust,
    explain,
    rating,
    unsure_score,
)
from tests.quality.scored import trust_after

Scores = Callable[[np.random.Generator], float]

scores = st.lists(st.floats(0, 1), max_size=80)


def blocked_after(draw: Scores, *, golds: int = 60, earners: int = 400) -> list[int]:
    """For those who are blocked at all: how many gold it took."""
    rng = np.random.default_rng(11)
    stopped = []
    for _ in range(earners):
        trust = NEWCOMER
        for _ in range(golds):
            trust = trust.updated(draw(rng))
            if rating(trust) is Rating.BLOCKED:
                stopped.append(trust.seen)
                break
    return stopped


def three_objects(found: float, in_vain: float) -> Scores:
    """F1 of someone who finds each of three objects with a probability, and draws some in vain."""

    def draw(rng: np.random.Generator) -> float:
        hits = rng.binomial(3, found)
        return float(2 * hits / (hits + rng.poisson(in_vain) + 3))

    return draw


@pytest.mark.parametrize(
    "draw",
    [
        three_objects(0.97, 0.03),
        three_objects(0.9, 0.2),
        lambda rng: float(rng.beta(30, 1)),
        lambda rng: float(rng.beta(9, 1)),
        lambda rng: float(rng.random() < 0.97),
    ],
    ids=["careful boxes", "average boxes", "careful", "average", "careful on one object"],
)
def test_careful_and_average_earners_are_not_blocked(draw: Scores) -> None:
    assert blocked_after(draw) == []


def with_doubt(share: float, seed: int, *, golds: int = 60) -> Trust | None:
    """Trust in somebody who is unsure so often and right otherwise; None if they are stopped."""
    rng, trust = np.random.default_rng(seed), NEWCOMER
    unsure = unsure_score(MINIMUM_TRUST, chance=1 / 3)
    for _ in range(golds):
        said = rng.random() >= share
        trust = trust.updated(1.0 if said else unsure, said=said)
        if rating(trust) is Rating.BLOCKED:
            return None
    return trust


def test_who_never_says_what_they_see_is_stopped_as_soon_as_anybody_is_and_reads_why() -> None:
    trust = NEWCOMER
    while rating(trust) is Rating.OK:
        trust = trust.updated(0.5, said=False)
    assert trust.seen == 4
    assert explain(trust) == "You said nothing of what you saw in 4 of 4 check tasks."


def test_who_is_unsure_of_every_fifth_and_right_otherwise_may_go_on() -> None:
    assert sum(with_doubt(0.2, seed) is None for seed in range(400)) < 4


@given(st.floats(0.5, 0.99), st.floats(0, 0.5), st.floats(0, 1))
def test_to_guess_never_scores_more_than_to_say_that_one_would(
    minimum: float, chance: float, sure: float
) -> None:
    unsure = unsure_score(minimum, chance=chance)
    assert chance <= unsure <= minimum
    best_is_to_answer = sure * 1.0 + (1 - sure) * 0.0 > unsure
    assert best_is_to_answer == (sure > unsure), "whoever is less sure than that says so"
    assert not chance > unsure, "a blind guess"


def test_who_is_right_nine_times_in_ten_is_blocked_less_than_once_in_a_thousand() -> None:
    stopped = blocked_after(lambda rng: float(rng.random() < 0.9), earners=5_000)
    assert len(stopped) < 5


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: float(rng.uniform(0, 0.15)),
        lambda rng: float(rng.choice([0.0, 0.1, 0.2], p=[0.7, 0.2, 0.1])),
        lambda _: 0.0,
        lambda _: 0.15,
    ],
    ids=["random clicks", "box everything", "always wrong", "hardly ever right"],
)
def test_who_does_not_look_is_blocked_within_six_gold(draw: Scores) -> None:
    stopped = blocked_after(draw, golds=6, earners=200)
    assert len(stopped) == 200
    assert min(stopped) >= 4


def test_three_bad_tasks_block_nobody() -> None:
    assert rating(trust_after([0.0] * 3)) is Rating.OK
    assert rating(NEWCOMER) is Rating.OK


def test_trust_that_was_earned_long_ago_does_not_protect_for_ever() -> None:
    trust = trust_after([1.0] * 200)
    for _ in range(25):
        trust = trust.updated(0.05)
    assert rating(trust) is Rating.BLOCKED


def test_a_newcomer_is_trusted_four_times_in_five() -> None:
    assert pytest.approx(0.8) == NEWCOMER.mean
    assert (NEWCOMER.seen, NEWCOMER.missed) == (0, 0)


@given(scores)
def test_trust_is_a_probability_that_is_never_certain(given_scores: list[float]) -> None:
    trust = trust_after(given_scores)
    assert 0 < trust.mean < 1
    assert trust.seen == len(given_scores)
    assert trust.missed == sum(score < 0.5 for score in given_scores)
    assert (
        trust_after([*given_scores, 1.0]).mean > trust.mean > trust_after([*given_scores, 0.0]).mean
    )


@given(scores, st.floats(0.05, 0.9))
def test_a_stricter_project_never_lets_more_people_through(
    given_scores: list[float], minimum: float
) -> None:
    trust = trust_after(given_scores)
    assert trust.probability_below(minimum) <= trust.probability_below(minimum + 0.05)
    if rating(trust, minimum_trust=minimum) is Rating.BLOCKED:
        assert rating(trust, minimum_trust=minimum + 0.05) is Rating.BLOCKED


@given(st.floats(1.5, 20), st.floats(1.1, 20), st.floats(0.1, 0.9))
def test_the_probability_below_is_the_area_under_the_posterior(
    alpha: float, beta: float, minimum: float
) -> None:
    def density(x: float) -> float:
        return float(x ** (alpha - 1) * (1 - x) ** (beta - 1))

    share = quad(density, 0, minimum)[0] / (
        quad(density, 0, minimum)[0] + quad(density, minimum, 1)[0]
    )
    assert Trust(alpha, beta).probability_below(minimum) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan")])
def test_a_score_outside_nought_and_one_is_a_bug(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        NEWCOMER.updated(score)


def test_a_blocked_earner_reads_why() -> None:
    assert explain(trust_after([0, 0, 1, 0, 0, 0])) == (
        "You missed 5 of 6 check tasks; this project asks for 60 %."
    )
    assert explain(trust_after([0.5] * 40), minimum_trust=0.75) == (
        "Your last check tasks were about 53 % right; this project asks for 75 %."
    )
    assert pytest.approx(0.6) == MINIMUM_TRUST
