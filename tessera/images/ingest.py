"""The job that makes an image of a file: check, keep, slice, store the tiles.

It can be killed at any point. Objects are named after their bytes, so doing a step again writes
the same object again; tiles are noted in the order they are stored, and slicing goes on after
the last one noted. Objects are named after their image too: no two images share one, so that what
a refused image has left can be removed.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.images.inspection import Facts, check_tiles, inspect
from tessera.images.job import Job, Superseded, read_job
from tessera.images.models import Image, ImageState, Tile
from tessera.images.policy import TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.refusing import refuse, remove
from tessera.images.slicing import SlicedTile, Slices, Thumbnail, slice_image
from tessera.images.uploads import Uploads
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge

LIMITS = Limits()
TILES_NOTED_AT_ONCE = 200
T = TypeVar("T")

log = structlog.get_logger()


async def ingest(context: JobContext, run: Run) -> None:
    """Turn an uploaded file into tiles, or refuse it with a reason the operator can read."""
    job = await read_job(context, UUID(run.payload["image_id"]))
    if job is None:
        return
    if job.is_refused:
        await remove(context, job)
        return
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        path = Path(folder) / "file"
        try:
            sha256 = await _fetch(context, job, path)
            facts = await _once_more(lambda: inspect(path, LIMITS))
            check_tiles(job.policy, facts, LIMITS)
            if not await _accept(context, job, path, sha256, facts):
                return
            job = cut = replace(job, sha256=sha256)
            await _once_more(lambda: _slice(context, cut, path, facts))
        except Refused as refused:
            await refuse(context, job, refused.reason, refused.detail)


async def _once_more(step: Callable[[], Awaitable[T]]) -> T:
    """Try again what may have failed because of the machine and not because of the file.

    At once, and not by another attempt at the job: attempts also count what the store did not do,
    and each stop of a worker, so that nobody would know whether this failed before.
    """
    try:
        return await step()
    except Refused as refused:
        if not refused.about_the_run:
            raise
        log.warning("image.decoder_failed", reason=refused.reason, evidence=refused.evidence)
    return await step()


async def _fetch(context: JobContext, job: Job, path: Path) -> str:
    """Bring the file here; from where depends on how far an earlier attempt came."""
    store, key = context.store, keys.upload(job.project_id, job.image_id)
    if job.sha256 is not None:
        key = keys.original(job.project_id, job.image_id, job.sha256)
    elif job.source_key is not None and job.import_bucket is not None:
        store, key = context.bucket(job.import_bucket), job.source_key
    try:
        return (await store.get_to_file(key, path, max_bytes=LIMITS.file_bytes)).sha256
    except ObjectNotFound as error:
        raise Refused(Reason.MISSING, "The file was never uploaded.") from error
    except ObjectTooLarge as error:
        gigabytes = LIMITS.file_bytes / 2**30
        raise Refused(
            Reason.TOO_MANY_BYTES, f"The file is larger than {gigabytes:.0f} GiB."
        ) from error


async def _accept(context: JobContext, job: Job, path: Path, sha256: str, facts: Facts) -> bool:
    """Keep the checked bytes under their hash and note them; False if they are a duplicate.

    What was checked is what is kept: whoever still has the upload link can change the upload,
    but not this copy.
    """
    if job.sha256 is not None:
        return True
    key = keys.original(job.project_id, job.image_id, sha256)
    await context.store.put_file(key, path, content_type=facts.format.content_type)
    try:
        twin = await _note_facts(context, job, sha256, facts)
    except IntegrityError:  # a twin was noted at the same moment, and can be seen by now
        twin = await _note_facts(context, job, sha256, facts)
    if twin is None:
        return True
    await refuse(
        context, job, Reason.DUPLICATE, f"It has the same bytes as “{twin.name}”.", twin.id
    )
    return False


async def _note_facts(context: JobContext, job: Job, sha256: str, facts: Facts) -> Image | None:
    """Unless another image of the project has the same bytes; returns that one."""
    async with db.transaction(context.sessions) as session:
        twin = await _twin(session, job, sha256)
        if twin is None:
            noted = await session.scalar(
                update(Image)
                .where(job.in_hand())
                .values(
                    state=ImageState.SLICING,
                    content_type=facts.format.content_type,
                    sha256=sha256,
                    bytes=facts.size,
                    width=facts.width,
                    height=facts.height,
                    orientation=facts.orientation,
                    georeference=facts.georeference,
                )
                .returning(Image.id)
            )
            if noted is None:
                raise Superseded
        return twin


async def _twin(session: AsyncSession, job: Job, sha256: str) -> Image | None:
    found: Image | None = await session.scalar(
        select(Image).where(
            Image.project_id == job.project_id,
            Image.sha256 == sha256,
            Image.state.in_({ImageState.SLICING, ImageState.READY}),
            Image.id != job.image_id,
        )
    )
    return found


async def _slice(context: JobContext, job: Job, path: Path, facts: Facts) -> None:
    async with db.reading(context.sessions) as reader:
        noted = await reader.scalars(select(Tile.number).where(Tile.image_id == job.image_id))
        done = set(noted)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        async with slice_image(path, facts, job.policy, folder, done=done, limits=LIMITS) as slices:
            try:
                thumbnail_key = await _store(context, job, slices)
            except ExceptionGroup as failed:  # whose uploads all failed for one reason
                raise failed.exceptions[0] from failed
    await _tidy_up(context, job)
    await _ready(context, job, thumbnail_key)


async def _tidy_up(context: JobContext, job: Job) -> None:
    """Remove the upload: only now, as a killed attempt begins with it until it has its copy.

    And copies of other files: an attempt may have been killed before it had noted what it had
    copied, and the upload replaced before the next.
    """
    async with db.reading(context.sessions) as reader:  # else it may be another attempt's file
        if await reader.scalar(select(Image.id).where(job.in_hand())) is None:
            raise Superseded
    copies = context.store.list(keys.originals(job.project_id, job.image_id))
    others = [copy.key async for copy in copies if not copy.key.endswith(f"/{job.sha256}")]
    await context.store.delete_many([keys.upload(job.project_id, job.image_id), *others])


async def _store(context: JobContext, job: Job, slices: Slices) -> str | None:
    """Upload and note tiles as they come; returns the key of the thumbnail."""
    thumbnail_key: str | None = None
    refused: Refused | None = None
    stored: list[SlicedTile] = []
    async with asyncio.TaskGroup() as tasks:
        uploads = Uploads(context.store, slices, tasks)
        try:
            async for piece in slices:
                if isinstance(piece, Thumbnail):
                    thumbnail_key = job.thumbnail_key(piece.sha256)
                    await uploads.begin(thumbnail_key, piece, TileFormat.JPEG.content_type)
                    continue
                await uploads.begin(
                    job.tile_key(piece.sha256), piece, job.policy.format.content_type
                )
                stored.append(piece)
                if len(stored) >= TILES_NOTED_AT_ONCE:
                    await uploads.all_done()  # a tile is noted after it is stored, never before
                    await _note(context, job, stored)
                    stored.clear()
        except Refused as why:  # what is still on its way must be noted, or nobody can remove it
            refused = why
    await _note(context, job, stored)
    if refused is not None:
        raise refused
    return thumbnail_key


async def _note(context: JobContext, job: Job, tiles: Sequence[SlicedTile]) -> None:
    if not tiles:
        return
    rows = [
        {
            "id": uuid4(),
            "project_id": job.project_id,
            "image_id": job.image_id,
            "number": tile.box.index,
            **{f"core_{side}": value for side, value in tile.box.core._asdict().items()},
            **{f"window_{side}": value for side, value in tile.box.window._asdict().items()},
            "key": job.tile_key(tile.sha256),
            "content_type": job.policy.format.content_type,
            "bytes": tile.size,
        }
        for tile in tiles
    ]
    async with db.transaction(context.sessions) as session:
        # locked, so that nobody refuses the image, and removes what is noted, in the meantime
        if await session.scalar(db.locking(select(Image.id).where(job.in_hand()))) is None:
            raise Superseded
        await session.execute(
            insert(Tile).on_conflict_do_nothing(index_elements=[Tile.image_id, Tile.number]), rows
        )


async def _ready(context: JobContext, job: Job, thumbnail_key: str | None) -> None:
    async with db.transaction(context.sessions) as session:
        ready = await session.scalar(
            update(Image)
            .where(job.in_hand())
            .values(state=ImageState.READY, thumbnail_key=thumbnail_key, ready_at=func.now())
            .returning(Image.id)
        )
        if ready is None:
            raise Superseded
        await jobs.enqueue(
            session,
            "assignment.make_tasks",
            payload={"project_id": str(job.project_id), "image_id": str(job.image_id)},
        )
