"""Slicing into a store that stumbles, and with a decoder that dies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from deploy.embedded.stack import Servers
from tessera.images.tiling import grid
from tessera.images.uploads import AT_ONCE
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tessera.storage.s3 import Access, Store
from tests.client import Work
from tests.images.ingesting import NOTHING, Desk, desk, fates, kept, put
from tests.images.pictures import jpeg_bytes, scene
from tests.storage.stumbling import Door, stumbling
from tests.world import World

CUT = {"tile": 128, "margin": 8}
SMALL = (900, 700)
LARGE = (2000, 1600)
Stumbles = Callable[[str], int]
OnTheWay = Callable[..., AbstractAsyncContextManager[tuple[Door, Work]]]


@pytest.fixture
def on_the_way(settings: Settings, servers: Servers, context: JobContext) -> OnTheWay:
    """Makes a worker whose way to the store leads through a door."""
    access = Access(
        endpoint=servers.s3_endpoint,
        access_key=servers.s3_access_key,
        secret_key=servers.s3_secret_key,
        bucket=servers.s3_bucket,
    )

    @asynccontextmanager
    async def way(stumbles: Stumbles, **pace: float) -> AsyncIterator[tuple[Door, Work]]:
        async with stumbling(access, stumbles=stumbles, **pace) as (door, through):
            store = Store(through)
            yield door, Work(settings, replace(context, store=store))
            store.close()

    return way


async def sent(here: Desk, picture: bytes) -> str:
    """A file on its way in; the id of its image."""
    (link,) = await here.announce("a.jpg")
    await put(link["put_url"], picture)
    await here.declare(link["image_id"])
    return str(link["image_id"])


async def is_whole(world: World, here: Desk, size: tuple[int, int]) -> None:
    """Every tile once, in the database as in the store, and nothing else."""
    assert fates(await here.images()) == {"a.jpg": "ready"}
    found, expected = await kept(world, here), grid(*size, **CUT)
    assert found.numbers == [box.index for box in expected]
    assert found.objects["tiles"] == found.tile_keys
    assert len(found.objects["originals"]) == len(found.objects["thumbnails"]) == 1
    assert found.objects["uploads"] == set()
    assert len(await here.pages("tasks")) == len(expected)


async def test_an_image_becomes_ready_though_the_store_refuses_some_uploads_at_first(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    await sent(here, jpeg_bytes(scene(*SMALL)))
    async with on_the_way(lambda key: int(key.removesuffix(".jpg")[-1] in "02468ace")) as (
        door,
        work,
    ):
        await work.jobs()
    assert door.refused > 5
    assert set(door.taken.values()) == {1}
    await is_whole(world, here, SMALL)


async def test_an_image_becomes_ready_though_the_store_refuses_one_tile_for_long(
    world: World, on_the_way: OnTheWay
) -> None:
    """As often as the client tries, so that it is for the job to try again."""
    unlucky: list[str] = []

    def one(key: str) -> int:
        if key.startswith("tiles/") and not unlucky:
            unlucky.append(key)
        return 3 if key in unlucky else 0

    here = await desk(world, slicing=CUT)
    await sent(here, jpeg_bytes(scene(*SMALL)))
    async with on_the_way(one) as (door, work):
        await work.jobs()
    assert door.refused == 3
    assert (door.puts[unlucky[0]] > 3, door.taken[unlucky[0]]) == (True, 1)
    await is_whole(world, here, SMALL)


async def test_tiles_are_uploaded_several_at_once_and_not_too_many(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    await sent(here, jpeg_bytes(scene(*SMALL)))
    async with on_the_way(lambda _: 0, seconds=0.1) as (door, work):
        await work.jobs()
    assert AT_ONCE / 2 < door.most_at_once <= AT_ONCE
    assert set(door.taken.values()) == {1}
    await is_whole(world, here, SMALL)


async def test_equal_tiles_of_an_image_are_uploaded_once(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    await sent(here, jpeg_bytes(scene(*SMALL) // 255 + 254))
    async with on_the_way(lambda _: 0) as (door, work):
        await work.jobs()
    found = await kept(world, here)
    assert found.numbers == [box.index for box in grid(*SMALL, **CUT)]
    assert found.objects["tiles"] == found.tile_keys
    assert len(found.tile_keys) < 4
    assert set(door.taken.values()) == {1}


async def test_of_an_image_refused_while_it_was_sliced_nothing_is_left_and_its_name_is_free(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    first = await sent(here, jpeg_bytes(scene(*LARGE)))
    async with on_the_way(lambda _: 0) as (door, work):
        await dying(door, work)
    assert sum(key.startswith("tiles/") for key in door.puts) > 50, "it was in the middle"
    assert fates(await here.images()) == {"a.jpg": "decoder-crashed"}
    assert await kept(world, here) == NOTHING
    other = 255 - scene(*SMALL)
    assert await sent(here, jpeg_bytes(other)) == first
    await world.work.jobs()
    await is_whole(world, here, SMALL)
    tile = (await here.tiles(first))[0].astype(int)
    assert abs(tile - other[: tile.shape[0], : tile.shape[1]]).mean() < 8, "of the new file"


async def test_another_image_with_the_same_tiles_keeps_them(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing={**CUT, "format": "png"})
    white = scene(*LARGE)
    white[:400] = 255
    others = await here.bring({"b.jpg": jpeg_bytes(white[:256, :256])})
    before = (await kept(world, here)).objects
    await sent(here, jpeg_bytes(white))
    async with on_the_way(lambda _: 0) as (door, work):
        await dying(door, work)
    assert fates(await here.images()) == {"a.jpg": "decoder-crashed", "b.jpg": "ready"}
    assert (await kept(world, here)).objects == before
    assert len(await here.tiles(others["b.jpg"]["id"])) == len(grid(256, 256, **CUT))


async def test_a_refusal_that_is_cut_short_is_finished_by_the_next_attempt(world: World) -> None:
    """And with its own reason: the file is gone by then."""
    here = await desk(world, slicing=CUT)
    image_id = await sent(here, b"this is no picture")
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text("UPDATE images SET reason_code = 'corrupt', reason = 'It is broken.'")
        )
    await world.store.delete_many([f"uploads/{here.project_id}/{image_id}"])
    await world.work.jobs()
    assert fates(await here.images()) == {"a.jpg": "corrupt"}
    assert await kept(world, here) == NOTHING


async def dying(door: Door, work: Work) -> None:
    """Run the jobs, and kill each decoder once it has cut some tiles."""
    jobs = asyncio.create_task(work.jobs())
    seen: dict[int, int] = {}
    while not jobs.done():
        for process in slicers():
            begun = seen.setdefault(process.pid, sum(door.puts.values()))
            if sum(door.puts.values()) > begun + 40:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        await asyncio.sleep(0.01)
    await jobs
    assert len(seen) == 2, "one more try is fair"


def slicers() -> list[Any]:
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "tessera.images.decoder.slice" in process.cmdline():
                found.append(process)
    return found
