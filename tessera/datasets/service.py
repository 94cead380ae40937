"""Asking for dataset versions, finding them, and taking them away."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.datasets.errors import TilesUnsuited
from tessera.datasets.manifest import File, files_of, manifest_file
from tessera.datasets.models import Dataset, DatasetRun, RunKind
from tessera.datasets.options import Options
from tessera.kernel import jobs
from tessera.kernel.errors import NotFound
from tessera.kinds import parsed, shown
from tessera.projects.service import owned
from tessera.storage import keys
from tessera.storage.s3 import Store


async def request_build(
    session: AsyncSession, *, project_id: UUID, options: Options, caller: Caller
) -> DatasetRun:
    """Have a version built of all that is settled by now, also while the project runs.

    Raises:
        FormatUnsuited: A format cannot hold what the project's kind says.
        TilesUnsuited: The camera of its label schema shows whole images.
    """
    project = await owned(session, project_id, caller=caller, right=Right.DATASETS)
    kind, schema = shown(project.kind, parsed(project.label_schema))
    options.check(kind)
    if options.tiles and schema.camera is not None:
        raise TilesUnsuited("The label schema's camera is that of whole images, not of tiles.")
    run = DatasetRun(project_id=project_id, kind=RunKind.BUILD, options=options.as_json())
    session.add(run)
    await session.flush()
    await jobs.enqueue(session, "datasets.build", payload={"run_id": str(run.id)})
    return run


async def request_verify(session: AsyncSession, *, dataset_id: str, caller: Caller) -> DatasetRun:
    """Have every byte of a version read again and compared with its manifest."""
    dataset = await get(session, dataset_id, caller=caller)
    run = DatasetRun(project_id=dataset.project_id, kind=RunKind.VERIFY, dataset_id=dataset_id)
    session.add(run)
    await session.flush()
    await jobs.enqueue(session, "datasets.verify", payload={"run_id": str(run.id)})
    return run


async def get_run(session: AsyncSession, run_id: UUID, *, caller: Caller) -> DatasetRun:
    run = await session.get(DatasetRun, run_id)
    if run is None:
        raise NotFound("There is no such thing here.")
    await owned(session, run.project_id, caller=caller, right=Right.DATASETS)
    return run


async def get(session: AsyncSession, dataset_id: str, *, caller: Caller) -> Dataset:
    dataset = await session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound("There is no such thing here.")
    await owned(session, dataset.project_id, caller=caller, right=Right.DATASETS)
    return dataset


async def list_datasets(
    session: AsyncSession,
    *,
    project_id: UUID,
    caller: Caller,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> Sequence[Dataset]:
    """Versions of a project, newest first. Uses ix_datasets_page."""
    await owned(session, project_id, caller=caller, right=Right.DATASETS)
    mine = select(Dataset).where(Dataset.project_id == project_id)
    if after is not None:
        mine = mine.where(tuple_(Dataset.created_at, Dataset.id) < after)
    newest = mine.order_by(Dataset.created_at.desc(), Dataset.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


class Link(NamedTuple):
    file: File
    url: str


def links(dataset: Dataset, store: Store, *, lifetime: timedelta) -> list[Link]:
    """Where to download each file of a version, the manifest first."""
    return [
        Link(
            file,
            store.presign_get(
                keys.dataset(dataset.project_id, file.sha256, file.path),
                content_type=file.media_type,
                file_name=f"{dataset.id[:12]}-{file.path}",
                expires=lifetime,
            ),
        )
        for file in [manifest_file(dataset.manifest), *files_of(dataset.manifest)]
    ]
