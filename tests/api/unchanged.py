"""Whether anything at all happened in the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from tessera.kernel import db
from tessera.tables import metadata

TABLES = [table.name for table in metadata.sorted_tables] + ["pgqueuer"]


@asynccontextmanager
async def nothing_changes(sessions: db.Sessions) -> AsyncIterator[None]:
    before = await _contents(sessions)
    yield
    after = await _contents(sessions)
    assert [name for name in TABLES if before[name] != after[name]] == []


async def _contents(sessions: db.Sessions) -> dict[str, str | None]:
    """A digest of every row of every table."""
    async with db.reading(sessions) as reader:
        return {
            name: (
                await reader.execute(
                    text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} AS t")
                )
            ).scalar_one()
            for name in TABLES
        }
