"""How much memory the whole job takes, from the upload to the last tile: worker and decoder."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from httpx2 import AsyncClient

from deploy.embedded.stack import Servers
from deploy.embedded.supervisor import settings
from tests.images.ingesting import Desk, desk, fates
from tests.images.test_memory import landscape
from tests.world import World

SIDE = 30_000
MEGABYTE = 2**20


@pytest.mark.long
async def test_bringing_in_a_jpeg_of_30_000_pixels_square_takes_less_than_700_mb(
    world: World, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    landscape(SIDE).jpegsave(str(path), Q=90)
    _, most = await peak(world, servers, path, "image/jpeg")
    assert most < 700, "and that is all of it, the worker at rest as well"


@pytest.mark.long
async def test_bringing_in_a_tiled_tiff_of_30_000_pixels_square_takes_less_than_300_mb_more(
    world: World, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    landscape(SIDE).tiffsave(str(path), tile=True, tile_width=256, tile_height=256, bigtiff=True)
    rest, most = await peak(world, servers, path, "image/tiff")
    assert most - rest < 300


async def peak(world: World, servers: Servers, path: Path, content_type: str) -> tuple[int, int]:
    """MB, of the worker at rest, and of it and all it starts, taken together."""
    here = await desk(world, slicing={"tile": 512, "margin": 32})
    image_id = await send(here, path, content_type)
    with a_worker(servers) as worker:
        rest = await at_rest(worker)
        await here.declare(image_id)
        most = rest
        while fates(await here.images())[path.name] in {"checking", "slicing"}:
            for _ in range(50):
                most = max(most, resident(worker))
                await asyncio.sleep(0.01)
    assert fates(await here.images()) == {path.name: "ready"}
    assert most > rest
    return rest // MEGABYTE, most // MEGABYTE


async def at_rest(worker: psutil.Process) -> int:
    """Bytes, once it has started."""
    before, now = 0, resident(worker)
    while now > before:
        await asyncio.sleep(2)
        before, now = now, resident(worker)
    return now


def resident(worker: psutil.Process) -> int:
    """Bytes; pages that two processes share are counted twice."""
    total = 0
    for process in [worker, *worker.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


async def send(here: Desk, path: Path, content_type: str) -> str:
    (link,) = await here.announce(path.name, content_type=content_type)
    size = path.stat().st_size  # noqa: ASYNC240 - nothing else is to be done meanwhile

    async def chunks() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(MEGABYTE):
                yield chunk

    headers = {"Content-Type": content_type, "Content-Length": str(size)}
    async with AsyncClient(timeout=600) as outside:
        answer = await outside.put(link["put_url"], content=chunks(), headers=headers)
    assert answer.is_success, answer.text
    return str(link["image_id"])


@contextmanager
def a_worker(servers: Servers) -> Iterator[psutil.Process]:
    env = {**os.environ, **settings(servers)}
    with subprocess.Popen([sys.executable, "-m", "workers"], env=env) as worker:
        try:
            yield psutil.Process(worker.pid)
        finally:
            worker.kill()
