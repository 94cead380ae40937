"""The job that brings in many images at once, from a zip or from a bucket.

It works in chunks, each complete in itself, and knows by the images' names how far it came, so
it can be killed and goes on. What becomes of each file is told by its image, or by the import if it
became none.
"""

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from tessera.accounts.models import Organisation
from tessera.formats.names import is_plain_name
from tessera.images import service
from tessera.images.archive import Archive, BadArchive
from tessera.images.ingest import LIMITS
from tessera.images.models import Image, ImageState, Import, ImportSource, ImportState
from tessera.images.refusals import OUR_FAULT, Reason
from tessera.images.skipping import Skip, Skipped
from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.projects.models import Project
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge, StorageRefused

CHUNK = 100
UNPACKED_AT_ONCE = 4
UNKNOWN_TYPE = "application/octet-stream"


async def run_import(context: JobContext, run: Run) -> None:
    """Make an image of each file an import names."""
    import_id = UUID(run.payload["import_id"])
    async with db.reading(context.sessions) as reader:
        row = (
            await reader.execute(
                select(Import, Organisation.import_bucket)
                .join(Project, Project.id == Import.project_id)
                .join(Organisation, Organisation.id == Project.organisation_id)
                .where(Import.id == import_id)
            )
        ).one()
    made, bucket = row
    if made.state is ImportState.RUNNING:
        await _bring_in(context, made, bucket)
    if made.source is ImportSource.ZIP:  # also what an attempt that was killed here has left
        await context.store.delete_many([keys.import_file(made.project_id, made.id)])


async def give_up(context: JobContext, import_ids: Sequence[UUID]) -> None:
    """Refuse those of these imports that are not done; what they have brought in stays."""
    left = select(Import).where(Import.id.in_(import_ids), Import.state == ImportState.RUNNING)
    async with db.reading(context.sessions) as reader:
        imports = (await reader.scalars(left)).all()
    for made in imports:
        await _give_up(context, made)


async def _give_up(context: JobContext, made: Import) -> None:
    """Remove what nobody will look at, and then say why: then its names can be used again."""
    unpacked = (Image.import_id == made.id) & (Image.state == ImageState.REGISTERED)
    async with db.reading(context.sessions) as reader:
        ids = (await reader.scalars(select(Image.id).where(unpacked))).all()
    uploads = [keys.upload(made.project_id, image_id) for image_id in ids]
    await context.store.delete_many([keys.import_file(made.project_id, made.id), *uploads])
    why = {"reason_code": Reason.OUR_FAULT.value, "reason": OUR_FAULT}
    async with db.transaction(context.sessions) as session:
        await session.execute(update(Image).where(unpacked).values(state=ImageState.REFUSED, **why))
    await _end(context, made, state=ImportState.REFUSED, **why)


async def _bring_in(context: JobContext, made: Import, bucket: str | None) -> None:
    try:
        if made.source is ImportSource.ZIP:
            skipped = await _from_zip(context, made)
        else:
            skipped = await _from_bucket(context, made, bucket)
    except BadArchive as unusable:
        await _end(
            context,
            made,
            state=ImportState.REFUSED,
            reason_code=unusable.reason,
            reason=unusable.detail,
        )
    else:
        await _done(context, made, skipped)


async def _from_bucket(context: JobContext, made: Import, bucket: str | None) -> Skipped:
    """Take every key below the prefix."""
    if bucket is None:
        raise BadArchive("no-import-bucket", "Your organisation has no import bucket any more.")
    skipped, chunk = Skipped(), list[str]()
    try:
        async for key in _files(context, bucket, made.prefix):
            chunk.append(key)
            if len(chunk) == CHUNK:
                await _take_keys(context, made, chunk, skipped)
                chunk.clear()
    except StorageRefused as error:
        raise BadArchive("bucket-unreachable", f"The import bucket: {error.detail}") from error
    if chunk:
        await _take_keys(context, made, chunk, skipped)
    return skipped


async def _files(context: JobContext, bucket: str, prefix: str) -> AsyncIterator[str]:
    async for listed in context.bucket(bucket).list(prefix):
        if not listed.key.endswith("/"):
            yield listed.key


async def _take_keys(
    context: JobContext, made: Import, found: Sequence[str], skipped: Skipped
) -> None:
    named = dict[str, str]()
    for key in found:
        name = key.removeprefix(made.prefix).lstrip("/") or key
        if not is_plain_name(name):
            skipped.add(key, Skip.BAD_NAME)
        elif named.setdefault(name, key) != key:
            skipped.add(key, Skip.REPEATED)
    images = [
        {
            "project_id": made.project_id,
            "import_id": made.id,
            "name": name,
            "source_key": key,
            "state": ImageState.REGISTERED,
        }
        for name, key in sorted(named.items())  # as in `service`: in one order, or they deadlock
    ]
    if not images:
        return
    async with db.transaction(context.sessions) as session:
        taken = await session.scalars(
            insert(Image)
            .values(images)
            .on_conflict_do_nothing(index_elements=[Image.project_id, Image.name])
            .returning(Image.id)
        )
        await service.check(session, made.project_id, taken.all())
    await _skip_others(context, made, named, skipped)


