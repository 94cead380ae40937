"""How people come into an organisation: with a token that one of its owners handed them.

Not by their address: anybody may sign up with any, so having it proves nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import service, tokens
from tessera.accounts.errors import AlreadyMember, BadInvitation, TooManyInvitations
from tessera.accounts.models import Invitation, Membership, Person, Role
from tessera.accounts.roles import Caller, Right
from tessera.kernel.errors import NotFound

LIFETIME = timedelta(days=7)
MOST_OPEN = 200
"""Of one organisation, so that they fit on one page."""


async def invite(
    session: AsyncSession, organisation_id: UUID, *, role: Role, note: str | None, caller: Caller
) -> tuple[Invitation, str]:
    """Make an invitation. Its token is returned here and never again.

    Raises:
        TooManyInvitations: So many are open already.
        Forbidden: The caller is no owner any more.
    """
    caller.may(organisation_id, Right.MEMBERS)
    await service.still_owner(session, organisation_id, caller=caller)
    await session.execute(
        delete(Invitation).where(
            Invitation.organisation_id == organisation_id, Invitation.expires_at <= func.now()
        )
    )
    of_theirs = select(func.count()).where(Invitation.organisation_id == organisation_id)
    if (await session.scalar(of_theirs) or 0) >= MOST_OPEN:
        raise TooManyInvitations(f"{MOST_OPEN} invitations are open; withdraw some first.")
    token = tokens.new(tokens.INVITATION)
    invitation = Invitation(
        organisation_id=organisation_id,
        role=role,
        note=note,
        token_sha256=tokens.digest(token),
        created_by=caller.person_id,
        expires_at=func.now() + LIFETIME,
    )
    session.add(invitation)
    await session.flush()
    await session.refresh(invitation)
    return invitation, token


async def invitations(
    session: AsyncSession, organisation_id: UUID, *, caller: Caller
) -> Sequence[Invitation]:
    """Those that can still be accepted."""
    caller.may(organisation_id, Right.MEMBERS)
    of_theirs = select(Invitation).where(Invitation.organisation_id == organisation_id, *_open())
    return (await session.scalars(of_theirs.order_by(Invitation.created_at, Invitation.id))).all()


async def withdraw(
    session: AsyncSession, organisation_id: UUID, *, invitation_id: UUID, caller: Caller
) -> None:
    """Take an invitation back.

    Raises:
        NotFound: There is none, or no longer.
    """
    caller.may(organisation_id, Right.MEMBERS)
    withdrawn = await session.scalar(
        delete(Invitation)
        .where(Invitation.organisation_id == organisation_id, Invitation.id == invitation_id)
        .returning(Invitation.id)
    )
    if withdrawn is None:
        raise NotFound("There is no such invitation.")


async def accept(session: AsyncSession, *, token: str, caller: Caller) -> Membership:
    """Become a member, in the role that the invitation is for.

    Raises:
        BadInvitation: It is of no use, or no longer.
        AlreadyMember: The caller is one; the invitation stays open.
    """
    # deleted, not marked: of two who accept at once, the second finds nothing
    used = (
        await session.execute(
            delete(Invitation)
            .where(Invitation.token_sha256 == tokens.digest(token), *_open())
            .returning(Invitation.organisation_id, Invitation.role)
        )
    ).one_or_none()
    if used is None:
        raise BadInvitation("This invitation is unknown, used, withdrawn or expired.")
    joined: Membership | None = await session.scalar(
        insert(Membership)
        .values(organisation_id=used.organisation_id, person_id=caller.person_id, role=used.role)
        .on_conflict_do_nothing()
        .returning(Membership)
    )
    if joined is None:
        raise AlreadyMember("You are a member already; an owner can change your role.")
    return joined


async def withdraw_all(
    session: AsyncSession, *, made_by: UUID, organisation_id: UUID | None = None
) -> None:
    """Take back what somebody made, in one organisation or in all."""
    theirs = delete(Invitation).where(Invitation.created_by == made_by)
    if organisation_id is not None:
        theirs = theirs.where(Invitation.organisation_id == organisation_id)
    await session.execute(theirs)


def _open() -> tuple[ColumnElement[bool], ...]:
    # its maker is looked at again: they may have lost their role while they were making it
    maker_is_owner = (
        exists()
        .where(Membership.organisation_id == Invitation.organisation_id)
        .where(Membership.person_id == Invitation.created_by, Membership.role == Role.OWNER)
        .where(Person.id == Invitation.created_by, Person.disabled_at.is_(None))
    )
    return Invitation.expires_at > func.now(), maker_is_owner
