"""Signing up, logging in and out."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import EmailStr, StringConstraints

from api import problems
from api.deps import Caller, Read, Sessions, Settings, Token, Write
from api.idempotency import NEVER_STORED, Route
from api.limits import RateLimited, count, limited_by_address
from api.schemas import In, Name, Out
from tessera.accounts import credentials, passwords, service
from tessera.accounts.errors import BadCredentials, EmailTaken, WrongPassword
from tessera.accounts.models import Person, PersonKind
from tessera.accounts.roles import Right
from tessera.kernel import db
from tessera.kernel.errors import Forbidden

router = APIRouter(tags=["accounts"], route_class=Route)

Password = Annotated[str, StringConstraints(min_length=10, max_length=200)]


class SignUp(In):
    email: EmailStr
    password: Password
    name: Name
    kind: PersonKind


class LogIn(In):
    email: EmailStr
    password: Annotated[str, StringConstraints(max_length=200)]
    device: Annotated[str, StringConstraints(min_length=8, max_length=200)] | None = None
    """A random name that the client gave the device it runs on, once: of many accounts on one, one
    may be asked why."""


class NewPassword(In):
    current_password: Annotated[str, StringConstraints(max_length=200)]
    new_password: Password


class PersonOut(Out):
    id: UUID
    email: str
    name: str
    kind: PersonKind
    created_at: datetime


class TokenOut(Out):
    token: str
    """Send it as `Authorization: Bearer`; it is not shown again."""


class MeOut(Out):
    person_id: UUID
    kind: PersonKind
    rights: dict[UUID, list[Right]]
    """By organisation."""


@router.post(
    "/sign-up",
    status_code=HTTPStatus.CREATED,
    response_model=PersonOut,
    responses=problems.documented(EmailTaken, RateLimited),
    dependencies=[Depends(limited_by_address("sign-up"))],
    openapi_extra={NEVER_STORED: True},
)
async def sign_up(body: SignUp, sessions: Sessions) -> Person:
    """Open an account, to label or to have labelled."""
    password_hash = await passwords.hashed(body.password)
    async with db.transaction(sessions) as session:
        return await service.register(
            session,
            email=body.email,
            password_hash=password_hash,
            name=body.name,
            kind=body.kind,
        )


@router.post(
    "/sessions",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(BadCredentials, RateLimited),
    dependencies=[Depends(limited_by_address("login"))],
    openapi_extra={NEVER_STORED: True},
)
async def log_in(body: LogIn, request: Request, sessions: Sessions, settings: Settings) -> TokenOut:
    """Log in."""
    await count(request, "login-account", body.email.lower())
    token = await service.log_in(
        sessions,
        email=body.email,
        password=body.password,
        lifetime=settings.session_lifetime,
        device=body.device,
    )
    return TokenOut(token=token)


@router.delete(
    "/sessions/current",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(Forbidden),
)
async def log_out(session: Write, token: Token) -> Response:
    """Log out: the token is of no use from now on. API keys are revoked by their organisation."""
    await credentials.owner_of(session, token=token)
    await service.log_out(session, token=token)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/me")
async def me(_session: Read, caller: Caller) -> MeOut:
    """Who the token belongs to, and what they may do."""
    return MeOut(
        person_id=caller.person_id,
        kind=caller.kind,
        rights={id_: sorted(rights) for id_, rights in caller.rights.items()},
    )


@router.put(
    "/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(WrongPassword, Forbidden, RateLimited),
    dependencies=[Depends(limited_by_address("login"))],
    openapi_extra={NEVER_STORED: True},
)
async def change_password(
    body: NewPassword, request: Request, sessions: Sessions, token: Token
) -> Response:
    """Change your password. All your other sessions end; API keys stay until they are revoked."""
    async with db.reading(sessions) as reader:
        person = await credentials.owner_of(reader, token=token)
    await count(request, "login-account", person.email)
    await credentials.change_password(
        sessions,
        person,
        token=token,
        current=body.current_password,
        new=body.new_password,
    )
    return Response(status_code=HTTPStatus.NO_CONTENT)
