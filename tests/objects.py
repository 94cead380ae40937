"""Small objects, by way of the files that the product stores and fetches."""

import tempfile
from pathlib import Path

from tessera.storage.s3 import Store


async def put_bytes(store: Store, key: str, data: bytes, *, content_type: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        path.write_bytes(data)
        await store.put_file(key, path, content_type=content_type)


async def get_bytes(store: Store, key: str, max_bytes: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        await store.get_to_file(key, path, max_bytes=max_bytes)
        return path.read_bytes()
