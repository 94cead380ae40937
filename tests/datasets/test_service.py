import asyncio
from datetime import timedelta
from email.message import Message
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import pytest
from sqlalchemy import text

from tessera.accounts.models import PersonKind, Role
from tessera.accounts.roles import RIGHTS, Caller
from tessera.datasets import service
from tessera.datasets.jobs import OUR_FAULT, build, fail_held
from tessera.datasets.manifest import canonical
from tessera.datasets.models import RunState
from tessera.kernel import db, jobs
from tessera.kernel.errors import Forbidden, NotFound
from tessera.storage.context import JobContext
from tests.datasets.reading import built, finished
from tests.datasets.world import EMPTY, MIXED, USUAL, World, a_world

STRANGER = Caller(uuid4(), PersonKind.OPERATOR, {uuid4(): RIGHTS[Role.OWNER]})


async def queued(sessions: db.Sessions) -> list[tuple[str, bytes]]:
    async with db.reading(sessions) as reader:
        rows = await reader.execute(text("SELECT entrypoint, payload FROM pgqueuer"))
        return [(row.entrypoint, row.payload) for row in rows]


async def test_a_build_that_is_asked_for_is_a_run_and_a_job(context: JobContext) -> None:
    world = await a_world(context.sessions, [EMPTY])
    async with db.transaction(context.sessions) as session:
        run = await service.request_build(
            session, project_id=world.project_id, options=USUAL, caller=world.caller
        )
    assert run.state is RunState.RUNNING
    assert await queued(context.sessions) == [
        ("datasets.build", b'{"run_id":"' + str(run.id).encode() + b'"}')
    ]


async def test_a_verification_is_a_run_of_its_dataset_and_a_job(context: JobContext) -> None:
    world = await a_world(context.sessions, [EMPTY])
    dataset = await built(context, world)
    async with db.transaction(context.sessions) as session:
        run = await service.request_verify(session, dataset_id=dataset.id, caller=world.caller)
    assert run.dataset_id == dataset.id
    assert [name for name, _ in await queued(context.sessions)] == ["datasets.verify"]


async def test_a_dataset_exists_for_its_organisation_and_for_nobody_else(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, [EMPTY])
    dataset = await built(context, world)
    reviewer = Caller(uuid4(), PersonKind.OPERATOR, {world.organisation_id: RIGHTS[Role.REVIEWER]})
    async with db.transaction(context.sessions) as session:
        assert await service.get(session, dataset.id, caller=world.caller)
        assert await service.get_run(session, world.run_id, caller=world.caller)
        for caller, refused in ((STRANGER, NotFound), (reviewer, Forbidden)):
            for request in (
                service.get(session, dataset.id, caller=caller),
                service.get_run(session, world.run_id, caller=caller),
                service.request_verify(session, dataset_id=dataset.id, caller=caller),
                service.request_build(
                    session, project_id=world.project_id, options=USUAL, caller=caller
                ),
                service.list_datasets(session, project_id=world.project_id, caller=caller, limit=1),
            ):
                with pytest.raises(refused):
                    await request
        with pytest.raises(NotFound):
            await service.get(session, "0" * 64, caller=world.caller)
        with pytest.raises(NotFound):
            await service.get_run(session, uuid4(), caller=world.caller)


async def test_versions_are_listed_newest_first_a_page_at_a_time(context: JobContext) -> None:
    worlds = await a_world(context.sessions, MIXED)
    first = await built(context, worlds)
    async with db.transaction(context.sessions) as session:
        for age in range(1, 4):
            await session.execute(
                text(
                    "INSERT INTO datasets (id, project_id, manifest, manifest_key, created_at) "
                    "SELECT :id, project_id, manifest, manifest_key, "
                    "created_at - make_interval(days => :age) FROM datasets WHERE id = :first"
                ),
                {"id": str(age) * 64, "age": age, "first": first.id},
            )
    listed: list[str] = []
    after = None
    async with db.reading(context.sessions) as reader:
        while page := await service.list_datasets(
            reader, project_id=worlds.project_id, caller=worlds.caller, after=after, limit=2
        ):
            listed += [each.id for each in page]
            after = (page[-1].created_at, page[-1].id)
    assert listed == [first.id, "1" * 64, "2" * 64, "3" * 64]


def downloaded(url: str) -> tuple[bytes, Message]:
    with urlopen(url) as response:  # noqa: S310 - our own server, on this machine
        return response.read(), response.headers


async def test_the_links_give_the_files_of_the_manifest_under_readable_names(
    context: JobContext,
) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    links = service.links(dataset, context.store, lifetime=timedelta(minutes=1))
    assert [link.file.path for link in links] == [
        "manifest.json",
        "coco.json",
        "labels.jsonl",
        "labels.parquet",
    ]
    for link in links:
        data, headers = await asyncio.to_thread(downloaded, link.url)
        assert len(data) == link.file.bytes
        assert headers["Content-Type"] == link.file.media_type
        assert f"{dataset.id[:12]}-{link.file.path}" in headers["Content-Disposition"]
    manifest, _ = await asyncio.to_thread(downloaded, links[0].url)
    assert manifest == canonical(dataset.manifest)


async def test_a_link_ends_with_its_lifetime(context: JobContext) -> None:
    dataset = await built(context, await a_world(context.sessions, [EMPTY]))
    link = service.links(dataset, context.store, lifetime=timedelta(seconds=-1))[0]
    with pytest.raises(HTTPError):
        await asyncio.to_thread(downloaded, link.url)


async def held_job(sessions: db.Sessions, world: World) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "datasets.build", payload={"run_id": str(world.run_id)})
        await jobs.enqueue_many(session, "quality.settle", [{"n": n} for n in range(200)])
        await session.execute(text("UPDATE pgqueuer SET status = 'failed'"))


async def test_a_run_whose_job_was_given_up_on_does_not_stay_running_for_ever(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, [EMPTY])
    await fail_held(context)
    assert (await finished(context, world)).state is RunState.RUNNING
    await held_job(context.sessions, world)
    await fail_held(context)
    failed = await finished(context, world)
    assert (failed.state, failed.error) == (RunState.FAILED, OUR_FAULT)

    await build(context, world.job())  # somebody set it going again
    done = await finished(context, world)
    assert (done.state, done.error) == (RunState.DONE, None)
    await fail_held(context)
    assert (await finished(context, world)).state is RunState.DONE
