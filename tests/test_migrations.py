import os
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.embedded.stack import Servers


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute("CREATE DATABASE migrations OWNER tessera")
    yield servers.database_url.rsplit("/", 1)[0] + "/migrations"
    await admin.execute("DROP DATABASE migrations WITH (FORCE)")
    await admin.close()


def test_migrations_go_up_and_down_and_up_again_and_match_the_models(
    empty_database_url: str,
) -> None:
    env = {**os.environ, "TESSERA_DATABASE_URL": empty_database_url}
    for step in (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"], ["check"]):
        subprocess.run([sys.executable, "-m", "alembic", *step], check=True, env=env)
