"""What is known of each gold task: by whom it was seen, how it was answered, whether it leaked.

One pass over the answers of a project for how fast everybody is, one number for each earner; then
gold a few at a time. All pictures of a gold task are looked at together: whoever knows what is
right on one of them may know it on the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import queue, stages
from tessera.assignment.models import Task
from tessera.kernel import db
from tessera.projects import service as projects
from tessera.projects.models import Project, ProjectState
from tessera.quality import answered
from tessera.quality.gold import add_settled
from tessera.quality.gold_views import retire
from tessera.quality.models import Gold, GoldSource, Retired
from tessera.quality.trust import NEWCOMER
from tessera.truth.leaks import Leak, leak

AT_ONCE = 50
"""Gold tasks whose answers are in memory together."""
MOST_ANSWERS = 1_000
"""Of one gold task that are looked at: the latest."""
LEAST_SPREAD, USUAL_SPREAD = 0.2, 0.6
"""Of the logarithm of a person's times; the second where they have too few to tell."""
FEWEST_TIMES = 5

_CHANGED = text(
    """
    SELECT DISTINCT gold.project_id FROM gold
    JOIN projects ON projects.id = gold.project_id AND projects.state IN ('open', 'paused')
    WHERE gold.view_of IS NULL AND gold.retired_reason IS DISTINCT FROM 'wrong'
      AND EXISTS (
        SELECT FROM answers
        WHERE answers.project_id = gold.project_id AND answers.task_id = gold.task_id)
    """
)
# seconds of a tea break, and of a slip of the finger, count as an hour and as a fifth of a second
_TEMPO = text(
    """
    SELECT answers.earner_id, count(*) AS times,
           avg(ln(least(greatest(answers.seconds, 0.2), 3600))) AS middle,
           coalesce(stddev_samp(ln(least(greatest(answers.seconds, 0.2), 3600))), 0) AS spread
    FROM answers
    JOIN tasks ON tasks.project_id = answers.project_id AND tasks.id = answers.task_id
    WHERE answers.project_id = :project_id AND NOT tasks.is_gold AND answers.outcome = 'answered'
    GROUP BY answers.earner_id
    """
)
_SCORED = text(
    """
    SELECT first, earner_id, score, seconds, trust FROM (
      SELECT coalesce(gold.view_of, gold.task_id) AS first, answers.earner_id, answers.score,
             answers.seconds, trust.alpha / (trust.alpha + trust.beta) AS trust,
             leases.leased_at, leases.id,
             row_number() OVER (
               PARTITION BY coalesce(gold.view_of, gold.task_id)
               ORDER BY leases.leased_at DESC, leases.id
             ) AS back
      FROM gold
      JOIN answers ON answers.project_id = gold.project_id AND answers.task_id = gold.task_id
      JOIN leases ON leases.project_id = answers.project_id AND leases.id = answers.lease_id
      LEFT JOIN trust ON trust.project_id = answers.project_id
        AND trust.earner_id = answers.earner_id
      WHERE gold.project_id = :project_id AND answers.score IS NOT NULL
        AND (gold.task_id = any(:firsts) OR gold.view_of = any(:firsts))
    ) AS scored
    WHERE back <= :most
    ORDER BY first, leased_at, id
    """
)


@dataclass(frozen=True)
class Usual:
    """How fast somebody is with ordinary tasks; logarithms of seconds."""

    middle: float
    spread: float


async def changed(session: AsyncSession) -> Sequence[UUID]:
    """Projects in which gold is being answered."""
    return (await session.scalars(_CHANGED)).all()


async def tempo_of(session: AsyncSession, project_id: UUID) -> dict[UUID, Usual]:
    """How fast everybody is who has answered enough ordinary tasks to tell."""
    limit = text("SELECT set_config('statement_timeout', :limit, true)")
    await session.execute(limit, {"limit": answered.TIME_LIMIT})
    rows = await session.execute(_TEMPO, {"project_id": project_id})
    return {
        row.earner_id: Usual(row.middle, max(row.spread, LEAST_SPREAD))
        for row in rows
        if row.times >= FEWEST_TIMES
    }


async def firsts_of(
    session: AsyncSession, project_id: UUID, *, after: UUID | None, limit: int = AT_ONCE
) -> Sequence[UUID]:
    """Gold tasks that are no views, some at a time, in the order of their ids."""
    some = select(Gold.task_id).where(Gold.project_id == project_id, Gold.view_of.is_(None))
    if after is not None:
        some = some.where(Gold.task_id > after)
    return (await session.scalars(some.order_by(Gold.task_id).limit(limit))).all()


async def health_of(
    session: AsyncSession,
    project_id: UUID,
    firsts: Sequence[UUID],
    usual: Mapping[UUID, Usual],
) -> dict[UUID, Leak]:
    """What the answers to some gold tasks tell, with those to their views."""
    asked = {"project_id": project_id, "firsts": list(firsts), "most": MOST_ANSWERS}
    by_first: dict[UUID, list[Any]] = {}
    for row in await session.execute(_SCORED, asked):
        by_first.setdefault(row.first, []).append(row)
    return {first: await asyncio.to_thread(_told, rows, usual) for first, rows in by_first.items()}


