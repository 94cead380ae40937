"""How an image ends that does not become one: it says why, and nothing of it is kept."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy import delete, select, update

from tessera.images.job import BEING_DONE, Job, Superseded, read_job
from tessera.images.models import Image, ImageState, Tile
from tessera.images.refusals import OUR_FAULT, Reason
from tessera.kernel import db
from tessera.storage import keys
from tessera.storage.context import JobContext


async def refuse(
    context: JobContext,
    job: Job,
    reason: Reason,
    detail: str,
    duplicate_of: UUID | None = None,
) -> None:
    """Say why, and only then remove what was stored: an attempt that is killed knows the rest.

    Raises:
        Superseded: The image is in other hands.
    """
    async with db.transaction(context.sessions) as session:
        ours = await session.scalar(
            update(Image)
            .where(job.in_hand())
            .values(reason_code=reason.value, reason=detail, duplicate_of=duplicate_of)
            .returning(Image.id)
        )
    if ours is None:
        raise Superseded
    await remove(context, job)


async def remove(context: JobContext, job: Job) -> None:
    """Remove every object of a refused image, and let go of it.

    In this order: once it is `refused` it can be uploaded again, under some of the same keys.
    """
    of_the_image = Tile.image_id == job.image_id
    async with db.reading(context.sessions) as reader:
        stored = list(await reader.scalars(select(Tile.key).where(of_the_image)))
    if job.is_resumed:  # the list of all tiles of the project is long, and seldom needed
        below = context.store.list(keys.tiles(job.project_id))
        stored += [each.key async for each in below if job.is_tile(each.key)]
    stored.append(keys.upload(job.project_id, job.image_id))
    for prefix in (keys.originals, keys.thumbnails):
        below = context.store.list(prefix(job.project_id, job.image_id))
        stored += [each.key async for each in below]
    await context.store.delete_many(dict.fromkeys(stored))
    async with db.transaction(context.sessions) as session:
        ours = await session.scalar(
            update(Image)
            .where(Image.id == job.image_id, BEING_DONE, Image.reason_code.is_not(None))
            .values(state=ImageState.REFUSED)
            .returning(Image.id)
        )
        if ours is not None:
            await session.execute(delete(Tile).where(of_the_image))


async def give_up(context: JobContext, image_ids: Sequence[UUID]) -> None:
    """Refuse those of these images that are not dealt with, though their files may be good."""
    left = select(Image.id).where(Image.id.in_(image_ids), BEING_DONE)
    async with db.reading(context.sessions) as reader:
        ids = (await reader.scalars(left)).all()
    for image_id in ids:
        job = await read_job(context, image_id)
        if job is None:
            continue
        if job.is_refused:
            await remove(context, job)
            continue
        with suppress(Superseded):  # somebody had the job run again
            await refuse(context, job, Reason.OUR_FAULT, OUR_FAULT)
