"""Receipts: noting what was decided about people, reading it, and saying no to it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.decisions.errors import NotContestable
from tessera.decisions.models import Decision, Effect, Rule
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After

A_DAY = timedelta(days=1)
CONTEST_WITHIN = timedelta(days=14)
"""After the earner could read of a decision."""
ANSWERED_WITHIN = timedelta(days=14)
"""A contest that nobody has answered by then is upheld."""
CONTESTABLE_FOR = A_DAY + CONTEST_WITHIN
"""After it was made, at most: some decisions are only told a day later."""
AT_ONCE = frozenset({Effect.STOPPED, Effect.RESTORED, Effect.CHECKED, Effect.SLOWED})
"""What an earner notices anyway, or what no single answer leads to."""
CONTESTABLE = frozenset({Effect.REJECTED, Effect.LOWERED, Effect.SLOWED, Effect.STOPPED})


async def note(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note decisions: rows of columns by name. Of an answer each effect is noted once."""
    if rows:
        await session.execute(
            insert(Decision).on_conflict_do_nothing(), [dict(row) for row in rows]
        )


def told(every: timedelta) -> ColumnElement[bool]:
    """Whether an earner may read of it.

    A decision that followed from an answer at once would tell which answers are compared with known
    ones: so of answers they hear at multiples of `every`, and of trust once a day.
    """
    if not every:
        return true()
    of_effect = case((Decision.effect == Effect.LOWERED, A_DAY), else_=every)
    since = func.date_bin(of_effect, func.now(), db.EPOCH)
    return or_(Decision.effect.in_(AT_ONCE), Decision.created_at < since)


async def mine(
    session: AsyncSession, *, earner_id: UUID, every: timedelta, after: After | None, limit: int
) -> Sequence[Decision]:
    """What was decided about an earner, newest first."""
    theirs = select(Decision).where(Decision.earner_id == earner_id, told(every))
    if after is not None:
        theirs = theirs.where(tuple_(Decision.created_at, Decision.id) < after)
    newest = theirs.order_by(Decision.created_at.desc(), Decision.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def every_one(
    session: AsyncSession, *, earner_id: UUID, every: timedelta
) -> AsyncIterator[Decision]:
    """All of them, newest first, in constant memory."""
    after: After | None = None
    while some := await mine(session, earner_id=earner_id, every=every, after=after, limit=500):
        for each in some:
            yield each
        after = (some[-1].created_at, some[-1].id)
        session.expunge_all()


async def one_of_mine(
    session: AsyncSession, decision_id: UUID, *, earner_id: UUID, every: timedelta
) -> Decision:
    """One decision about an earner.

    Raises:
        NotFound: There is none, or it is about somebody else, or may not be told yet.
    """
    return await _one(session, decision_id, earner_id=earner_id, every=every, lock=False)


async def _one(
    session: AsyncSession, decision_id: UUID, *, earner_id: UUID, every: timedelta, lock: bool
) -> Decision:
    one = select(Decision).where(
        Decision.id == decision_id, Decision.earner_id == earner_id, told(every)
    )
    found: Decision | None = await session.scalar(db.locking(one) if lock else one)
    if found is None:
        raise NotFound("There is no such decision about you.")
    return found


async def contest(
    session: AsyncSession, decision_id: UUID, *, earner_id: UUID, every: timedelta, text: str
) -> Decision:
    """Say that a decision is wrong, once. Somebody answers in time, or it is upheld.

    Raises:
        NotFound: There is no such decision about this earner.
        NotContestable: It does the earner no harm, or is too old, or was contested before.
    """
    decision = await _one(session, decision_id, earner_id=earner_id, every=every, lock=True)
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    if decision.effect not in CONTESTABLE:
        raise NotContestable("There is nothing to contest: this does you no harm.")
    if decision.contested_at is not None:
        raise NotContestable("You have contested this before.", state=decision.contest_state)
    if now > contestable_until(decision):
        until = contestable_until(decision).isoformat()
        raise NotContestable("It is too late to contest this.", until=until)
    decision.contested_at, decision.contest = now, text
    decision.due_at = now + ANSWERED_WITHIN
    await session.flush()
    return decision


def contestable_until(decision: Decision) -> datetime:
    return decision.created_at + CONTESTABLE_FOR


async def last_stop(session: AsyncSession, project_id: UUID, earner_id: UUID) -> UUID | None:
    """The decision by which an earner gets no more tasks."""
    theirs = select(Decision.id).where(
        Decision.project_id == project_id,
        Decision.earner_id == earner_id,
        Decision.effect == Effect.STOPPED,
    )
    found: UUID | None = await session.scalar(theirs.order_by(Decision.created_at.desc()).limit(1))
    return found


async def followed_from_rules(
    session: AsyncSession, project_id: UUID, earner_id: UUID
) -> set[UUID]:
    """Leases of answers that were rejected, or to be corrected, since a rule stopped an earner."""
    stops = select(Decision.id).where(
        Decision.project_id == project_id,
        Decision.earner_id == earner_id,
        Decision.rule == Rule.BELOW_MINIMUM_TRUST,
    )
    followed = select(Decision.lease_id).where(
        Decision.project_id == project_id,
        Decision.because_id.in_(stops),
        Decision.lease_id.is_not(None),
    )
    return {each for each in await session.scalars(followed) if each is not None}
