"""What whoever runs the servers does from a shell."""

import asyncio
import os
import sys

from sqlalchemy import text

from tessera.kernel import db, jobs
from tessera.kernel.settings import Settings
from tests.stories.processes import environment
from tests.world import World


async def admin(settings: Settings, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.admin",
        *words,
        env={**os.environ, **environment(settings)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


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
