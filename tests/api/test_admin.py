"""What whoever runs the servers does from a shell."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tessera.kernel import db, jobs
from tessera.kernel.settings import Settings
from tests.client import As
from tests.stories.processes import Module, environment
from tests.world import World


async def admin(settings: Settings, *words: str, status: int = 0) -> str:
    """What it says; if it is to fail, why."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        env = {**os.environ, **environment(settings)}
        process = Module("api.admin", *words, env=env, out=out)
        ended = await asyncio.to_thread(process.wait, 60)
        said = out.read_text()
    assert ended == status, said
    return said


async def roles(world: World) -> dict[str, str]:
    """Of the platform's members, by address."""
    async with db.reading(world.sessions) as reader:
        rows = await reader.execute(
            text(
                "SELECT email, role FROM memberships JOIN people ON people.id = person_id"
                " JOIN organisations ON organisations.id = organisation_id WHERE is_platform"
            )
        )
        return dict(rows.all())


async def ids(*people: As) -> list[str]:
    return [(await someone.get("/v1/me"))["person_id"] for someone in people]


async def test_the_platforms_first_member_is_its_owner_and_others_get_the_role_that_is_said(
    world: World, settings: Settings
) -> None:
    people = [await world.person("operator") for _ in range(3)]
    first, second, third = await ids(*people)
    said = await admin(settings, "platform-member", first, "--role", "finance", status=1)
    assert "first member is its owner" in said
    assert await roles(world) == {}
    assert (await admin(settings, "platform-member", first)).endswith(": owner\n")
    assert (await admin(settings, "platform-member", second)).endswith(": finance\n")
    await admin(settings, "platform-member", third, "--role", "reviewer")
    wanted = ("owner", "finance", "reviewer")
    assert await roles(world) == {p.email: role for p, role in zip(people, wanted, strict=True)}


async def test_a_platform_member_keeps_their_role_until_another_is_said(
    world: World, settings: Settings
) -> None:
    people = [await world.person("operator") for _ in range(2)]
    first, second = await ids(*people)
    await admin(settings, "platform-member", first, "--role", "owner")
    await admin(settings, "platform-member", second)
    await admin(settings, "platform-member", second, "--role", "owner")
    assert (await admin(settings, "platform-member", second)).endswith(": owner\n")
    await admin(settings, "platform-member", first, "--role", "finance")
    now = {people[0].email: "finance", people[1].email: "owner"}
    assert await roles(world) == now
    said = await admin(settings, "platform-member", second, "--role", "finance", status=1)
    assert "needs an owner" in said
    assert await roles(world) == now


async def test_whoever_gives_a_role_sees_with_which_address_they_signed_up_and_when(
    world: World, settings: Settings
) -> None:
    someone = await world.person("operator")
    said = await admin(settings, "platform-member", *await ids(someone))
    async with db.reading(world.sessions) as reader:
        when = (await reader.execute(text("SELECT created_at FROM people"))).scalar_one()
    assert said == f"{someone.email}, signed up {when:%Y-%m-%d %H:%M}: owner\n"


async def test_nobody_but_an_operator_becomes_a_platform_member(
    world: World, settings: Settings
) -> None:
    (earner,) = await ids(await world.earner())
    for person_id in (earner, str(uuid4())):
        said = await admin(settings, "platform-member", person_id, status=1)
        assert "There is no operator with this id" in said
    operator = await world.person("operator")
    await admin(settings, "platform-member", operator.email, status=2)
    assert await roles(world) == {}


async def test_a_bucket_is_one_organisations(world: World, settings: Settings) -> None:
    (_, first), (_, second) = [await world.operator() for _ in range(2)]
    for _ in range(2):
        await admin(settings, "import-bucket", first, "photographs")
    said = await admin(settings, "import-bucket", second, "photographs", status=1)
    assert f"organisation {first} imports from that bucket" in said
    with pytest.raises(IntegrityError):
        async with db.transaction(world.sessions) as session:
            await session.execute(text("UPDATE organisations SET import_bucket = 'photographs'"))
    await admin(settings, "import-bucket", first)
    await admin(settings, "import-bucket", second, "photographs")
    async with db.reading(world.sessions) as reader:
        rows = await reader.execute(text("SELECT id::text, import_bucket FROM organisations"))
        assert dict(rows.all()) == {first: None, second: "photographs"}


async def test_what_is_no_origin_is_said_to_be_none(settings: Settings) -> None:
    for word in ("app.example", "https://app.example/", "https://app.example/page", "*"):
        assert "An origin is" in await admin(settings, "allow-origin", word, status=2)


async def test_a_setting_that_is_missing_or_wrong_is_named_without_its_value() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.admin", "held"),
        env={"PATH": os.environ["PATH"], "TESSERA_DATABASE_URL": "mysql://tess:era@here/x"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    names = [line.partition(":")[0] for line in errors.decode().splitlines()]
    assert {"! TESSERA_DATABASE_URL", "! TESSERA_S3_SECRET_KEY"} <= set(names)
    assert b"era@" not in errors


async def test_a_job_that_was_given_up_on_is_listed_and_can_run_again(
    settings: Settings, sessions: db.Sessions
) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "quality.settle", payload={})
        await session.execute(text("UPDATE pgqueuer SET status = 'failed'"))
    (line,) = (await admin(settings, "held")).splitlines()
    job_id, *_, name = line.split()
    assert name == "quality.settle"
    await admin(settings, "requeue", job_id)
    assert await admin(settings, "held") == ""
    async with db.transaction(sessions) as session:
        status = await session.scalar(text("SELECT status::text FROM pgqueuer"))
        await session.execute(text("DELETE FROM pgqueuer"))
    assert status == "queued"


async def test_sessions_are_forgotten_a_day_after_they_end_and_not_before(world: World) -> None:
    people = [await world.earner() for _ in range(3)]
    count = text("SELECT count(*) FROM sessions")
    aged = text(
        "UPDATE sessions SET expires_at = now() - make_interval(hours => CASE person_id"
        " WHEN :early THEN 25 WHEN :late THEN 23 ELSE -1 END)"
    )
    early, late, _ = [(await each.get("/v1/me"))["person_id"] for each in people]
    async with db.transaction(world.sessions) as session:
        await session.execute(aged, {"early": early, "late": late})
    await world.work.sweep("forget-sessions")
    async with db.reading(world.sessions) as reader:
        assert (await reader.execute(count)).scalar_one() == 2
    await people[1].get("/v1/me", status=401)
    await people[2].get("/v1/me")
