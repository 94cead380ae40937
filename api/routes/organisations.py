"""Organisations: members, invitations, API keys, money."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import StringConstraints

from api import problems
from api.deps import Caller, Limit, Operator, Read, Write
from api.idempotency import NEVER_STORED, Route
from api.schemas import In, Name, Out
from tessera.accounts import invitations, members, service
from tessera.accounts.errors import (
    AlreadyMember,
    BadInvitation,
    BadScope,
    LastOwner,
    TooManyInvitations,
)
from tessera.accounts.models import ApiKey, Invitation, Membership, Organisation, Person, Role
from tessera.accounts.roles import Right
from tessera.kernel.errors import Forbidden, NotFound
from tessera.ledger import service as ledger
from tessera.ledger import statement
from tessera.ledger.models import AccountKind, Event

router = APIRouter(tags=["organisations"], route_class=Route)


class NewOrganisation(In):
    name: Name


class OrganisationOut(Out):
    id: UUID
    name: str
    created_at: datetime


class NewRole(In):
    role: Role


class MemberOut(Out):
    person_id: UUID
    email: str
    name: str
    role: Role


class NewInvitation(In):
    role: Role
    note: Name | None = None
    """For whom it is, in your own words. It proves nothing: who brings the token is let in."""


class InvitationOut(Out):
    id: UUID
    role: Role
    note: str | None
    created_by: UUID
    created_at: datetime
    expires_at: datetime


class CreatedInvitationOut(InvitationOut):
    token: str
    """Shown this once."""


class Acceptance(In):
    token: Annotated[str, StringConstraints(max_length=200)]


class MembershipOut(Out):
    organisation_id: UUID
    role: Role


class NewKey(In):
    name: Name
    scopes: list[Right]


class KeyOut(Out):
    id: UUID
    name: str
    hint: str
    scopes: list[Right]
    created_at: datetime
    revoked_at: datetime | None


class CreatedKeyOut(KeyOut):
    key: str
    """Shown this once."""


class BalanceOut(Out):
    available_micro: dict[str, int]
    """By currency."""


class LineOut(Out):
    id: int
    event: Event
    reference: str
    currency: str
    amount_micro: int
    created_at: datetime


class StatementOut(Out):
    items: list[LineOut]
    next: int | None


@router.post("/organisations", status_code=HTTPStatus.CREATED, response_model=OrganisationOut)
async def found(body: NewOrganisation, session: Write, operator: Operator) -> Organisation:
    """Found an organisation; you are its owner."""
    return await service.found_organisation(session, name=body.name, owner_id=operator.person_id)


@router.get("/organisations", response_model=list[OrganisationOut])
async def mine(session: Read, caller: Caller) -> list[Organisation]:
    """All organisations you belong to, on one page."""
    return list(await members.organisations_of(session, caller=caller))


@router.get("/organisations/{organisation_id}/members")
async def list_members(organisation_id: UUID, session: Read, caller: Caller) -> list[MemberOut]:
    """All who belong to it, and as what, on one page."""
    return [
        _member(person, role)
        for person, role in await members.members(session, organisation_id, caller=caller)
    ]


@router.patch(
    "/organisations/{organisation_id}/members/{person_id}",
    responses=problems.documented(NotFound, Forbidden, LastOwner),
)
async def change_role(
    organisation_id: UUID, person_id: UUID, body: NewRole, session: Write, caller: Caller
) -> MemberOut:
    """Give a member another role. An owner's invitations end when they are owner no more."""
    person, role = await members.change_role(
        session, organisation_id, person_id=person_id, role=body.role, caller=caller
    )
    return _member(person, role)


