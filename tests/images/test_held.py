"""Images and imports whose job was given up on."""

from sqlalchemy import text

from tessera.kernel import db, jobs
from tests.images.ingesting import JPEG, NOTHING, Desk, desk, fates, kept, sent
from tests.images.test_import import begun, is_without_zips, zipped
from tests.objects import put_bytes
from tests.world import World, photograph


async def give_up_on_everything(world: World) -> list[int]:
    """Ids of the jobs."""
    async with db.transaction(world.sessions) as session:
        failed = "UPDATE pgqueuer SET status = 'failed' RETURNING id"
        return list(await session.scalars(text(failed)))


async def requeue(world: World, ids: list[int]) -> None:
    async with db.transaction(world.sessions) as session:
        await jobs.requeue(session, ids)
    await world.work.jobs()


async def test_an_image_whose_job_was_given_up_on_is_refused_and_can_be_sent_again(
    world: World,
) -> None:
    here = await desk(world)
    image_id = await sent(here, JPEG)
    await world.work.sweep("fail-held-images")
    assert fates(await here.images()) == {"a.jpg": "checking"}, "its job waits"
    held = await give_up_on_everything(world)
    await world.work.sweep("fail-held-images")
    image = (await here.images())["a.jpg"]
    assert (image["state"], image["problem"]["code"]) == ("refused", "our-fault")
    assert await kept(world, here) == NOTHING
    await requeue(world, held)
    assert (await here.images())["a.jpg"] == image, "it is too late for that"

    assert await sent(here, photograph()) == image_id
    held = await give_up_on_everything(world)
    await world.work.sweep("fail-held-images")
    assert await sent(here, photograph()) == image_id
    await world.work.sweep("fail-held-images")
    assert fates(await here.images()) == {"a.jpg": "checking"}, "its new job waits, the old is held"
    await requeue(world, held)
    assert fates(await here.images()) == {"a.jpg": "ready"}
    assert len(await here.pages("tasks")) == 1


async def test_a_removal_that_was_given_up_on_is_finished(world: World) -> None:
    here = await desk(world)
    await sent(here, JPEG)
    await give_up_on_everything(world)
    async with db.transaction(world.sessions) as session:
        refused = "UPDATE images SET reason_code = 'corrupt', reason = 'It is broken.'"
        await session.execute(text(refused))
    await world.work.sweep("fail-held-images")
    assert fates(await here.images()) == {"a.jpg": "corrupt"}
    assert (await here.images())["a.jpg"]["state"] == "refused"
    assert await kept(world, here) == NOTHING


async def test_an_import_whose_job_was_given_up_on_is_refused_with_what_it_had_not_brought_in(
    world: World,
) -> None:
    here = await desk(world)
    made = await begun(here, zipped({"a.jpg": JPEG, "b.jpg": photograph()}))
    await half_unpacked(here, made, "a.jpg")
    held = await give_up_on_everything(world)
    await world.work.sweep("fail-held-images")
    for _ in range(2):
        told = await here.operator.get(f"/v1/imports/{made}")
        assert (told["state"], told["problem"]["code"]) == ("refused", "our-fault")
        assert fates(await here.images()) == {"a.jpg": "our-fault"}
        assert await is_without_zips(world, here)
        assert await kept(world, here) == NOTHING
        await requeue(world, held)
    assert fates(await here.bring({"a.jpg": JPEG})) == {"a.jpg": "ready"}


async def test_the_files_of_a_running_import_are_not_declared_done_by_anybody_else(
    world: World,
) -> None:
    here = await desk(world)
    made = await begun(here, zipped({"a.jpg": JPEG}))
    image_id = await half_unpacked(here, made, "a.jpg")
    (image,) = await here.declare(image_id)
    assert image["state"] == "registered", "its file is not known to be there"
    await world.work.jobs()
    assert fates(await here.images()) == {"a.jpg": "ready"}


async def half_unpacked(here: Desk, import_id: str, name: str) -> str:
    """An image that an import was killed over; its id."""
    insert = """
        INSERT INTO images (project_id, import_id, name, state)
        VALUES (CAST(:project AS uuid), CAST(:import AS uuid), :name, 'registered')
        RETURNING CAST(id AS text)
    """
    values = {"project": here.project_id, "import": import_id, "name": name}
    async with db.transaction(here.world.sessions) as session:
        image_id = str((await session.execute(text(insert), values)).scalar_one())
    key = f"uploads/{here.project_id}/{image_id}"
    await put_bytes(here.world.store, key, JPEG[:50], content_type="image/jpeg")
    return image_id
