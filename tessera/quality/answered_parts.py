"""Answers that say several things, as if of each task one of these had been asked.

So whatever is known of choices is told of drawings, too: was it drawn, and as what? Of each task it
is one thing, by the task's id, as what is said of others is no evidence of its own. Of a large
project a part is read, of ordinary tasks and of gold alike, and always the same: it takes
milliseconds a task to match what was drawn, and to look at others each time would be to try again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from tessera.assignment.models import Answer, Lease, Outcome, Task
from tessera.assignment.questions import questions_of
from tessera.kinds import Label, Question
from tessera.kinds.parts import InParts
from tessera.kinds.protocol import OPEN
from tessera.projects.models import Project
from tessera.quality.answered import Answered
from tessera.quality.models import Gold, Retired
from tessera.truth.votes import UNKNOWN, Indices, Votes

MOST = 10_000
"""Ordinary tasks that are looked at."""
BUDGET = 400_000
"""Parts times answers that are matched, a few hundred thousand a minute: so fewer dense tasks."""
BESIDE = 8
"""Answers to gold that are matched at once, as each is with every other."""
NOTHING = 0
"""What is said of a part where nothing is; see `kinds.parts.InParts`."""
_IDS = 1 << 128


@dataclass(frozen=True)
class Window:
    """Some of all ids, which are by chance: from one to before the other, maybe around the end.

    So it holds as large a share of ordinary tasks as of answers to gold.
    """

    first: UUID
    share: float

    def holds(self, column: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
        if self.share >= 1:
            return true()
        end = UUID(int=(self.first.int + int(self.share * _IDS)) % _IDS)
        after, before = column >= self.first, column < end
        return and_(after, before) if self.first < end else or_(after, before)


class Said(NamedTuple):
    """That an earner answered, and when."""

    earner_id: UUID
    at: float
    """Seconds since 1970."""
    seconds: float


class Item(NamedTuple):
    """One thing in question of a task, and what is said of it."""

    task_id: UUID
    parts: int
    """How many things there are in question."""
    known: int
    labels: Sequence[int]
    said: Sequence[Said]

    @property
    def cost(self) -> int:
        return self.parts * len(self.said)


async def window(session: AsyncSession, project_id: UUID, *, most: int = MOST) -> Window:
    """In which about so many of a project's ordinary tasks are; the same ones, and more of them."""
    count = await session.scalar(
        select(func.count()).where(Task.project_id == project_id, ~Task.is_gold)
    )
    return Window(project_id, most / max(count or 0, 1))


def affordable(first: Sequence[Item]) -> int:
    """How many tasks may be looked at, if all are like these."""
    cost = sum(each.cost for each in first)
    return min(MOST, BUDGET * len(first) // max(cost, 1)) if first else MOST


async def tasks(session: AsyncSession, project_id: UUID, window: Window) -> Sequence[UUID]:
    """Ordinary ones of a window, and gold of whose answers some are in it: those will be read."""
    ordinary = select(Task.id).where(
        Task.project_id == project_id, ~Task.is_gold, window.holds(Task.id)
    )
    gold = (
        select(Gold.task_id)
        .join(Answer, and_(Answer.project_id == project_id, Answer.task_id == Gold.task_id))
        .where(Gold.project_id == project_id, _IS_RIGHT, window.holds(Answer.lease_id))
        .distinct()
    )
    found = [*await session.scalars(ordinary), *await session.scalars(gold)]
    return sorted(found)


_IS_RIGHT = Gold.retired_reason.is_distinct_from(Retired.WRONG)


async def items(
    session: AsyncSession,
    project: Project,
    parts: InParts,
    task_ids: Sequence[UUID],
    window: Window,
) -> list[Item]:
    """What is said of some of those tasks, by everybody: as it once arrived."""
    gold = await session.execute(
        select(Gold.task_id, Gold.expected).where(
            Gold.project_id == project.id, Gold.task_id.in_(task_ids), _IS_RIGHT
        )
    )
    expected: dict[UUID, Label] = dict(map(tuple, gold))
    said = await _said(session, project.id, task_ids, window)
    questions = await questions_of(session, project, list(said))
    return await asyncio.to_thread(_items, parts, said, questions, expected)


_Answers = Sequence[tuple[Said, Label]]


async def _said(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID], window: Window
) -> dict[UUID, _Answers]:
    """Not from before a task was asked anew, or was gold."""
    since = exists().where(
        Lease.project_id == project_id,
        Lease.id == Answer.lease_id,
        Lease.leased_at >= Task.reopened_at,
    )
    of_gold = and_(Gold.created_at < Answer.answered_at, window.holds(Answer.lease_id))
    rows = await session.execute(
        select(Answer.task_id, Answer.earner_id, Answer.answered_at, Answer.seconds, Answer.value)
        .join(Task, and_(Task.project_id == project_id, Task.id == Answer.task_id))
        .outerjoin(
            Gold,
            and_(Gold.project_id == project_id, Gold.task_id == Answer.task_id, _IS_RIGHT),
        )
        .where(
            Answer.project_id == project_id,
            Answer.task_id.in_(task_ids),
            Answer.outcome == Outcome.ANSWERED,
            or_(Task.reopened_at.is_(None), since),
            or_(Gold.task_id.is_(None), of_gold),
        )
        .order_by(Answer.task_id, Answer.lease_id)
    )
    return {
        task_id: [
            (Said(earner, at.timestamp(), seconds), value) for _, earner, at, seconds, value in of
        ]
        for task_id, of in groupby(rows, lambda row: row[0])
    }


