"""All answers of a project as arrays, straight from the wire of Postgres.

A million rows as Python objects take seconds and hundreds of megabytes; as binary COPY they are
fifty megabytes that numpy reads where they lie.
"""

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute
from sqlalchemy import extract, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kinds.choice import Choice
from tessera.projects.models import Project
from tessera.quality.models import Gold, Retired
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes

TIME_LIMIT = "10min"
"""For reading all answers of one project: they may be many millions."""

SAYS: Mapping[str, str] = MappingProxyType(
    {
        "classify": "({} -> 'classes' ->> 0)::int4",
        "verify": "({} ->> 'verdict' = 'yes')::int4",
        "join": "({} ->> 'verdict' = 'yes')::int4",
    }
)
"""By kind, `Choice.choice` of an answer in SQL."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_LENGTH, _FIELDS = ">i4", ">i2"


def _row(**fields: str) -> np.dtype[np.void]:
    """A row of a binary COPY, where no field is null."""
    parts = [("fields", _FIELDS)]
    for name, kind in fields.items():
        parts += [(f"length of {name}", _LENGTH), (name, kind)]
    return np.dtype(parts)


_ANSWER = _row(task="V16", earner="V16", choice=">i4", at=">i8", seconds=">f8")
_TASK = _row(task="V16", state=">i4", choice=">i4", confidence=">f8")


@dataclass(frozen=True)
class Answered:
    votes: Votes
    tasks: NDArray[np.void]
    """Shape (n_items,), the bytes of the task's id; likewise of earners."""
    earners: NDArray[np.void]
    gold: Indices
    """Shape (n_items,), what is known to be right, as an index of choices; else `UNKNOWN`."""
    at: Floats
    """Shape (N,): when each answer came, in seconds since 1970."""
    seconds: Floats
    """Shape (N,): how long each took."""

    def task_ids(self, which: Flags | Indices) -> list[UUID]:
        return [UUID(bytes=each.tobytes()) for each in self.tasks[which]]

    def earner_ids(self) -> list[UUID]:
        return [UUID(bytes=each.tobytes()) for each in self.earners]


async def answered(
    session: AsyncSession,
    project: Project,
    choice: Choice,
    choices: Sequence[int],
    *,
    everything: bool = False,
) -> Answered:
    """The answers that count, in the order in which they came; it may take a while.

    Not those from before a task was asked anew, or was gold; and nothing of who was stopped: of
    their answers the right ones are accepted, and would make them look better than they are.

    Args:
        everything: Also theirs, whatever was decided about it: as it once arrived.
    """
    query = _ANSWERS.format(
        says=SAYS[project.kind].format("answers.value"), but="" if everything else _COUNTS
    )
    said = await _copied(session, project, query)
    expected = await _expected(session, project.id, choice, choices)
    return await asyncio.to_thread(_read, said, expected, choices)


class _Expected(NamedTuple):
    choice: int
    """As an index of choices."""
    since: int
    """Microseconds since 1970: what was answered before it was gold does not count."""


_NOT_GOLD = _Expected(UNKNOWN, -1)


def _read(said: bytes, expected: Mapping[bytes, _Expected], choices: Sequence[int]) -> Answered:
    rows = np.frombuffer(said, dtype=_ANSWER)
    tasks, item = _numbered(rows["task"])
    known = [expected.get(each.tobytes(), _NOT_GOLD) for each in tasks]
    since = np.array([each.since for each in known], dtype=np.int64)
    gold = np.array([each.choice for each in known], dtype=np.int64)
    counts = rows["at"] > since[item]
    earners, earner = _numbered(rows["earner"])
    label = np.searchsorted(np.array(choices), rows["choice"].astype(np.int64))
    votes = Votes(item, earner, label, len(tasks), len(earners), len(choices))
    at, seconds = rows["at"][counts] / 1e6, rows["seconds"][counts].astype(np.float64)
    return Answered(votes.only(counts), tasks, earners, gold, at, seconds)


@dataclass(frozen=True)
class Asked:
    """Ordinary tasks that are open, in review, or settled by what people said."""

    number: Indices
    """Shape (T,), of which item of the answers; else `UNKNOWN`."""
    is_settled: Flags
    label: Indices
    """Shape (T,), as an index of choices; `UNKNOWN` if nobody has thought of any."""
    confidence: Floats


