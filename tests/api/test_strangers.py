"""What strangers cause, besides the answer that they get."""

import asyncio

from sqlalchemy import select

from tessera.assignment.models import Task
from tessera.kernel import db
from tessera.projects.models import Project
from tests.world import World


async def test_a_stranger_takes_no_lock_and_waits_for_none(
    world: World, sessions: db.Sessions
) -> None:
    _, project = await world.launched()
    stranger, _ = await world.operator()
    async with db.transaction(sessions) as session:
        await session.execute(db.locking(select(Project.id)))
        (task_id,) = await session.scalars(db.locking(select(Task.id)))
        for method, path, body in (
            ("POST", f"/v1/projects/{project['id']}/launch", None),
            ("PATCH", f"/v1/projects/{project['id']}", {"name": "Mine"}),
            ("POST", f"/v1/tasks/{task_id}/gold", None),
            ("POST", f"/v1/tasks/{task_id}/review", {"unusable": True}),
        ):
            async with asyncio.timeout(1):
                got = await stranger.call(method, path, body)
            assert got.status_code == 404
