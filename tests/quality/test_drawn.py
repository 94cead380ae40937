"""How well somebody draws: learnt from gold, and trust where they have drawn little."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import Skill, Tally
from tessera.quality.drawn import STRENGTH, added, skill_of

COUNTS = st.tuples(st.integers(0, 500), st.floats(0, 1), st.integers(0, 500), st.floats(0, 1)).map(
    lambda some: _tally(*some)
)


def _tally(there: int, found: float, vain: int, credit: float) -> Tally:
    hits = round(there * found)
    return Tally(there, hits, hits + vain, hits * credit)


def test_of_who_has_drawn_nothing_trust_says_it_all() -> None:
    assert skill_of(None, 0.7) == Skill(0.7, 0.7, 0.7)


@given(COUNTS, st.floats(0.01, 0.99))
def test_every_share_lies_between_what_was_counted_and_trust(tally: Tally, trust: float) -> None:
    skill = skill_of(added(None, tally), trust)
    counted = tally.found / tally.there if tally.there else trust
    low, high = sorted((counted, trust))
    assert min(low, 0.98) - 1e-9 <= skill.finds <= max(high, 0.02) + 1e-9


@given(st.lists(COUNTS, min_size=1, max_size=8), st.floats(0.1, 0.9))
def test_tallies_add_up_in_any_order(tallies: list[Tally], trust: float) -> None:
    forth, back = None, None
    for one, other in zip(tallies, reversed(tallies), strict=True):
        forth, back = added(forth, one), added(back, other)
    assert forth == pytest.approx(back)
    assert skill_of(forth, trust).finds == pytest.approx(skill_of(back, trust).finds)


def test_after_much_gold_the_shares_are_those_counted() -> None:
    skill = skill_of([1000, 900, 1200, 720], 0.5)
    assert skill.finds == pytest.approx(0.9, abs=0.01)
    assert skill.right == pytest.approx(0.75, abs=0.01)
    assert skill.exact == pytest.approx(0.8, abs=0.01)


def test_trust_counts_for_a_few_objects() -> None:
    assert skill_of([STRENGTH, 0, 0, 0], 0.8).finds == pytest.approx(0.4)
    assert np.isclose(skill_of([0, 0, STRENGTH, 0], 0.8).right, 0.4)


def test_others_tell_where_gold_does_not_and_only_there() -> None:
    gold, others = [10.0, 9.0, 10.0, 8.0], [200.0, 100.0, 200.0, 50.0]
    alone, beside = skill_of(gold, 0.8), skill_of(gold, 0.8, others)
    assert beside.finds < alone.finds
    assert beside.right < alone.right
    assert beside.exact < alone.exact
    known = [4 * each for each in gold]
    assert skill_of(known, 0.8, others) == skill_of(known, 0.8)
