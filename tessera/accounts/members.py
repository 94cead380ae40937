"""The people and programs of one organisation."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import invitations, service, tokens
from tessera.accounts.errors import BadScope, LastOwner
from tessera.accounts.models import ApiKey, Membership, Organisation, Person, Role
from tessera.accounts.roles import KEY_SCOPES, Caller, Right
from tessera.kernel import db
from tessera.kernel.errors import Forbidden, NotFound


async def organisations_of(session: AsyncSession, *, caller: Caller) -> Sequence[Organisation]:
    mine = select(Organisation).where(Organisation.id.in_(caller.rights)).order_by(Organisation.id)
    return (await session.scalars(mine)).all()


async def members(
    session: AsyncSession, organisation_id: UUID, *, caller: Caller
) -> Sequence[tuple[Person, Role]]:
    caller.may(organisation_id, Right.MEMBERS)
    rows = await session.execute(
        select(Person, Membership.role)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.organisation_id == organisation_id)
        .order_by(Person.email)
    )
    return rows.all()


async def change_role(
    session: AsyncSession, organisation_id: UUID, *, person_id: UUID, role: Role, caller: Caller
) -> tuple[Person, Role]:
    """Give a member another role; it counts from their next request on.

    Raises:
        NotFound: They are no member.
        LastOwner: The organisation would have no owner.
    """
    caller.may(organisation_id, Right.MEMBERS)
    await set_role(session, organisation_id, person_id=person_id, role=role)
    return await session.get_one(Person, person_id), role


async def set_role(
    session: AsyncSession, organisation_id: UUID, *, person_id: UUID, role: Role
) -> None:
    """Give a member another role, without asking who wants it.

    Raises:
        NotFound: They are no member.
        LastOwner: The organisation would have no owner.
    """
    changed = await session.scalar(
        update(Membership)
        .where(Membership.organisation_id == organisation_id, Membership.person_id == person_id)
        .values(role=role)
        .returning(Membership.person_id)
    )
    if changed is None:
        raise NotFound("There is no such member.")
    if role is not Role.OWNER:
        await invitations.withdraw_all(session, made_by=person_id, organisation_id=organisation_id)
    await _require_owner(session, organisation_id)


async def remove_member(
    session: AsyncSession, organisation_id: UUID, *, person_id: UUID, caller: Caller
) -> None:
    """Take somebody out, and with them the API keys and invitations they made.

    Raises:
        NotFound: They are no member.
        LastOwner: The organisation would have no owner.
    """
    caller.may(organisation_id, Right.MEMBERS)
    removed = await session.scalar(
        delete(Membership)
        .where(Membership.organisation_id == organisation_id, Membership.person_id == person_id)
        .returning(Membership.person_id)
    )
    if removed is None:
        raise NotFound("There is no such member.")
    # or they would be of use again, should their maker come back
    await session.execute(
        update(ApiKey)
        .where(
            ApiKey.organisation_id == organisation_id,
            ApiKey.created_by == person_id,
            ApiKey.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
    )
    await invitations.withdraw_all(session, made_by=person_id, organisation_id=organisation_id)
    await _require_owner(session, organisation_id)


async def create_key(
    session: AsyncSession,
    organisation_id: UUID,
    *,
    name: str,
    scopes: Collection[Right],
    caller: Caller,
) -> tuple[ApiKey, str]:
    """Make an API key. The key itself is returned here and never again.

    Raises:
        BadScope: Nothing was asked for, or something that keys never may.
        Forbidden: More was asked for than the caller may do.
    """
    caller.may(organisation_id, Right.MEMBERS)
    if not scopes or not set(scopes) <= KEY_SCOPES:
        raise BadScope(
            "A key needs scopes, and only such as keys may have.", allowed=sorted(KEY_SCOPES)
        )
    if not set(scopes) <= caller.rights[organisation_id]:
        raise Forbidden("A key cannot do more than you.")
    await service.still_owner(session, organisation_id, caller=caller)
    token = tokens.new(tokens.API_KEY)
    key = ApiKey(
        organisation_id=organisation_id,
        name=name,
        hint=token[: len(tokens.API_KEY) + 4],
        key_sha256=tokens.digest(token),
        scopes=sorted(set(scopes)),
        created_by=caller.person_id,
        revoked_at=None,
    )
    session.add(key)
    await session.flush()
    return key, token


async def keys(session: AsyncSession, organisation_id: UUID, *, caller: Caller) -> Sequence[ApiKey]:
    caller.may(organisation_id, Right.MEMBERS)
    of_theirs = select(ApiKey).where(ApiKey.organisation_id == organisation_id)
    return (await session.scalars(of_theirs.order_by(ApiKey.created_at, ApiKey.id))).all()


async def revoke_key(
    session: AsyncSession, organisation_id: UUID, *, key_id: UUID, caller: Caller
) -> None:
    caller.may(organisation_id, Right.MEMBERS)
    revoked = await session.scalar(
        update(ApiKey)
        .where(
            ApiKey.organisation_id == organisation_id,
            ApiKey.id == key_id,
            ApiKey.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    if revoked is None:
        raise NotFound("There is no such key.")


async def _require_owner(session: AsyncSession, organisation_id: UUID) -> None:
    # the organisation's row is locked, so that two owners cannot remove each other at once
    await session.execute(
        db.locking(select(Organisation.id).where(Organisation.id == organisation_id))
    )
    owners = await session.scalar(
        select(func.count())
        .select_from(Membership)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.organisation_id == organisation_id, Membership.role == Role.OWNER)
        .where(Person.disabled_at.is_(None))
    )
    if not owners:
        raise LastOwner("An organisation needs an owner.")
