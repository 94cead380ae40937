"""Dataset versions: building, fetching, verifying."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field, model_validator

from api import problems
from api.deps import Caller, Limit, Read, Settings, Store, Write
from api.idempotency import Route
from api.schemas import In, Out
from tessera.datasets import service
from tessera.datasets.errors import FormatUnsuited, TilesUnsuited
from tessera.datasets.models import Dataset, DatasetRun, RunKind, RunState
from tessera.datasets.options import USUAL, Options
from tessera.datasets.splits import Shares
from tessera.formats import FORMATS, UnknownFormat
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound

router = APIRouter(tags=["datasets"], route_class=Route)

DatasetId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


class NewSplits(In):
    train: Annotated[int, Field(strict=True, ge=0, le=100)]
    val: Annotated[int, Field(strict=True, ge=0, le=100)]
    test: Annotated[int, Field(strict=True, ge=0, le=100)]
    """Percent of the images; the three are 100."""
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] = 0
    stratified: bool = False
    """Each class has its share in every split; then a later version divides anew."""

    @model_validator(mode="after")
    def _whole(self) -> "NewSplits":
        if self.train + self.val + self.test != 100:  # noqa: PLR2004
            raise ValueError("train, val and test must be 100 together")
        return self


class NewDataset(In):
    formats: Annotated[list[str], Field(min_length=1, max_length=len(FORMATS))] | None = None
    """COCO, JSON Lines and Parquet, if it is not said."""
    splits: NewSplits | None = None
    pictures: bool = False
    """Whether archives hold the images too."""
    tiles: bool = False
    """Whether every tile is an image of its own, as people saw it; else it is the whole images."""

    def options(self) -> Options:
        splits = None if self.splits is None else Shares(**self.splits.model_dump())
        formats = USUAL if self.formats is None else tuple(dict.fromkeys(self.formats))
        return Options(formats, splits, self.pictures, self.tiles)


_USUAL = NewDataset()


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
    responses=problems.documented(
        NotFound, Forbidden, UnknownFormat, FormatUnsuited, TilesUnsuited
    ),
)
async def build(
    project_id: UUID, session: Write, caller: Caller, body: NewDataset = _USUAL
) -> DatasetRun:
    """Build a version of what is settled by now; the project may go on meanwhile."""
    run = await service.request_build(
        session, project_id=project_id, options=body.options(), caller=caller
    )
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