def _items(
    parts: InParts,
    said: Mapping[UUID, _Answers],
    questions: Mapping[UUID, Question],
    expected: Mapping[UUID, Label],
) -> list[Item]:
    found = [
        item(parts, questions[task_id], task_id, answers[start : start + step], gold)
        for task_id, answers in said.items()
        for gold in [expected.get(task_id)]
        for step in [len(answers) if gold is None else BESIDE]
        for start in range(0, len(answers), step)
    ]
    return [each for each in found if each is not None]


def item(
    parts: InParts,
    question: Question,
    task_id: UUID,
    answers: _Answers,
    gold: Label | None = None,
) -> Item | None:
    """Of all things in question one; of those that gold leaves open none, and if it does all None.

    Where nobody drew anything, and nothing is there, that is what is said.
    """
    said, labels = [each for each, _ in answers], [label for _, label in answers]
    if gold is None:
        table = parts.says(labels, question)
        known = np.full(table.shape[1], UNKNOWN)
    else:
        everything = parts.says([gold, *labels], question, first_is_true=True)
        known, table = everything[0], everything[1:]
    told = np.flatnonzero((known != OPEN) | (gold is None))
    if len(told):
        chosen = told[task_id.int % len(told)]
        return Item(task_id, len(known), int(known[chosen]), table[:, chosen].tolist(), said)
    if len(known):
        return None
    return Item(task_id, 0, UNKNOWN if gold is None else NOTHING, [NOTHING] * len(said), said)


def together(items: Sequence[Item]) -> tuple[Answered, Indices]:
    """As arrays, in the order in which answers came; choices are all that is said, or known.

    Returns:
        The answers; and of each item how much there is to do, as a power of two of its parts.
    """
    numbers: dict[UUID, int] = {}
    rows = sorted(
        (each.at, number, numbers.setdefault(each.earner_id, len(numbers)), label, each.seconds)
        for number, item in enumerate(items)
        for label, each in zip(item.labels, item.said, strict=True)
    )
    at, which, who, label, seconds = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    known = np.array([each.known for each in items], dtype=np.int64)
    choices = np.unique(np.concatenate([label.astype(np.int64), known[known != UNKNOWN], [0, 1]]))
    votes = Votes(
        which.astype(np.int64),
        who.astype(np.int64),
        np.searchsorted(choices, label.astype(np.int64)),
        len(items),
        len(numbers),
        len(choices),
    )
    gold = np.where(known == UNKNOWN, UNKNOWN, np.searchsorted(choices, known))
    tasks = _bytes([each.task_id for each in items])
    found = Answered(votes, tasks, _bytes(list(numbers)), gold, at, seconds)
    return found, np.array([each.parts.bit_length() for each in items], dtype=np.int64)


def _bytes(ids: Sequence[UUID]) -> NDArray[np.void]:
    return np.frombuffer(b"".join(each.bytes for each in ids), dtype="V16")
