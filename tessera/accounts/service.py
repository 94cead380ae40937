"""Signing up, logging in, and finding out who is calling."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import passwords, tokens
from tessera.accounts.errors import BadCredentials, BadToken, EmailTaken
from tessera.accounts.models import (
    ApiKey,
    Membership,
    Organisation,
    Person,
    PersonKind,
    Role,
    Session,
)
from tessera.accounts.roles import PLATFORM_ONLY, RIGHTS, Caller, Right
from tessera.kernel import db
from tessera.kernel.errors import Forbidden


async def register(
    session: AsyncSession, *, email: str, password_hash: str, name: str, kind: PersonKind
) -> Person:
    """Add a person.

    Raises:
        EmailTaken: Somebody has this address already.
    """
    person: Person | None = await session.scalar(
        insert(Person)
        .values(email=email.lower(), password_hash=password_hash, name=name, kind=kind)
        .on_conflict_do_nothing(index_elements=[Person.email])
        .returning(Person)
    )
    if person is None:
        raise EmailTaken("This e-mail address is already in use.")
    return person


async def found_organisation(
    session: AsyncSession, *, name: str, owner_id: UUID, is_platform: bool = False
) -> Organisation:
    """Make an organisation whose first owner is this person."""
    organisation = Organisation(name=name, is_platform=is_platform, import_bucket=None)
    session.add(organisation)
    await session.flush()
    session.add(Membership(organisation_id=organisation.id, person_id=owner_id, role=Role.OWNER))
    await session.flush()
    return organisation


async def log_in(
    sessions: db.Sessions,
    *,
    email: str,
    password: str,
    lifetime: timedelta,
    device: str | None = None,
) -> str:
    """Check a password and open a session.

    Takes no transaction of the caller's: none may stay open while a password is being hashed.

    Args:
        device: What the client calls the device it runs on; only its hash is kept.

    Returns:
        The token; it is not stored and cannot be shown again.

    Raises:
        BadCredentials: No such account, a wrong password, or a disabled account.
    """
    async with db.reading(sessions) as reader:
        person = await reader.scalar(select(Person).where(Person.email == email.lower()))
    right = await passwords.matches(password, person.password_hash if person else None)
    if person is None or not right or person.disabled_at is not None:
        raise BadCredentials("The e-mail address or the password is wrong.")
    token = tokens.new(tokens.SESSION)
    async with db.transaction(sessions) as session:
        # locked and looked at again: who is just being disabled does not get in, nor does
        # a password that is just being changed open anything
        unchanged = db.locking(
            select(Person.id).where(
                Person.id == person.id,
                Person.password_hash == person.password_hash,
                Person.disabled_at.is_(None),
            )
        )
        if await session.scalar(unchanged) is None:
            raise BadCredentials("The e-mail address or the password is wrong.")
        session.add(
            Session(
                token_sha256=tokens.digest(token),
                person_id=person.id,
                expires_at=func.now() + lifetime,
                revoked_at=None,
                device_sha256=None if device is None else tokens.digest(device),
            )
        )
    return token


async def log_out(session: AsyncSession, *, token: str) -> None:
    await session.execute(
        update(Session)
        .where(Session.token_sha256 == tokens.digest(token), Session.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


async def caller_of(session: AsyncSession, token: str) -> Caller:
    """Who holds this token.

    One statement, asked afresh for each request: what was revoked a moment ago is of no use now.

    Raises:
        BadToken: It is unknown, revoked or expired, or its owner is disabled.
    """
    if token.startswith(tokens.API_KEY):
        return await _key_caller(session, token)
    rows = (
        await session.execute(
            select(
                Person.id,
                Person.kind,
                Membership.organisation_id,
                Membership.role,
                Organisation.is_platform,
            )
            .join(Session, Session.person_id == Person.id)
            .outerjoin(Membership, Membership.person_id == Person.id)
            .outerjoin(Organisation, Organisation.id == Membership.organisation_id)
            .where(
                Session.token_sha256 == tokens.digest(token),
                Session.revoked_at.is_(None),
                Session.expires_at > func.now(),
                Person.disabled_at.is_(None),
            )
        )
    ).all()
    if not rows:
        raise BadToken("This token is unknown, revoked or expired.")
    rights: dict[UUID, frozenset[Right]] = {}
    platform: frozenset[Right] = frozenset()
    for row in rows:
        if row.organisation_id is None:
            continue
        full = RIGHTS[row.role]
        rights[row.organisation_id] = full if row.is_platform else full - PLATFORM_ONLY
        if row.is_platform:
            platform = full
    return Caller(rows[0].id, rows[0].kind, rights, platform)


async def _key_caller(session: AsyncSession, token: str) -> Caller:
    row = (
        await session.execute(
            select(
                ApiKey.id, ApiKey.organisation_id, ApiKey.scopes, ApiKey.created_by, Membership.role
            )
            .join(Person, Person.id == ApiKey.created_by)
            .join(
                Membership,
                (Membership.person_id == ApiKey.created_by)
                & (Membership.organisation_id == ApiKey.organisation_id),
            )
            .where(
                ApiKey.key_sha256 == tokens.digest(token),
                ApiKey.revoked_at.is_(None),
                Person.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        raise BadToken("This key is unknown or revoked.")
    # a key never does more than whoever made it may do by now
    rights = RIGHTS[row.role].intersection(map(Right, row.scopes))
    return Caller(row.created_by, PersonKind.OPERATOR, {row.organisation_id: rights}, key_id=row.id)


async def still_owner(session: AsyncSession, organisation_id: UUID, *, caller: Caller) -> None:
    """Hold off whoever is taking this role away, or is shutting its holder out.

    For what goes with the role: made beside that, it would not be seen there, and stay.

    Raises:
        Forbidden: Somebody just did.
    """
    theirs = select(Membership.person_id).join(Person, Person.id == Membership.person_id)
    owner = theirs.where(
        Membership.organisation_id == organisation_id,
        Membership.person_id == caller.person_id,
        Membership.role == Role.OWNER,
        Person.disabled_at.is_(None),
    )
    if await session.scalar(db.locking(owner)) is None:
        raise Forbidden("You are no owner any more.")