@router.delete(
    "/organisations/{organisation_id}/members/{person_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(NotFound, Forbidden, LastOwner),
)
async def remove_member(
    organisation_id: UUID, person_id: UUID, session: Write, caller: Caller
) -> Response:
    """Take a member out; the API keys and invitations they made stop working."""
    await members.remove_member(session, organisation_id, person_id=person_id, caller=caller)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post(
    "/organisations/{organisation_id}/invitations",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(NotFound, Forbidden, TooManyInvitations),
    openapi_extra={NEVER_STORED: True},
)
async def invite(
    organisation_id: UUID, body: NewInvitation, session: Write, caller: Caller
) -> CreatedInvitationOut:
    """Invite somebody: hand the token over yourself. It is good once, for 7 days."""
    made, token = await invitations.invite(
        session, organisation_id, role=body.role, note=body.note, caller=caller
    )
    return CreatedInvitationOut(**InvitationOut.model_validate(made).model_dump(), token=token)


@router.get("/organisations/{organisation_id}/invitations", response_model=list[InvitationOut])
async def list_invitations(
    organisation_id: UUID, session: Read, caller: Caller
) -> list[Invitation]:
    """All invitations that can still be accepted, on one page."""
    return list(await invitations.invitations(session, organisation_id, caller=caller))


@router.delete(
    "/organisations/{organisation_id}/invitations/{invitation_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(NotFound, Forbidden),
)
async def withdraw_invitation(
    organisation_id: UUID, invitation_id: UUID, session: Write, caller: Caller
) -> Response:
    """Take an invitation back; its token is of no use from now on."""
    await invitations.withdraw(session, organisation_id, invitation_id=invitation_id, caller=caller)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post(
    "/invitations/accept",
    response_model=MembershipOut,
    responses=problems.documented(BadInvitation, Forbidden, AlreadyMember),
)
async def accept_invitation(body: Acceptance, session: Write, operator: Operator) -> Membership:
    """Become a member, with the token that an owner gave you."""
    return await invitations.accept(session, token=body.token, caller=operator)


@router.post(
    "/organisations/{organisation_id}/api-keys",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(NotFound, Forbidden, BadScope),
    openapi_extra={NEVER_STORED: True},
)
async def create_key(
    organisation_id: UUID, body: NewKey, session: Write, caller: Caller
) -> CreatedKeyOut:
    """Make an API key for programs."""
    made, key = await members.create_key(
        session, organisation_id, name=body.name, scopes=body.scopes, caller=caller
    )
    await session.refresh(made)
    return CreatedKeyOut(**KeyOut.model_validate(made).model_dump(), key=key)


@router.get("/organisations/{organisation_id}/api-keys", response_model=list[KeyOut])
async def list_keys(organisation_id: UUID, session: Read, caller: Caller) -> list[ApiKey]:
    """All API keys, revoked ones too, on one page."""
    return list(await members.keys(session, organisation_id, caller=caller))


@router.delete(
    "/organisations/{organisation_id}/api-keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems.documented(NotFound, Forbidden),
)
async def revoke_key(
    organisation_id: UUID, key_id: UUID, session: Write, caller: Caller
) -> Response:
    """Revoke an API key; its next request is refused."""
    await members.revoke_key(session, organisation_id, key_id=key_id, caller=caller)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/organisations/{organisation_id}/balance")
async def balance(organisation_id: UUID, session: Read, caller: Caller) -> BalanceOut:
    """What can still be spent: deposits less what projects have reserved."""
    caller.may(organisation_id, Right.MONEY_READ)
    return BalanceOut(
        available_micro=await ledger.balances(session, AccountKind.ORGANISATION, organisation_id)
    )


@router.get("/organisations/{organisation_id}/statement")
async def organisation_statement(
    organisation_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    before: Annotated[int | None, Query(gt=0, le=2**63 - 1)] = None,
) -> StatementOut:
    """Every movement of the organisation's money, newest first."""
    caller.may(organisation_id, Right.MONEY_READ)
    lines = await statement.lines(
        session, AccountKind.ORGANISATION, organisation_id, before=before, limit=limit
    )
    return StatementOut(
        items=[LineOut.model_validate(line) for line in lines],
        next=lines[-1].id if len(lines) == limit else None,
    )


def _member(person: Person, role: Role) -> MemberOut:
    return MemberOut(person_id=person.id, email=person.email, name=person.name, role=role)
