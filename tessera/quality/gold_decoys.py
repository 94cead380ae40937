"""Pictures of ordinary tasks, stored again whenever one of gold is stored.

The store tells everybody who fetches a picture when it was written. A view of gold is written after
all tiles; if nothing else were, its date would give it away.
"""

import tempfile
from math import ceil
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Lane
from tessera.kernel import db
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality.gold_views import Family
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound

AHEAD = 2_000
"""Places of the queue among which they are drawn: those that are handed out next."""
MOST = 200
LARGEST = 2**30
"""Bytes of a picture; no tile comes near it."""

_CHANCE = text("SELECT avg(gold_chance) FROM standings WHERE project_id = :project_id")
_DRAWN = text(
    f"""
    SELECT tiles.key, min(tiles.content_type) AS content_type
    FROM (
      SELECT DISTINCT task_id FROM (
        SELECT task_id FROM queue_entries
        WHERE project_id = :project_id AND lane = {Lane.NORMAL:d}
        ORDER BY position LIMIT {AHEAD}
      ) AS ahead
    ) AS next
    JOIN tasks ON tasks.project_id = :project_id AND tasks.id = next.task_id
    JOIN tiles ON tiles.id = tasks.tile_id
    GROUP BY tiles.key ORDER BY random() LIMIT :count
    """  # noqa: S608 - made of constants
)


def wanted(*, exposure: int, gold_chance: float, overlap: int) -> int:
    """How many, so that of new pictures as many are gold as of all.

    A view is shown to `exposure` people, and each ordinary task to `overlap`.
    """
    share = min(max(gold_chance, 0.01), 0.99)
    return min(ceil(exposure * (1 - share) / (share * overlap)), MOST)


async def store_again(context: JobContext, family: Family) -> None:
    """Store as many as are wanted; what is stored twice is the same twice."""
    async with db.reading(context.sessions) as reader:
        drawn = await _drawn(reader, family)
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        path = Path(folder) / "picture"
        for key, content_type in drawn:
            try:
                await context.store.get_to_file(key, path, max_bytes=LARGEST)
            except ObjectNotFound:
                continue
            await context.store.put_file(key, path, content_type=content_type)


async def _drawn(session: AsyncSession, family: Family) -> list[tuple[str, str]]:
    project = await session.get_one(Project, family.project_id)
    chance = await session.scalar(_CHANCE, {"project_id": project.id})
    count = wanted(
        exposure=family.exposure,
        gold_chance=float(chance or 0),
        overlap=Quality(**project.quality).min_overlap,
    )
    rows = await session.execute(_DRAWN, {"project_id": project.id, "count": count})
    return [(key, content_type) for key, content_type in rows]
