import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.quality.gold_share import gold_share
from tessera.quality.trust import NEWCOMER
from tests.quality.scored import trust_after

bases = st.floats(0.01, 1)
scores = st.lists(st.floats(0, 1), max_size=80)


def shares(given_scores: list[float], base: float = 0.1) -> list[float]:
    """After each gold."""
    return [
        gold_share(trust_after(given_scores[:seen]), base_share=base)
        for seen in range(len(given_scores) + 1)
    ]


def test_half_of_a_newcomers_tasks_are_gold_until_they_can_be_judged() -> None:
    assert shares([1.0] * 4) == [0.5] * 5


def test_for_good_earners_the_share_falls_with_every_gold_to_a_third_of_the_projects() -> None:
    seen = shares([0.95] * 80)
    assert seen[4:] == sorted(seen[4:], reverse=True)
    assert seen[20] < 0.06
    assert 0.1 / 3 < seen[-1] < 0.04


def test_who_may_be_below_the_minimum_keeps_the_projects_full_share() -> None:
    assert gold_share(trust_after([0.55] * 80), base_share=0.1) == pytest.approx(0.1, abs=0.005)


def test_who_turns_bad_gets_more_gold_again() -> None:
    assert shares([1.0] * 60 + [0.0] * 8)[-1] > 2 * shares([1.0] * 60)[-1]


@given(scores, bases)
def test_the_share_is_never_zero_and_never_above_the_larger_of_one_half_and_the_projects(
    given_scores: list[float], base: float
) -> None:
    share = gold_share(trust_after(given_scores), base_share=base)
    assert base / 3 - 1e-12 <= share <= max(0.5, base) + 1e-12


@given(scores, bases, st.floats(0.05, 0.95))
def test_a_project_that_asks_for_more_gold_or_more_trust_gets_no_less(
    given_scores: list[float], base: float, minimum: float
) -> None:
    trust = trust_after(given_scores)
    share = gold_share(trust, base_share=base, minimum_trust=minimum)
    assert gold_share(trust, base_share=min(1, base + 0.1), minimum_trust=minimum) >= share - 1e-12
    assert gold_share(trust, base_share=base, minimum_trust=minimum + 0.04) >= share - 1e-12


@pytest.mark.parametrize("base", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_a_bug(base: float) -> None:
    with pytest.raises(ValueError, match="gold share"):
        gold_share(NEWCOMER, base_share=base)
