"""RFC 9457: every error body the API can send."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tessera.kernel import errors
from tessera.kernel.logs import describe

TYPE = "https://tessera.example/problems/"
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.DomainError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
# what Postgres says when it gave up on us instead of answering: try again later
BUSY = {
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "lock timeout",
    "57014": "statement timeout",
    "57P01": "shutting down",
    "57P03": "starting up",
    "53300": "too many connections",
}

# by number: the names of some statuses differ between versions of Python
CODES = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}
GONE_AWAY = 499
"""For logs and metrics: who called did not wait until all was read. As nginx has it."""
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}

log = structlog.get_logger()


def status_of(error: type[errors.DomainError]) -> HTTPStatus:
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def body(status: HTTPStatus, code: str, detail: str, **facts: Any) -> dict[str, Any]:
    return {
        "type": TYPE + code,
        "title": status.phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **facts,
    }


def of_error(error: errors.DomainError) -> dict[str, Any]:
    return body(status_of(type(error)), error.code, error.detail, **error.facts)


def respond(problem: dict[str, Any], request: Request) -> JSONResponse:
    headers = {}
    if problem["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem["status"] in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(problem.get("retry_after_seconds", 5))
    return JSONResponse(
        {**problem, "instance": request.url.path},
        problem["status"],
        headers,
        media_type=MEDIA_TYPE,
    )


def documented(*kinds: type[errors.DomainError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` for the errors an endpoint declares."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = by_status.setdefault(int(status_of(kind)), _response(""))
        entry["description"] = ", ".join(filter(None, [entry["description"], kind.code]))
    return by_status


def _response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": SCHEMA}}}


# stands for every status that a route does not name, and for 422 instead of FastAPI's own form
ANY: dict[int | str, dict[str, Any]] = {
    "4XX": _response("The request was refused; `code` says why, and never changes."),
    "5XX": _response("It did not work out; the same request may succeed later."),
}


def install(app: FastAPI) -> None:
    @app.exception_handler(errors.DomainError)
    async def domain(request: Request, error: errors.DomainError) -> JSONResponse:
        return respond(of_error(error), request)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where = [{"at": [str(part) for part in e["loc"]], "why": e["msg"]} for e in error.errors()]
        problem = body(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-request",
            "The request does not fit its schema.",
            errors=where[:50],
        )
        return respond(problem, request)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        response = respond(body(status, CODES[status], str(error.detail)), request)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(DBAPIError)
    async def database(request: Request, error: DBAPIError) -> JSONResponse:
        state = getattr(error.orig, "sqlstate", None)
        if state not in BUSY and not error.connection_invalidated:
            raise error
        log.warning("database busy", state=state)
        return respond(of_error(errors.Unavailable("The database is busy; try again.")), request)

    @app.exception_handler(PoolTimeout)
    async def pool(request: Request, error: PoolTimeout) -> JSONResponse:
        log.warning("no free connection", error=describe(error))
        return respond(of_error(errors.Unavailable("Too busy; try again.")), request)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=GONE_AWAY)

    @app.exception_handler(OSError)
    async def unreachable(request: Request, error: OSError) -> JSONResponse:
        log.warning("dependency unreachable", error=describe(error))
        return respond(of_error(errors.Unavailable("A dependency is down; try again.")), request)


def unexpected(request: Request) -> JSONResponse:
    """For a bug of ours; `api.observability` logs what it was."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return respond(body(status, "internal-error", "Something went wrong on our side."), request)
