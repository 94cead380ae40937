"""Answers that say several things, as if of each task one of these had been asked.

So whatever is known of choices is told of drawings, too: was it drawn, and as what? Of each task it
is always the same thing, so that answers are independent; and of a large project a part is read,
of ordinary tasks and of gold alike, as it takes milliseconds a task to match what was drawn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Lease, Outcome, Task
from tessera.assignment.questions import questions_of
from tessera.kinds import Label, Question
from tessera.kinds.parts import InParts
from tessera.kinds.protocol import OPEN
from tessera.projects.models import Project
from tessera.quality import task_sample
from tessera.quality.answered import Answered
from tessera.quality.models import Gold, Retired
from tessera.truth.votes import UNKNOWN, Indices, Votes

MOST = 4_000
"""Ordinary tasks that are looked at."""
BESIDE = 20
"""Answers to gold that are matched at once, as each is with every other."""
NOTHING = 0
"""What is said of a part where nothing is; see `kinds.parts.InParts`."""


@dataclass(frozen=True)
class Sample:
    ordinary: Sequence[UUID]
    gold: Sequence[UUID]
    """All of it; of its answers those count whose leases lie in the window."""
    window: tuple[UUID, UUID] | None
    """The ids of the ordinary tasks lie from one to the other, or beyond the end and from the
    first. None, if those are all there are. Ids are by chance: so it holds as much of each."""

    @property
    def task_ids(self) -> Sequence[UUID]:
        return [*self.ordinary, *self.gold]


class Said(NamedTuple):
    """An answer, of which earner, and when."""

    earner_id: UUID
    value: Label
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
    answers: Sequence[Said]


async def sample(
    session: AsyncSession, project_id: UUID, *, start: UUID, most: int = MOST
) -> Sample:
    """What to look at, from a place on."""
    ordinary = await task_sample.sample(session, project_id, start=start, most=most)
    gold = await session.scalars(
        select(Gold.task_id)
        .where(Gold.project_id == project_id, Gold.retired_reason.is_distinct_from(Retired.WRONG))
        .order_by(Gold.task_id)
    )
    window = (start, ordinary[-1]) if len(ordinary) == most else None
    return Sample(ordinary, gold.all(), window)


async def items(
    session: AsyncSession,
    project: Project,
    parts: InParts,
    task_ids: Sequence[UUID],
    *,
    window: tuple[UUID, UUID] | None,
) -> list[Item]:
    """What is said of some tasks of a sample, by everybody: as it once arrived."""
    gold = await session.execute(
        select(Gold.task_id, Gold.expected).where(
            Gold.project_id == project.id, Gold.task_id.in_(task_ids)
        )
    )
    expected: dict[UUID, Label] = dict(map(tuple, gold))
    said = await _said(session, project.id, task_ids, window)
    questions = await questions_of(session, project, list(said))
    return await asyncio.to_thread(_items, parts, said, questions, expected)


async def _said(
    session: AsyncSession,
    project_id: UUID,
    task_ids: Sequence[UUID],
    window: tuple[UUID, UUID] | None,
) -> dict[UUID, list[Said]]:
    """Not from before a task was asked anew, or was gold."""
    since = exists().where(
        Lease.project_id == project_id,
        Lease.id == Answer.lease_id,
        Lease.leased_at >= Task.reopened_at,
    )
    rows = await session.execute(
        select(Answer.task_id, Answer.earner_id, Answer.value, Answer.answered_at, Answer.seconds)
        .join(Task, and_(Task.project_id == project_id, Task.id == Answer.task_id))
        .outerjoin(Gold, and_(Gold.project_id == project_id, Gold.task_id == Answer.task_id))
        .where(
            Answer.project_id == project_id,
            Answer.task_id.in_(task_ids),
            Answer.outcome == Outcome.ANSWERED,
            or_(Task.reopened_at.is_(None), since),
            or_(
                Gold.task_id.is_(None),
                and_(Gold.created_at < Answer.answered_at, _within(window)),
            ),
        )
        .order_by(Answer.task_id, Answer.lease_id)
    )
    return {
        task_id: [Said(earner, value, _epoch(at), seconds) for _, earner, value, at, seconds in of]
        for task_id, of in groupby(rows, lambda row: row[0])
    }


def _within(window: tuple[UUID, UUID] | None) -> ColumnElement[bool]:
    if window is None:
        return true()
    first, last = window
    after, before = Answer.lease_id >= first, Answer.lease_id <= last
    return and_(after, before) if first <= last else or_(after, before)


def _epoch(at: datetime) -> float:
    return at.timestamp()


def _items(
    parts: InParts,
    said: Mapping[UUID, Sequence[Said]],
    questions: Mapping[UUID, Question],
    expected: Mapping[UUID, Label],
) -> list[Item]:
    return [
        item(parts, questions[task_id], task_id, answers[start : start + step], gold)
        for task_id, answers in said.items()
        for gold in [expected.get(task_id)]
        for step in [len(answers) if gold is None else BESIDE]
        for start in range(0, len(answers), step)
    ]


def item(
    parts: InParts,
    question: Question,
    task_id: UUID,
    answers: Sequence[Said],
    gold: Label | None = None,
) -> Item:
    """Of all things in question of a task one, by its id; of those that gold leaves open none."""
    labels = [each.value for each in answers]
    said = parts.says(labels if gold is None else [gold, *labels], question)
    known = said[0] if gold is not None else np.full(said.shape[1], UNKNOWN)
    if gold is not None:
        told = known != OPEN
        if not told.all():  # what is drawn besides may be part of what gold leaves open
            told &= known != NOTHING
        known, said = known[told], said[1:, told]
    count = said.shape[1]
    if not count:  # nobody drew anything, and nothing is there
        nothing = NOTHING if gold is not None else UNKNOWN
        return Item(task_id, 0, nothing, [NOTHING] * len(answers), answers)
    chosen = task_id.int % count
    return Item(task_id, count, int(known[chosen]), said[:, chosen].tolist(), answers)


def together(items: Sequence[Item], choices: int) -> tuple[Answered, Indices]:
    """As arrays, in the order in which answers came.

    Args:
        choices: What may be said of a part: that it is nothing, and all classes.

    Returns:
        The answers; and of each item how much there is to do, as a power of two of its parts.
    """
    numbers: dict[UUID, int] = {}
    rows = sorted(
        (each.at, number, numbers.setdefault(each.earner_id, len(numbers)), label, each.seconds)
        for number, item in enumerate(items)
        for label, each in zip(item.labels, item.answers, strict=True)
    )
    at, which, who, label, seconds = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    votes = Votes(
        which.astype(np.int64),
        who.astype(np.int64),
        label.astype(np.int64),
        len(items),
        len(numbers),
        choices,
    )
    first = votes.first_each()
    found = Answered(
        votes.only(first),
        _bytes([each.task_id for each in items]),
        _bytes(list(numbers)),
        np.array([each.known for each in items], dtype=np.int64),
        at[first],
        seconds[first],
    )
    work = np.array([each.parts.bit_length() for each in items], dtype=np.int64)
    return found, work


def _bytes(ids: Sequence[UUID]) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    return np.frombuffer(b"".join(each.bytes for each in ids), dtype="V16")
