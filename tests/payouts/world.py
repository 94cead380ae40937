"""Earners with money, finance people, and batches, made for tests."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from tessera.accounts.models import Person, PersonKind
from tessera.kernel import db
from tessera.ledger import invariants as ledger_invariants
from tessera.ledger import service as ledger
from tessera.ledger.service import OUTSIDE
from tessera.payouts import batches, invariants, sending, service
from tessera.payouts.models import Payout, PayoutBatch, PayoutState
from tests.ledger.money import move

IBAN = "DE89370400440532013000"
UNIT = 1_000_000


async def a_person(sessions: db.Sessions, kind: PersonKind = PersonKind.OPERATOR) -> UUID:
    async with db.transaction(sessions) as session:
        person = Person(
            email=f"{uuid4()}@example.org", password_hash="none", name="Somebody", kind=kind
        )
        session.add(person)
        await session.flush()
        return person.id


async def an_earner(
    sessions: db.Sessions, *, has: int = 10 * UNIT, currency: str = "EUR", holder: str = "Ada"
) -> UUID:
    """An earner who has said where to be paid."""
    earner_id = await a_person(sessions, PersonKind.EARNER)
    async with db.transaction(sessions) as session:
        await service.set_destination(
            session,
            earner_id=earner_id,
            rail="manual",
            details={"holder": holder, "iban": IBAN},
        )
    if has:
        await move(sessions, OUTSIDE, ledger.earner(earner_id), has, currency=currency)
    return earner_id


async def a_request(
    sessions: db.Sessions,
    earner_id: UUID,
    *,
    amount_micro: int | None = None,
    currency: str = "EUR",
) -> Payout:
    async with db.transaction(sessions) as session:
        return await service.request(
            session, earner_id=earner_id, currency=currency, amount_micro=amount_micro
        )


@dataclass(frozen=True)
class Finance:
    """Two people, of whom one makes batches and the other approves them."""

    sessions: db.Sessions
    maker: UUID
    checker: UUID

    async def make(
        self, currency: str = "EUR", limit: int = 500, *, disabled: bool = False
    ) -> PayoutBatch:
        async with db.transaction(self.sessions) as session:
            return await batches.create(
                session,
                currency=currency,
                creator_id=self.maker,
                disabled=disabled,
                limit=limit,
            )

    async def approve(
        self, batch: PayoutBatch, *, by: UUID | None = None, shown: str | None = None
    ) -> PayoutBatch:
        async with db.transaction(self.sessions) as session:
            return await batches.approve(
                session,
                batch_id=batch.id,
                approver_id=by or self.checker,
                items_sha256=shown or batch.items_sha256,
            )

    async def remove(
        self,
        batch: PayoutBatch,
        payout_id: UUID,
        *,
        by: UUID | None = None,
        to_balance: bool = False,
    ) -> PayoutBatch:
        async with db.transaction(self.sessions) as session:
            return await batches.remove(
                session,
                batch_id=batch.id,
                payout_id=payout_id,
                editor_id=by or self.maker,
                to_balance=to_balance,
            )

    async def cancel(self, batch: PayoutBatch) -> PayoutBatch:
        async with db.transaction(self.sessions) as session:
            return await batches.cancel(session, batch_id=batch.id)

    async def export(self, batch: PayoutBatch) -> sending.ExportFile:
        async with db.transaction(self.sessions) as session:
            return await sending.export_file(session, batch_id=batch.id)

    async def settle(self, batch: PayoutBatch, *payout_ids: UUID) -> list[Payout]:
        async with db.transaction(self.sessions) as session:
            return await sending.settle(
                session, batch_id=batch.id, payout_ids=payout_ids, actor_id=self.maker
            )

    async def give_back(
        self, batch: PayoutBatch, payout_id: UUID, reason: str = "Account closed."
    ) -> Payout:
        async with db.transaction(self.sessions) as session:
            return await sending.give_back(
                session,
                batch_id=batch.id,
                payout_id=payout_id,
                reason=reason,
                actor_id=self.maker,
            )

    async def sent(self) -> PayoutBatch:
        """A batch of all that waits, at the bank."""
        batch = await self.approve(await self.make())
        await self.export(batch)
        return batch

    async def items(self, batch: PayoutBatch) -> dict[UUID, PayoutState]:
        async with db.reading(self.sessions) as session:
            found = await batches.items(session, batch_id=batch.id, after=None, limit=500)
        return {payout.id: payout.state for payout in found}

    async def look(self, batch: PayoutBatch) -> PayoutBatch:
        async with db.reading(self.sessions) as session:
            return await batches.get(session, batch_id=batch.id)


async def broken(sessions: db.Sessions) -> list[str]:
    """Names of the rules about money that do not hold."""
    rules = {**ledger_invariants.RULES, **invariants.RULES}
    async with db.reading(sessions) as session:
        found = await ledger_invariants.check(session, rules)
    return [finding.rule for finding in found if finding.broken]
