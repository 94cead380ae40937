from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tessera.datasets.jobs import verify
from tessera.datasets.models import Dataset, RunKind, RunState
from tessera.storage import keys
from tessera.storage.context import JobContext
from tests.datasets.reading import built, finished
from tests.datasets.world import MIXED, World, a_world, asked_again
from tests.objects import get_bytes, put_bytes


@dataclass(frozen=True)
class Version:
    context: JobContext
    world: World
    dataset: Dataset

    def key(self, path: str) -> str:
        hashes = {file["path"]: file["sha256"] for file in self.dataset.manifest["files"]}
        sha256 = hashes.get(path, self.dataset.id)
        return keys.dataset(self.world.project_id, sha256, path)

    async def replaced(self, path: str, change: Callable[[bytes], bytes]) -> None:
        store, key = self.context.store, self.key(path)
        data = await get_bytes(store, key, 1_000_000)
        await put_bytes(store, key, change(data), content_type="application/octet-stream")

    async def verified(self) -> list[Any] | None:
        run = await asked_again(
            self.context.sessions, self.world, kind=RunKind.VERIFY, dataset_id=self.dataset.id
        )
        await verify(self.context, run.job("datasets.verify"))
        done = await finished(self.context, run)
        assert done.state is RunState.DONE
        return done.findings


@pytest.fixture
async def version(context: JobContext) -> Version:
    world = await a_world(context.sessions, MIXED)
    return Version(context, world, await built(context, world))


async def test_an_untouched_version_has_nothing_wrong(version: Version) -> None:
    assert await version.verified() == []


@pytest.mark.parametrize("path", ["manifest.json", "coco.json", "labels.jsonl", "labels.parquet"])
async def test_a_flipped_bit_is_found_in_each_file(version: Version, path: str) -> None:
    def flip(data: bytes) -> bytes:
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

    await version.replaced(path, flip)
    assert await version.verified() == [{"path": path, "wrong": "changed"}]


async def test_a_truncated_and_a_longer_file_are_found(version: Version) -> None:
    await version.replaced("coco.json", lambda data: data[:-1])
    await version.replaced("labels.jsonl", lambda data: data + b"\n")
    assert await version.verified() == [
        {"path": "coco.json", "wrong": "truncated"},
        {"path": "labels.jsonl", "wrong": "changed"},
    ]


async def test_a_missing_and_an_extra_file_are_found(version: Version) -> None:
    await version.context.store.delete_many([version.key("labels.parquet")])
    folder = version.key("manifest.json").rsplit("/", 1)[0]
    await put_bytes(version.context.store, f"{folder}/more.txt", b"?", content_type="text/plain")
    assert await version.verified() == [
        {"path": "more.txt", "wrong": "extra"},
        {"path": "labels.parquet", "wrong": "missing"},
    ]


async def test_building_a_damaged_version_again_repairs_it(version: Version) -> None:
    await version.replaced("coco.json", lambda data: b"x" * len(data))
    again = await asked_again(version.context.sessions, version.world)
    assert (await built(version.context, again)).id == version.dataset.id
    assert await version.verified() == []
