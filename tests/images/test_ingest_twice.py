"""Two attempts at one image: a worker was taken for dead, and wakes up while another works."""

import asyncio
import hashlib
from uuid import UUID

import pytest

from tessera.images.ingest import ingest
from tessera.images.job import Superseded
from tessera.images.refusing import give_up
from tessera.images.uploads import AT_ONCE
from tessera.storage import keys
from tests.images.conftest import OnTheWay
from tests.images.ingesting import CUT, Desk, an_attempt, desk, fates, is_whole, kept, put, sent
from tests.images.pictures import jpeg_bytes, scene
from tests.objects import put_bytes
from tests.world import World

SIZE = (900, 700)
ONE, OTHER = scene(*SIZE), 255 - scene(*SIZE)


async def is_cut_from_the_other(here: Desk, image_id: str) -> None:
    image = (await here.images())["a.jpg"]
    assert image["sha256"] == hashlib.sha256(jpeg_bytes(OTHER)).hexdigest()
    listed = (await here.operator.get(f"/v1/images/{image_id}/tiles?limit=200"))["items"]
    for tile, pixels in zip(listed, await here.tiles(image_id), strict=True):
        left, top, right, bottom = tile["window"]
        assert abs(pixels.astype(int) - OTHER[top:bottom, left:right]).mean() < 8, tile["number"]


async def overtaken(on_the_way: OnTheWay, here: Desk) -> str:
    """An image whose file was replaced; who checked the one wakes up while the other is cut."""
    (link,) = await here.announce("a.jpg")
    await put(link["put_url"], jpeg_bytes(ONE))
    await here.declare(link["image_id"])
    run = an_attempt(link["image_id"])
    async with on_the_way() as (door, asleep), on_the_way() as (another_door, awake):
        door.hold("originals/")
        late = asyncio.create_task(ingest(asleep.context, run))
        await door.until_held(1)
        await put(link["put_url"], jpeg_bytes(OTHER))
        another_door.hold("tiles/")
        early = asyncio.create_task(ingest(awake.context, run))
        await another_door.until_held(AT_ONCE)
        await door.let_go()
        with pytest.raises(Superseded):
            await late
        await another_door.let_go()
        await early
    await here.world.work.jobs()
    return str(link["image_id"])


@pytest.mark.long
async def test_who_wakes_up_with_a_file_that_was_replaced_adds_none_of_its_tiles(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    image_id = await overtaken(on_the_way, here)
    await is_whole(world, here, SIZE)
    await is_cut_from_the_other(here, image_id)


@pytest.mark.long
async def test_who_wakes_up_with_a_duplicate_that_was_replaced_refuses_nothing(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    await here.bring({"b.jpg": jpeg_bytes(ONE)})
    image_id = await overtaken(on_the_way, here)
    assert fates(await here.images()) == {"a.jpg": "ready", "b.jpg": "ready"}
    await is_cut_from_the_other(here, image_id)


@pytest.mark.long
async def test_who_wakes_up_after_a_refusal_leaves_nothing_for_the_next_file(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world, slicing=CUT)
    image_id = await sent(here, jpeg_bytes(ONE))
    async with on_the_way() as (door, asleep):
        door.hold("tiles/")
        late = asyncio.create_task(ingest(asleep.context, an_attempt(image_id)))
        await door.until_held(AT_ONCE)
        await give_up(world.work.context, [UUID(image_id)])
        assert fates(await here.images()) == {"a.jpg": "our-fault"}
        await door.let_go()
        with pytest.raises(Superseded):
            await late
    assert (await kept(world, here)).numbers == []
    assert await sent(here, jpeg_bytes(OTHER)) == image_id
    await world.work.jobs()
    assert fates(await here.images()) == {"a.jpg": "ready"}
    await is_cut_from_the_other(here, image_id)


async def test_a_copy_that_was_made_before_the_upload_was_replaced_is_not_kept(
    world: World,
) -> None:
    here = await desk(world, slicing=CUT)
    image_id = await sent(here, jpeg_bytes(OTHER))
    copy = keys.original(UUID(here.project_id), UUID(image_id), "0" * 64)
    await put_bytes(world.store, copy, jpeg_bytes(ONE), content_type="image/jpeg")
    await world.work.jobs()
    await is_whole(world, here, SIZE)
