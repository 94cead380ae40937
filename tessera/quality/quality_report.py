"""A project's quality in figures: what is known, how well, and how it is known.

What is not known is left out: nothing is guessed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy import exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Answer, Outcome, Task, TaskState, Verdict
from tessera.assignment.stages import KNOWN
from tessera.kernel.errors import Unavailable
from tessera.kinds import parsed
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import answered, audits, by_gold, estimated_accuracy, reviewers
from tessera.quality.estimated_accuracy import EstimatedAccuracy, Method
from tessera.quality.estimating import choices_of
from tessera.quality.models import Gold
from tessera.quality.review_models import Audit, AuditTask
from tessera.quality.reviewers import Pairs
from tessera.quality.second import BY_REVIEW
from tessera.quality.settle import CONSENSUS
from tessera.truth.audit import LEVEL
from tessera.truth.calibration import (
    Bin,
    expected_calibration_error,
    reliability,
    share_interval,
)
from tessera.truth.gold_panels import ByGold, ClassByGold
from tessera.truth.votes import Flags, Floats

# each holds a snapshot of the database and a core meanwhile
_seats = asyncio.Semaphore(1)


@dataclass(frozen=True)
class Point:
    """Labels of about the same confidence."""

    confidence: float
    """Mean of what was stated."""
    accuracy: float
    low: float | None
    """Of an audit: panels of one gold item err alike, so those have no such interval."""
    high: float | None
    items: int


@dataclass(frozen=True)
class Calibration:
    """How well stated confidence fits, where the truth is known."""

    method: Method
    items: int
    error: float
    """Expected calibration error: how far confidence is off, in the mean over tenths."""
    curve: list[Point]


@dataclass(frozen=True)
class ClassQuality:
    id: int
    name: str
    accepted: int
    """Settled labels that say so, but for gold."""
    by_gold: ClassByGold | None


@dataclass(frozen=True)
class QualityReport:
    accuracy: EstimatedAccuracy | None
    """Of the labels that answers came to."""
    calibration: Calibration | None
    classes: list[ClassQuality] | None
    """Where one of several is chosen."""
    settled: int
    """Tasks, but for gold; so the others."""
    settled_by_answers: int
    settled_by_review: int
    in_review: int
    answers: int
    """That count, to ordinary tasks."""
    answers_per_task: float | None
    """Of those that anybody has answered."""
    agreement: float | None
    """Of answers with the labels that came of them, in the mean."""
    reviewers: Pairs

    @property
    def share_reviewed(self) -> float | None:
        return round(self.settled_by_review / self.settled, 4) if self.settled else None


async def report(session: AsyncSession, project_id: UUID, *, caller: Caller) -> QualityReport:
    """Put it together; it takes some seconds for a million answers.

    Raises:
        Unavailable: Another one is being made.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    if _seats.locked():
        raise Unavailable("Another report is being made; try again soon.")
    async with _seats:
        await session.execute(
            text("SELECT set_config('statement_timeout', :limit, true)"),
            {"limit": answered.TIME_LIMIT},
        )
        tasks = await _tasks(session, project.id)
        count, agreement, asked = await _answers(session, project.id)
        audit = await audits.latest(session, project.id)
        pairs = await reviewers.pairs(session, project)
        accepted = await _accepted(session, project)
        # last, as it sets how queries are planned
        gold = await by_gold.told(session, project)
        return QualityReport(
            accuracy=await _accuracy(session, audit, gold, labels=tasks.by_answers),
            calibration=await _calibration(session, audit, gold),
            classes=None if accepted is None else _classes(project, accepted, gold),
            settled=tasks.settled,
            settled_by_answers=tasks.by_answers,
            settled_by_review=tasks.by_review,
            in_review=tasks.in_review,
            answers=count,
            answers_per_task=round(count / asked, 4) if asked else None,
            agreement=None if agreement is None else round(agreement, 4),
            reviewers=pairs,
        )


@dataclass(frozen=True)
class _Tasks:
    settled: int
    by_answers: int
    by_review: int
    in_review: int


async def _tasks(session: AsyncSession, project_id: UUID) -> _Tasks:
    # not what trains people, which is settled from the start
    settled = (Task.state == TaskState.SETTLED) & (Task.settled_by != KNOWN)
    counts = select(
        func.count().filter(settled),
        func.count().filter(settled & (Task.settled_by == CONSENSUS)),
        func.count().filter(settled & (Task.settled_by == BY_REVIEW)),
        func.count().filter(Task.state == TaskState.REVIEW),
    ).where(Task.project_id == project_id, ~Task.is_gold)
    return _Tasks(*(await session.execute(counts)).one())


