"""Bringing images in."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints, computed_field

from api import problems
from api.deps import After, Caller, Limit, Read, Settings, Store, Write
from api.idempotency import NEVER_STORED, Route
from api.schemas import In, Out, PageOut
from tessera.images import service
from tessera.images.errors import FilesRefused, LaterStage, NoImportBucket, ProjectCompleted
from tessera.images.models import Image, ImageState, Import, ImportSource, ImportState
from tessera.images.service import File
from tessera.images.skipping import WHY, Skip
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound
from tessera.storage import keys

router = APIRouter(tags=["images"], route_class=Route)

ZIP = "application/zip"
ImageName = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class NewFile(In):
    name: ImageName
    content_type: Annotated[str, StringConstraints(max_length=100)]
    bytes: Annotated[int, Field(ge=0, le=4 * 2**30)] | None = None
    """If you say it, the link takes exactly so many."""


class NewFiles(In):
    files: Annotated[list[NewFile], Field(min_length=1, max_length=200)]
    """Not more: a link takes 0.2 ms to sign, in which nobody else is served."""


class UploadOut(Out):
    name: str
    image_id: UUID | None
    put_url: str | None
    """PUT the bytes here, with the content type you named, within the link's lifetime."""
    problem: dict[str, Any] | None
    """Why this file is not taken; the others are."""


class UploadsOut(Out):
    uploads: list[UploadOut]
    expires_in_seconds: int


class Uploaded(In):
    image_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class Refusable(Out):
    """A file that is looked at after the call that brought it: its refusal cannot be an answer."""

    reason_code: Annotated[str | None, Field(exclude=True)]
    reason: Annotated[str | None, Field(exclude=True)]

    @computed_field
    def problem(self) -> dict[str, Any] | None:
        """Why it was refused."""
        if self.reason_code is None or self.reason is None:
            return None
        return problems.body(HTTPStatus.UNPROCESSABLE_ENTITY, self.reason_code, self.reason)


class GeoreferenceOut(Out):
    world: tuple[float, float, float, float, float, float]
    """A, D, B, E, C, F of a world file: the middle of the pixel in column i and row j is at
    (A i + B j + C, D i + E j + F)."""
    epsg: int | None
    """Number of the map in the EPSG register; none if the file does not tell it."""


class ImageOut(Refusable):
    id: UUID
    import_id: UUID | None
    name: str
    state: ImageState
    content_type: str | None
    bytes: int | None
    sha256: str | None
    width: int | None
    height: int | None
    orientation: int | None
    georeference: GeoreferenceOut | None
    """Of a GeoTIFF: where on a map its pixels are."""
    duplicate_of: UUID | None
    created_at: datetime


class TileOut(Out):
    number: int
    """Place in reading order, from 0."""
    core: tuple[int, int, int, int]
    """Left, top, right, bottom; image pixels. Cores partition the image."""
    window: tuple[int, int, int, int]
    """What an earner sees: the core and its margin."""
    url: str
    content_type: str


class TilesOut(Out):
    items: list[TileOut]
    next: int | None


class NewImport(In):
    source: ImportSource
    prefix: Annotated[str, StringConstraints(max_length=500)] = ""
    """Of the keys in your organisation's import bucket; ignored for a zip."""


class SkippedOut(Out):
    name: str
    """In the zip, or its key in the bucket; of a long one the beginning."""
    code: Annotated[Skip, Field(exclude=True)]

    @computed_field
    def problem(self) -> dict[str, Any]:
        """Why no image was made of it."""
        detail = f"The file {WHY[self.code]}."
        return problems.body(HTTPStatus.UNPROCESSABLE_ENTITY, self.code, detail)


class ImportOut(Refusable):
    id: UUID
    project_id: UUID
    source: ImportSource
    prefix: str
    state: ImportState
    found: int
    skipped: int
    skipped_files: list[SkippedOut]
    """The first 1,000 of them, once the import is done."""
    created_at: datetime


class NewImportOut(ImportOut):
    put_url: str | None
    """For a zip: PUT it here as application/zip, then call `uploaded`."""


