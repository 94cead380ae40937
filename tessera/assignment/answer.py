"""Taking answers: exactly one per lease, whatever is retried."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.errors import (
    AlreadyAnswered,
    LeaseExpired,
    LeaseNotFound,
    LeaseReturned,
    LeaseSuperseded,
    RepeatedLease,
)
from tessera.assignment.models import Answer, Lease, LeaseState, Outcome
from tessera.assignment.queries import Held, lock_leases
from tessera.earnings import service as earnings
from tessera.kernel import jobs
from tessera.kernel.errors import DomainError
from tessera.kinds import Kind, LabelSchema, Question, kind_of, parsed
from tessera.projects.models import Project

JUDGED_TOGETHER = 10
"""Tasks that one job judges in one transaction: as many as a usual batch has."""


@dataclass(frozen=True)
class Given:
    """One answer as it arrived."""

    lease_id: UUID
    fence: int
    outcome: Outcome
    value: Mapping[str, Any] | None
    seconds: float | None


@dataclass(frozen=True)
class Result:
    """What became of one answer: taken, or refused and why."""

    lease_id: UUID
    refusal: DomainError | None = None
    replayed: bool = False
    """The same answer had arrived before; nothing was done again."""


@dataclass(frozen=True)
class _Asked:
    """What a project asks, read once for all answers to it."""

    project: Project
    kind: Kind
    schema: LabelSchema


@dataclass(frozen=True)
class _Fresh:
    """An answer that nothing speaks against, in its canonical form."""

    held: Held
    project: Project
    given: Given
    value: dict[str, Any] | None


async def answer(
    session: AsyncSession, *, earner_id: UUID, given: Sequence[Given]
) -> Sequence[Result]:
    """Take answers, each on its own merits: a refused one leaves the others alone.

    Gold is treated like everything else here; it is scored later, by a job.

    Raises:
        RepeatedLease: Two answers are for the same lease.
    """
    if len({one.lease_id for one in given}) < len(given):
        raise RepeatedLease("Two of these answers are for the same lease.")
    held = await lock_leases(session, earner_id, [one.lease_id for one in given])
    asked = await _asked(session, held)
    before = await _before(session, held)
    results = {one.lease_id: Result(one.lease_id) for one in given}
    fresh: list[_Fresh] = []
    for one in given:
        await asyncio.sleep(0)  # of fifty large answers, others wait for one at a time
        try:
            mine = _require(held, one)
            value = _canonical(asked[mine.project_id], mine, one)
            if mine.state is LeaseState.ANSWERED:
                results[one.lease_id] = _replay(before[one.lease_id], one, value)
            else:
                fresh.append(_Fresh(mine, asked[mine.project_id].project, one, value))
        except DomainError as refusal:
            results[one.lease_id] = Result(one.lease_id, refusal)
    await _record(session, fresh)
    return list(results.values())


async def _asked(session: AsyncSession, held: Mapping[UUID, Held]) -> dict[UUID, _Asked]:
    projects = await session.scalars(
        select(Project).where(Project.id.in_({each.project_id for each in held.values()}))
    )
    return {
        project.id: _Asked(project, kind_of(project.kind), parsed(project.label_schema))
        for project in projects
    }


async def _before(session: AsyncSession, held: Mapping[UUID, Held]) -> dict[UUID, Answer]:
    answered = [
        (each.project_id, each.id) for each in held.values() if each.state is LeaseState.ANSWERED
    ]
    if not answered:
        return {}
    answers = await session.scalars(
        select(Answer).where(tuple_(Answer.project_id, Answer.lease_id).in_(answered))
    )
    return {each.lease_id: each for each in answers}


def _require(held: Mapping[UUID, Held], one: Given) -> Held:
    mine = held.get(one.lease_id)
    if mine is None:
        raise LeaseNotFound("You hold no such lease.")
    if mine.fence != one.fence:
        raise LeaseSuperseded("The fencing number is not this lease's.")
    if mine.state is LeaseState.RETURNED:
        raise LeaseReturned("You gave this task back.")
    # also while its place is still free: that of gold stays free for longer, and would tell
    if mine.state is LeaseState.EXPIRED:
        raise LeaseExpired("This lease has run out, and the task has gone to others.")
    return mine


def _canonical(asked: _Asked, mine: Held, one: Given) -> dict[str, Any] | None:
    if one.outcome is not Outcome.ANSWERED:
        return None
    return asked.kind.validate(one.value, Question(asked.schema, mine.frame, mine.subject))


def _replay(before: Answer, one: Given, value: dict[str, Any] | None) -> Result:
    if (before.outcome, before.value) != (one.outcome, value):
        raise AlreadyAnswered("You gave another answer to this task before.")
    return Result(one.lease_id, replayed=True)


async def _record(session: AsyncSession, fresh: Sequence[_Fresh]) -> None:
    if not fresh:
        return
    await session.execute(
        update(Lease)
        .where(Lease.id.in_([each.held.id for each in fresh]))
        .values(state=LeaseState.ANSWERED)
        .execution_options(synchronize_session=False)
    )
    await session.execute(insert(Answer), [_row(each) for each in fresh])
    await earnings.expect(session, [_expected(each) for each in fresh])
    by_project: dict[UUID, list[Held]] = {}
    for each in fresh:
        by_project.setdefault(each.project.id, []).append(each.held)
    for project_id, held in by_project.items():
        for start in range(0, len(held), JUDGED_TOGETHER):
            some = held[start : start + JUDGED_TOGETHER]
            payload = {
                "project_id": str(project_id),
                "task_ids": [str(each.task_id) for each in some],
                "lease_ids": [str(each.id) for each in some],
            }
            await jobs.enqueue(session, "quality.settle", payload=payload)


def _row(fresh: _Fresh) -> dict[str, Any]:
    held, given = fresh.held, fresh.given
    said = held.seconds if given.seconds is None else given.seconds
    return {
        "project_id": held.project_id,
        "lease_id": held.id,
        "task_id": held.task_id,
        "earner_id": held.earner_id,
        "outcome": given.outcome,
        "value": fresh.value,
        "seconds": min(said, held.seconds),
    }


def _expected(fresh: _Fresh) -> earnings.Expected:
    return earnings.Expected(
        project_id=fresh.held.project_id,
        lease_id=fresh.held.id,
        task_id=fresh.held.task_id,
        earner_id=fresh.held.earner_id,
        currency=fresh.project.currency,
        amount_micro=fresh.project.price_micro,
        fee_micro=fresh.project.fee_micro,
    )
