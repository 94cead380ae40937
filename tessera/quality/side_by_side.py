"""All that a reviewer needs to decide a task: what was said, by whom, and who says the same."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Answer, Task
from tessera.assignment.questions import questions_of
from tessera.kinds import Kind, Question, kind_of
from tessera.projects.models import Project
from tessera.quality import reviews
from tessera.quality.models import TrustRecord
from tessera.quality.trust import NEWCOMER

MOST_SHOWN = 70
"""The most places that a task may have. Only gold has more answers: of those the first."""


@dataclass(frozen=True)
class Trusted:
    value: float
    """Mean of what is known of them, 0 to 1."""
    gold_answers: int
    """That this is known from."""


@dataclass(frozen=True)
class Said:
    answer: Answer
    trust: Trusted
    likeness: float | None
    """To the best guess; None where either is none."""
    group: int | None
    """Index into the groups; None for who does not answer."""


@dataclass(frozen=True)
class Group:
    """Who says the same."""

    value: Mapping[str, Any]
    """What the most trusted of them says."""
    answers: int
    weight: float
    """Its part of all trust, 0 to 1."""


@dataclass(frozen=True)
class SideBySide:
    task: Task
    said: list[Said]
    """The most trusted first."""
    groups: list[Group]
    """The heaviest first."""
    agreement: float | None
    """How alike the answers are to what the heaviest group says, in the mean; None of fewer than
    two answers."""


async def side_by_side(session: AsyncSession, task_id: UUID, *, caller: Caller) -> SideBySide:
    """One task with the answers to it."""
    task = await task_access.owned(session, task_id, caller=caller, right=Right.REVIEW)
    project = await session.get_one(Project, task.project_id)
    question = (await questions_of(session, project, [task.id]))[task.id]
    answers = await task_access.answers(session, task, after=None, limit=MOST_SHOWN)
    trust = await _trust(session, project.id, [each.earner_id for each in answers])
    new = Trusted(NEWCOMER.mean, 0)
    ordered = sorted(
        ((each, trust.get(each.earner_id, new)) for each in answers),
        key=lambda pair: (-pair[1].value, pair[0].answered_at, pair[0].lease_id),
    )
    # outlines take their time
    return await asyncio.to_thread(
        _compared, kind_of(project.kind), question, task, ordered, reviews.right_from(project)
    )


async def _trust(
    session: AsyncSession, project_id: UUID, earner_ids: Sequence[UUID]
) -> dict[UUID, Trusted]:
    rows = await session.execute(
        select(
            TrustRecord.earner_id,
            TrustRecord.alpha / (TrustRecord.alpha + TrustRecord.beta),
            TrustRecord.seen,
        ).where(TrustRecord.project_id == project_id, TrustRecord.earner_id.in_(earner_ids))
    )
    return {earner_id: Trusted(mean, seen) for earner_id, mean, seen in rows}


def _compared(
    kind: Kind,
    question: Question,
    task: Task,
    ordered: Sequence[tuple[Answer, Trusted]],
    right_from: float,
) -> SideBySide:
    groups, number_of = _grouped(kind, question, ordered, right_from)
    said, likenesses = [], []
    for answer, trust in ordered:
        guessed = None
        if answer.value is not None:
            likenesses.append(kind.score(answer.value, groups[0].value, question))
            if task.label is not None:
                guessed = kind.score(answer.value, task.label, question)
        said.append(Said(answer, trust, guessed, number_of.get(answer.lease_id)))
    agreement = sum(likenesses) / len(likenesses) if len(likenesses) > 1 else None
    return SideBySide(task, said, groups, agreement)


def _grouped(
    kind: Kind, question: Question, ordered: Sequence[tuple[Answer, Trusted]], right_from: float
) -> tuple[list[Group], dict[UUID, int]]:
    """Each answer joins the first group whose most trusted answer is like it, or begins one.

    Returns:
        The groups, the heaviest first; and by lease the number of the group.
    """
    members: list[list[tuple[Answer, float]]] = []
    for answer, trust in ordered:
        if answer.value is not None:
            mine = next(
                (
                    some
                    for some in members
                    if some[0][0].value is not None
                    and kind.score(answer.value, some[0][0].value, question) >= right_from
                ),
                None,
            )
            if mine is None:
                members.append(mine := [])
            mine.append((answer, trust.value))
    weights = [sum(trust for _, trust in some) for some in members]
    heaviest = sorted(range(len(members)), key=lambda number: (-weights[number], number))
    groups = [
        Group(
            members[number][0][0].value or {}, len(members[number]), weights[number] / sum(weights)
        )
        for number in heaviest
    ]
    return groups, {
        answer.lease_id: at for at, number in enumerate(heaviest) for answer, _ in members[number]
    }
