"""The API as tests talk to it: real routes, real database, and jobs run on request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text

from api.app import create_app
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from workers.registry import HANDLERS
from workers.runner import Pace, run
from workers.schedule import SWEEPS

# to read all certificates of the world again for each client takes 40 ms
_CERTIFICATES = ssl.create_default_context()
BUSY = text("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")


def browser() -> AsyncClient:
    """What holds a presigned URL and nothing else."""
    return AsyncClient(verify=_CERTIFICATES)


class As:
    """Somebody's requests: JSON in, JSON out, and the status expected said aloud."""

    def __init__(self, http: AsyncClient, token: str | None = None) -> None:
        self.http = http
        self.token = token or ""
        self.email = ""
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Response:
        return await self.http.request(
            method, path, json=body, headers={**self.headers, **(headers or {})}
        )

    async def get(self, path: str, *, status: int = 200) -> Any:
        return _expect(await self.call("GET", path), status)

    async def post(self, path: str, body: Any = None, *, status: int | None = None) -> Any:
        return _expect(await self.call("POST", path, body), status)

    async def put(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return _expect(await self.call("PUT", path, body), status)

    async def patch(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return _expect(await self.call("PATCH", path, body), status)

    async def delete(self, path: str, *, status: int = 204) -> Any:
        return _expect(await self.call("DELETE", path), status)


def _expect(response: Response, status: int | None) -> Any:
    fine = response.is_success if status is None else response.status_code == status
    assert fine, f"{response.status_code} {response.text[:2000]}"
    return response.json() if response.content else None


@asynccontextmanager
async def api(
    settings: Settings, sessions: db.Sessions, store: Store
) -> AsyncIterator[AsyncClient]:
    """An app of its own, for a test that has other settings than all."""
    async with calling(create_app(settings, sessions, store)) as client:
        yield client


@asynccontextmanager
async def calling(app: FastAPI) -> AsyncIterator[AsyncClient]:
    app.state.ready = True
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


class Work:
    """The worker, run until there is nothing left to do."""

    def __init__(self, settings: Settings, context: JobContext) -> None:
        self._url = str(settings.database_url)
        self.context = context

    async def jobs(self, *, limit: float = 120) -> None:
        """Run jobs, and the jobs they cause, until none waits."""
        if not await self._busy():
            return
        stop = asyncio.Event()
        pace = Pace(
            poll=timedelta(milliseconds=20), first_delay=timedelta(milliseconds=50), attempts=3
        )
        worker = asyncio.create_task(run(self._url, HANDLERS, self.context, stop=stop, pace=pace))
        try:
            async with asyncio.timeout(limit):
                while not worker.done() and await self._busy():  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.03)
        finally:
            stop.set()
            await worker

    async def sweep(self, name: str) -> None:
        """Run one scheduled job now."""
        await next(sweep for sweep in SWEEPS if sweep.name == name).run(self.context)

    async def _busy(self) -> bool:
        async with db.reading(self.context.sessions) as reader:
            return bool((await reader.execute(BUSY)).scalar_one())
