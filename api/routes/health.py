"""Whether this process lives, whether it can work, and what it measures."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import select, text

from tessera.kernel import db
from tessera.kernel.errors import Unavailable

router = APIRouter(tags=["health"], include_in_schema=False)


@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process answers; says nothing of what it depends on."""
    return {"status": "live"}


@router.get("/readyz")
async def ready(request: Request) -> dict[str, str]:
    """The process can serve: it is not stopping, and the database answers."""
    if not getattr(request.app.state, "ready", False):
        raise Unavailable("This process is stopping.")
    async with db.reading(request.app.state.sessions) as reader:
        await reader.execute(select(1))
        await reader.execute(text("SELECT version_num FROM alembic_version"))
    return {"status": "ready"}


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
