import asyncio

from sqlalchemy import delete, func, select, update

from deploy.embedded.stack import Servers
from tessera.accounts.models import Organisation
from tessera.assignment.models import Task
from tessera.datasets.jobs import build
from tessera.datasets.manifest import canonical, manifest_file
from tessera.datasets.models import Dataset, DatasetRun
from tessera.images.models import Image, Tile
from tessera.kernel import db
from tessera.projects.models import Project
from tessera.storage.context import JobContext
from tests.datasets.building import in_another_process
from tests.datasets.reading import built, finished
from tests.datasets.world import MIXED, a_world, asked_again
from tests.objects import get_bytes

ELSEWHERE = {
    "PYTHONHASHSEED": "4711",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "tr_TR.UTF-8",
}


async def forget(sessions: db.Sessions) -> None:
    async with db.transaction(sessions) as session:
        for model in (DatasetRun, Dataset, Task, Tile, Image, Project, Organisation):
            await session.execute(delete(model))


async def test_the_order_in_which_rows_came_does_not_matter(context: JobContext) -> None:
    ids = set()
    for seed in range(3):
        world = await a_world(context.sessions, MIXED, seed=seed)
        ids.add((await built(context, world)).id)
        await forget(context.sessions)
        await context.store.delete_many([one.key async for one in context.store.list("datasets/")])
    assert len(ids) == 1


async def test_another_process_hash_seed_time_zone_and_locale_do_not_matter(
    context: JobContext, servers: Servers
) -> None:
    world = await a_world(context.sessions, MIXED)
    here = await built(context, world)
    again = await asked_again(context.sessions, world)
    assert await in_another_process(servers, again, environment=ELSEWHERE) == 0
    assert (await finished(context, again)).dataset_id == here.id


async def test_building_again_from_the_same_answers_gives_the_same_version(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, MIXED)
    first = await built(context, world)
    again = await asked_again(context.sessions, world)
    assert (await built(context, again)).id == first.id
    async with db.reading(context.sessions) as reader:
        assert await reader.scalar(select(func.count()).select_from(Dataset)) == 1


async def test_an_edited_policy_is_another_version_of_the_same_files(
    context: JobContext,
) -> None:
    world = await a_world(context.sessions, MIXED)
    first = await built(context, world)
    async with db.transaction(context.sessions) as session:
        await session.execute(update(Project).values(quality={"gold_share": 0.25}))
    second = await built(context, await asked_again(context.sessions, world))
    assert second.id != first.id
    assert second.manifest["policy"]["quality"] == {"gold_share": 0.25}
    assert second.manifest["files"] == first.manifest["files"]


async def test_two_builds_at_once_give_one_version(context: JobContext) -> None:
    world = await a_world(context.sessions, MIXED)
    again = await asked_again(context.sessions, world)
    first, second = await asyncio.gather(built(context, world), built(context, again))
    assert first.id == second.id


async def test_a_repeated_job_changes_nothing(context: JobContext) -> None:
    world = await a_world(context.sessions, MIXED)
    await built(context, world)
    before = await finished(context, world)
    await build(context, world.job())
    assert (await finished(context, world)).finished_at == before.finished_at


async def test_the_id_is_the_hash_of_the_manifest_also_as_the_database_keeps_it(
    context: JobContext,
) -> None:
    dataset = await built(context, await a_world(context.sessions, MIXED))
    file = manifest_file(dataset.manifest)
    assert file.sha256 == dataset.id
    stored = await get_bytes(context.store, dataset.manifest_key, file.bytes)
    assert stored == canonical(dataset.manifest)
