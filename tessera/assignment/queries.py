"""The two large statements of an earner's way: claim places of the queue, and lock leases.

`claim` is flat in the size and the age of the project. It looks at a bounded number of entries,
probes by key one row at a time, and passes rows on by their address (`ctid`; what a statement sees
is not vacuumed under it, and an entry that has just moved is passed over). So its plan is the same
whatever the statistics say, and Postgres keeps one generic plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.leased import Leased
from tessera.assignment.models import Lane, LeaseState, Standing
from tessera.kinds import Size, TileFrame, Window
from tessera.projects.models import Project
from tessera.truth.response import Step

SCAN = {Lane.HARD: 256, Lane.SOON: 32, Lane.NORMAL: 256, Lane.GOLD: 64}
"""Entries of a lane that one claim looks at, at most. Of `soon` it always looks at all of these,
for what removes most of the risk. Gold is queued in rounds: who knows everything in so many entries
knows about all of it."""
MOST_HARD = 32
"""Of hard ones that are open to somebody, so many are compared."""


async def begin(session: AsyncSession) -> datetime:
    """Have plans made that do not depend on how large tables are; returns the server's time.

    Postgres keeps the plan it makes while a table has one page, and a launch can add a million
    rows to that before autovacuum notices. Holds for the transaction.
    """
    now: datetime = (await session.execute(BEGIN)).scalar_one()
    return now


async def begin_lease(session: AsyncSession, earner_id: UUID) -> datetime:
    """`begin`, and have the earner's other lease calls wait until this one has committed.

    For what holds over all projects. It is their first lock, and no other statement takes it.
    """
    mine = func.hashtextextended(str(earner_id), _LEASING)
    locked = BEGIN.add_columns(func.pg_advisory_xact_lock(mine))
    now: datetime = (await session.execute(locked)).one()[0]
    return now


BEGIN = select(func.now(), func.set_config("enable_seqscan", "off", True))  # noqa: FBT003
_LEASING = 1
"""Seed: earners' advisory locks are apart from those of others."""


async def claim(
    session: AsyncSession,
    project: Project,
    standing: Standing,
    *,
    count: int,
    gold: int,
    again: bool,
) -> tuple[Sequence[Leased], bool]:
    """Lease up to `count` tasks of an open project, and move the earner's cursors along.

    The caller holds the lock of `standing`. Its attributes are out of date afterwards, which does
    no harm if it is used again: what lies behind the cursors is gone or known.

    Args:
        gold: So many of them gold, if there is any; of fewer tasks, that part.
        again: Begin the lane `soon` anew if the earner has come to its end.

    Returns:
        The leases, in random order, and whether another call may find more: always so if there
        were enough entries, for several may have been of one task.
    """
    rows = (
        await session.execute(
            CLAIM,
            {
                "project_id": project.id,
                "earner_id": standing.earner_id,
                "soon": standing.soon_position,
                "normal": standing.normal_position,
                "gold": standing.gold_position,
                "strengths": standing.strengths if standing.step == Step.NONE else [],
                "count": count,
                "gold_count": gold,
                "seconds": project.lease_seconds,
                "again": again,
            },
        )
    ).all()
    more: bool = rows[0].more
    if rows[0].id is None:
        return [], more
    return [
        Leased(
            r.id,
            r.fence,
            project.id,
            project.kind,
            project.price_micro,
            project.currency,
            r.expires_at,
            r.key,
            r.content_type,
            r.width,
            r.height,
            None if r.subject is None else orjson.loads(r.subject),
        )
        for r in rows
    ], more


