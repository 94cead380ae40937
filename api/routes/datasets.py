"""Dataset versions: building, fetching, verifying."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api import problems
from api.deps import Caller, Limit, Read, Settings, Store, Write
from api.idempotency import Route
from api.schemas import Out
from tessera.datasets import service
from tessera.datasets.models import Dataset, DatasetRun, RunKind, RunState
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound

router = APIRouter(tags=["datasets"], route_class=Route)

DatasetId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


class RunOut(Out):
    id: UUID
    project_id: UUID
    kind: RunKind
    state: RunState
    dataset_id: str | None
    findings: list[Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class DatasetOut(Out):
    id: str
    """SHA-256 of the manifest: the same content has the same id."""
    project_id: UUID
    created_at: datetime
    manifest: dict[str, Any]


class DatasetsOut(Out):
    items: list[DatasetOut]
    next: str | None


class LinkOut(Out):
    path: str
    url: str
    bytes: int
    sha256: str
    media_type: str


class LinksOut(Out):
    links: list[LinkOut]
    expires_in_seconds: int


@router.post(
    "/projects/{project_id}/datasets",
    status_code=HTTPStatus.ACCEPTED,
    response_model=RunOut,
    responses=problems.documented(NotFound, Forbidden),
)
async def build(project_id: UUID, session: Write, caller: Caller) -> DatasetRun:
    """Build a version of what is settled by now; the project may go on meanwhile."""
    run = await service.request_build(session, project_id=project_id, caller=caller)
    await session.refresh(run)
    return run


@router.get(
    "/dataset-runs/{run_id}", response_model=RunOut, responses=problems.documented(NotFound)
)
async def get_run(run_id: UUID, session: Read, caller: Caller) -> DatasetRun:
    """How far a build or a verification is, and what came of it."""
    return await service.get_run(session, run_id, caller=caller)


@router.get("/projects/{project_id}/datasets", responses=problems.documented(NotFound, Forbidden))
async def list_datasets(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> DatasetsOut:
    """A project's dataset versions, newest first."""
    found = await service.list_datasets(
        session,
        project_id=project_id,
        caller=caller,
        after=paging.decode(cursor, lambda id_: bytes.fromhex(id_).hex()),
        limit=limit,
    )
    full = len(found) == limit
    return DatasetsOut(
        items=[DatasetOut.model_validate(dataset) for dataset in found],
        next=paging.encode((found[-1].created_at, found[-1].id)) if full else None,
    )


@router.get(
    "/datasets/{dataset_id}", response_model=DatasetOut, responses=problems.documented(NotFound)
)
async def get(dataset_id: DatasetId, session: Read, caller: Caller) -> Dataset:
    """One version and its manifest."""
    return await service.get(session, dataset_id, caller=caller)


@router.get("/datasets/{dataset_id}/files", responses=problems.documented(NotFound, Forbidden))
async def files(
    dataset_id: DatasetId, session: Read, caller: Caller, settings: Settings, store: Store
) -> LinksOut:
    """Links to a version's files, the manifest first; good for a few minutes."""
    dataset = await service.get(session, dataset_id, caller=caller)
    lifetime = settings.download_link_lifetime
    return LinksOut(
        links=[
            LinkOut(**asdict(link.file), url=link.url)
            for link in service.links(dataset, store, lifetime=lifetime)
        ],
        expires_in_seconds=int(lifetime.total_seconds()),
    )


@router.post(
    "/datasets/{dataset_id}/verify",
    status_code=HTTPStatus.ACCEPTED,
    response_model=RunOut,
    responses=problems.documented(NotFound, Forbidden),
)
async def verify(dataset_id: DatasetId, session: Write, caller: Caller) -> DatasetRun:
    """Read every file of a version again and compare it with the manifest."""
    run = await service.request_verify(session, dataset_id=dataset_id, caller=caller)
    await session.refresh(run)
    return run
