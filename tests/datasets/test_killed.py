import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from deploy.embedded.stack import Servers
from tessera.datasets.check import findings
from tessera.datasets.models import Dataset, RunState
from tessera.kernel import db
from tessera.storage.context import JobContext
from tests.datasets.building import in_another_process
from tests.datasets.reading import built, finished
from tests.datasets.world import MIXED, a_world

LONG = pytest.mark.long
PARTS = ("coco.json", "labels.jsonl", "labels.parquet", "manifest.json")


@pytest.mark.parametrize("uploads", [*(pytest.param(number, marks=LONG) for number in range(3)), 3])
async def test_a_build_killed_at_any_part_shows_nothing_and_is_resumed_to_the_same_version(
    context: JobContext, servers: Servers, tmp_path: Path, uploads: int
) -> None:
    before = await keys(context)
    world = await a_world(context.sessions, MIXED)
    assert await in_another_process(servers, world, uploads=uploads) == -signal.SIGKILL

    there = await keys(context) - before
    assert sorted(key.rsplit("/", 1)[1] for key in there) == list(PARTS[:uploads])
    async with db.reading(context.sessions) as reader:
        assert await reader.scalar(select(func.count()).select_from(Dataset)) == 0
    assert (await finished(context, world)).state is RunState.RUNNING

    dataset = await built(context, world)
    assert not list(context.scratch.iterdir())
    assert await findings(context.store, dataset, tmp_path) == []
    assert len(await keys(context) - before) == len(PARTS)


async def keys(context: JobContext) -> set[str]:
    return {listed.key async for listed in context.store.list("datasets/")}
