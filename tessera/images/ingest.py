"""The job that makes an image of a file: check, keep, slice, store the tiles.

It can be killed at any point. Objects are named after their bytes, so doing a step again writes
the same object again; tiles are noted in the order they are stored, and slicing goes on after
the last one noted.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Organisation
from tessera.images.inspection import Facts, inspect
from tessera.images.models import Image, ImageState, Tile
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.slicing import SlicedTile, Slices, Thumbnail, slice_image
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.projects.models import Project
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge
from tessera.storage.s3 import Store

LIMITS = Limits()
UPLOADS_AT_ONCE = 8
TILES_NOTED_AT_ONCE = 200
LAST_ATTEMPT = 2
"""Of a check that may have failed because of the machine and not because of the file."""


@dataclass(frozen=True)
class _Job:
    """What the steps need to know; read once."""

    image_id: UUID
    project_id: UUID
    state: ImageState
    sha256: str | None
    source_key: str | None
    import_bucket: str | None
    policy: SlicePolicy


async def ingest(context: JobContext, run: Run) -> None:
    """Turn an uploaded file into tiles, or refuse it with a reason the operator can read."""
    job = await _read(context, UUID(run.payload["image_id"]))
    if job is None:
        return
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        path = Path(folder) / "file"
        try:
            sha256 = await _fetch(context, job, path)
            facts = await inspect(path, LIMITS)
            if not await _accept(context, job, path, sha256, facts):
                return
            await _slice(context, job, path, facts, Path(folder))
        except Refused as refused:
            if refused.about_the_run and run.attempt < LAST_ATTEMPT:
                raise RuntimeError(refused.evidence or refused.detail) from refused
            await _refuse(context, job, refused.reason, refused.detail)


async def _read(context: JobContext, image_id: UUID) -> _Job | None:
    async with db.reading(context.sessions) as reader:
        row = (
            await reader.execute(
                select(Image, Project.slicing, Organisation.import_bucket)
                .join(Project, Project.id == Image.project_id)
                .join(Organisation, Organisation.id == Project.organisation_id)
                .where(
                    Image.id == image_id,
                    Image.state.in_({ImageState.CHECKING, ImageState.SLICING}),
                )
            )
        ).one_or_none()
    if row is None:
        return None
    image, slicing, import_bucket = row
    policy = SlicePolicy(**{**slicing, "format": TileFormat(slicing["format"])})
    return _Job(
        image.id, image.project_id, image.state, image.sha256, image.source_key, import_bucket,
        policy,
    )  # fmt: skip


async def _fetch(context: JobContext, job: _Job, path: Path) -> str:
    """Bring the file here; from where depends on how far an earlier attempt came."""
    store, key = context.store, keys.upload(job.project_id, job.image_id)
    if job.state is ImageState.SLICING and job.sha256 is not None:
        key = keys.original(job.project_id, job.sha256)
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


async def _accept(context: JobContext, job: _Job, path: Path, sha256: str, facts: Facts) -> bool:
    """Keep the checked bytes under their hash and note them; False if they are a duplicate.

    What was checked is what is kept: whoever still has the upload link can change the upload,
    but not this copy.
    """
    if job.state is ImageState.SLICING:
        return True
    await context.store.put_file(
        keys.original(job.project_id, sha256), path, content_type=facts.format.content_type
    )
    async with db.transaction(context.sessions) as session:
        twin = await _twin(session, job, sha256)
        if twin is None:
            await session.execute(
                update(Image)
                .where(Image.id == job.image_id, Image.state == ImageState.CHECKING)
                .values(
                    state=ImageState.SLICING,
                    content_type=facts.format.content_type,
                    sha256=sha256,
                    bytes=facts.size,
                    width=facts.width,
                    height=facts.height,
                    orientation=facts.orientation,
                )
            )
    if twin is None:
        return True
    await _refuse(
        context, job, Reason.DUPLICATE, f"It has the same bytes as “{twin.name}”.", twin.id
    )
    return False


async def _twin(session: AsyncSession, job: _Job, sha256: str) -> Image | None:
    # two twins checked at the same moment: the unique index fails one job, whose next attempt
    # finds the other one here
    found: Image | None = await session.scalar(
        select(Image).where(
            Image.project_id == job.project_id,
            Image.sha256 == sha256,
            Image.state.in_({ImageState.SLICING, ImageState.READY}),
            Image.id != job.image_id,
        )
    )
    return found


async def _slice(context: JobContext, job: _Job, path: Path, facts: Facts, folder: Path) -> None:
    async with db.reading(context.sessions) as reader:
        noted = await reader.scalars(select(Tile.number).where(Tile.image_id == job.image_id))
        done = set(noted)
    workdir = folder / "tiles"
    workdir.mkdir()
    async with slice_image(path, facts, job.policy, workdir, done=done, limits=LIMITS) as slices:
        try:
            thumbnail_key = await _store(context, job, slices)
        except ExceptionGroup as failed:  # a refusal is what the file's fate hangs on
            raise failed.exceptions[0] from failed
    # now, as a killed attempt begins with the upload again until it has its copy
    await context.store.delete_many([keys.upload(job.project_id, job.image_id)])
    await _ready(context, job, thumbnail_key)


async def _store(context: JobContext, job: _Job, slices: Slices) -> str | None:
    """Upload and note tiles as they come; returns the key of the thumbnail."""
    thumbnail_key: str | None = None
    stored: list[SlicedTile] = []
    uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        async for piece in slices:
            await uploads.acquire()
            if isinstance(piece, Thumbnail):
                thumbnail_key = keys.thumbnail(job.project_id, piece.sha256, "jpg")
                key, content_type = thumbnail_key, TileFormat.JPEG.content_type
            else:
                stored.append(piece)
                key, content_type = _tile_key(job, piece), job.policy.format.content_type
            tasks.create_task(_upload(context.store, key, piece, content_type, slices, uploads))
            if len(stored) >= TILES_NOTED_AT_ONCE:
                await _all_done(uploads)
                await _note(context, job, stored)
                stored.clear()
    await _note(context, job, stored)
    return thumbnail_key


async def _upload(
    store: Store,
    key: str,
    piece: SlicedTile | Thumbnail,
    content_type: str,
    slices: Slices,
    uploads: asyncio.Semaphore,
) -> None:
    try:
        await store.put_file(key, piece.path, content_type=content_type)
    finally:
        slices.release(piece)
        uploads.release()


async def _all_done(uploads: asyncio.Semaphore) -> None:
    """Wait until no upload is under way: a tile is noted after it is stored, never before."""
    for _ in range(UPLOADS_AT_ONCE):
        await uploads.acquire()
    for _ in range(UPLOADS_AT_ONCE):
        uploads.release()


async def _note(context: JobContext, job: _Job, tiles: Sequence[SlicedTile]) -> None:
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
            "key": _tile_key(job, tile),
            "content_type": job.policy.format.content_type,
            "bytes": tile.size,
        }
        for tile in tiles
    ]
    async with db.transaction(context.sessions) as session:
        await session.execute(
            insert(Tile).on_conflict_do_nothing(index_elements=[Tile.image_id, Tile.number]), rows
        )


def _tile_key(job: _Job, tile: SlicedTile) -> str:
    return keys.tile(job.project_id, tile.sha256, job.policy.format.suffix)


async def _ready(context: JobContext, job: _Job, thumbnail_key: str | None) -> None:
    async with db.transaction(context.sessions) as session:
        ready = await session.scalar(
            update(Image)
            .where(Image.id == job.image_id, Image.state == ImageState.SLICING)
            .values(state=ImageState.READY, thumbnail_key=thumbnail_key, ready_at=func.now())
            .returning(Image.id)
        )
        if ready is not None:
            await jobs.enqueue(
                session,
                "assignment.make_tasks",
                payload={"project_id": str(job.project_id), "image_id": str(job.image_id)},
            )


async def _refuse(
    context: JobContext,
    job: _Job,
    reason: Reason,
    detail: str,
    duplicate_of: UUID | None = None,
) -> None:
    async with db.transaction(context.sessions) as session:
        await session.execute(
            update(Image)
            .where(
                Image.id == job.image_id,
                Image.state.in_({ImageState.CHECKING, ImageState.SLICING}),
            )
            .values(
                state=ImageState.REFUSED,
                reason_code=reason.value,
                reason=detail,
                duplicate_of=duplicate_of,
            )
        )
    await context.store.delete_many([keys.upload(job.project_id, job.image_id)])