async def asked(
    session: AsyncSession, project: Project, found: Answered, choices: Sequence[int]
) -> Asked:
    """What became of the tasks so far."""
    query = _TASKS.format(says=SAYS[project.kind].format("tasks.label"))
    rows = np.frombuffer(await _copied(session, project, query), dtype=_TASK)
    at = compute.index_in(_packed(rows["task"]), value_set=_packed(found.tasks))
    choice = rows["choice"].astype(np.int64)
    label = np.where(choice == UNKNOWN, UNKNOWN, np.searchsorted(np.array(choices), choice))
    return Asked(
        at.fill_null(UNKNOWN).to_numpy().astype(np.int64),
        rows["state"] == _SETTLED,
        label,
        rows["confidence"].astype(np.float64),
    )


async def _copied(session: AsyncSession, project: Project, query: str) -> bytes:
    # a plan for the few rows that statistics promise of one project would take minutes
    await session.execute(
        text(
            "SELECT set_config('statement_timeout', :limit, true), "
            "set_config('enable_nestloop', 'off', true)"
        ),
        {"limit": TIME_LIMIT},
    )
    connection = await (await session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    into = io.BytesIO()
    await driver.copy_from_query(query, project.id, output=into, format="binary")
    said = into.getvalue()
    if not said.startswith(_HEADER) or not said.endswith(_TRAILER):
        raise ValueError("the database sends rows in another form than they were asked for")
    return said[len(_HEADER) : -len(_TRAILER)]


# Answers from before their task was asked anew are about something else.
_ANSWERS = """
SELECT answers.task_id, answers.earner_id, {says},
  (extract(epoch FROM answers.answered_at) * 1000000)::int8, answers.seconds
FROM answers
JOIN tasks ON tasks.project_id = answers.project_id AND tasks.id = answers.task_id
WHERE answers.project_id = $1 AND answers.outcome = 'answered'
  {but}
  AND (tasks.reopened_at IS NULL OR EXISTS (
    SELECT FROM leases WHERE leases.project_id = answers.project_id
      AND leases.id = answers.lease_id AND leases.leased_at >= tasks.reopened_at))
ORDER BY answers.answered_at, answers.lease_id
"""
_COUNTS = """
  AND answers.verdict <> 'rejected'
  AND NOT EXISTS (
    SELECT FROM standings WHERE standings.project_id = answers.project_id
      AND standings.earner_id = answers.earner_id AND standings.blocked_at IS NOT NULL)
"""
_SETTLED = 1
_TASKS = """
SELECT id, (state = 'settled')::int4, coalesce({says}, -1), coalesce(confidence, 0)
FROM tasks
WHERE project_id = $1 AND NOT is_gold
  AND (state IN ('open', 'review') OR state = 'settled' AND settled_by = 'consensus')
"""


def _numbered(ids: NDArray[np.void]) -> tuple[NDArray[np.void], Indices]:
    """Distinct ids in the order in which they first come, and of each row the number of its id."""
    coded = _packed(ids).dictionary_encode()
    # a slice of a buffer may be longer than what is in it
    distinct = np.frombuffer(coded.dictionary.buffers()[1], dtype="V16")[: len(coded.dictionary)]
    return distinct, coded.indices.to_numpy().astype(np.int64)


def _packed(ids: NDArray[np.void]) -> Any:
    buffer = pa.py_buffer(np.ascontiguousarray(ids))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, buffer])


async def _expected(
    session: AsyncSession, project_id: UUID, choice: Choice, choices: Sequence[int]
) -> dict[bytes, _Expected]:
    """Of gold, by the bytes of the task's id."""
    rows = await session.execute(
        select(Gold.task_id, Gold.expected, extract("epoch", Gold.created_at)).where(
            Gold.project_id == project_id, Gold.retired_reason.is_distinct_from(Retired.WRONG)
        )
    )
    return {
        task_id.bytes: _Expected(choices.index(choice.choice(label)), int(since * 1_000_000))
        for task_id, label, since in rows
    }
