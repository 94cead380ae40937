"""Files of annotations of any size, as gold or as predictions: announced, sent, and then read.

A job reads them (`import_job`); here is what an operator asks and sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.formats import format_of
from tessera.images.errors import ProjectCompleted
from tessera.kernel import jobs
from tessera.kernel.errors import NotFound
from tessera.kinds import parsed, shown
from tessera.projects import service as projects
from tessera.projects.models import Project, ProjectState
from tessera.quality import predictions
from tessera.quality.errors import NotReadable
from tessera.quality.models import AnnotationImport, AnnotationImportState, ImportLine, Purpose
from tessera.quality.reading import source_of


@dataclass(frozen=True)
class Announced:
    """A file that an operator has."""

    purpose: Purpose
    format: str
    size: int
    """Bytes."""
    sha256: str | None
    partial: bool


async def create(
    session: AsyncSession, project_id: UUID, *, file: Announced, caller: Caller
) -> AnnotationImport:
    """Begin to bring in a file.

    Raises:
        UnknownFormat, NotReadable: No such file can be read for this project.
        TakesNoPredictions, ProjectCompleted: The project does not take it.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    refuse_unfit(project, file.purpose)
    kind, _ = shown(project.kind, parsed(project.label_schema))
    found = format_of(file.format)
    if source_of(file.format) is None:
        raise NotReadable(f"The format {file.format} is only written.")
    if kind not in found.KINDS:
        raise NotReadable(f"The format {file.format} has no place for {kind}.", kind=kind)
    made = AnnotationImport(
        project_id=project.id,
        created_by=caller.person_id,
        purpose=file.purpose,
        format=file.format,
        size=file.size,
        sha256=file.sha256,
        partial=file.partial,
        reason_code=None,
        reason=None,
        finished_at=None,
    )
    session.add(made)
    await session.flush()
    return made


def refuse_unfit(project: Project, purpose: Purpose) -> None:
    """Refuse what a project takes nothing of.

    Raises:
        TakesNoPredictions, ProjectCompleted: Says why.
    """
    if purpose is Purpose.PREDICTIONS:
        predictions.refuse_others(project)
    elif project.state is ProjectState.COMPLETED:
        raise ProjectCompleted("This project is completed: nobody is asked any more.")


async def uploaded(session: AsyncSession, import_id: UUID, *, caller: Caller) -> AnnotationImport:
    """Declare the upload of an import's file done."""
    made = await get(session, import_id, caller=caller, right=Right.PROJECTS_WRITE)
    first = (
        update(AnnotationImport)
        .where(
            AnnotationImport.id == import_id,
            AnnotationImport.state == AnnotationImportState.REGISTERED,
        )
        .values(state=AnnotationImportState.RUNNING)
        .returning(AnnotationImport.id)
    )
    if await session.scalar(first) is not None:  # of two calls at once, one
        await jobs.enqueue(
            session, "quality.import_annotations", payload={"import_id": str(import_id)}
        )
    await session.refresh(made)
    return made


async def get(
    session: AsyncSession, import_id: UUID, *, caller: Caller, right: Right = Right.PROJECTS_READ
) -> AnnotationImport:
    made = await session.get(AnnotationImport, import_id)
    if made is None:
        raise NotFound("There is no such thing here.")
    await projects.owned(session, made.project_id, caller=caller, right=right)
    return made


async def report(
    session: AsyncSession, made: AnnotationImport, *, after: int | None, limit: int
) -> Sequence[ImportLine]:
    """What became of records and images, from behind line `after` on."""
    lines = select(ImportLine).where(ImportLine.import_id == made.id)
    if after is not None:
        lines = lines.where(ImportLine.number > after)
    return (await session.scalars(lines.order_by(ImportLine.number).limit(limit))).all()
