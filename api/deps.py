"""What endpoints may ask for. Each is one name, so signatures read as a list of needs.

Ask for the session before the caller: who is calling is looked up in that session.
"""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import service as accounts
from tessera.accounts.models import PersonKind
from tessera.accounts.roles import Caller as _Caller
from tessera.kernel import db, paging
from tessera.kernel.errors import Forbidden, Unauthenticated
from tessera.kernel.settings import Settings as _Settings
from tessera.storage.s3 import Store as _Store

# All are `async`, whether or not they wait: a plain function would be sent to a thread.
bearer = HTTPBearer(auto_error=False, description="A session token, or an API key")


async def _write(request: Request) -> AsyncIterator[AsyncSession]:
    if (claimed := getattr(request.state, "claimed", None)) is not None:
        request.state.session = claimed  # api.idempotency opened it, and commits it
        yield claimed
        return
    async with db.transaction(request.app.state.sessions) as session:
        request.state.session = session
        yield session


async def _read(request: Request) -> AsyncIterator[db.Reader]:
    async with db.reading(request.app.state.sessions) as session:
        request.state.session = session
        yield session


async def token_of(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    if credentials is None:
        raise Unauthenticated("Send `Authorization: Bearer` with a session token or an API key.")
    return credentials.credentials


async def _caller(request: Request, token: Annotated[str, Depends(token_of)]) -> _Caller:
    caller = await accounts.caller_of(request.state.session, token)
    structlog.contextvars.bind_contextvars(person_id=str(caller.person_id))
    return caller


async def _earner(caller: Annotated[_Caller, Depends(_caller)]) -> UUID:
    if caller.kind is not PersonKind.EARNER:
        raise Forbidden("Only earners may do this.")
    return caller.person_id


async def _operator(caller: Annotated[_Caller, Depends(_caller)]) -> _Caller:
    if caller.kind is not PersonKind.OPERATOR or caller.key_id is not None:
        raise Forbidden("Only operators may do this, and not by an API key.")
    return caller


async def _settings(request: Request) -> _Settings:
    settings: _Settings = request.app.state.settings
    return settings


async def _store(request: Request) -> _Store:
    store: _Store = request.app.state.store
    return store


async def _sessions(request: Request) -> db.Sessions:
    sessions: db.Sessions = request.app.state.sessions
    return sessions


async def _after(
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next` of the last page")
    ] = None,
) -> paging.After | None:
    return paging.decode(cursor, UUID)


# scope="function": COMMIT happens before the response starts. With FastAPI's default scope
# the client would already hold its 201 when a deferred constraint refuses the commit.
Write = Annotated[AsyncSession, Depends(_write, scope="function")]
Read = Annotated[db.Reader, Depends(_read, scope="function")]
Sessions = Annotated[db.Sessions, Depends(_sessions)]
"""For endpoints that must not hold a transaction; they open their own."""
Caller = Annotated[_Caller, Depends(_caller)]
Operator = Annotated[_Caller, Depends(_operator)]
EarnerId = Annotated[UUID, Depends(_earner)]
Token = Annotated[str, Depends(token_of)]
Settings = Annotated[_Settings, Depends(_settings)]
Store = Annotated[_Store, Depends(_store)]
After = Annotated[paging.After | None, Depends(_after)]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items on a page")]
