"""One migration at a time, with time limits, each in its own transaction."""

import asyncio
import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from tessera.tables import metadata


def ours(_object: Any, name: str | None, kind: str, _reflected: Any, _compare_to: Any) -> bool:
    """Alembic compares our tables with our models; the job engine's tables are its own."""
    return not (kind == "table" and name is not None and name.startswith("pgqueuer"))


def migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(hashtext('alembic'))"))
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '60s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        include_object=ours,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    url = os.environ["TESSERA_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(main())