async def _answers(session: AsyncSession, project_id: UUID) -> tuple[int, float | None, int]:
    """How many count, their mean agreement with labels, and how many tasks they are of."""
    is_gold = exists().where(Gold.project_id == project_id, Gold.task_id == Answer.task_id)
    of_tasks = (
        select(
            func.count().label("answers"),
            func.sum(Answer.agreement).label("agreement"),
            func.count(Answer.agreement).label("compared"),
        )
        .where(
            Answer.project_id == project_id,
            Answer.outcome == Outcome.ANSWERED,
            Answer.verdict != Verdict.REJECTED,
            ~is_gold,
        )
        .group_by(Answer.task_id)
        .subquery()
    )
    sums = select(
        func.coalesce(func.sum(of_tasks.c.answers), 0),
        func.sum(of_tasks.c.agreement) / func.nullif(func.sum(of_tasks.c.compared), 0),
        func.count(),
    ).select_from(of_tasks)
    answers, agreement, tasks = (await session.execute(sums)).one()
    return int(answers), None if agreement is None else float(agreement), tasks


async def _accepted(session: AsyncSession, project: Project) -> Mapping[int, int] | None:
    """Settled labels by choice; None where more than a choice is asked for."""
    if choices_of(project) is None:
        return None
    rows = await session.execute(
        text(
            f"""
            SELECT {answered.SAYS[project.kind].format("label")} AS choice, count(*)
            FROM tasks
            WHERE project_id = :project_id AND state = 'settled' AND NOT is_gold
              AND jsonb_typeof(label) = 'object'
            GROUP BY choice
            """  # noqa: S608 - made of constants
        ),
        {"project_id": project.id},
    )
    return dict(rows.all())


async def _accuracy(
    session: AsyncSession, audit: Audit | None, gold: ByGold | None, *, labels: int
) -> EstimatedAccuracy | None:
    if audit is not None:
        there = await audits.covered(session, audit)
        found = estimated_accuracy.by_audit(
            there.sample, corrected=there.corrected, later=there.later
        )
        if found is not None:
            return found
    return None if gold is None else estimated_accuracy.by_gold(gold, labels=labels)


async def _calibration(
    session: AsyncSession, audit: Audit | None, gold: ByGold | None
) -> Calibration | None:
    if audit is not None:
        return await of_audit(session, audit)
    if gold is None:
        return None
    return calibration(Method.GOLD, gold.panels.confidence, gold.panels.right)


async def of_audit(session: AsyncSession, audit: Audit) -> Calibration | None:
    """How well what was stated of the labels of a sample fits."""
    rows = (
        await session.execute(
            select(AuditTask.confidence, AuditTask.is_right).where(
                AuditTask.audit_id == audit.id,
                AuditTask.confidence.is_not(None),
                AuditTask.is_right.is_not(None),
            )
        )
    ).all()
    confidence = np.array([row.confidence for row in rows], dtype=np.float64)
    return calibration(Method.AUDIT, confidence, np.array([row.is_right for row in rows], bool))


def calibration(method: Method, confidence: Floats, right: Flags) -> Calibration | None:
    if not len(confidence):
        return None
    curve = [_point(method, each) for each in reliability(confidence, right)]
    error = round(expected_calibration_error(confidence, right), 4)
    return Calibration(method, len(confidence), error, curve)


def _point(method: Method, told: Bin) -> Point:
    low, high = share_interval(round(told.accuracy * told.items), told.items, coverage=LEVEL)
    drawn = method is Method.AUDIT
    return Point(
        round(told.confidence, 4),
        round(told.accuracy, 4),
        round(low, 4) if drawn else None,
        round(high, 4) if drawn else None,
        told.items,
    )


def _classes(
    project: Project, accepted: Mapping[int, int], gold: ByGold | None
) -> list[ClassQuality]:
    known = {} if gold is None else {each.choice: each for each in gold.classes}
    return [
        ClassQuality(id_, name, accepted.get(id_, 0), known.get(id_))
        for id_, name in _names(project)
    ]


def _names(project: Project) -> Sequence[tuple[int, str]]:
    if project.kind == "classify":
        return [(each.id, each.name) for each in parsed(project.label_schema).classes]
    asks = choices_of(project)
    return [] if asks is None else [(each, ("no", "yes")[each]) for each in asks[1]]