def _told(rows: Sequence[Any], usual: Mapping[UUID, Usual]) -> Leak:
    """Trust without what this very answer adds to it is near enough: it is one of many."""
    nobody = Usual(np.nan, USUAL_SPREAD)
    theirs = [usual.get(row.earner_id, nobody) for row in rows]
    seconds = np.log(np.clip([row.seconds for row in rows], 0.2, 3600))
    return leak(
        np.array([row.score for row in rows]),
        np.array([NEWCOMER.mean if row.trust is None else row.trust for row in rows]),
        seconds - np.array([each.middle for each in theirs]),
        np.array([each.spread for each in theirs]),
    )


async def keep(session: AsyncSession, project_id: UUID, found: Mapping[UUID, Leak]) -> None:
    for first in sorted(found):
        told = found[first]
        await session.execute(
            update(Gold)
            .where(Gold.project_id == project_id, Gold.task_id == first)
            .values(
                answers=told.answers,
                accuracy=told.accuracy,
                expected_accuracy=told.expected,
                early_accuracy=told.early,
                late_accuracy=told.late,
                pace=told.pace,
                strength=told.strength,
                checked_at=func.now(),
            )
            .execution_options(synchronize_session=False)
        )


async def replace_leaked(session: AsyncSession, project_id: UUID, first: UUID) -> bool:
    """Ask nobody any more what has become known, and something else instead.

    What is asked instead was settled by a reviewer, of all that were the one last settled that has
    places left; it gets the places that are left of the other, so no money moves. If there is none,
    the last gold of a project goes on: with it, at least those are found who know nothing.

    Locks: the project, tasks by id.

    Returns:
        Whether it was retired now.
    """
    project = await session.scalar(db.locking(select(Project).where(Project.id == project_id)))
    if project is None or project.state is ProjectState.COMPLETED:
        return False
    family = await session.scalars(
        select(Gold.task_id).where(
            Gold.project_id == project_id, (Gold.task_id == first) | (Gold.view_of == first)
        )
    )
    ids, instead_id = list(family), await _reviewed(session, project_id)
    wanted = [*ids, *([] if instead_id is None else [instead_id])]
    one_by_one = select(Task).where(Task.project_id == project_id, Task.id.in_(wanted))
    locked = (await session.scalars(db.locking(one_by_one.order_by(Task.id)))).all()
    theirs = [task for task in locked if task.id in ids]
    shown = [task for task in theirs if task.is_gold and task.retired_at is None]
    instead = next((task for task in locked if task.id == instead_id and _is_fit(task)), None)
    if not shown or (instead is None and not await _others(session, project_id, ids)):
        return False
    await retire(session, shown, Retired.LEAKED)
    if instead is not None:
        free, positions = await queue.take_out(session, theirs)
        await add_settled(session, instead, source=GoldSource.SETTLED, actor_id=None)
        await queue.put_in(session, instead, free, positions)
        await stages.open_waiting(session, project)
    else:
        await queue.withdraw(session, project_id, [task.id for task in shown])
    return True


_REVIEWED = text(
    """
    SELECT id FROM tasks
    WHERE project_id = :project_id AND state = 'settled' AND settled_by = 'review' AND NOT is_gold
      AND retired_at IS NULL AND jsonb_typeof(label) = 'object' AND places_used < places
    ORDER BY settled_at DESC, id LIMIT 1
    """
)


async def _reviewed(session: AsyncSession, project_id: UUID) -> UUID | None:
    found: UUID | None = await session.scalar(_REVIEWED, {"project_id": project_id})
    return found


def _is_fit(task: Task) -> bool:
    return task.settled_by == "review" and not task.is_gold and task.label is not None


async def _others(session: AsyncSession, project_id: UUID, ids: Sequence[UUID]) -> bool:
    other = select(Task.id).where(
        Task.project_id == project_id,
        Task.is_gold,
        Task.retired_at.is_(None),
        Task.id.not_in(ids),
    )
    return await session.scalar(other.limit(1)) is not None


_LISTED = text(
    """
    SELECT gold.task_id, gold.source, gold.created_at, gold.answers, gold.accuracy,
           gold.expected_accuracy, gold.early_accuracy, gold.late_accuracy, gold.pace,
           gold.strength, gold.checked_at, seen.*
    FROM gold, LATERAL (
      SELECT count(*) AS pictures,
             sum((SELECT count(*) FROM leases
                  WHERE leases.project_id = gold.project_id AND leases.task_id = one.task_id)
             )::bigint AS exposures,
             (array_agg(one.task_id ORDER BY tasks.retired_at DESC NULLS FIRST))[1] AS shown_id,
             (array_agg(one.no_view ORDER BY tasks.retired_at DESC NULLS FIRST))[1] AS no_view,
             nullif(max(coalesce(tasks.retired_at, 'infinity')), 'infinity') AS retired_at,
             (array_agg(one.retired_reason ORDER BY tasks.retired_at DESC NULLS FIRST))[1]
               AS retired_reason
      FROM gold AS one
      JOIN tasks ON tasks.project_id = one.project_id AND tasks.id = one.task_id
      WHERE one.project_id = gold.project_id
        AND (one.task_id = gold.task_id OR one.view_of = gold.task_id)
    ) AS seen
    WHERE gold.project_id = :project_id AND gold.view_of IS NULL
      AND (CAST(:after AS uuid) IS NULL OR gold.task_id > :after)
    ORDER BY gold.task_id LIMIT :limit
    """
)


async def listed(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: UUID | None, limit: int
) -> Sequence[Any]:
    """A project's gold in the order of ids; each with all the pictures that were shown of it."""
    await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    asked = {"project_id": project_id, "after": after, "limit": limit}
    return (await session.execute(_LISTED, asked)).all()
