"""Whether a version in the store is still what its manifest says, byte by byte."""

from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from tessera.datasets.manifest import File, files_of, manifest_file
from tessera.datasets.models import Dataset
from tessera.storage import keys
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge
from tessera.storage.s3 import Store


class Wrong(StrEnum):
    MISSING = "missing"
    TRUNCATED = "truncated"
    CHANGED = "changed"
    EXTRA = "extra"
    """Something lies beside a file of the version, which only that file may do."""


async def findings(store: Store, dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Everything that is wrong, in the order of paths; empty if nothing is.

    Args:
        folder: For one downloaded file at a time.
    """
    found = []
    for file in [manifest_file(dataset.manifest), *files_of(dataset.manifest)]:
        key = keys.dataset(dataset.project_id, file.sha256, file.path)
        if problem := await wrong(store, key, file, folder):
            found.append({"path": file.path, "wrong": problem.value})
        found += [
            {"path": stray, "wrong": Wrong.EXTRA.value} async for stray in _beside(store, key)
        ]
    return found


async def wrong(store: Store, key: str, file: File, folder: Path) -> Wrong | None:
    """What is wrong with one object, if anything; reads all of it."""
    try:
        fetched = await store.get_to_file(key, folder / "fetched", max_bytes=file.bytes)
    except ObjectNotFound:
        return Wrong.MISSING
    except ObjectTooLarge:
        return Wrong.CHANGED
    if fetched.size < file.bytes:
        return Wrong.TRUNCATED
    return None if fetched.sha256 == file.sha256 else Wrong.CHANGED


async def _beside(store: Store, key: str) -> AsyncIterator[str]:
    """Other objects in the folder that is named by the hash of one file."""
    folder = key.rsplit("/", 1)[0] + "/"
    async for listed in store.list(folder):
        if listed.key != key:
            yield listed.key.removeprefix(folder)
