"""Who comes into an organisation: who holds a token that an owner gave them, and nobody else."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response
from sqlalchemy import func, select, text, update

from tessera.accounts import credentials, invitations, members, service
from tessera.accounts.models import Invitation, Role
from tessera.accounts.tokens import digest
from tessera.kernel import db
from tests.api.refusing import refused
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.waiting import until_locks_are_waited_for
from tests.world import World, joins


async def invite(owner: As, organisation_id: str, role: Role = Role.MANAGER) -> dict[str, Any]:
    body = {"role": role.value, "note": "Ada, by letter"}
    made: dict[str, Any] = await owner.post(
        f"/v1/organisations/{organisation_id}/invitations", body, status=201
    )
    return made


async def accept(someone: As, invited: dict[str, Any]) -> Response:
    return await someone.call("POST", "/v1/invitations/accept", {"token": invited["token"]})


def of_no_use(answer: Response) -> bool:
    return refused(answer, 404, "bad-invitation")


async def test_who_accepts_an_invitation_is_a_member_in_its_role(world: World) -> None:
    owner, organisation_id = await world.operator()
    ada = await world.person("operator")
    accepted = await accept(ada, await invite(owner, organisation_id))
    assert accepted.json() == {"organisation_id": organisation_id, "role": "manager"}
    assert "projects:write" in (await ada.get("/v1/me"))["rights"][organisation_id]
    members = await owner.get(f"/v1/organisations/{organisation_id}/members")
    assert {each["email"]: each["role"] for each in members} == {
        owner.email: "owner",
        ada.email: "manager",
    }


async def test_an_invitation_is_good_for_seven_days_and_once(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    first, second = [await world.person("operator") for _ in range(2)]
    used, late = [await invite(owner, organisation_id) for _ in range(2)]
    assert (await accept(first, used)).status_code == 200
    await later(sessions, timedelta(days=7) - timedelta(minutes=1))
    async with nothing_changes(sessions):
        for someone in (first, second):
            assert of_no_use(await accept(someone, used))
    assert await listed(owner, organisation_id) == [late["id"]]
    await later(sessions, timedelta(minutes=2))
    assert of_no_use(await accept(second, late))
    assert await listed(owner, organisation_id) == []


async def later(sessions: db.Sessions, time: timedelta) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(update(Invitation).values(expires_at=Invitation.expires_at - time))


async def listed(owner: As, organisation_id: str) -> list[str]:
    items = await owner.get(f"/v1/organisations/{organisation_id}/invitations")
    return [each["id"] for each in items]


async def test_of_two_who_accept_at_once_one_becomes_a_member(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    first, second = [await world.person("operator") for _ in range(2)]
    invited = await invite(owner, organisation_id)
    async with db.transaction(sessions) as session:
        caller = await service.caller_of(session, first.token)
        await invitations.accept(session, token=invited["token"], caller=caller)
        late = asyncio.create_task(accept(second, invited))
        await until_locks_are_waited_for(sessions)
    assert of_no_use(await late)
    members = await owner.get(f"/v1/organisations/{organisation_id}/members")
    assert {each["email"] for each in members} == {owner.email, first.email}


async def test_an_invitation_that_was_withdrawn_is_of_no_use(world: World) -> None:
    owner, organisation_id = await world.operator()
    ada = await world.person("operator")
    invited, other = [await invite(owner, organisation_id) for _ in range(2)]
    one = f"/v1/organisations/{organisation_id}/invitations/{invited['id']}"
    await owner.delete(one)
    assert of_no_use(await accept(ada, invited))
    assert refused(await owner.call("DELETE", one), 404, "not-found")
    assert await listed(owner, organisation_id) == [other["id"]]
    assert (await accept(ada, other)).status_code == 200


async def test_an_invitation_ends_with_its_makers_ownership(world: World) -> None:
    owner, organisation_id = await world.operator()
    ada = await world.person("operator")
    for leaves in (False, True):
        maker = await world.member(owner, organisation_id, Role.OWNER)
        invited, mine = [await invite(each, organisation_id) for each in (maker, owner)]
        elsewhere = (await maker.post("/v1/organisations", {"name": "Another"}))["id"]
        of_another = await invite(maker, elsewhere)
        person_id = (await maker.get("/v1/me"))["person_id"]
        member = f"/v1/organisations/{organisation_id}/members/{person_id}"
        if leaves:
            await owner.delete(member)
            await joins(maker, owner, organisation_id, Role.OWNER)
        else:
            await owner.patch(member, {"role": "manager"})
            await owner.patch(member, {"role": "owner"})
        assert of_no_use(await accept(ada, invited)), "though they are owner again"
        assert mine["id"] in await listed(owner, organisation_id)
        assert (await accept(ada, of_another)).status_code == 200


async def test_one_that_was_made_while_its_maker_lost_their_role_is_of_no_use(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    ada = await world.person("operator")
    for lost in (
        "UPDATE memberships SET role = 'manager'",
        "UPDATE people SET disabled_at = now()",
        "DELETE FROM memberships",
    ):
        maker = await world.member(owner, organisation_id, Role.OWNER)
        invited = await invite(maker, organisation_id)
        whose = "id" if "people" in lost else "person_id"
        async with db.transaction(sessions) as session:
            maker_id = (await session.get_one(Invitation, invited["id"])).created_by
            await session.execute(text(f"{lost} WHERE {whose} = :id"), {"id": maker_id})
        assert of_no_use(await accept(ada, invited)), lost
        assert await listed(owner, organisation_id) == [], lost


async def test_who_is_a_member_keeps_their_role_and_the_invitation_stays_open(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    reviewer = await world.member(owner, organisation_id, Role.REVIEWER)
    invited = await invite(owner, organisation_id, Role.OWNER)
    async with nothing_changes(sessions):
        for member in (reviewer, owner):
            assert refused(await accept(member, invited), 409, "already-member")
    assert (await accept(await world.person("operator"), invited)).status_code == 200


async def test_only_operators_accept_and_in_person(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    stranger, elsewhere = await world.operator()
    body = {"name": "program", "scopes": ["projects:read"]}
    made = await stranger.post(f"/v1/organisations/{elsewhere}/api-keys", body)
    invited = await invite(owner, organisation_id)
    earner = await world.earner()
    async with nothing_changes(sessions):
        for someone in (earner, As(world.http, made["key"])):
            assert refused(await accept(someone, invited), 403, "forbidden")
        assert refused(await accept(As(world.http), invited), 401, "unauthenticated")


async def test_only_the_hash_of_a_token_is_kept(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    made = await invite(owner, organisation_id)
    (shown,) = await owner.get(f"/v1/organisations/{organisation_id}/invitations")
    assert shown == {name: value for name, value in made.items() if name != "token"}
    assert len(made["token"]) >= 40
    async with db.reading(sessions) as reader:
        row = (await reader.execute(select(Invitation.__table__))).mappings().one()
    assert row["token_sha256"] == digest(made["token"])
    assert made["token"] not in str(dict(row))


async def test_an_address_gives_nobody_a_role(world: World, sessions: db.Sessions) -> None:
    """Whoever signed up first may have signed up with somebody else's."""
    owner, organisation_id = await world.operator()
    someone = await world.person("operator")
    members = f"/v1/organisations/{organisation_id}/members"
    async with nothing_changes(sessions):
        got = await owner.call("PUT", members, {"email": someone.email, "role": "owner"})
        assert refused(got, 405, "method-not-allowed")
        got = await owner.call("PATCH", f"{members}/{someone.email}", {"role": "owner"})
        assert refused(got)
        person_id = (await someone.get("/v1/me"))["person_id"]
        got = await owner.call("PATCH", f"{members}/{person_id}", {"role": "owner"})
        assert refused(got, 404, "not-found")


