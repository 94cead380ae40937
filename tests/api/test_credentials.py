"""A password that became known, a person who is shut out, a member who was removed."""

import asyncio
import os
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient, Response
from sqlalchemy import text

from api.limits import LIMITS, Limiter
from tessera.accounts import credentials
from tessera.accounts.models import Role
from tessera.accounts.roles import KEY_SCOPES
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.api.refusing import refused
from tests.api.test_limits import at_once, here, limited_well, redis  # noqa: F401 - fixtures
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.stories.processes import Module, environment
from tests.waiting import until_locks_are_waited_for
from tests.world import PASSWORD, World, joins

NEW = "another long password"


async def change(someone: As, current: str = PASSWORD, new: str = NEW) -> Response:
    body = {"current_password": current, "new_password": new}
    return await someone.call("PUT", "/v1/me/password", body)


async def log_in(http: AsyncClient, email: str, password: str) -> Response:
    return await As(http).call("POST", "/v1/sessions", {"email": email, "password": password})


async def a_key(owner: As, organisation_id: str) -> As:
    body = {"name": "program", "scopes": sorted(KEY_SCOPES)}
    made = await owner.post(f"/v1/organisations/{organisation_id}/api-keys", body)
    return As(owner.http, made["key"])


def out(answer: Response) -> bool:
    return refused(answer, 401, "bad-token")


async def test_a_new_password_replaces_the_old_one_and_ends_every_other_session(
    world: World,
) -> None:
    ada, other = await world.earner(), await world.earner()
    stolen = As(world.http, (await log_in(world.http, ada.email, PASSWORD)).json()["token"])
    assert (await change(ada)).status_code == 204
    assert (await ada.call("GET", "/v1/me")).status_code == 200
    assert (await other.call("GET", "/v1/me")).status_code == 200
    assert out(await stolen.call("GET", "/v1/me"))
    old, new = [await log_in(world.http, ada.email, each) for each in (PASSWORD, NEW)]
    assert refused(old, 401, "bad-credentials")
    assert new.status_code == 201


async def test_a_password_is_changed_by_who_knows_it_and_not_by_who_has_a_token(
    world: World,
) -> None:
    owner, organisation_id = await world.operator()
    key = await a_key(owner, organisation_id)
    async with nothing_changes(world.sessions):
        assert refused(await change(owner, current="a wrong password"), 403, "wrong-password")
        assert refused(await change(key), 403, "forbidden")
        assert refused(await change(owner, new="too short"))
        assert refused(await change(As(world.http)), 401, "unauthenticated")


async def test_of_two_changes_at_once_one_counts(world: World) -> None:
    ada = await world.earner()
    again = As(world.http, (await log_in(world.http, ada.email, PASSWORD)).json()["token"])
    got = await asyncio.gather(change(ada, new=NEW), change(again, new=NEW + "!"))
    fine, refusal = sorted(got, key=lambda answer: answer.status_code)
    assert fine.status_code == 204
    # the loser's session may have ended before it was looked at
    assert refusal.json()["code"] in {"wrong-password", "bad-token"}
    sessions = [await each.call("GET", "/v1/me") for each in (ada, again)]
    assert sorted(each.status_code for each in sessions) == [200, 401]


async def test_an_old_password_opens_nothing_while_it_is_being_replaced(world: World) -> None:
    ada = await world.earner()
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE people SET password_hash = 'another'"))
        late = asyncio.create_task(log_in(world.http, ada.email, PASSWORD))
        await asyncio.wait([late], timeout=1)
        await session.execute(text("UPDATE sessions SET revoked_at = now()"))
    assert refused(await late, 401, "bad-credentials")


