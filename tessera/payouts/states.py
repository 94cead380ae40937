"""The lives of a payout and of a batch, as data."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


class PayoutState(StrEnum):
    REQUESTED = "requested"
    BATCHED = "batched"
    SENT = "sent"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    CLOSED = "closed"
    CANCELLED = "cancelled"


S = TypeVar("S", PayoutState, BatchState)

_P, _B = PayoutState, BatchState

PAYOUT_MOVES: Mapping[PayoutState, frozenset[PayoutState]] = MappingProxyType(
    {
        _P.REQUESTED: frozenset({_P.BATCHED, _P.CANCELLED}),
        _P.BATCHED: frozenset({_P.REQUESTED, _P.SENT}),
        _P.SENT: frozenset({_P.SETTLED, _P.RETURNED}),
        # a bank may take weeks to find that the account does not exist
        _P.SETTLED: frozenset({_P.RETURNED}),
        _P.RETURNED: frozenset(),
        _P.CANCELLED: frozenset(),
    }
)

BATCH_MOVES: Mapping[BatchState, frozenset[BatchState]] = MappingProxyType(
    {
        _B.DRAFT: frozenset({_B.DRAFT, _B.APPROVED, _B.CANCELLED}),
        # any edit makes it a draft again
        _B.APPROVED: frozenset({_B.DRAFT, _B.SUBMITTED, _B.CANCELLED}),
        _B.SUBMITTED: frozenset({_B.CLOSED}),
        _B.CLOSED: frozenset(),
        _B.CANCELLED: frozenset(),
    }
)


def payout_sources(target: PayoutState) -> frozenset[PayoutState]:
    """States from which `target` may be reached."""
    return _sources(PAYOUT_MOVES, target)


def batch_sources(target: BatchState) -> frozenset[BatchState]:
    """States from which `target` may be reached."""
    return _sources(BATCH_MOVES, target)


def _sources(moves: Mapping[S, frozenset[S]], target: S) -> frozenset[S]:
    return frozenset(state for state, targets in moves.items() if target in targets)
