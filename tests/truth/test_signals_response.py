"""What follows from signals: never more than that a person looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.truth.response import FAMILY, OVERWHELMING, Step, respond, step
from tessera.truth.signals import TOLD, Finding, Kind

strengths = st.dictionaries(st.sampled_from(Kind), st.floats(0, 50))


def test_every_signal_has_a_family() -> None:
    assert FAMILY.keys() == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_one_signal_alone_is_more_gold_unless_it_is_overwhelming(kind: Kind) -> None:
    assert step({kind: TOLD - 0.1}) is Step.NONE
    assert step({kind: TOLD}) is Step.MORE_GOLD
    assert step({kind: OVERWHELMING - 0.1}) is Step.MORE_GOLD
    assert step({kind: OVERWHELMING}) is Step.REVIEW


def test_two_that_see_different_things_are_slower_and_three_or_a_strong_one_a_person() -> None:
    assert step({Kind.RANDOM: 3, Kind.CONSTANT: 3}) is Step.MORE_GOLD
    assert step({Kind.RANDOM: 3, Kind.FAST: 3}) is Step.SLOWER
    assert step({Kind.RANDOM: 3, Kind.FAST: 4}) is Step.REVIEW
    assert step({Kind.RANDOM: 3, Kind.FAST: 3, Kind.LINKED: 3}) is Step.REVIEW


@given(strengths, st.sampled_from(Kind), st.floats(0, 50))
def test_more_evidence_is_never_answered_with_less(
    seen: dict[Kind, float], kind: Kind, more: float
) -> None:
    assert step(seen | {kind: seen.get(kind, 0.0) + more}) >= step(seen)


def test_a_response_carries_what_was_seen_the_strongest_first() -> None:
    def finding(kind: Kind, *values: float) -> Finding:
        return Finding(kind, np.array(values), lambda earner: f"{kind} of {earner}")

    found = respond(
        [
            finding(Kind.RANDOM, 0.0, 3.0, 3.0),
            finding(Kind.FAST, 0.0, 5.0, 1.0),
        ]
    )
    assert [(each.earner, each.step) for each in found] == [(1, Step.REVIEW), (2, Step.MORE_GOLD)]
    assert found[0].kinds == (Kind.FAST, Kind.RANDOM)
    assert found[0].evidence == ("fast of 1", "random of 1")
    assert found[1].evidence == ("random of 2",)


def test_nobody_is_answered_for_nothing() -> None:
    assert respond([]) == []
    assert respond([Finding(Kind.RING, np.zeros(4), str)]) == []
