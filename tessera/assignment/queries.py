"""The statements of the lease path: one round trip each, and a bounded number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Lane

SCAN = 256
"""Entries that one claim looks at, at most. An entry is looked at about once per earner."""


@dataclass(frozen=True)
class Claimed:
    """A lease, and what its earner needs to know of its tile."""

    id: UUID
    project_id: UUID
    fence: int
    expires_at: datetime
    key: str
    content_type: str
    width: int
    height: int


# A place is taken by deleting its entry. SKIP LOCKED lets concurrent earners pass each other.
# The earner's own past is probed row by row, by the unique index on (project, task, earner),
# as a scalar subquery: the planner may not turn it into a hash join over a long history, and
# the scan stops at the first :count entries that are free.
_CLAIM = text(
    """
    WITH picked AS (
      SELECT e.position, e.task_id
      FROM (
        SELECT position, task_id FROM queue_entries
        WHERE project_id = :project_id AND lane = :lane AND position > :cursor
        ORDER BY position LIMIT :scan
      ) ahead
      JOIN queue_entries e
        ON e.project_id = :project_id AND e.lane = :lane AND e.position = ahead.position
      WHERE (
        SELECT true FROM leases had
        WHERE had.project_id = :project_id AND had.task_id = ahead.task_id
          AND had.earner_id = :earner_id
      ) IS NULL
      ORDER BY ahead.position
      LIMIT :count
      FOR UPDATE OF e SKIP LOCKED
    ), once AS (
      SELECT DISTINCT ON (task_id) position FROM picked ORDER BY task_id, position
    ), taken AS (
      DELETE FROM queue_entries e USING once
      WHERE e.project_id = :project_id AND e.lane = :lane AND e.position = once.position
      RETURNING e.task_id, e.place
    ), leased AS (
      INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
      SELECT :project_id, task_id, :earner_id, :lane, place, 'open',
             now() + make_interval(secs => :seconds)
      FROM taken
      RETURNING id, task_id, fence, expires_at
    )
    SELECT leased.id, leased.fence, leased.expires_at, tiles.key, tiles.content_type,
           tiles.window_right - tiles.window_left AS width,
           tiles.window_bottom - tiles.window_top AS height,
           (SELECT max(position) FROM picked) AS cursor
    FROM leased
    JOIN tasks ON tasks.project_id = :project_id AND tasks.id = leased.task_id
    JOIN tiles ON tiles.id = tasks.tile_id
    """
)

_HORIZON = text(
    """
    SELECT max(position), count(*) FROM (
      SELECT position FROM queue_entries
      WHERE project_id = :project_id AND lane = :lane AND position > :cursor
      ORDER BY position LIMIT :scan
    ) ahead
    """
)


_WORK_AHEAD = text(
    """
    SELECT EXISTS (
      SELECT 1 FROM (
        (SELECT task_id FROM queue_entries
         WHERE project_id = :project_id AND lane = 0 AND position > :soon
         ORDER BY position LIMIT :scan)
        UNION ALL
        (SELECT task_id FROM queue_entries
         WHERE project_id = :project_id AND lane = 1 AND position > :normal
         ORDER BY position LIMIT :scan)
      ) ahead
      WHERE (
        SELECT true FROM leases had
        WHERE had.project_id = :project_id AND had.task_id = ahead.task_id
          AND had.earner_id = :earner_id
      ) IS NULL
    )
    """
)


async def claim(
    session: AsyncSession,
    *,
    project_id: UUID,
    earner_id: UUID,
    lane: Lane,
    cursor: int,
    count: int,
    seconds: int,
) -> tuple[Sequence[Claimed], int]:
    """Lease up to `count` tasks of a lane, from just behind `cursor` on.

    Returns:
        The leases, and the position of the last entry taken (the cursor if there was none).
    """
    rows = (
        await session.execute(
            _CLAIM,
            {
                "project_id": project_id,
                "earner_id": earner_id,
                "lane": int(lane),
                "cursor": cursor,
                "count": count,
                "seconds": seconds,
                "scan": SCAN,
            },
        )
    ).all()
    claimed = [
        Claimed(r.id, project_id, r.fence, r.expires_at, r.key, r.content_type, r.width, r.height)
        for r in rows
    ]
    return claimed, rows[0].cursor if rows else cursor


async def horizon(
    session: AsyncSession, *, project_id: UUID, lane: Lane, cursor: int
) -> tuple[int, bool]:
    """Where the scan of one claim ends, and whether that is the end of the lane."""
    last, count = (
        await session.execute(
            _HORIZON,
            {"project_id": project_id, "lane": int(lane), "cursor": cursor, "scan": SCAN},
        )
    ).one()
    return last or cursor, count < SCAN


async def work_ahead(
    session: AsyncSession, *, project_id: UUID, earner_id: UUID, soon: int, normal: int
) -> bool:
    """Whether there is any task that is not gold within one scan of the earner's cursors."""
    found: bool = (
        await session.execute(
            _WORK_AHEAD,
            {
                "project_id": project_id,
                "earner_id": earner_id,
                "soon": soon,
                "normal": normal,
                "scan": SCAN,
            },
        )
    ).scalar_one()
    return found
