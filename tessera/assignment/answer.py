"""Taking answers: exactly one per lease, whatever is retried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue
from tessera.assignment.errors import (
    AlreadyAnswered,
    LeaseExpired,
    LeaseNotFound,
    LeaseReturned,
    LeaseSuperseded,
    RepeatedLease,
)
from tessera.assignment.models import Answer, Lease, LeaseState, Outcome, Task
from tessera.earnings import service as earnings
from tessera.images.models import Tile
from tessera.kernel import db, jobs
from tessera.kernel.errors import DomainError
from tessera.kinds import LabelSchema, Size, kind_of
from tessera.projects.models import Project


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
class _Held:
    """A lease of the caller, with what its answer is judged by."""

    lease: Lease
    project: Project
    size: Size
    open_seconds: float
    before: Answer | None


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
    held = await _held(session, earner_id, [one.lease_id for one in given])
    results: dict[UUID, Result] = {}
    fresh: list[tuple[_Held, Given, dict[str, Any] | None]] = []
    for one in given:
        try:
            mine = _require(held, one)
            value = _canonical(mine, one)
            if mine.before is not None:
                results[one.lease_id] = _replay(mine.before, one, value)
                continue
            await _take_place(session, mine.lease)
        except DomainError as refusal:
            results[one.lease_id] = Result(one.lease_id, refusal)
        else:
            fresh.append((mine, one, value))
            results[one.lease_id] = Result(one.lease_id)
    await _record(session, fresh)
    return [results[one.lease_id] for one in given]


async def _held(
    session: AsyncSession, earner_id: UUID, lease_ids: Sequence[UUID]
) -> dict[UUID, _Held]:
    # ordered by id: two calls with the same leases queue up instead of deadlocking
    locked = db.locking(
        select(Lease)
        .where(Lease.id.in_(lease_ids), Lease.earner_id == earner_id)
        .order_by(Lease.id)
    )
    leases = {lease.id: lease for lease in await session.scalars(locked)}
    rows = await session.execute(
        select(
            Lease.id,
            Project,
            Tile.window_right - Tile.window_left,
            Tile.window_bottom - Tile.window_top,
            func.extract("epoch", func.now() - Lease.leased_at),
            Answer,
        )
        .join(Project, Project.id == Lease.project_id)
        .join(Task, (Task.project_id == Lease.project_id) & (Task.id == Lease.task_id))
        .join(Tile, Tile.id == Task.tile_id)
        .outerjoin(Answer, (Answer.project_id == Lease.project_id) & (Answer.lease_id == Lease.id))
        .where(Lease.id.in_(leases))
    )
    return {
        id_: _Held(leases[id_], project, Size(width, height), float(seconds), before)
        for id_, project, width, height, seconds, before in rows
    }


def _require(held: Mapping[UUID, _Held], one: Given) -> _Held:
    mine = held.get(one.lease_id)
    if mine is None:
        raise LeaseNotFound("You hold no such lease.")
    if mine.lease.fence != one.fence:
        raise LeaseSuperseded("The fencing number is not this lease's.")
    if mine.lease.state is LeaseState.RETURNED:
        raise LeaseReturned("You gave this task back.")
    return mine


def _canonical(mine: _Held, one: Given) -> dict[str, Any] | None:
    if one.outcome is not Outcome.ANSWERED:
        return None
    schema = LabelSchema.parse(mine.project.label_schema)
    return kind_of(mine.project.kind).validate(one.value, schema, mine.size)


def _replay(before: Answer, one: Given, value: dict[str, Any] | None) -> Result:
    if (before.outcome, before.value) != (one.outcome, value):
        raise AlreadyAnswered("You gave another answer to this task before.")
    return Result(one.lease_id, replayed=True)


async def _take_place(session: AsyncSession, lease: Lease) -> None:
    """Keep the place, or win it back if the lease ran out but nobody has taken it since."""
    if lease.state is LeaseState.OPEN:
        return
    if not await queue.take_back(session, lease):
        raise LeaseExpired("This lease has run out, and the task went to somebody else.")


async def _record(
    session: AsyncSession, fresh: Sequence[tuple[_Held, Given, dict[str, Any] | None]]
) -> None:
    if not fresh:
        return
    await session.execute(
        update(Lease)
        .where(Lease.id.in_([mine.lease.id for mine, _, _ in fresh]))
        .values(state=LeaseState.ANSWERED)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        insert(Answer),
        [
            {
                "project_id": mine.project.id,
                "lease_id": mine.lease.id,
                "task_id": mine.lease.task_id,
                "earner_id": mine.lease.earner_id,
                "outcome": one.outcome,
                "value": value,
                "seconds": min(one.seconds or mine.open_seconds, mine.open_seconds),
            }
            for mine, one, value in fresh
        ],
    )
    await earnings.expect(
        session,
        [
            earnings.Expected(
                project_id=mine.project.id,
                lease_id=mine.lease.id,
                task_id=mine.lease.task_id,
                earner_id=mine.lease.earner_id,
                currency=mine.project.currency,
                amount_micro=mine.project.price_micro,
                fee_micro=mine.project.fee_micro,
            )
            for mine, _, _ in fresh
        ],
    )
    by_project: dict[UUID, list[UUID]] = {}
    for mine, _, _ in fresh:
        by_project.setdefault(mine.project.id, []).append(mine.lease.task_id)
    for project_id, task_ids in by_project.items():
        await jobs.enqueue(
            session,
            "quality.settle",
            payload={"project_id": str(project_id), "task_ids": [str(id_) for id_ in task_ids]},
        )
