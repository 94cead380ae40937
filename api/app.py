"""The API as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import problems
from api.limits import Counted, Limiter
from api.observability import Observed
from api.routes import (
    accounts,
    annotations,
    audits,
    datasets,
    decisions,
    earnings,
    finance,
    gold,
    health,
    images,
    organisations,
    people,
    projects,
    quality,
    review,
    training,
    work,
)
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store

ROUTERS = (
    accounts.router,
    organisations.router,
    projects.router,
    images.router,
    quality.router,
    gold.router,
    review.router,
    audits.router,
    annotations.router,
    work.router,
    training.router,
    decisions.router,
    people.router,
    earnings.router,
    finance.router,
    datasets.router,
)


def create_app(settings: Settings, sessions: db.Sessions, store: Store) -> FastAPI:
    """Put the API together; whoever calls this owns the sessions and the store."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.ready = True
        yield
        app.state.ready = False
        if app.state.limiter is not None:
            await app.state.limiter.close()

    app = FastAPI(
        title="Tessera",
        version="1",
        description="Microtask crowdsourcing for image annotation.",
        lifespan=lifespan,
        redirect_slashes=False,  # it would send people to whatever host their request names
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.settings = settings
    app.state.sessions = sessions
    app.state.store = store
    app.state.limiter = Limiter(str(settings.redis_url)) if settings.rate_limits else None
    problems.install(app)
    app.include_router(health.router)
    for router in ROUTERS:
        app.include_router(router, prefix="/v1", responses=problems.ANY)
    app.add_middleware(Counted)
    app.add_middleware(Observed)  # outside of all others
    return app
