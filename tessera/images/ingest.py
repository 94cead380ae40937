"""The job that makes an image of a file: check, keep, slice, store the tiles.

It can be killed at any point. Objects are named after their bytes, so doing a step again writes
the same object again; tiles are noted in the order they are stored, and slicing goes on after
the last one noted. Objects are named after their image too: no two images share one, so that what
a refused image has left can be removed.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Organisation
from tessera.images.inspection import Facts, inspect
from tessera.images.models import Image, ImageState, Tile
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.slicing import SlicedTile, Slices, Thumbnail, slice_image
from tessera.images.uploads import Uploads
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.projects.models import Project
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge

LIMITS = Limits()
TILES_NOTED_AT_ONCE = 200
LAST_ATTEMPT = 2
"""Of a check that may have failed because of the machine and not because of the file."""
_IN_HAND = Image.state.in_({ImageState.CHECKING, ImageState.SLICING})


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
    is_refused: bool
    """By an attempt that was killed before it had removed everything."""


async def ingest(context: JobContext, run: Run) -> None:
    """Turn an uploaded file into tiles, or refuse it with a reason the operator can read."""
    job = await _read(context, UUID(run.payload["image_id"]))
    if job is None:
        return
    if job.is_refused:
        await _remove(context, job)
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
                .where(Image.id == image_id, _IN_HAND)
            )
        ).one_or_none()
    if row is None:
        return None
    image, slicing, import_bucket = row
    policy = SlicePolicy(**{**slicing, "format": TileFormat(slicing["format"])})
    return _Job(
        image.id, image.project_id, image.state, image.sha256, image.source_key, import_bucket,
        policy, image.reason_code is not None,
    )  # fmt: skip


async def _fetch(context: JobContext, job: _Job, path: Path) -> str:
    """Bring the file here; from where depends on how far an earlier attempt came."""
    store, key = context.store, keys.upload(job.project_id, job.image_id)
    if job.state is ImageState.SLICING and job.sha256 is not None:
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


async def _accept(context: JobContext, job: _Job, path: Path, sha256: str, facts: Facts) -> bool:
    """Keep the checked bytes under their hash and note them; False if they are a duplicate.

    What was checked is what is kept: whoever still has the upload link can change the upload,
    but not this copy.
    """
    if job.state is ImageState.SLICING:
        return True
    key = keys.original(job.project_id, job.image_id, sha256)
    await context.store.put_file(key, path, content_type=facts.format.content_type)
    try:
        twin = await _note_facts(context, job, sha256, facts)
    except IntegrityError:  # a twin was noted at the same moment, and can be seen by now
        twin = await _note_facts(context, job, sha256, facts)
    if twin is None:
        return True
    await _refuse(
        context, job, Reason.DUPLICATE, f"It has the same bytes as “{twin.name}”.", twin.id
    )
    return False


async def _note_facts(context: JobContext, job: _Job, sha256: str, facts: Facts) -> Image | None:
    """Unless another image of the project has the same bytes; returns that one."""
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
        return twin


async def _twin(session: AsyncSession, job: _Job, sha256: str) -> Image | None:
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
        except ExceptionGroup as failed:  # whose uploads all failed for one reason
            raise failed.exceptions[0] from failed
    # now, as a killed attempt begins with the upload again until it has its copy
    await context.store.delete_many([keys.upload(job.project_id, job.image_id)])
    await _ready(context, job, thumbnail_key)


async def _store(context: JobContext, job: _Job, slices: Slices) -> str | None:
    """Upload and note tiles as they come; returns the key of the thumbnail."""
    thumbnail_key: str | None = None
    refused: Refused | None = None
    stored: list[SlicedTile] = []
    async with asyncio.TaskGroup() as tasks:
        uploads = Uploads(context.store, slices, tasks)
        try:
            async for piece in slices:
                if isinstance(piece, Thumbnail):
                    thumbnail_key = _thumbnail_key(job, piece)
                    await uploads.begin(thumbnail_key, piece, TileFormat.JPEG.content_type)
                    continue
                await uploads.begin(_tile_key(job, piece), piece, job.policy.format.content_type)
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
    of_both = hashlib.sha256(job.image_id.bytes + bytes.fromhex(tile.sha256)).hexdigest()
    return keys.tile(job.project_id, of_both, job.policy.format.suffix)


def _thumbnail_key(job: _Job, thumbnail: Thumbnail) -> str:
    return keys.thumbnail(job.project_id, job.image_id, thumbnail.sha256, "jpg")


async def _ready(context: JobContext, job: _Job, thumbnail_key: str | None) -> None:
    async with db.transaction(context.sessions) as session:
        ready = await session.scalar(
            update(Image)
            .where(
                Image.id == job.image_id,
                Image.state == ImageState.SLICING,
                Image.reason_code.is_(None),
            )
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
    """Say why, and only then remove what was stored: an attempt that is killed knows the rest."""
    async with db.transaction(context.sessions) as session:
        ours = await session.scalar(
            update(Image)
            .where(Image.id == job.image_id, _IN_HAND)
            .values(reason_code=reason.value, reason=detail, duplicate_of=duplicate_of)
            .returning(Image.id)
        )
    if ours is not None:  # and not another worker's, who took us for dead and made it ready
        await _remove(context, job)


async def _remove(context: JobContext, job: _Job) -> None:
    """Remove every object of a refused image, and let go of it.

    In this order: once it is `refused` it can be uploaded again, under some of the same keys.
    """
    of_the_image = Tile.image_id == job.image_id
    async with db.reading(context.sessions) as reader:
        stored = list(await reader.scalars(select(Tile.key).where(of_the_image)))
    stored.append(keys.upload(job.project_id, job.image_id))
    for prefix in (keys.originals, keys.thumbnails):
        below = context.store.list(prefix(job.project_id, job.image_id))
        stored += [each.key async for each in below]
    await context.store.delete_many(dict.fromkeys(stored))
    async with db.transaction(context.sessions) as session:
        await session.execute(delete(Tile).where(of_the_image))
        await session.execute(
            update(Image).where(Image.id == job.image_id, _IN_HAND).values(state=ImageState.REFUSED)
        )
