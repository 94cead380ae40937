"""How requests are read: bodies of a bounded size, and JSON that can be read in one way only."""

import json
import re
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MOST_BODY_BYTES = 512 * 2**10
LARGE_BODY_BYTES = 8 * 2**20
LARGE_BODY = "x-large-body"
"""Marks routes that carry annotations: their bodies may be large, if we know who sends them."""
MOST_CONTAINERS, MOST_COMMAS = 500_000, 2_000_000
"""In one body, in its texts too: more than annotations of its size have. Reading JSON blocks
everybody else, by what is in it more than by its length: up to a second for this much."""
_LONGEST_INTEGER = 20
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an escaped backslash before u0000 makes it text


class StrictRequest(Request):
    most_bytes = MOST_BODY_BYTES

    def may_be_large(self) -> bool:
        announced = self.headers.get("content-length", "")
        return not announced.isdecimal() or int(announced) > self.most_bytes

    def allow_large(self) -> None:
        self.most_bytes = LARGE_BODY_BYTES

    async def stream(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > self.most_bytes:
                raise self._too_large()
            yield chunk

    async def body(self) -> bytes:
        announced = self.headers.get("content-length")
        if announced is not None and self.may_be_large():
            raise self._too_large()
        return await super().body()

    async def json(self) -> Any:
        if not hasattr(self, "_parsed"):
            media_type = self.headers.get("content-type", "").partition(";")[0]
            if media_type.strip().lower() != "application/json":
                raise HTTPException(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send a body of type application/json."
                )
            self._parsed = parse(await self.body())
        return self._parsed

    def _too_large(self) -> HTTPException:
        return HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body here has at most {self.most_bytes} bytes."
        )


def parse(body: bytes) -> Any:
    """Read JSON (RFC 8259) that means the same to everybody (RFC 7493).

    So no NaN, no lone surrogates, no name twice in an object, no integers beyond 64 bits; and no
    NUL, which Postgres does not keep.

    Raises:
        RequestValidationError: It is none.
    """
    if _NUL.search(body):
        raise invalid("NUL characters are not allowed.")
    if body.count(b"[") + body.count(b"{") > MOST_CONTAINERS or body.count(b",") > MOST_COMMAS:
        raise invalid("This JSON has too many parts; send it in several requests.")
    try:
        orjson.loads(body)  # sees all of that but doubled names and long integers
        return json.loads(body, object_pairs_hook=_object, parse_int=_integer)
    except RecursionError:
        raise invalid("This JSON is nested too deeply.") from None
    except ValueError as error:
        raise invalid(f"This is not JSON that we read: {error}.") from None


def invalid(why: str, *at: str) -> RequestValidationError:
    return RequestValidationError([{"loc": at or ("body",), "msg": why, "type": "value_error"}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has the same name twice")
    return made


def _integer(digits: str) -> int:
    # counted first: reading n digits takes n² time
    if len(digits) > _LONGEST_INTEGER or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("an integer does not fit into 64 bits")
    return int(digits)
