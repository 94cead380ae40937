"""What others have said of images before: predictions, and files of any size of them or of gold."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints, computed_field

from api import problems
from api.deps import Caller, Limit, Read, Settings, Store, Write
from api.idempotency import NEVER_STORED, Route
from api.requests import LARGE_BODY
from api.routes.images import Refusable
from api.routes.quality import KnownImage
from api.schemas import In, Out
from tessera.formats import UnknownFormat
from tessera.images.errors import ProjectCompleted
from tessera.kernel.errors import Forbidden, NotFound, Unavailable
from tessera.kinds import InvalidAnswer
from tessera.quality import annotation_imports, predictions
from tessera.quality.annotation_imports import Announced
from tessera.quality.errors import (
    NotReadable,
    TakesNoPredictions,
    TooManyPredictions,
    UnknownImage,
)
from tessera.quality.known import Listed
from tessera.quality.models import AnnotationImport, AnnotationImportState, Purpose
from tessera.storage import keys

router = APIRouter(tags=["annotations"], route_class=Route)

ANY_FILE = "application/octet-stream"


class NewPredictions(In):
    images: Annotated[list[KnownImage], Field(min_length=1, max_length=10_000)]
    """Objects as in an answer of the kind that is verified, but in image pixels; `confidence`
    may be there and says nothing to whoever is asked."""


class PredictedOut(Out):
    file_name: str
    tasks: int
    """That ask about these predictions now."""
    gold_tasks: int
    launched_tasks: int
    untold_tiles: int
    """Of which the predictions say nothing that could be right or wrong."""


@router.post(
    "/projects/{project_id}/predictions",
    status_code=HTTPStatus.CREATED,
    response_model=list[PredictedOut],
    responses=problems.documented(
        NotFound,
        Forbidden,
        TakesNoPredictions,
        ProjectCompleted,
        InvalidAnswer,
        UnknownImage,
        TooManyPredictions,
        Unavailable,
    ),
    openapi_extra={LARGE_BODY: True},
)
async def bring_predictions(
    project_id: UUID, body: NewPredictions, session: Write, caller: Caller
) -> list[predictions.Predicted]:
    """Have people look at what is predicted of images: all of it, or nothing."""
    source = Listed([(each.file_name, each.objects) for each in body.images])
    return list(await predictions.bring_in(session, project_id, source=source, caller=caller))


class NewAnnotationImport(In):
    purpose: Purpose
    format: Annotated[str, StringConstraints(max_length=50)]
    """As of datasets: `coco`, `json-lines`, ..."""
    size: Annotated[int, Field(strict=True, ge=1, le=4 * 2**30)]
    """Bytes of the file: a zip, a tar, or the one file that a format consists of."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    """If you say it, no other file is taken."""
    partial: bool = False
    """Leave out images of which something is refused, and take the rest; else it is all or none."""


class AnnotationImportOut(Refusable):
    id: UUID
    project_id: UUID
    purpose: Purpose
    format: str
    size: int
    sha256: str | None
    partial: bool
    state: AnnotationImportState
    images: int
    """That were taken."""
    tasks: int
    """That are gold now, or ask about the predictions."""
    left_tasks: int
    """Left as they are: launched, or, where predictions come, gold."""
    untold_tiles: int
    """Of which the file does not tell the answer."""
    refused_records: int
    left_out: int
    """Attributes of what was taken that nobody asks for: once for each image, class and name."""
    created_at: datetime
    finished_at: datetime | None


class NewAnnotationImportOut(AnnotationImportOut):
    put_url: str
    """PUT the file here as application/octet-stream, then call `uploaded`."""


class LineOut(Out):
    number: int
    at: str
    """Where in the file."""
    image: str | None
    code: Annotated[str | None, Field(exclude=True)]
    reason: Annotated[str | None, Field(exclude=True)]
    tasks: int
    left_tasks: int
    untold_tiles: int

    @computed_field
    def problem(self) -> dict[str, Any] | None:
        """Why it was refused, or an attribute left out; none: it was taken."""
        if self.code is None or self.reason is None:
            return None
        return problems.body(HTTPStatus.UNPROCESSABLE_ENTITY, self.code, self.reason)


class AnnotationImportDetailOut(AnnotationImportOut):
    report: list[LineOut]
    """One page of it: the first 10,000 records that were refused, then as many attributes that were
    left out, then as many images taken."""
    next: int | None
    """Cursor of the next lines; none on the last page."""


@router.post(
    "/projects/{project_id}/annotation-imports",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(
        NotFound, Forbidden, TakesNoPredictions, ProjectCompleted, UnknownFormat, NotReadable
    ),
    openapi_extra={NEVER_STORED: True},
)
async def create_annotation_import(
    project_id: UUID,
    body: NewAnnotationImport,
    session: Write,
    caller: Caller,
    settings: Settings,
    store: Store,
) -> NewAnnotationImportOut:
    """Bring in a file of annotations, as gold or as predictions."""
    file = Announced(body.purpose, body.format, body.size, body.sha256, body.partial)
    made = await annotation_imports.create(session, project_id, file=file, caller=caller)
    await session.refresh(made)
    put_url = store.presign_put(
        keys.import_file(project_id, made.id),
        content_type=ANY_FILE,
        expires=settings.upload_link_lifetime,
        size=body.size,
    )
    return NewAnnotationImportOut(**_fields(made), put_url=put_url)


def _fields(made: AnnotationImport) -> dict[str, Any]:
    return dict(AnnotationImportOut.model_validate(made))


@router.post(
    "/annotation-imports/{annotation_import_id}/uploaded",
    status_code=HTTPStatus.ACCEPTED,
    response_model=AnnotationImportOut,
    responses=problems.documented(NotFound, Forbidden),
)
async def annotation_import_uploaded(
    annotation_import_id: UUID, session: Write, caller: Caller
) -> AnnotationImport:
    """Say that an import's file has arrived. It is read; look at its state."""
    return await annotation_imports.uploaded(session, annotation_import_id, caller=caller)


@router.get(
    "/annotation-imports/{annotation_import_id}",
    responses=problems.documented(NotFound),
)
async def get_annotation_import(
    annotation_import_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=0, le=2**31)] = None,
) -> AnnotationImportDetailOut:
    """How far an import is, and a page of its report."""
    made = await annotation_imports.get(session, annotation_import_id, caller=caller)
    lines = await annotation_imports.report(session, made, after=cursor, limit=limit)
    return AnnotationImportDetailOut(
        **_fields(made),
        report=[LineOut.model_validate(line) for line in lines],
        next=lines[-1].number if len(lines) == limit else None,
    )
