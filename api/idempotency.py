"""How a repeated request gets its first answer again."""

import hashlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from api.deps import bearer, token_of
from api.requests import LARGE_BODY, StrictRequest, invalid
from tessera.accounts import service as accounts
from tessera.kernel import db, idempotency
from tessera.kernel.errors import Invalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 200
NEVER_STORED = "x-not-replayed"
"""Marks routes whose request or answer is a secret, whose answer is a link that expires, or whose
caller is nobody yet."""

PARAMETER = {
    "name": HEADER,
    "in": "header",
    "description": "Sent again with the same key and body, a request is answered as it was the "
    "first time, and does nothing again. Good for two days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}


class KeyRequired(Invalid):
    """Without a key, a repeat of this request could not be told from another one."""

    code = "idempotency-key-required"


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(APIRoute):
    """A route that reads requests strictly, and honours `Idempotency-Key`.

    The key is claimed in the transaction that the endpoint writes in, and the answer is stored
    there before it commits. So a repeat, even at the same moment or after a crash, either finds
    the first answer or finds that nothing was done. What was refused is not stored: it had no
    effect, and may succeed when it is tried again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._stores():
            self.openapi_extra = {**(self.openapi_extra or {}), "parameters": [PARAMETER]}

    def _stores(self) -> bool:
        return self.methods != {"GET"} and NEVER_STORED not in (self.openapi_extra or {})

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        stores = self._stores()
        has_body = self.body_field is not None
        is_large = LARGE_BODY in (self.openapi_extra or {})
        fields = get_flat_params(self.dependant)
        known = {each.alias for each in fields if isinstance(each.field_info, Query)}

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            if is_large and request.may_be_large():
                await _known(request)
                request.allow_large()
            for name in request.query_params.keys() - known:
                raise invalid("There is no such parameter.", "query", name)
            if has_body and await request.body():
                await request.json()  # here, for FastAPI would not say what is wrong with it
            key = request.headers.get(HEADER)
            if key is None or not stores:
                return await handle(request)
            if not 0 < len(key) <= LONGEST_KEY:
                raise invalid(f"This has 1 to {LONGEST_KEY} characters.", "header", HEADER)
            return await _once(request, key, handle)

        return strict


async def _known(request: Request) -> None:
    """Find out who calls before their large body is read: for nobody it would be much work.

    Raises:
        Unauthenticated: Nobody we know.
    """
    token = await token_of(await bearer(request))
    async with db.reading(request.app.state.sessions) as reader:
        await accounts.caller_of(reader, token)


async def _once(request: Request, key: str, handle: Handler) -> Response:
    credentials = await bearer(request)
    if credentials is None:
        return await handle(request)
    content = _digest(request.url.query, await request.body())
    async with db.transaction(request.app.state.sessions) as session:
        # who calls is found out first: a revoked token gets no answer again either
        caller = await accounts.caller_of(session, credentials.credentials)
        who = f"{caller.person_id} {caller.key_id}"
        scope = _digest(who, request.method, request.url.path, key)
        first = await idempotency.claim(session, scope_sha256=scope, request_sha256=content)
        if first is not None:
            return _again(first)
        request.state.claimed = session
        response = await handle(request)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            await idempotency.remember(
                session,
                scope_sha256=scope,
                status=response.status_code,
                body=bytes(response.body),
            )
        else:
            await idempotency.forget(session, scope_sha256=scope)
        return response


def _again(first: idempotency.IdempotencyKey) -> Response:
    return Response(
        first.body,
        first.status or HTTPStatus.OK,
        {REPLAYED: "true"},
        media_type="application/json" if first.body else None,
    )


def _digest(*parts: str | bytes) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8))
        whole.update(data)
    return whole.digest()
