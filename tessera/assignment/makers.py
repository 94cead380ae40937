"""Who had a part in what a task is about: nobody judges their own work, or makes it anew.

Also who has met a gold task in another picture.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# of gold nothing was made of what people have answered
_NOTE = text(
    """
    INSERT INTO makers (project_id, task_id, earner_id)
    SELECT DISTINCT asked.project_id, asked.id, had.earner_id
    FROM unnest(CAST(:tile_ids AS uuid[]), CAST(:pairs AS int[]), CAST(:made_on AS uuid[]))
      AS about (tile_id, pair, made_on)
    JOIN tasks AS asked ON asked.project_id = :project_id AND asked.tile_id = about.tile_id
      AND asked.pair = about.pair
    JOIN tasks AS made ON made.project_id = :made_in AND made.tile_id = about.made_on
    JOIN LATERAL (
      SELECT earner_id FROM answers
      WHERE answers.project_id = made.project_id AND answers.task_id = made.id
        AND answers.outcome = 'answered'
      UNION ALL
      SELECT earner_id FROM makers
      WHERE makers.project_id = made.project_id AND makers.task_id = made.id
    ) AS had ON true
    WHERE NOT made.is_gold
    ON CONFLICT DO NOTHING
    """
)


async def note(
    session: AsyncSession,
    project_id: UUID,
    *,
    made_in: UUID,
    tile_ids: Sequence[UUID],
    pairs: Sequence[int] | None = None,
    made_on: Sequence[UUID] | None = None,
) -> None:
    """Note of tasks of a project who made what they are about, in another stage of its chain.

    Args:
        tile_ids: Of the tasks, and `pairs` likewise; without those, all are 0.
        made_on: The tiles that it was made on, if those are others.
    """
    await session.execute(
        _NOTE,
        {
            "project_id": project_id,
            "made_in": made_in,
            "tile_ids": list(tile_ids),
            "pairs": list(pairs or [0] * len(tile_ids)),
            "made_on": list(made_on or tile_ids),
        },
    )


_NOTE_SEEN = text(
    """
    INSERT INTO makers (project_id, task_id, earner_id)
    SELECT :project_id, :task_id, earner_id FROM (
      SELECT earner_id FROM leases WHERE project_id = :project_id AND task_id = any(:seen)
      UNION
      SELECT earner_id FROM makers WHERE project_id = :project_id AND task_id = any(:seen)
    ) AS had
    ON CONFLICT DO NOTHING
    """
)


async def note_seen(
    session: AsyncSession, project_id: UUID, task_id: UUID, *, seen: Sequence[UUID]
) -> None:
    """Keep from a task everybody who has had one of some others, or must not have it."""
    them = {"project_id": project_id, "task_id": task_id, "seen": list(seen)}
    await session.execute(_NOTE_SEEN, them)
