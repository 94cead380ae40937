"""Who is strong in what, and how much another answer would tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.truth.confusion import as_often
from tessera.truth.strengths import STRONG, gain, rivals, strong, strong_choices
from tessera.truth.votes import Floats


def posteriors(most: int = 6) -> st.SearchStrategy[Floats]:
    weights = st.lists(st.floats(0.001, 1), min_size=2, max_size=most)
    return weights.map(lambda each: np.array(each) / sum(each))


@given(st.floats(0, 1), st.integers(0, 200))
def test_nobody_is_strong_who_has_shown_nothing_or_only_errors(usual: float, wrong: int) -> None:
    assert not strong(np.zeros(1), np.array([wrong], dtype=float), usual).any()


@pytest.mark.parametrize("usual", [0.3, 0.6, 0.95])
def test_it_takes_more_to_be_strong_where_the_crowd_is_right_more_often(usual: float) -> None:
    right = np.arange(60, dtype=np.float64)
    least = int(strong(right, right, usual).argmax())
    assert least == {0.3: 3, 0.6: 4, 0.95: 14}[usual], "of so many right ones without one wrong"


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 1))
def test_one_more_right_answer_makes_nobody_weaker(right: int, wrong: int, usual: float) -> None:
    before, after = (
        strong(np.array([r], dtype=float), np.array([r + wrong], dtype=float), usual)[0]
        for r in (right, right + 1)
    )
    assert after >= before


def test_who_is_strong_is_right_more_often_than_the_crowd() -> None:
    rng = np.random.default_rng(3)
    truly = rng.uniform(0.4, 1, 4_000)
    right = rng.binomial(40, truly).astype(np.float64)
    usual = 0.7
    found = strong(right, np.full(len(right), 40.0), usual)
    assert 0.3 < found.mean() < 0.5
    assert (truly[found] > min(usual, STRONG)).mean() > 0.97


def test_strengths_are_by_class() -> None:
    counts = np.array([[[30.0, 0], [12, 18]], [[18, 12], [0, 30]], [[0, 0], [0, 0]]])
    common = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert strong_choices(counts, common).tolist() == [[True, False], [False, True], [False, False]]


@given(posteriors())
def test_rivals_are_the_most_probable_and_no_more_than_three(posterior: Floats) -> None:
    told = rivals(posterior)
    others = [each for each in range(len(posterior)) if each not in told]
    assert 2 <= len(told) <= 3
    assert told == sorted(told)
    assert all(posterior[other] <= posterior[told].min() for other in others)


def test_what_is_nearly_sure_has_a_rival_too() -> None:
    assert rivals(np.array([0.01, 0.97, 0.02])) == [1, 2]
    assert rivals(np.array([0.5, 0.02, 0.48])) == [0, 2]


@given(posteriors(), st.floats(0.01, 1))
def test_an_answer_never_adds_risk_and_never_takes_more_than_there_is(
    posterior: Floats, right: float
) -> None:
    told = gain(posterior, as_often(right, len(posterior)))
    assert 0 <= told <= 1 - posterior.max() + 1e-12


def test_what_nobody_can_tell_is_worth_no_answer_and_what_is_even_is_worth_most() -> None:
    blind, good = as_often(0.5, 2), as_often(0.9, 2)
    assert gain(np.array([0.5, 0.5]), blind) == 0
    even, likely, sure = (gain(np.array([p, 1 - p]), good) for p in (0.5, 0.7, 0.95))
    assert even == pytest.approx(0.4)
    assert even > likely > sure == 0


@given(posteriors())
def test_an_answer_that_is_always_right_takes_all_the_risk(posterior: Floats) -> None:
    assert gain(posterior, np.eye(len(posterior))) == pytest.approx(1 - posterior.max())
