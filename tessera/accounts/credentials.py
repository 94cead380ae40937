"""When a password or a token may be in wrong hands: a new password, and shutting somebody out."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import invitations, passwords, service, tokens
from tessera.accounts.errors import WrongPassword
from tessera.accounts.models import ApiKey, Person, Session
from tessera.kernel import db
from tessera.kernel.errors import Forbidden, NotFound


async def owner_of(session: AsyncSession, *, token: str) -> Person:
    """Whose session this is.

    Raises:
        BadToken: Nobody's.
        Forbidden: It is an API key.
    """
    caller = await service.caller_of(session, token)
    if caller.key_id is not None:
        raise Forbidden("Only people may do this, not their API keys.")
    return await session.get_one(Person, caller.person_id)


async def change_password(
    sessions: db.Sessions, person: Person, *, token: str, current: str, new: str
) -> None:
    """Set a new password and end all sessions but this one; API keys stay.

    Takes no transaction of the caller's: none may stay open while a password is being hashed.

    Raises:
        WrongPassword: The current one is another, or was just changed.
    """
    right = await passwords.matches(current, person.password_hash)
    if not right:
        raise WrongPassword("This is not your current password.")
    new_hash = await passwords.hashed(new)
    async with db.transaction(sessions) as session:
        # of two changes at once, one is based on a password that is no longer current
        changed = await session.scalar(
            update(Person)
            .where(Person.id == person.id, Person.password_hash == person.password_hash)
            .values(password_hash=new_hash)
            .returning(Person.id)
        )
        if changed is None:
            raise WrongPassword("Your password was just changed.")
        await _end_sessions(session, person.id, Session.token_sha256 != tokens.digest(token))


async def disable(session: AsyncSession, *, email: str) -> None:
    """Shut somebody out: no session, API key or invitation of theirs is ever of use again.

    Raises:
        NotFound: Nobody has this address.
    """
    person_id = await _set_disabled(session, email, func.coalesce(Person.disabled_at, func.now()))
    await _end_sessions(session, person_id)
    await session.execute(
        update(ApiKey)
        .where(ApiKey.created_by == person_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    await invitations.withdraw_all(session, made_by=person_id)


async def enable(session: AsyncSession, *, email: str) -> None:
    """Let somebody log in again; what was ended when they were disabled stays so.

    Raises:
        NotFound: Nobody has this address.
    """
    await _set_disabled(session, email, None)


async def _set_disabled(
    session: AsyncSession, email: str, since: ColumnElement[datetime] | None
) -> UUID:
    person_id: UUID | None = await session.scalar(
        update(Person)
        .where(Person.email == email.lower())
        .values(disabled_at=since)
        .returning(Person.id)
    )
    if person_id is None:
        raise NotFound(f"Nobody has signed up with {email}.")
    return person_id


async def _end_sessions(
    session: AsyncSession, person_id: UUID, *which: ColumnElement[bool]
) -> None:
    await session.execute(
        update(Session)
        .where(Session.person_id == person_id, Session.revoked_at.is_(None), *which)
        .values(revoked_at=func.now())
    )
