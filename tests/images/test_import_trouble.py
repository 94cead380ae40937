"""Imports from a bucket that is down, and beside somebody who announces the same names."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from tessera.images.imports import run_import
from tessera.kernel.jobs import Run
from tessera.storage.errors import StorageUnavailable
from tessera.storage.s3 import Access, Store
from tests.images.ingesting import JPEG, desk
from tests.images.test_import import BUCKET, begun, import_prefix, may_import, zipped
from tests.waiting import until_locks_are_waited_for
from tests.world import World, photograph


def an_attempt(import_id: str, *, number: int = 1) -> Run:
    return Run(0, "images.import", {"import_id": import_id}, attempt=number, request_id=None)


async def test_a_bucket_that_does_not_answer_is_asked_again_however_long_it_takes(
    world: World,
) -> None:
    here = await desk(world)
    await may_import(world, here)
    made = await import_prefix(here, "")
    closed = Access(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b", bucket=BUCKET)
    context = replace(world.work.context, bucket=lambda _: Store(closed))
    with pytest.raises(StorageUnavailable):
        await run_import(context, an_attempt(made, number=7))
    assert (await here.operator.get(f"/v1/imports/{made}"))["state"] == "running"


async def test_an_import_and_an_announcement_of_the_same_names_do_not_deadlock(
    world: World,
) -> None:
    here = await desk(world)
    made = await begun(here, zipped({"b.jpg": JPEG, "a.jpg": photograph()}))
    announced = text(
        "INSERT INTO images (project_id, name, state)"
        " VALUES (CAST(:project AS uuid), :name, 'registered')"
    )
    async with world.sessions.begin() as session:  # the worker in it may call the store
        await session.execute(announced, {"project": here.project_id, "name": "a.jpg"})
        importing = asyncio.create_task(run_import(world.work.context, an_attempt(made)))
        await until_locks_are_waited_for(world.sessions)
        await session.execute(announced, {"project": here.project_id, "name": "b.jpg"})
    await importing
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["found"], done["skipped"]) == ("done", 0, 2)
