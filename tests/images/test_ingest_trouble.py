"""Slicing into a store that stumbles, and with a decoder that dies."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import text

from tessera.images import ingest, refusing
from tessera.images.tiling import grid
from tessera.images.uploads import AT_ONCE
from tessera.kernel import db
from tessera.storage.errors import StorageUnavailable
from tests.client import Work
from tests.images.conftest import OnTheWay
from tests.images.ingesting import (
    CUT,
    NOTHING,
    an_attempt,
    desk,
    fates,
    is_whole,
    kept,
    sent,
)
from tests.images.pictures import jpeg_bytes, scene
from tests.storage.stumbling import Door
from tests.world import World

SMALL = (900, 700)
LARGE = (2000, 1600)


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


@pytest.mark.long
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


@pytest.mark.long
async def test_tiles_are_uploaded_several_at_once_and_not_too_many(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    await sent(here, jpeg_bytes(scene(*SMALL)))
    async with on_the_way(lambda _: 0) as (door, work):
        door.hold("tiles/")
        jobs = asyncio.create_task(work.jobs())
        await door.until_held(AT_ONCE)
        await door.let_go()
        await jobs
    assert door.most_at_once == AT_ONCE
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


@pytest.mark.long
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


@pytest.mark.long
async def test_one_more_try_is_given_whatever_the_job_has_been_through(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    image_id = await sent(here, jpeg_bytes(scene(*LARGE)))
    async with on_the_way() as (door, work):
        late = asyncio.create_task(ingest.ingest(work.context, an_attempt(image_id, number=7)))
        assert await killed(door, late, most=1) == 1
        await late
    await world.work.jobs()
    await is_whole(world, here, LARGE)


@pytest.mark.long
async def test_of_tiles_that_were_stored_and_not_noted_none_is_left_by_a_refusal(
    world: World, on_the_way: OnTheWay
) -> None:
    here, other = await desk(world, slicing=CUT), await desk(world, slicing=CUT)
    await other.bring({"b.jpg": jpeg_bytes(scene(*SMALL))})
    before = await kept(world, other)
    image_id = await sent(here, jpeg_bytes(scene(*SMALL)))
    unlucky: list[str] = []

    def one(key: str) -> int:
        if key.startswith("tiles/") and len(door.taken) > 20 and not unlucky:
            unlucky.append(key)
        return 99 if key in unlucky else 0

    async with on_the_way(one) as (door, work):
        with pytest.raises(StorageUnavailable):
            await ingest.ingest(work.context, an_attempt(image_id))
    left = await kept(world, here)
    assert len(left.objects["tiles"]) > 10, "stored"
    assert left.numbers == before.numbers, "and not noted"
    await refusing.give_up(world.work.context, [UUID(image_id)])
    assert fates(await here.images()) == {"a.jpg": "our-fault"}
    assert (await kept(world, here)).objects == NOTHING.objects
    assert await kept(world, other) == before


async def dying(door: Door, work: Work) -> None:
    """Run the jobs, and kill each decoder once it has cut some tiles."""
    jobs = asyncio.create_task(work.jobs())
    seen = await killed(door, jobs)
    await jobs
    assert seen == 2, "one more try is fair"


async def killed(door: Door, jobs: "asyncio.Task[None]", *, most: int = 99) -> int:
    """Kill the decoders, each once it has cut some tiles, until the jobs end; how many."""
    seen: dict[int, int] = {}
    while not jobs.done() and len(seen) <= most:
        for process in slicers():
            begun = seen.setdefault(process.pid, sum(door.puts.values()))
            if sum(door.puts.values()) > begun + 40 and len(seen) <= most:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        await asyncio.sleep(0.01)
    return min(len(seen), most)


def slicers() -> list[Any]:
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "tessera.images.decoder.slice" in process.cmdline():
                found.append(process)
    return found
