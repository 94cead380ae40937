"""Databases of their own for what fills them up."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from deploy.embedded.stack import Servers


@asynccontextmanager
async def database(servers: Servers, name: str) -> AsyncIterator[str]:
    """A migrated database, dropped afterwards; its URL, as the application's role."""
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute(f"CREATE DATABASE {name} OWNER tessera")
    url = f"{servers.database_url.rsplit('/', 1)[0]}/{name}"
    try:
        await asyncio.to_thread(migrate, url)
        yield url
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


def migrate(url: str) -> None:
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(upgrade, check=True, env={**os.environ, "TESSERA_DATABASE_URL": url})
