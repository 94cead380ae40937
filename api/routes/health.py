"""Whether this process lives, whether it can work, and what it measures."""

from pathlib import Path

from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from tessera.kernel import db
from tessera.kernel.errors import Unavailable

router = APIRouter(tags=["health"], include_in_schema=False)

_MIGRATIONS = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
HEAD = _MIGRATIONS.get_current_head()
"""The revision of the database that this code was written for."""
_OLDER = {script.revision for script in _MIGRATIONS.walk_revisions()} - {HEAD}


@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process answers; says nothing of what it depends on."""
    return {"status": "live"}


@router.get("/readyz")
async def ready(request: Request) -> dict[str, str]:
    """The process can serve: it is not stopping, and the database answers and is new enough.

    A revision that this code does not know is newer: while a deployment goes on, the old
    processes serve on a database that was migrated for the new ones.
    """
    if not getattr(request.app.state, "ready", False):
        raise Unavailable("This process is stopping.")
    revision = await _revision(request.app.state.sessions)
    if revision is None or revision in _OLDER:
        raise Unavailable(f"The database is at revision {revision}; this code needs {HEAD}.")
    return {"status": "ready"}


async def _revision(sessions: db.Sessions) -> str | None:
    async with db.reading(sessions) as reader:
        if not await reader.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
            return None
        revision: str | None = await reader.scalar(text("SELECT version_num FROM alembic_version"))
        return revision


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
