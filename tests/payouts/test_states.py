from collections.abc import Mapping
from enum import StrEnum

import pytest

from tessera.payouts.models import BatchState, PayoutState
from tessera.payouts.states import BATCH_MOVES, PAYOUT_MOVES, batch_sources, payout_sources


@pytest.mark.parametrize(
    ("moves", "states"), [(PAYOUT_MOVES, PayoutState), (BATCH_MOVES, BatchState)]
)
def test_every_state_has_its_moves_and_can_be_reached(
    moves: Mapping[StrEnum, frozenset[StrEnum]], states: type[StrEnum]
) -> None:
    first = next(iter(states))
    assert set(moves) == set(states)
    reached: set[StrEnum] = set()
    new = {first}
    while new:
        reached |= new
        new = {target for state in new for target in moves[state]} - reached
    assert reached == set(moves)


def test_what_came_back_or_was_cancelled_moves_no_more() -> None:
    final = {state for state, targets in PAYOUT_MOVES.items() if not targets}
    assert final == {PayoutState.RETURNED, PayoutState.CANCELLED}


def test_money_is_never_sent_but_from_a_batch() -> None:
    assert payout_sources(PayoutState.SENT) == {PayoutState.BATCHED}
    assert batch_sources(BatchState.SUBMITTED) == {BatchState.APPROVED}


def test_what_was_sent_is_never_cancelled_nor_changed() -> None:
    changeable = {BatchState.DRAFT, BatchState.APPROVED}
    assert batch_sources(BatchState.CANCELLED) == changeable == batch_sources(BatchState.DRAFT)
    assert payout_sources(PayoutState.REQUESTED) == {PayoutState.BATCHED}
    assert payout_sources(PayoutState.CANCELLED) == {PayoutState.REQUESTED}
