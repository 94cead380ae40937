"""Who somebody is, and for how long; what they may do, and from when on."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy import func, select, update

from tessera.accounts import credentials, members, service
from tessera.accounts.models import ApiKey, Person, Role, Session
from tessera.accounts.roles import KEY_SCOPES, Right
from tessera.accounts.tokens import digest
from tessera.kernel import db
from tests.api.refusing import refused
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.waiting import until_locks_are_waited_for
from tests.world import PASSWORD, World

ADA = {"email": "Ada@Example.org", "password": PASSWORD, "name": "Ada", "kind": "operator"}


async def sign_up(http: AsyncClient, **changes: Any) -> Any:
    return await As(http).call("POST", "/v1/sign-up", {**ADA, **changes})


async def log_in(http: AsyncClient, email: str = ADA["email"], password: str = PASSWORD) -> Any:
    return await As(http).call("POST", "/v1/sessions", {"email": email, "password": password})


async def change(sessions: db.Sessions, model: Any, **values: Any) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(update(model).values(**values))


async def test_somebody_signs_up_logs_in_and_logs_out(http: AsyncClient) -> None:
    made = await sign_up(http)
    assert made.status_code == 201
    assert made.json().keys() == {"id", "email", "name", "kind", "created_at"}
    ada = As(http, (await log_in(http)).json()["token"])
    assert (await ada.get("/v1/me")) == {
        "person_id": made.json()["id"],
        "kind": "operator",
        "rights": {},
    }
    await ada.delete("/v1/sessions/current")
    assert refused(await ada.call("GET", "/v1/me"), 401, "bad-token")


async def test_logging_out_ends_this_session_and_no_other(http: AsyncClient) -> None:
    await sign_up(http)
    phone, laptop = [As(http, (await log_in(http)).json()["token"]) for _ in range(2)]
    await phone.delete("/v1/sessions/current")
    assert (await phone.call("GET", "/v1/me")).status_code == 401
    assert (await laptop.call("GET", "/v1/me")).status_code == 200


async def test_a_session_ends_by_itself(http: AsyncClient, sessions: db.Sessions) -> None:
    await sign_up(http)
    ada = As(http, (await log_in(http)).json()["token"])
    await change(sessions, Session, expires_at=func.now() - timedelta(seconds=1))
    assert refused(await ada.call("GET", "/v1/me"), 401, "bad-token")


async def test_addresses_are_the_same_in_upper_and_lower_case(http: AsyncClient) -> None:
    assert (await sign_up(http)).json()["email"] == "ada@example.org"
    assert (await log_in(http, "aDA@example.ORG")).status_code == 201
    for email in ("ada@example.org", "ADA@EXAMPLE.ORG"):
        assert refused(await sign_up(http, email=email), 409, "email-taken")


async def test_of_many_sign_ups_with_one_address_at_once_one_counts(http: AsyncClient) -> None:
    cases = [ADA["email"].swapcase() if n % 2 else ADA["email"] for n in range(8)]
    got = await asyncio.gather(*(sign_up(http, email=email) for email in cases))
    assert sorted(answer.status_code for answer in got) == [201] + [409] * 7


async def test_what_is_no_account_is_not_made(http: AsyncClient, sessions: db.Sessions) -> None:
    wrong: list[dict[str, Any]] = [
        {"email": "ada"},
        {"email": "ada@"},
        {"email": "a@b@example.org"},
        {"email": f"{'a' * 300}@example.org"},
        {"password": "short"},
        {"password": "p" * 201},
        {"name": ""},
        {"kind": "admin"},
        {"kind": None},
        {"is_platform": True},
        {"disabled_at": None},
    ]
    async with nothing_changes(sessions):
        for changes in wrong:
            assert refused(await sign_up(http, **changes)), changes


@pytest.mark.parametrize(
    "email",
    [
        "İ@example.org",
        "ǅ@example.org",
        "ΑΣ@example.org",
        "e\u0301@example.org",
        "ada@BÜCHER.example",
        "ada@xn--bcher-kva.example",
    ],
    ids=ascii,
)
async def test_addresses_in_other_scripts_log_in_again(email: str, http: AsyncClient) -> None:
    signed_up = await sign_up(http, email=email)
    assert signed_up.status_code == 201
    for written in (email, signed_up.json()["email"]):
        ada = As(http, (await log_in(http, written)).json()["token"])
        assert (await ada.get("/v1/me"))["person_id"] == signed_up.json()["id"]


async def test_a_login_does_not_say_what_was_wrong(
    http: AsyncClient, sessions: db.Sessions
) -> None:
    await sign_up(http)
    wrong = await log_in(http, password="a wrong password")
    nobody = await log_in(http, "nobody@example.org")
    await change(sessions, Person, disabled_at=func.now())
    disabled = await log_in(http)
    assert refused(wrong, 401, "bad-credentials")
    assert wrong.content == nobody.content == disabled.content


async def test_who_is_disabled_is_out_at_once_and_so_are_their_keys(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    key = As(world.http, (await _key(owner, organisation_id))["key"])
    assert (await key.call("GET", "/v1/me")).status_code == 200
    await change(sessions, Person, disabled_at=func.now())
    for someone in (owner, key):
        assert refused(await someone.call("GET", "/v1/me"), 401, "bad-token")


async def test_passwords_are_kept_as_argon2id_and_tokens_as_their_hash(
    http: AsyncClient, sessions: db.Sessions
) -> None:
    await sign_up(http)
    token = (await log_in(http)).json()["token"]
    async with db.reading(sessions) as reader:
        password_hash = (await reader.execute(select(Person.password_hash))).scalar_one()
        stored = (await reader.execute(select(Session.token_sha256))).scalar_one()
    # at least what OWASP asks for: 19 MiB, two passes
    assert password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in password_hash
    assert stored == digest(token)
    assert len(token) >= 40


async def _key(owner: As, organisation_id: str, *scopes: Right) -> dict[str, Any]:
    body = {"name": "program", "scopes": list(scopes or sorted(KEY_SCOPES))}
    made: dict[str, Any] = await owner.post(f"/v1/organisations/{organisation_id}/api-keys", body)
    return made


async def test_a_key_is_shown_once_and_kept_as_its_hash(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    made = await _key(owner, organisation_id)
    (listed,) = await owner.get(f"/v1/organisations/{organisation_id}/api-keys")
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"].startswith(listed["hint"])
    assert len(listed["hint"]) < 10
    async with db.reading(sessions) as reader:
        row = (await reader.execute(select(ApiKey.__table__))).mappings().one()
    assert row["key_sha256"] == digest(made["key"])
    assert made["key"] not in str(dict(row))


async def test_a_key_does_what_its_scopes_say_in_its_own_organisation_only(world: World) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    reading = As(world.http, (await _key(owner, organisation_id, Right.PROJECTS_READ))["key"])
    assert (await reading.get("/v1/me"))["rights"] == {organisation_id: ["projects:read"]}
    await reading.get(f"/v1/projects/{project['id']}")
    renamed = await reading.call("PATCH", f"/v1/projects/{project['id']}", {"name": "x"})
    assert refused(renamed, 403, "forbidden")
    elsewhere = (await owner.post("/v1/organisations", {"name": "Another"}))["id"]
    assert refused(
        await reading.call("GET", f"/v1/organisations/{elsewhere}/projects"), 404, "not-found"
    )


async def test_no_key_handles_members_keys_deposits_or_payouts(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    path = f"/v1/organisations/{organisation_id}/api-keys"
    async with nothing_changes(sessions):
        for scopes in ([], ["members"], ["deposits"], ["payouts"], ["projects:read", "members"]):
            got = await owner.call("POST", path, {"name": "program", "scopes": scopes})
            assert refused(got, code="bad-scope"), scopes
        got = await owner.call("POST", path, {"name": "program", "scopes": ["root"]})
        assert refused(got)


async def test_a_revoked_key_is_of_no_use_from_the_next_request_on(world: World) -> None:
    owner, organisation_id = await world.operator()
    made = await _key(owner, organisation_id)
    key = As(world.http, made["key"])
    await key.get("/v1/me")
    one = f"/v1/organisations/{organisation_id}/api-keys/{made['id']}"
    await owner.delete(one)
    assert refused(await key.call("GET", "/v1/me"), 401, "bad-token")
    assert refused(await owner.call("DELETE", one), 404, "not-found")
    (listed,) = await owner.get(f"/v1/organisations/{organisation_id}/api-keys")
    assert listed["revoked_at"] is not None


async def test_a_new_role_counts_from_the_next_request_on(world: World) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    member = await world.member(owner, organisation_id, Role.REVIEWER)
    rename = ("PATCH", f"/v1/projects/{project['id']}", {"name": "Renamed"})
    theirs = await membership(member, organisation_id)
    for role, status in (("manager", 200), ("finance", 403), ("owner", 200), ("reviewer", 403)):
        assert (await owner.patch(theirs, {"role": role}))["role"] == role
        assert (await member.call(*rename)).status_code == status, role
    await owner.delete(theirs)
    assert refused(await member.call(*rename), 404, "not-found")
    assert refused(await owner.call("PATCH", theirs, {"role": "owner"}), 404, "not-found")


async def membership(someone: As, organisation_id: str) -> str:
    person_id = (await someone.get("/v1/me"))["person_id"]
    return f"/v1/organisations/{organisation_id}/members/{person_id}"


async def test_a_key_loses_what_its_maker_loses(world: World) -> None:
    owner, organisation_id = await world.operator()
    maker = await world.member(owner, organisation_id, Role.OWNER)
    key = As(world.http, (await _key(maker, organisation_id))["key"])
    makers = await membership(maker, organisation_id)
    await owner.patch(makers, {"role": "reviewer"})
    assert (await key.get("/v1/me"))["rights"] == {organisation_id: ["projects:read", "review"]}
    await owner.delete(makers)
    assert refused(await key.call("GET", "/v1/me"), 401, "bad-token")


async def test_a_key_is_revoked_and_does_not_log_out(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    key = As(world.http, (await _key(owner, organisation_id))["key"])
    async with nothing_changes(sessions):
        assert refused(await key.call("DELETE", "/v1/sessions/current"), 403, "forbidden")


async def test_an_organisation_always_has_an_owner(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    await world.member(owner, organisation_id, Role.MANAGER)
    mine = await membership(owner, organisation_id)
    async with nothing_changes(sessions):
        assert refused(await owner.call("DELETE", mine), 409, "last-owner")
        step_down = {"role": "manager"}
        assert refused(await owner.call("PATCH", mine, step_down), 409, "last-owner")


async def test_of_two_owners_who_remove_each_other_at_once_one_stays(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    other = await world.member(owner, organisation_id, Role.OWNER)
    async with db.transaction(sessions) as session:
        caller = await service.caller_of(session, other.token)
        mine = (await service.caller_of(session, owner.token)).person_id
        await members.remove_member(session, UUID(organisation_id), person_id=mine, caller=caller)
        late = asyncio.create_task(owner.call("DELETE", await membership(other, organisation_id)))
        await until_locks_are_waited_for(sessions)
    assert refused(await late, 409, "last-owner")
    (left,) = await other.get(f"/v1/organisations/{organisation_id}/members")
    assert (left["email"], left["role"]) == (other.email, "owner")


async def test_an_owner_who_is_shut_out_is_not_the_one_that_is_needed(world: World) -> None:
    owner, organisation_id = await world.operator()
    other = await world.member(owner, organisation_id, Role.OWNER)
    async with db.transaction(world.sessions) as session:
        await credentials.disable(session, email=other.email)
    got = await owner.call("DELETE", await membership(owner, organisation_id))
    assert refused(got, 409, "last-owner")
