"""A worker that dies at its work leaves nothing doubled, nothing lost and nothing lying about."""

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import HttpUrl
from sqlalchemy import text

from tessera.images.ingest import TILES_NOTED_AT_ONCE
from tessera.images.tiling import grid
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Access
from tests.images.ingesting import Desk, desk, fates, kept, put, sent
from tests.images.pictures import jpeg_bytes, scene
from tests.objects import get_bytes
from tests.storage.stumbling import stumbling
from tests.stories.processes import eventually, idle, running, worker
from tests.world import World, photograph

TILE, MARGIN = 128, 8
WIDTH, HEIGHT = 2600, 1800
EXPECTED = grid(WIDTH, HEIGHT, tile=TILE, margin=MARGIN)


@pytest.mark.long
async def test_slicing_goes_on_after_a_kill_and_leaves_no_duplicates_and_no_orphans(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    here = await desk(world, slicing={"tile": TILE, "margin": MARGIN})
    (link,) = await here.announce("a.jpg")
    picture = jpeg_bytes(scene(WIDTH, HEIGHT), quality=90)
    await put(link["put_url"], picture)
    await here.declare(link["image_id"])
    slicer = worker(settings, tmp_path)
    with running(slicer):
        await eventually(lambda: is_slicing(here))
        await slicer.reborn()
        assert len(await noted(world)) < len(EXPECTED), "killed in the middle"
        # what was checked is what is sliced, whatever becomes of the upload meanwhile
        await put(link["put_url"], photograph())
        await eventually(lambda: some_noted(world))
        await slicer.reborn()
        await eventually(lambda: idle(world.sessions))
    assert fates(await here.images()) == {"a.jpg": "ready"}
    await is_complete(world, here)
    (original,) = await keys(world, here, "originals")
    assert await get_bytes(world.store, original, 10**8) == picture


@pytest.mark.long
async def test_tiles_that_were_noted_before_a_kill_are_not_stored_again(
    world: World, settings: Settings, access: Access, tmp_path: Path
) -> None:
    here = await desk(world, slicing={"tile": TILE, "margin": MARGIN})
    await sent(here, jpeg_bytes(scene(WIDTH, HEIGHT), quality=90))

    def until_some_are_noted(_: str) -> int:
        if len(door.taken) == 1 + TILES_NOTED_AT_ONCE:  # the original came first
            door.hold("tiles/")
        return 0

    async with stumbling(access, stumbles=until_some_are_noted) as (door, through):
        behind = settings.model_copy(update={"s3_endpoint": HttpUrl(through.endpoint)})
        slicer = worker(behind, tmp_path)
        with running(slicer):
            await door.until_held(1)
            before = (await kept(world, here)).tile_keys
            slicer.kill()
            await door.let_go()
            slicer.start()
            await eventually(lambda: idle(world.sessions))
    assert len(before) == TILES_NOTED_AT_ONCE
    assert {door.taken[key] for key in before} == {1}
    await is_complete(world, here)


async def is_complete(world: World, here: Desk) -> None:
    async with db.reading(world.sessions) as reader:
        rows = (await reader.execute(text("SELECT number, key FROM tiles ORDER BY number"))).all()
    assert [number for number, _ in rows] == [box.index for box in EXPECTED]
    assert await keys(world, here, "tiles") == {key for _, key in rows}
    assert len(await here.pages("tasks")) == len(EXPECTED)
    assert len(await keys(world, here, "thumbnails")) == 1
    assert len(await keys(world, here, "originals")) == 1
    assert await keys(world, here, "uploads") == set()


async def keys(world: World, here: Desk, folder: str) -> set[str]:
    return {each.key async for each in world.store.list(f"{folder}/{UUID(here.project_id)}/")}


async def noted(world: World) -> list[int]:
    async with db.reading(world.sessions) as reader:
        return list(await reader.scalars(text("SELECT number FROM tiles")))


async def some_noted(world: World) -> bool:
    return bool(await noted(world))


async def is_slicing(here: Desk) -> bool:
    return fates(await here.images()) == {"a.jpg": "slicing"}
