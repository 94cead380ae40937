"""What each answer earns: expected when it is given, decided by quality, posted in batches.

Aggregation never pays: quality says approved or rejected, and `post_approved` alone talks to the
ledger, many earnings to one transfer, so that no account is a hot row while people answer.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    exists,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.earnings.models import Earning, EarningState
from tessera.kernel import db
from tessera.kernel.paging import After
from tessera.ledger import service as ledger
from tessera.ledger.models import Event
from tessera.ledger.service import Leg, Reason
from tessera.projects.models import Project, ProjectState

_IS_PENDING = literal_column("earnings.state = 'pending'", Boolean())
_IS_APPROVED = literal_column("earnings.state = 'approved'", Boolean())
"""Not as parameters: of those a generic plan does not know that a partial index serves them."""


@dataclass(frozen=True)
class Expected:
    project_id: UUID
    lease_id: UUID
    task_id: UUID
    earner_id: UUID
    currency: str
    amount_micro: int
    fee_micro: int


async def expect(session: AsyncSession, earnings: Sequence[Expected]) -> None:
    """Note what answers will earn once they are accepted."""
    await session.execute(insert(Earning), [asdict(earning) for earning in earnings])


async def approve(
    session: AsyncSession, which: ColumnElement[bool], *, skip_locked: bool = False
) -> int:
    """Approve pending earnings; returns how many there were."""
    pending = select(Earning).where(which)
    return len(await _decide(session, pending, EarningState.APPROVED, skip_locked=skip_locked))


async def reject(
    session: AsyncSession,
    which: ColumnElement[bool],
    *,
    code: str,
    reason: str,
    contestable_for: timedelta,
) -> set[UUID]:
    """Reject pending earnings, with a reason that the earner reads.

    Args:
        contestable_for: So long their money stays set aside.

    Returns:
        The leases whose earnings were rejected; what was approved before stays approved.
    """
    pending = select(Earning).where(which)
    rejected = await _decide(
        session,
        pending,
        EarningState.REJECTED,
        skip_locked=True,
        reason_code=code,
        reason=reason,
        contestable_until=func.now() + contestable_for,
    )
    return set(rejected)


async def hold(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Keep the money of rejected earnings set aside, however long it takes: they are contested."""
    await session.execute(
        update(Earning)
        .where(which, Earning.state == EarningState.REJECTED, _is_there())
        .values(contestable_until=text("'infinity'"))
        .execution_options(synchronize_session=False)
    )


async def let_go(
    session: AsyncSession, which: ColumnElement[bool], *, after: timedelta = timedelta(0)
) -> None:
    """Rejected earnings stay so: their money is set aside no longer than so long after that."""
    await session.execute(
        update(Earning)
        .where(which, Earning.state == EarningState.REJECTED)
        .values(contestable_until=Earning.decided_at + after)
        .execution_options(synchronize_session=False)
    )


def _is_there() -> ColumnElement[bool]:
    """Whether the money of a rejected earning has not gone back yet."""
    going_on = exists().where(
        Project.id == Earning.project_id, Project.state != ProjectState.COMPLETED
    )
    return going_on | (Earning.contestable_until > func.now())


async def pay_after_all(
    session: AsyncSession, which: ColumnElement[bool], *, code: str, reason: str
) -> Sequence[UUID]:
    """Approve rejected earnings whose money is still there; returns their leases."""
    paid = await session.scalars(
        update(Earning)
        .where(
            which,
            Earning.state == EarningState.REJECTED,
            _is_there(),
        )
        .values(
            state=EarningState.APPROVED,
            decided_at=func.now(),
            reason_code=code,
            reason=reason,
            contestable_until=None,
        )
        .returning(Earning.lease_id)
        .execution_options(synchronize_session=False)
    )
    return paid.all()


async def set_aside_micro(session: AsyncSession, project_id: UUID) -> int:
    """What rejected earnings that may yet be paid come to, with fees."""
    held = select(func.coalesce(func.sum(Earning.amount_micro + Earning.fee_micro), 0)).where(
        Earning.project_id == project_id, Earning.contestable_until > func.now()
    )
    return int((await session.execute(held)).scalar_one())


async def approve_older(
    session: AsyncSession, *, project_id: UUID, than: timedelta, limit: int
) -> int:
    """Approve a project's longest waiting earnings: waiting is not the earner's fault."""
    older = (
        select(Earning)
        .where(Earning.project_id == project_id, Earning.created_at <= func.now() - than)
        .order_by(Earning.created_at)
        .limit(limit)
    )
    return len(await _decide(session, older, EarningState.APPROVED, skip_locked=True))