async def _from_zip(context: JobContext, made: Import) -> Skipped:
    """Take every file in the zip."""
    skipped = Skipped()
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        path = Path(folder) / "zip"
        try:
            await context.store.get_to_file(
                keys.import_file(made.project_id, made.id), path, max_bytes=LIMITS.file_bytes
            )
        except ObjectNotFound as error:
            raise BadArchive("missing", "The zip was never uploaded.") from error
        except ObjectTooLarge as error:
            gigabytes = LIMITS.file_bytes / 2**30
            raise BadArchive(
                "too-many-bytes", f"The zip is larger than {gigabytes:.0f} GiB."
            ) from error
        with closing(await asyncio.to_thread(Archive, path)) as packed:
            files, odd = packed.files()
            hidden = [(name, Skip.HIDDEN) for name in files if _is_hidden(name)]
            for name, fault in [*odd, *hidden]:
                skipped.add(name, fault)
            names = [name for name in files if not _is_hidden(name)]
            for start in range(0, len(names), CHUNK):
                chunk = {name: files[name] for name in names[start : start + CHUNK]}
                await _take_entries(context, made, packed, chunk, Path(folder))
                await _skip_others(context, made, dict.fromkeys(chunk), skipped)
    return skipped


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


async def _take_entries(
    context: JobContext,
    made: Import,
    packed: Archive,
    entries: Mapping[str, zipfile.ZipInfo],
    scratch: Path,
) -> None:
    refused: dict[UUID, BadArchive] = {}
    at_once = asyncio.Semaphore(UNPACKED_AT_ONCE)

    async def unpack(name: str, image_id: UUID) -> None:
        path = scratch / str(image_id)
        async with at_once:
            try:
                await asyncio.to_thread(
                    packed.extract, entries[name], path, max_bytes=LIMITS.file_bytes
                )
                await context.store.put_file(
                    keys.upload(made.project_id, image_id), path, content_type=UNKNOWN_TYPE
                )
            except BadArchive as unusable:
                refused[image_id] = unusable
            finally:
                path.unlink(missing_ok=True)

    ours = await _registered(context, made, list(entries))
    async with asyncio.TaskGroup() as tasks:
        for name, image_id in ours.items():
            tasks.create_task(unpack(name, image_id))
    async with db.transaction(context.sessions) as session:
        for image_id, why in refused.items():
            await session.execute(
                update(Image)
                .where(Image.id == image_id, Image.state == ImageState.REGISTERED)
                .values(state=ImageState.REFUSED, reason_code=why.reason, reason=why.detail)
            )
        await service.check(session, made.project_id, sorted(ours.values() - refused.keys()))


async def _registered(context: JobContext, made: Import, names: Sequence[str]) -> dict[str, UUID]:
    """Images of this import by name that are still to be unpacked; made where missing."""
    async with db.transaction(context.sessions) as session:
        await session.execute(
            insert(Image).on_conflict_do_nothing(index_elements=[Image.project_id, Image.name]),
            [
                {
                    "project_id": made.project_id,
                    "import_id": made.id,
                    "name": name,
                    "state": ImageState.REGISTERED,
                }
                for name in sorted(names)  # as in `service`: in one order, or they deadlock
            ],
        )
        rows = await session.execute(
            select(Image.name, Image.id).where(
                Image.project_id == made.project_id,
                Image.import_id == made.id,
                Image.name.in_(names),
                Image.state == ImageState.REGISTERED,
            )
        )
        return dict(rows.all())


async def _skip_others(
    context: JobContext, made: Import, named: Mapping[str, str | None], skipped: Skipped
) -> None:
    """Note which of these names, each with its key in the bucket, are those of another file."""
    async with db.reading(context.sessions) as reader:
        images = await reader.execute(
            select(Image.name, Image.import_id, Image.source_key)
            .where(Image.project_id == made.project_id, Image.name.in_(named))
            .order_by(Image.name)
        )
    for name, import_id, key in images:
        if import_id != made.id:
            skipped.add(named[name] or name, Skip.NAME_TAKEN)
        elif key != named[name]:
            skipped.add(named[name] or name, Skip.REPEATED)


async def _done(context: JobContext, made: Import, skipped: Skipped) -> None:
    async with db.reading(context.sessions) as reader:
        ours = select(func.count()).select_from(Image).where(Image.import_id == made.id)
        found = (await reader.execute(ours)).scalar_one()
    await _end(
        context,
        made,
        state=ImportState.DONE,
        found=found,
        skipped=skipped.count,
        skipped_files=skipped.told,
    )


async def _end(context: JobContext, made: Import, **how: object) -> None:
    async with db.transaction(context.sessions) as session:
        await session.execute(
            update(Import)
            .where(Import.id == made.id, Import.state == ImportState.RUNNING)
            .values(how)
        )
