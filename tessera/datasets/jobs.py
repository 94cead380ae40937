"""Building and verifying versions in the background.

Both jobs may be repeated and killed anywhere. A build reads what was settled by the moment it was
asked for, writes files named by their hash, uploads them and then the manifest, and only then is
there a row, without which nobody sees a version.
"""

import asyncio
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.datasets import queries
from tessera.datasets.audited import Audited
from tessera.datasets.check import findings, wrong
from tessera.datasets.errors import NothingToBuild
from tessera.datasets.export import exporting, files
from tessera.datasets.manifest import (
    File,
    Labelled,
    canonical,
    described,
    files_of,
    manifest,
    manifest_file,
)
from tessera.datasets.models import Dataset, DatasetRun, RunState
from tessera.datasets.options import Options
from tessera.datasets.spool import Spool, spooled
from tessera.images.ingest import LIMITS
from tessera.kernel import db, jobs
from tessera.projects.models import Project
from tessera.quality import by_gold
from tessera.quality.estimated_accuracy import EstimatedAccuracy, by_audit
from tessera.quality.estimated_accuracy import by_gold as as_gold_has_it
from tessera.storage import keys
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store

OUR_FAULT = "Something went wrong on our side, and we have been told. Please ask again later."
MOST_HELD = 10_000
"""Given up on since the last sweep, at most: people ask for them one by one."""


async def build(context: JobContext, run: jobs.Run) -> None:
    run_id = UUID(run.payload["run_id"])
    with tempfile.TemporaryDirectory(dir=context.scratch) as name:
        folder = Path(name)
        try:
            version = await _write(context, run_id, folder)
        except NothingToBuild as error:
            async with db.transaction(context.sessions) as session:
                await _close(session, run_id, state=RunState.FAILED, error=error.detail)
            return
        if version is None:
            return
        await _upload(context.store, version, folder)
    await _publish(context.sessions, run_id, version)


@dataclass(frozen=True)
class Version:
    project_id: UUID
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        return manifest_file(self.manifest).sha256

    def key(self, file: File) -> str:
        return keys.dataset(self.project_id, file.sha256, file.path)


async def _write(context: JobContext, run_id: UUID, folder: Path) -> Version | None:
    """Write all files into a folder; None if another attempt is done with it.

    Converting and writing run in a thread, so that this worker's other jobs and heartbeats go on.

    Raises:
        NothingToBuild: No image is finished.
    """
    spool = folder / "spool"
    async with db.reading(context.sessions) as reader:
        run = await reader.get_one(DatasetRun, run_id)
        if run.state is RunState.DONE:
            return None
        if run.options is None:
            raise ValueError("a build has options")
        options = Options.from_json(run.options)
        await queries.unhurried(reader)
        project = await queries.project_of(reader, run.project_id)
        spent = await queries.spent(reader, run.project_id, as_of=run.as_of)
        audited = await queries.audited(reader, project, as_of=run.as_of)
        images = queries.images(reader, project, audited, as_of=run.as_of)
        with spool.open("wb") as out:
            assembled = Spool(out, project, options)
            async with aclosing(images) as batches:
                async for batch in batches:
                    await asyncio.to_thread(assembled.add, batch)
        accuracy = await _accuracy(reader, project, audited)
    if not assembled.tally.images:
        raise NothingToBuild(
            "No image is finished yet: a dataset takes images of which every tile is settled."
        )
    dataset = described(project, options, assembled.tally)
    with exporting(folder, dataset, options) as export:
        if options.pictures:
            for key, image in spooled(spool):
                picture = folder / "picture"
                await context.store.get_to_file(key, picture, max_bytes=LIMITS.file_bytes)
                await asyncio.to_thread(export.add, [image], picture)
        else:
            await asyncio.to_thread(export.add, (image for _, image in spooled(spool)))
        await asyncio.to_thread(export.finish)
    there = await asyncio.to_thread(files, folder, dataset, options)
    told = manifest(project, options, assembled.tally, spent, accuracy, there)
    return Version(run.project_id, told)


async def _accuracy(
    reader: db.Reader, project: Labelled, audited: Audited
) -> EstimatedAccuracy | None:
    """By an audit that has looked at some of these tiles, else by gold. Last: see `answered`."""
    found = by_audit(audited.sample, corrected=audited.corrected, later=audited.later)
    if found is not None or not audited.labels:
        return found
    asked = await reader.get_one(Project, project.drawn_in.id)
    gold = await by_gold.told(reader, asked)
    return None if gold is None else as_gold_has_it(gold, labels=audited.labels)


async def _upload(store: Store, version: Version, folder: Path) -> None:
    """Upload what is not there yet, and the manifest last: who sees it sees all it names.

    What is there is read and not just looked for: building a damaged version again repairs it.
    """
    last = manifest_file(version.manifest)
    (folder / last.path).write_bytes(canonical(version.manifest))
    for file in [*files_of(version.manifest), last]:
        key = version.key(file)
        if await wrong(store, key, file, folder):
            await store.put_file(key, folder / file.path, content_type=file.media_type)


async def _publish(sessions: db.Sessions, run_id: UUID, version: Version) -> None:
    async with db.transaction(sessions) as session:
        await session.execute(
            insert(Dataset)
            .values(
                id=version.id,
                project_id=version.project_id,
                manifest=version.manifest,
                manifest_key=version.key(manifest_file(version.manifest)),
            )
            .on_conflict_do_nothing()
        )
        await _close(session, run_id, state=RunState.DONE, dataset_id=version.id)


async def verify(context: JobContext, run: jobs.Run) -> None:
    run_id = UUID(run.payload["run_id"])
    async with db.reading(context.sessions) as reader:
        asked = await reader.get_one(DatasetRun, run_id)
        dataset = await reader.get_one(Dataset, asked.dataset_id)
    if asked.state is RunState.DONE:
        return
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        found = await findings(context.store, dataset, Path(folder))
    async with db.transaction(context.sessions) as session:
        await _close(session, run_id, state=RunState.DONE, findings=found)


async def fail_held(context: JobContext) -> None:
    """Close the runs whose job was given up on: nobody shall wait for them for ever.

    If the job is set going again and succeeds, so does the run.
    """
    async with db.transaction(context.sessions) as session:
        held = await jobs.held(session, limit=MOST_HELD, prefix="datasets.")
        ours = [job.payload["run_id"] for job in held]
        await session.execute(
            update(DatasetRun)
            .where(DatasetRun.id.in_(ours), DatasetRun.state == RunState.RUNNING)
            .values(state=RunState.FAILED, finished_at=func.now(), error=OUR_FAULT)
        )


async def _close(session: AsyncSession, run_id: UUID, *, state: RunState, **what: Any) -> None:
    await session.execute(
        update(DatasetRun)
        .where(DatasetRun.id == run_id, DatasetRun.state != RunState.DONE)
        .values(state=state, finished_at=func.now(), **{"error": None, **what})
    )
