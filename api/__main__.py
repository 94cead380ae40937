"""`python -m api`: serve the API until told to stop."""

import asyncio
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import NonNegativeFloat

from api.app import create_app
from tessera.kernel import db
from tessera.kernel.logs import configure_logging
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of


class ServerSettings(Settings):
    """What only a process that serves has to know."""

    api_fd: int | None = None
    """A socket that already listens, handed down by who starts us: used, and not host and port."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses or networks, with commas between: whose `X-Forwarded-For` is believed."""
    drain_seconds: NonNegativeFloat = 0
    """How long it still serves after SIGTERM while it says that it is not ready."""


class Server(uvicorn.Server):
    """Says that it is not ready some time before it stops to listen: balancers look away first.

    Asked to stop a second time, it does not wait.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._app.state.ready = False
        asked_before = self._leave_at is not None
        self._leave_at = time.monotonic() + (0 if asked_before else self._drain_seconds)

    async def on_tick(self, counter: int) -> bool:
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)


async def main() -> None:
    settings = ServerSettings()
    configure_logging()
    engine = db.create_engine(
        str(settings.database_url), application_name="api", pool_size=settings.database_pool_size
    )
    store = store_of(settings)
    app = create_app(settings, db.create_sessions(engine), store)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        # longer than balancers keep an idle connection, and than `Retry-After`: or a call may be on
        # its way while we close it
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    handed_down = None if settings.api_fd is None else [socket.socket(fileno=settings.api_fd)]
    try:
        await Server(config, app, drain_seconds=settings.drain_seconds).serve(handed_down)
    finally:
        await engine.dispose()
        store.close()


if __name__ == "__main__":
    asyncio.run(main())