def _lane(
    lane: Lane,
    *,
    limit: str,
    start: str,
    whose: str = "true",
    only: str = "true",
    most: str = "ALL",
    first: str = "open.position",
) -> str:
    """CTEs of a lane: what lies ahead, what of it is open to the earner, what they get of it.

    Each is read row by row, and only as far as needed. The earner's past is two scalar subqueries,
    which cannot become joins that read a long history. SKIP LOCKED lets earners pass each other.

    Args:
        start: The position after which to begin.
        whose: What must hold of the earner.
        only: What must hold of an entry, `ahead`.
        most: So many open ones are enough; only for a lane without a cursor.
        first: What comes first of what is open.
    """
    name = lane.name.lower()
    return f"""
    {name}_ahead AS (
      SELECT position, task_id, gain, needs, ctid AS address FROM queue_entries
      WHERE project_id = :project_id AND lane = {lane:d} AND position > {start} AND {whose}
        AND (SELECT state FROM projects WHERE id = :project_id) = 'open'
      ORDER BY position LIMIT {SCAN[lane]}
    ), {name}_open AS (
      SELECT * FROM {name}_ahead ahead
      WHERE {only} AND (
        SELECT true FROM leases had
        WHERE had.project_id = :project_id AND had.task_id = ahead.task_id
          AND had.earner_id = :earner_id
      ) IS NULL AND (
        SELECT true FROM makers
        WHERE makers.project_id = :project_id AND makers.task_id = ahead.task_id
          AND makers.earner_id = :earner_id
      ) IS NULL
      ORDER BY position LIMIT {most}
    ), {name} AS (
      SELECT e.lane, e.position, e.task_id, e.gain, e.ctid AS address
      FROM {name}_open open
      JOIN queue_entries e ON e.ctid = open.address AND e.lane = {lane:d}
      ORDER BY {first} LIMIT {limit}
      FOR UPDATE OF e SKIP LOCKED
    )"""  # noqa: S608 - made of constants


def _left(lane: Lane) -> str:
    """The first entry that is open to the earner and does not become theirs.

    Somebody else has locked it, or it was not needed. The cursor stays in front of it, so that
    nothing is ever passed over.
    """
    return f"""(
      SELECT position FROM {lane.name.lower()}_open
      WHERE task_id NOT IN (SELECT task_id FROM chosen) ORDER BY position LIMIT 1
    )"""  # noqa: S608


def _cursor(lane: Lane) -> str:
    name = lane.name.lower()
    return f"coalesce({_left(lane)} - 1, (SELECT max(position) FROM {name}_ahead), :{name})"  # noqa: S608


def _full(lane: Lane) -> str:
    return f"(SELECT count(*) FROM {lane.name.lower()}_ahead) = {SCAN[lane]}"  # noqa: S608


_STRENGTHS = "CAST(:strengths AS bigint[])"
_GAIN = "open.gain DESC, open.position"
_REST = "(SELECT :count - (SELECT count(*) FROM hard) - (SELECT count(*) FROM soon))"

