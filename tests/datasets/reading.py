"""Taking a version out of the store, as whoever trains on it would."""

import contextlib
import io
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from pycocotools.coco import COCO

from tessera.datasets.jobs import build
from tessera.datasets.models import Dataset, DatasetRun
from tessera.kernel import db
from tessera.storage import keys
from tessera.storage.context import JobContext
from tests.datasets.world import World
from tests.objects import get_bytes


async def built(context: JobContext, world: World) -> Dataset:
    await build(context, world.job())
    run = await finished(context, world)
    assert run.dataset_id is not None, run.error
    async with db.reading(context.sessions) as reader:
        return await reader.get_one(Dataset, run.dataset_id)


async def finished(context: JobContext, world: World) -> DatasetRun:
    async with db.reading(context.sessions) as reader:
        return await reader.get_one(DatasetRun, world.run_id)


async def fetch(context: JobContext, dataset: Dataset, name: str) -> bytes:
    (file,) = [each for each in dataset.manifest["files"] if each["path"] == name]
    key = keys.dataset(dataset.project_id, file["sha256"], name)
    return await get_bytes(context.store, key, file["bytes"])


def as_coco(data: bytes, folder: Path) -> COCO:
    path = folder / "coco.json"
    path.write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def as_lines(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in data.splitlines()]


def as_rows(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
    return rows
