"""Images from the operator's side: announcing uploads, declaring them done, looking at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Organisation
from tessera.accounts.roles import Caller, Right
from tessera.formats.names import LONGEST_NAME, is_plain_name
from tessera.images.errors import (
    BadImageName,
    ImageNameTaken,
    LaterStage,
    NoImportBucket,
    ProjectCompleted,
    UnsupportedContentType,
)
from tessera.images.models import (
    Image,
    ImageState,
    Import,
    ImportSource,
    ImportState,
    Tile,
)
from tessera.kernel import jobs
from tessera.kernel.errors import DomainError, NotFound
from tessera.kernel.paging import After
from tessera.projects import service as projects
from tessera.projects.errors import NotEditable
from tessera.projects.models import Project, ProjectState

CONTENT_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/tiff"})
_FATE = (
    "import_id", "source_key", "reason_code", "reason", "sha256", "bytes", "width", "height",
    "orientation", "georeference", "duplicate_of", "thumbnail_key",
)  # fmt: skip
"""What an earlier upload under the same name left in the row."""


@dataclass(frozen=True)
class File:
    """A file an operator wants to upload."""

    name: str
    content_type: str
    bytes: int | None = None
    """If said, the upload link takes exactly so many."""


@dataclass(frozen=True)
class Registered:
    """What became of one announced file: an image to upload, or why not."""

    file: File
    image: Image | None
    refusal: DomainError | None = None


async def register(
    session: AsyncSession, project_id: UUID, *, files: Sequence[File], caller: Caller
) -> Sequence[Registered]:
    """Make room for files.

    Announcing a name again gives the same image, as long as its upload was not declared done; an
    image that was refused can be uploaded again.
    """
    project = await _project(session, project_id, caller)
    wanted = {file.name: file for file in files if _unusable(file) is None}
    open_to_uploads = await _make_room(session, project.id, list(wanted.values()))
    return [_registered(file, open_to_uploads) for file in files]


def _unusable(file: File) -> DomainError | None:
    if not is_plain_name(file.name):
        return BadImageName(
            f"A name has at most {LONGEST_NAME} characters, no control character and no "
            "backslash; it may name folders, but it does not begin with “/” or a drive, nor has "
            "it “.”, “..” or nothing for a folder."
        )
    if file.content_type not in CONTENT_TYPES:
        accepted = ", ".join(sorted(CONTENT_TYPES))
        return UnsupportedContentType(f"{file.content_type} is none of {accepted}.")
    return None


async def _make_room(
    session: AsyncSession, project_id: UUID, files: Sequence[File]
) -> dict[str, Image]:
    if not files:
        return {}
    new = insert(Image).values(
        [
            {
                "project_id": project_id,
                "name": file.name,
                "content_type": file.content_type,
                "state": ImageState.REGISTERED,
            }
            # in one order, so that two calls with the same names queue up instead of deadlocking
            for file in sorted(files, key=lambda file: file.name)
        ]
    )
    announced = (Image.state == ImageState.REGISTERED) & Image.import_id.is_(None)
    images = await session.scalars(
        new.on_conflict_do_update(
            index_elements=[Image.project_id, Image.name],
            set_={
                "content_type": new.excluded.content_type,
                "state": ImageState.REGISTERED,
                **dict.fromkeys(_FATE),
            },
            where=announced | (Image.state == ImageState.REFUSED),
        ).returning(Image),
        execution_options={"populate_existing": True},
    )
    return {image.name: image for image in images}


def _registered(file: File, open_to_uploads: Mapping[str, Image]) -> Registered:
    refusal = _unusable(file)
    if refusal is not None:
        return Registered(file, None, refusal)
    image = open_to_uploads.get(file.name)
    if image is None:
        taken = ImageNameTaken("This project has an image of that name already.")
        return Registered(file, None, taken)
    return Registered(file, image)


async def uploaded(
    session: AsyncSession, project_id: UUID, *, image_ids: Sequence[UUID], caller: Caller
) -> Sequence[Image]:
    """Declare uploads done; each is then checked and sliced by a job.

    Images of an import are left as they are: only the import knows when their files are there.

    Returns:
        The images named, in whatever state they are; saying it twice does nothing twice.

    Raises:
        NotFound: One of them is no image of this project; none is taken then.
    """
    await _project(session, project_id, caller)
    named = (
        select(Image)
        .where(Image.project_id == project_id, Image.id.in_(image_ids))
        .order_by(Image.name)
        .execution_options(populate_existing=True)
    )
    images = (await session.scalars(named)).all()
    if len(images) < len(set(image_ids)):
        raise NotFound("One of these images does not exist.")
    await check(session, project_id, [each.id for each in images if each.import_id is None])
    return (await session.scalars(named)).all()


async def check(session: AsyncSession, project_id: UUID, image_ids: Sequence[UUID]) -> None:
    """Have images whose files have arrived checked and sliced."""
    arrived = await session.scalars(
        update(Image)
        .where(
            Image.project_id == project_id,
            Image.id.in_(image_ids),
            Image.state == ImageState.REGISTERED,
        )
        .values(state=ImageState.CHECKING)
        .returning(Image.id)
        .execution_options(synchronize_session=False)
    )
    await jobs.enqueue_many(
        session, "images.ingest", [{"image_id": str(image_id)} for image_id in arrived]
    )


async def list_owned(
    session: AsyncSession,
    project_id: UUID,
    *,
    state: ImageState | None,
    import_id: UUID | None,
    caller: Caller,
    after: After | None,
    limit: int,
) -> Sequence[Image]:
    """A project's images, oldest first; of a later stage, those of the first."""
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    theirs = select(Image).where(Image.project_id == project.images_of)
    if state is not None:
        theirs = theirs.where(Image.state == state)
    if import_id is not None:
        theirs = theirs.where(Image.import_id == import_id)
    if after is not None:
        theirs = theirs.where(tuple_(Image.created_at, Image.id) > after)
    return (await session.scalars(theirs.order_by(Image.created_at, Image.id).limit(limit))).all()