# As many ordinary tasks as wanted are locked, and then gold takes the place of some: of fewer in
# proportion, if there are fewer. So gold is no filler where work is scarce, and getting some takes
# the same way and time as getting none.
#
# Taking a place is deleting its entry. The leases come in random order, which tells nothing.
#
# Entries of `soon` become visible in another order than that of their positions, so one may turn
# up behind a cursor: the lane is begun anew now and then, and whenever there was nothing. The lane
# `hard` needs no cursor: what lies there soon goes on to `soon`. It fills half of a batch at most:
# one clear picture among many that are not would be gold.
_HARD = _lane(
    Lane.HARD,
    limit="(SELECT CAST(ceil(:count / 2.0) AS bigint))",
    start="0",
    whose=f"cardinality({_STRENGTHS}) > 0",
    only=f"ahead.needs <@ {_STRENGTHS}",
    most=str(MOST_HARD),
    first=_GAIN,
)
CLAIM = text(
    f"""
    WITH {_HARD},
    {_lane(Lane.SOON, limit="(SELECT :count - count(*) FROM hard)", start=":soon", first=_GAIN)},
    {_lane(Lane.NORMAL, limit=_REST, start=":normal")},
    {_lane(Lane.GOLD, limit=":gold_count", start=":gold")},
    ordinary AS (
      SELECT DISTINCT ON (task_id) *
      FROM (TABLE hard UNION ALL TABLE soon UNION ALL TABLE normal) found
      ORDER BY task_id, lane, position
    ), golden AS (
      SELECT * FROM (SELECT DISTINCT ON (task_id) * FROM gold ORDER BY task_id, position) once
      ORDER BY position
      LIMIT (
        SELECT CAST(floor(CAST(:gold_count AS float8) * count(*) / :count + random()) AS bigint)
        FROM ordinary
      )
    ), chosen AS (
      TABLE golden UNION ALL (
        SELECT * FROM ordinary ORDER BY lane, gain DESC, position
        LIMIT (SELECT count(*) FROM ordinary) - (SELECT count(*) FROM golden)
      )
    ), taken AS (
      DELETE FROM queue_entries e USING chosen WHERE e.ctid = chosen.address
      RETURNING e.lane, e.task_id, e.place
    ), leased AS (
      INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
      SELECT :project_id, task_id, :earner_id, lane, place, 'open',
             now() + make_interval(secs => :seconds)
      FROM taken ORDER BY random()
      RETURNING id, task_id, fence, expires_at
    ), moved AS (
      UPDATE standings SET
        soon_position = CASE
          WHEN {_left(Lane.SOON)} IS NULL AND (:again OR NOT EXISTS (SELECT FROM chosen))
            AND NOT {_full(Lane.SOON)}
          THEN 0 ELSE {_cursor(Lane.SOON)} END,
        normal_position = {_cursor(Lane.NORMAL)},
        gold_position = {_cursor(Lane.GOLD)},
        leased_at = now()
      WHERE project_id = :project_id AND earner_id = :earner_id
    )
    SELECT leased.id, leased.fence, leased.expires_at, tile.*,
      CASE WHEN EXISTS (SELECT FROM chosen)
        THEN (SELECT count(*) FROM normal) = {_REST}
        ELSE coalesce({_left(Lane.SOON)}, {_left(Lane.NORMAL)}) IS NOT NULL
          OR EXISTS (SELECT FROM hard_open) OR {_full(Lane.SOON)} OR {_full(Lane.NORMAL)}
      END AS more
    FROM (SELECT) always LEFT JOIN leased ON true LEFT JOIN LATERAL (
      SELECT key, content_type, window_right - window_left AS width,
             window_bottom - window_top AS height, CAST(tasks.subject AS text) AS subject
      FROM tasks JOIN tiles ON tiles.id = tasks.tile_id
      WHERE tasks.project_id = :project_id AND tasks.id = leased.task_id
      LIMIT 1 -- or the planner may join all tasks and tiles first
    ) tile ON true
    """  # noqa: S608
)


@dataclass(frozen=True)
class Held:
    """A lease, locked, with what its answer is judged by."""

    project_id: UUID
    id: UUID
    task_id: UUID
    earner_id: UUID
    place: int
    fence: int
    state: LeaseState
    seconds: float
    """Since it was leased."""
    frame: TileFrame
    subject: dict[str, Any] | None


# ordered by id: two calls with the same leases queue up instead of deadlocking
LOCK_LEASES = text(
    """
    SELECT leases.project_id, leases.id, leases.task_id, leases.earner_id, leases.place,
           leases.fence, leases.state,
           CAST(extract(epoch FROM now() - leases.leased_at) AS float8) AS seconds,
           tiles.window_left, tiles.window_top, tiles.window_right, tiles.window_bottom,
           tiles.core_left, tiles.core_top, tiles.core_right, tiles.core_bottom,
           images.width, images.height, CAST(tasks.subject AS text) AS subject
    FROM leases
    JOIN tasks ON tasks.project_id = leases.project_id AND tasks.id = leases.task_id
    JOIN tiles ON tiles.id = tasks.tile_id
    JOIN images ON images.id = tiles.image_id
    WHERE leases.id = ANY(:lease_ids) AND leases.earner_id = :earner_id
    ORDER BY leases.id
    FOR NO KEY UPDATE OF leases
    """
)


async def lock_leases(
    session: AsyncSession, earner_id: UUID, lease_ids: Sequence[UUID]
) -> dict[UUID, Held]:
    """Those of the leases that are the earner's, in any state, locked."""
    await begin(session)
    rows = await session.execute(
        LOCK_LEASES, {"lease_ids": list(lease_ids), "earner_id": earner_id}
    )
    return {
        id_: Held(
            project_id,
            id_,
            task_id,
            earner,
            place,
            fence,
            LeaseState(state),
            seconds,
            TileFrame(Window(*edges[:4]), Window(*edges[4:8]), Size(*edges[8:])),
            None if subject is None else orjson.loads(subject),
        )
        for project_id, id_, task_id, earner, place, fence, state, seconds, *edges, subject in rows
    }