async def _decide(
    session: AsyncSession,
    which: Select[Earning],
    state: EarningState,
    *,
    skip_locked: bool,
    **values: Any,
) -> Sequence[UUID]:
    """Move pending earnings to a state, once.

    Settling skips what others are deciding at the moment: they approve it, and as it never waits
    here, with its tasks locked, nobody can deadlock with it.
    """
    pending = (
        db.locking(which.where(_IS_PENDING), skip_locked=skip_locked)
        .with_only_columns(Earning.project_id, Earning.lease_id)
        .cte("pending")
    )
    decided = await session.scalars(
        update(Earning)
        .where(Earning.project_id == pending.c.project_id, Earning.lease_id == pending.c.lease_id)
        .values(state=state, decided_at=func.now(), **values)
        .returning(Earning.lease_id)
        .execution_options(synchronize_session=False)
    )
    return decided.all()


def told_at(decided_at: datetime, every: timedelta) -> datetime:
    """When an earner hears of a decision: at the next multiple of `every` since 1970."""
    if not every:
        return decided_at
    return decided_at + every - (decided_at - db.EPOCH) % every


async def post_approved(
    session: AsyncSession, *, project_id: UUID, every: timedelta, limit: int
) -> int:
    """Write approved earnings of a project to the ledger as one transfer, once they may be told.

    Each earning is a line of its own with its own unique reference, so that even two such calls
    at once, or a call repeated after a crash, cannot pay one twice.
    """
    due = db.locking(
        select(Earning)
        .where(Earning.project_id == project_id, _IS_APPROVED, *_told(every))
        .order_by(Earning.decided_at, Earning.lease_id)
        .limit(limit),
        skip_locked=True,
    )
    batch = (await session.scalars(due)).all()
    if not batch:
        return 0
    transfer_id = await ledger.post(
        session,
        _legs(project_id, batch),
        currency=batch[0].currency,
        reason=Reason(Event.EARN, f"earnings:{uuid4()}"),
    )
    for earning in batch:
        earning.state, earning.transfer_id = EarningState.AVAILABLE, transfer_id
    await session.flush()
    return len(batch)


def _told(every: timedelta) -> list[ColumnElement[bool]]:
    return [Earning.decided_at < func.date_bin(every, func.now(), db.EPOCH)] if every else []


def _legs(project_id: UUID, batch: Sequence[Earning]) -> list[Leg]:
    lines = [
        Leg(
            ledger.earner(earning.earner_id),
            earning.amount_micro,
            reference=f"earning:{earning.lease_id}",
        )
        for earning in batch
    ]
    fees = sum(earning.fee_micro for earning in batch)
    total = fees + sum(earning.amount_micro for earning in batch)
    if fees:
        lines.append(Leg(ledger.FEES, fees))
    return [Leg(ledger.escrow(project_id), -total), *lines]


async def projects_waiting(session: AsyncSession, *, longer_than: timedelta) -> Sequence[UUID]:
    """Projects with earnings that nobody has decided about for so long."""
    waiting = exists().where(
        Earning.project_id == Project.id,
        _IS_PENDING,
        Earning.created_at <= func.now() - longer_than,
    )
    return (await session.scalars(select(Project.id).where(waiting))).all()


async def projects_due(session: AsyncSession, *, every: timedelta) -> Sequence[UUID]:
    """Projects with approved earnings that may be told, and are not in the ledger yet."""
    due = select(Earning.project_id).where(_IS_APPROVED, *_told(every)).distinct()
    return (await session.scalars(due)).all()


async def statement(
    session: AsyncSession, *, earner_id: UUID, after: After | None, limit: int
) -> Sequence[Earning]:
    """An earner's earnings, newest first."""
    mine = select(Earning).where(Earning.earner_id == earner_id)
    if after is not None:
        mine = mine.where(tuple_(Earning.created_at, Earning.lease_id) < after)
    newest = mine.order_by(Earning.created_at.desc(), Earning.lease_id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def totals(session: AsyncSession, *, earner_id: UUID) -> dict[str, dict[EarningState, int]]:
    """Micro-units by currency and state."""
    rows = await session.execute(
        select(Earning.currency, Earning.state, func.sum(Earning.amount_micro))
        .where(Earning.earner_id == earner_id)
        .group_by(Earning.currency, Earning.state)
    )
    result: dict[str, Counter[EarningState]] = {}
    for currency, state, total in rows:
        result.setdefault(currency, Counter())[state] = int(total)
    return {currency: dict(states) for currency, states in result.items()}
