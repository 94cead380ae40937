"""Random histories, against a model of the ledger that fits in a dozen lines."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.errors import InsufficientFunds, ReferenceReused
from tessera.ledger.invariants import check
from tessera.ledger.service import FEES, OUTSIDE, Purse
from tests.ledger.money import balance, because
from tests.seeds import examples

PURSES = 4
purses = st.integers(0, PURSES - 1)
currencies = st.sampled_from(["EUR", "JPY"])
amounts = st.integers(1, 100) | st.just(10**12)
moves = st.tuples(purses, purses, currencies, amounts, st.integers(0, 8)).filter(
    lambda move: move[0] != move[1]
)

Move = tuple[int, int, str, int, int]


@dataclass
class Auditor:
    """Says what must happen, knowing nothing of SQL."""

    balances: Counter[tuple[int, str]] = field(default_factory=Counter)
    known: dict[int, Move] = field(default_factory=dict)

    def expects(self, move: Move) -> type[Exception] | None:
        source, target, currency, amount, reason = move
        if reason in self.known:
            return None if self.known[reason] == move else ReferenceReused
        if source != 0 and self.balances[source, currency] < amount:
            return InsufficientFunds
        self.known[reason] = move
        self.balances[source, currency] -= amount
        self.balances[target, currency] += amount
        return None


async def attempt(
    sessions: db.Sessions, move: Move, purse: list[Purse], history: UUID
) -> type[Exception] | None:
    source, target, currency, amount, reason = move
    try:
        async with db.transaction(sessions) as session:
            await ledger.move(
                session,
                purse[source],
                purse[target],
                amount_micro=amount,
                currency=currency,
                reason=because(f"{history}:{reason}"),
            )
    except (InsufficientFunds, ReferenceReused) as refusal:
        return type(refusal)
    return None


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(moves, max_size=25))
async def test_m4_every_history_ends_as_the_auditor_says(
    sessions: db.Sessions, history: list[Move]
) -> None:
    purse = [OUTSIDE, *(ledger.earner(uuid4()) for _ in range(PURSES - 2)), FEES]
    auditor, name = Auditor(), uuid4()
    async with db.reading(sessions) as session:
        before = {
            (i, currency): await balance(session, purse[i], currency)
            for i in range(PURSES)
            for currency in ("EUR", "JPY")
        }
    auditor.balances.update(before)
    for move in history:
        assert await attempt(sessions, move, purse, name) == auditor.expects(move)
        async with db.reading(sessions) as session:  # what was written is read at once
            for i in move[:2]:
                found = await balance(session, purse[i], move[2])
                assert found == auditor.balances[i, move[2]]
    async with db.reading(sessions) as session:
        assert not [finding for finding in await check(session) if finding.broken]