async def test_expired_invitations_are_forgotten(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    await invite(owner, organisation_id)
    await later(sessions, timedelta(days=8))
    await invite(owner, organisation_id)
    async with db.reading(sessions) as reader:
        count = select(func.count()).select_from(Invitation)
        assert (await reader.execute(count)).scalar_one() == 1


@pytest.mark.parametrize("lost", ["role", "account"])
@pytest.mark.parametrize(
    ("what", "body"),
    [("invitations", {"role": "owner"}), ("api-keys", {"name": "N", "scopes": ["money:read"]})],
)
async def test_what_an_owner_makes_while_they_are_shut_out_is_not_made(
    world: World, sessions: db.Sessions, lost: str, what: str, body: dict[str, Any]
) -> None:
    """Whoever shuts them out does not see it; it would come back with them."""
    owner, organisation_id = await world.operator()
    other = await world.member(owner, organisation_id, Role.OWNER)
    async with db.transaction(sessions) as session:
        if lost == "role":
            theirs = (await service.caller_of(session, other.token)).person_id
            of = UUID(organisation_id)
            await members.set_role(session, of, person_id=theirs, role=Role.MANAGER)
        else:
            await credentials.disable(session, email=other.email)
        path = f"/v1/organisations/{organisation_id}/{what}"
        late = asyncio.create_task(other.call("POST", path, body))
        await until_locks_are_waited_for(sessions)
    assert refused(await late, 403, "forbidden")


async def test_so_many_invitations_are_open_at_most(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    first = await invite(owner, organisation_id)
    async with db.transaction(sessions) as session:
        await session.execute(text(MORE), {"count": invitations.MOST_OPEN - 1})
    path = f"/v1/organisations/{organisation_id}/invitations"
    async with nothing_changes(sessions):
        late = await owner.call("POST", path, {"role": "manager"})
    assert refused(late, 409, "too-many-invitations")
    await owner.delete(f"{path}/{first['id']}")
    await invite(owner, organisation_id)


MORE = """
INSERT INTO invitations (organisation_id, role, token_sha256, created_by, expires_at)
SELECT organisation_id, role, uuid_send(gen_random_uuid()), created_by, expires_at
FROM invitations, generate_series(1, :count)
"""
