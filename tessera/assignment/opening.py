"""Putting what a launch has paid for into the queue, chunk by chunk."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import TASK_IS_WAITING, Lane, Task, TaskState
from tessera.kernel import db
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality

CHUNK = 5_000
"""Tasks opened in one transaction; also gold places, unless one round of them is more."""
WINDOW = 1_000
"""Tasks whose entries are shuffled among themselves: neighbours go to different people, yet the
answers to one task come close enough together that it settles soon."""

# positions come from a sequence, drawn after the sort: the order of rows is the order to serve
_QUEUE = text(
    f"""
    INSERT INTO queue_entries (project_id, lane, position, task_id, place)
    SELECT :project_id, {Lane.NORMAL:d}, nextval('queue_positions'), task_id, place
    FROM (
      SELECT task_id, place
      FROM unnest(CAST(:task_ids AS uuid[])) WITH ORDINALITY AS opened (task_id, number),
           generate_series(1, CAST(:queued AS int)) AS place
      ORDER BY (number - 1) / {WINDOW}, random()
    ) AS shuffled
    """  # noqa: S608 - made of constants
)
# in rounds: each gold task once, shuffled, before any comes again
_QUEUE_GOLD = text(
    f"""
    WITH short AS (
      SELECT id, places_used FROM tasks
      WHERE project_id = :project_id AND is_gold AND state = 'settled' AND places_used < places
        AND retired_at IS NULL
      ORDER BY id FOR NO KEY UPDATE
    ), used AS (
      UPDATE tasks SET places_used =
        least(places, tasks.places_used + greatest(1, {CHUNK} / (SELECT count(*) FROM short)))
      FROM short WHERE tasks.project_id = :project_id AND tasks.id = short.id
      RETURNING tasks.id, short.places_used AS before, tasks.places_used AS after
    ), queued AS (
      INSERT INTO queue_entries (project_id, lane, position, task_id, place)
      SELECT :project_id, {Lane.GOLD:d}, nextval('queue_positions'), id, place
      FROM (
        SELECT id, place FROM used, generate_series(before + 1, after) AS place
        ORDER BY place, random()
      ) AS rounds
    )
    SELECT count(*) FROM used
    """  # noqa: S608
)


async def open_tasks(session: AsyncSession, *, project_id: UUID) -> bool:
    """Open one chunk of the waiting tasks that the reserve covers; whether there may be more.

    If a run of chunks is killed, the next run goes on. Whatever waits, `ck_projects_within_budget`
    keeps the open ones within the reserve.
    """
    project: Project | None = await session.scalar(
        db.locking(select(Project).where(Project.id == project_id))
    )
    if project is None or project.state is ProjectState.COMPLETED:
        return False
    quality = Quality(**project.quality)
    # none at the launch: what became gold since then was paid for like all others
    gold_places = project.gold_places or quality.places
    gold = await _open(session, project, is_gold=True, places=gold_places, queued=0)
    task_ids = await _open(
        session, project, is_gold=False, places=quality.places, queued=quality.min_overlap
    )
    if task_ids:
        await session.execute(
            _QUEUE,
            {"project_id": project_id, "task_ids": task_ids, "queued": quality.min_overlap},
        )
    short = (await session.execute(_QUEUE_GOLD, {"project_id": project_id})).scalar_one()
    return bool(gold or task_ids or short)


async def _open(
    session: AsyncSession, project: Project, *, is_gold: bool, places: int, queued: int
) -> Sequence[UUID]:
    each_micro = places * (project.price_micro + project.fee_micro)
    left_micro = project.reserved_micro - project.committed_micro
    waiting = (
        select(Task.id)
        .where(
            Task.project_id == project.id,
            TASK_IS_WAITING,
            Task.is_gold.is_(is_gold),
        )
        .limit(min(CHUNK, left_micro // each_micro))
    )
    known = {
        "state": TaskState.SETTLED,
        "settled_at": func.now(),
        "settled_by": "gold",
    }
    opened = await session.scalars(
        update(Task)
        .where(Task.project_id == project.id, Task.id.in_(waiting))
        .values(
            places=places,
            places_used=queued,
            opened_at=func.now(),
            **(known if is_gold else {"state": TaskState.OPEN}),
        )
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    )
    task_ids = opened.all()
    project.committed_micro += len(task_ids) * each_micro
    return task_ids