@router.post(
    "/projects/{project_id}/images",
    responses=problems.documented(NotFound, Forbidden, LaterStage, ProjectCompleted, FilesRefused),
    openapi_extra={NEVER_STORED: True},
)
async def register(
    project_id: UUID,
    body: NewFiles,
    session: Write,
    caller: Caller,
    settings: Settings,
    store: Store,
) -> UploadsOut:
    """Announce files and get a link to PUT each to. Asking again gives the same images.

    One that is refused leaves the others alone; if all are, the answer is a problem, whose
    `uploads` say why.
    """
    files = [File(file.name, file.content_type, file.bytes) for file in body.files]
    lifetime = settings.upload_link_lifetime

    def upload(one: service.Registered) -> UploadOut:
        if one.image is None or one.refusal is not None:
            problem = problems.of_error(one.refusal) if one.refusal else None
            return UploadOut(name=one.file.name, image_id=None, put_url=None, problem=problem)
        url = store.presign_put(
            keys.upload(project_id, one.image.id),
            content_type=one.file.content_type,
            expires=lifetime,
            size=one.file.bytes,
        )
        return UploadOut(name=one.file.name, image_id=one.image.id, put_url=url, problem=None)

    registered = await service.register(session, project_id, files=files, caller=caller)
    uploads = [upload(one) for one in registered]
    if all(one.problem for one in uploads):
        raise FilesRefused(
            "None of these files could be taken.",
            uploads=[one.model_dump(mode="json") for one in uploads],
        )
    return UploadsOut(uploads=uploads, expires_in_seconds=int(lifetime.total_seconds()))


@router.post(
    "/projects/{project_id}/images/uploaded",
    status_code=HTTPStatus.ACCEPTED,
    response_model=list[ImageOut],
    responses=problems.documented(NotFound, Forbidden, LaterStage, ProjectCompleted),
)
async def uploaded(project_id: UUID, body: Uploaded, session: Write, caller: Caller) -> list[Image]:
    """Say that files have arrived. Each is checked and sliced; look at its state."""
    images = await service.uploaded(session, project_id, image_ids=body.image_ids, caller=caller)
    return list(images)


@router.get("/projects/{project_id}/images", responses=problems.documented(NotFound))
async def list_images(
    project_id: UUID,
    session: Read,
    caller: Caller,
    after: After,
    limit: Limit = 50,
    state: ImageState | None = None,
    import_id: Annotated[UUID | None, Query()] = None,
) -> PageOut[ImageOut]:
    """A project's images, oldest first."""
    found = await service.list_owned(
        session,
        project_id,
        state=state,
        import_id=import_id,
        caller=caller,
        after=after,
        limit=limit,
    )
    return PageOut(
        items=[ImageOut.model_validate(image) for image in found],
        next=paging.cursor(found, limit),
    )


@router.get("/images/{image_id}", response_model=ImageOut, responses=problems.documented(NotFound))
async def get(image_id: UUID, session: Read, caller: Caller) -> Image:
    """One image, and what became of its file."""
    return await service.get(session, image_id, caller=caller)


@router.get("/images/{image_id}/tiles", responses=problems.documented(NotFound))
async def list_tiles(
    image_id: UUID,
    session: Read,
    caller: Caller,
    settings: Settings,
    store: Store,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=0, le=2**31)] = None,
) -> TilesOut:
    """An image's tiles in reading order, with links to look at them."""
    found = await service.tiles(session, image_id, caller=caller, after=cursor, limit=limit)
    lifetime = settings.download_link_lifetime
    return TilesOut(
        items=[
            TileOut(
                number=tile.number,
                core=(tile.core_left, tile.core_top, tile.core_right, tile.core_bottom),
                window=(tile.window_left, tile.window_top, tile.window_right, tile.window_bottom),
                url=store.presign_get(tile.key, content_type=tile.content_type, expires=lifetime),
                content_type=tile.content_type,
            )
            for tile in found
        ],
        next=found[-1].number if len(found) == limit else None,
    )


@router.post(
    "/projects/{project_id}/imports",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(
        NotFound, Forbidden, LaterStage, ProjectCompleted, NoImportBucket
    ),
    openapi_extra={NEVER_STORED: True},
)
async def create_import(
    project_id: UUID,
    body: NewImport,
    session: Write,
    caller: Caller,
    settings: Settings,
    store: Store,
) -> NewImportOut:
    """Bring in a zip, or everything below a prefix of your import bucket."""
    made = await service.create_import(
        session, project_id, source=body.source, prefix=body.prefix, caller=caller
    )
    await session.refresh(made)
    put_url = None
    if body.source is ImportSource.ZIP:
        put_url = store.presign_put(
            keys.import_file(project_id, made.id),
            content_type=ZIP,
            expires=settings.upload_link_lifetime,
        )
    return NewImportOut(**dict(ImportOut.model_validate(made)), put_url=put_url)


@router.post(
    "/imports/{import_id}/uploaded",
    status_code=HTTPStatus.ACCEPTED,
    response_model=ImportOut,
    responses=problems.documented(NotFound, Forbidden),
)
async def import_uploaded(import_id: UUID, session: Write, caller: Caller) -> Import:
    """Say that an import's zip has arrived."""
    return await service.import_uploaded(session, import_id, caller=caller)


@router.get(
    "/imports/{import_id}", response_model=ImportOut, responses=problems.documented(NotFound)
)
async def get_import(import_id: UUID, session: Read, caller: Caller) -> Import:
    """How far an import is; its images tell what became of each file that was not skipped."""
    return await service.get_import(session, import_id, caller=caller)