async def test_who_is_just_being_disabled_does_not_get_in(world: World) -> None:
    ada = await world.earner()
    async with db.transaction(world.sessions) as session:
        await credentials.disable(session, email=ada.email)
        late = asyncio.create_task(log_in(world.http, ada.email, PASSWORD))
        await until_locks_are_waited_for(world.sessions)
    assert refused(await late, 401, "bad-credentials")
    async with db.reading(world.sessions) as reader:
        is_open = text("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
        assert (await reader.execute(is_open)).scalar_one() == 0


async def test_passwords_are_not_tried_out_there_either(
    here: AsyncClient,  # noqa: F811
    world: World,
) -> None:
    ada = await world.earner()
    headers = {"Authorization": f"Bearer {ada.token}"}
    most = LIMITS["login"].item.amount

    async def tries() -> Any:
        body = {"current_password": "a wrong password", "new_password": NEW}
        got = [
            await here.request("PUT", "/v1/me/password", json=body, headers=headers)
            for _ in range(most + 2)
        ]
        return [answer.status_code for answer in got]

    assert await tries() == [403] * most + [429] * 2
    assert await at_once(1, here, "/v1/sessions", {"email": ada.email, "password": PASSWORD}) == {
        429: 1
    }


async def test_tries_at_an_account_count_together_with_logins(
    here: AsyncClient,  # noqa: F811
    world: World,
    settings: Settings,
) -> None:
    ada = await world.earner()
    limiter = Limiter(str(settings.redis_url))
    for _ in range(LIMITS["login-account"].item.amount):
        await limiter.hit("login-account", ada.email)
    await limiter.close()
    assert limited_well(await change(As(here, ada.token)))


async def test_who_is_disabled_on_the_server_is_out_and_comes_back_without_what_they_had(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    owner, organisation_id = await world.operator()
    other, _ = await world.operator()
    key = await a_key(owner, organisation_id)
    invitations = f"/v1/organisations/{organisation_id}/invitations"
    invited = await owner.post(invitations, {"role": "owner"})
    assert await admin(settings, tmp_path, "disable-person", owner.email.upper()) == 0
    for someone in (owner, key):
        assert out(await someone.call("GET", "/v1/me"))
    assert refused(await log_in(world.http, owner.email, PASSWORD), 401, "bad-credentials")
    assert (await other.call("GET", "/v1/me")).status_code == 200
    async with nothing_changes(world.sessions):
        assert await admin(settings, tmp_path, "disable-person", owner.email) == 0
        assert await admin(settings, tmp_path, "disable-person", "nobody@example.org") == 1
    assert await admin(settings, tmp_path, "enable-person", "nobody@example.org") == 1
    assert await admin(settings, tmp_path, "enable-person", owner.email.upper()) == 0
    for someone in (owner, key):
        assert out(await someone.call("GET", "/v1/me"))
    again = As(world.http, (await log_in(world.http, owner.email, PASSWORD)).json()["token"])
    assert await again.get(invitations) == []
    await other.post("/v1/invitations/accept", {"token": invited["token"]}, status=404)


async def admin(settings: Settings, folder: Path, *words: str) -> int | None:
    env = os.environ | environment(settings)
    process = Module("api.admin", *words, env=env, out=folder / "said")
    return await asyncio.to_thread(process.wait, 60)


async def test_keys_of_a_removed_member_stay_dead_when_they_come_back(world: World) -> None:
    owner, organisation_id = await world.operator()
    maker = await world.member(owner, organisation_id, Role.OWNER)
    theirs, mine = await a_key(maker, organisation_id), await a_key(owner, organisation_id)
    elsewhere = (await maker.post("/v1/organisations", {"name": "Another"}))["id"]
    of_another = await a_key(maker, elsewhere)
    members = f"/v1/organisations/{organisation_id}/members"
    await owner.delete(f"{members}/{(await maker.get('/v1/me'))['person_id']}")
    await joins(maker, owner, organisation_id, Role.OWNER)
    assert out(await theirs.call("GET", "/v1/me"))
    for kept in (mine, of_another):
        assert (await kept.call("GET", "/v1/me")).status_code == 200