async def get(session: AsyncSession, image_id: UUID, *, caller: Caller) -> Image:
    image = await session.get(Image, image_id)
    if image is None:
        raise NotFound("There is no such thing here.")
    await projects.owned(session, image.project_id, caller=caller, right=Right.PROJECTS_READ)
    return image


async def tiles(
    session: AsyncSession, image_id: UUID, *, caller: Caller, after: int | None, limit: int
) -> Sequence[Tile]:
    """An image's tiles in reading order, from behind number `after` on."""
    await get(session, image_id, caller=caller)
    cut = select(Tile).where(Tile.image_id == image_id, Tile.number >= 0)
    if after is not None:
        cut = cut.where(Tile.number > after)
    return (await session.scalars(cut.order_by(Tile.number).limit(limit))).all()


async def create_import(
    session: AsyncSession, project_id: UUID, *, source: ImportSource, prefix: str, caller: Caller
) -> Import:
    """Begin to bring in many images: all below a prefix of the import bucket, or from a zip.

    Raises:
        NoImportBucket: The organisation has none; whoever runs this server can set it.
    """
    project = await _project(session, project_id, caller)
    if source is ImportSource.PREFIX:
        organisation = await session.get_one(Organisation, project.organisation_id)
        if organisation.import_bucket is None:
            raise NoImportBucket("Your organisation has no bucket to import from.")
    made = Import(
        project_id=project.id, source=source, prefix=prefix, reason_code=None, reason=None
    )
    session.add(made)
    await session.flush()
    if source is ImportSource.PREFIX:
        await _start(session, made)
    return made


async def import_uploaded(session: AsyncSession, import_id: UUID, *, caller: Caller) -> Import:
    """Declare the upload of an import's zip done."""
    made = await get_import(session, import_id, caller=caller, right=Right.PROJECTS_WRITE)
    registered = (Import.id == import_id) & (Import.state == ImportState.REGISTERED)
    first = update(Import).where(registered).values(state=ImportState.RUNNING)
    if await session.scalar(first.returning(Import.id)) is not None:  # of two calls at once, one
        await _start(session, made)
    await session.refresh(made)
    return made


async def get_import(
    session: AsyncSession, import_id: UUID, *, caller: Caller, right: Right = Right.PROJECTS_READ
) -> Import:
    made = await session.get(Import, import_id)
    if made is None:
        raise NotFound("There is no such thing here.")
    await projects.owned(session, made.project_id, caller=caller, right=right)
    return made


async def refuse_another_cut(session: AsyncSession, project_id: UUID) -> None:
    """Called when a project's slicing has changed.

    Raises:
        NotEditable: There are images already, which may have been cut by the old one.
    """
    if await session.scalar(select(Image.id).where(Image.project_id == project_id).limit(1)):
        raise NotEditable("The project has images already, cut by this.", fields=["slicing"])


async def counts(session: AsyncSession, project_id: UUID) -> dict[str, int]:
    """Images of a project by state."""
    rows = await session.execute(
        select(Image.state, func.count())
        .where(Image.project_id == project_id)
        .group_by(Image.state)
    )
    return {state.value: count for state, count in rows}


async def _start(session: AsyncSession, made: Import) -> None:
    made.state = ImportState.RUNNING
    await session.flush()
    await jobs.enqueue(session, "images.import", payload={"import_id": str(made.id)})


async def _project(session: AsyncSession, project_id: UUID, caller: Caller) -> Project:
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    if project.state is ProjectState.COMPLETED:
        raise ProjectCompleted("This project is completed and takes no more images.")
    if project.follows_id is not None:
        raise LaterStage(
            "This project is a later stage of a chain: bring images to the first one.",
            project_id=str(project.images_of),
        )
    return project
