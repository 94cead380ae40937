"""One log line, one metric and one id for each request."""

import time
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from tessera.kernel.logs import place

REQUESTS = Histogram(
    "tessera_http_request_seconds", "Time to answer", ["method", "route", "status"]
)
LEASES = Counter("tessera_leases_total", "Tasks handed out")
ANSWERS = Counter("tessera_answers_total", "Answers by what became of them", ["result"])

ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))

log = structlog.get_logger()


class Observed:
    """ASGI middleware. It never logs bodies, headers or query strings: secrets live there.

    It also answers when something broke: outside of it, the answer would have no id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid4())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], own, *ALWAYS]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            log.error("unexpected error", **place(error))  # noqa: TRY400 - see place
            if status:
                raise
            await problems.unexpected(Request(scope))(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, status).observe(seconds)
            log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )
