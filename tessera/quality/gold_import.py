"""Gold from a file: read and cut to tiles without a lock, written in a few statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.formats.protocol import Known
from tessera.kinds import LabelSchema, kind_of, parsed
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import from_coco, known
from tessera.quality.errors import TooMuchGold
from tessera.quality.known import Found, Listed, Row
from tessera.quality.models import GoldSource
from tessera.quality.planting import plain, watched
from tessera.quality.views import Place, Seen, most_of, seen_on_tiles

__all__ = ["Coco", "Listed", "Taken", "import_gold"]

_WAITING = text(
    """
    SELECT id FROM tasks
    WHERE project_id = :project_id AND id = any(CAST(:task_ids AS uuid[])) AND state = 'waiting'
    """
)
_FORGET = text(
    "DELETE FROM gold WHERE project_id = :project_id AND task_id = any(CAST(:task_ids AS uuid[]))"
)
_NOTE = text(
    """
    INSERT INTO gold (project_id, task_id, expected, source, created_by)
    SELECT :project_id, task_id, CAST(expected AS jsonb), :source, :created_by
    FROM unnest(CAST(:task_ids AS uuid[]), CAST(:expected AS text[])) AS known (task_id, expected)
    """
)
_MARK = text(
    """
    UPDATE tasks
    SET is_gold = gold.task_id IS NOT NULL, label = gold.expected,
        confidence = CASE WHEN gold.task_id IS NOT NULL THEN 1.0 END
    FROM unnest(CAST(:task_ids AS uuid[])) AS waiting (id)
    LEFT JOIN gold ON gold.project_id = :project_id AND gold.task_id = waiting.id
    WHERE tasks.project_id = :project_id AND tasks.id = waiting.id
      AND (tasks.is_gold OR gold.task_id IS NOT NULL)
    """
)


@dataclass(frozen=True)
class Taken:
    """What an import made of one image."""

    file_name: str
    gold_tasks: int
    launched_tasks: int
    """Left as they are: people may have answered them already."""


@dataclass(frozen=True)
class Coco:
    """A COCO file, decoded."""

    file: object


async def import_gold(
    session: AsyncSession, project_id: UUID, *, source: Coco | Listed, caller: Caller
) -> Sequence[Taken]:
    """Make gold of the tasks of the images that a file knows; all of it or nothing.

    Import before launching: a task that was launched stays what it was. Imported again, an image
    has the answers of the last file.

    Raises:
        BadCoco, UnknownClass, InvalidAnswer: The file cannot be used; says where.
        UnknownImage: It names images that are not there, or not sliced yet.
        TooMuchGold: It is too much for one import.
        Unavailable: Too many imports are being read at the moment.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    async with known.seat():
        with known.told_as(TooMuchGold):
            there, rows = await _read(session, project, source)
    # Locked only now: no launch may open a task between this look at it and our change. A label
    # schema that was edited meanwhile has all the classes that it had.
    await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True)
    waiting, gold = await put(session, project.id, rows, actor_id=caller.person_id)
    return [told(name, there[name], waiting, gold) for name in sorted(there)]


async def _read(
    session: AsyncSession, project: Project, source: Coco | Listed
) -> tuple[dict[str, list[Place]], list[Row]]:
    """The tasks by image, and the right answers."""
    schema = parsed(project.label_schema)
    said, found = await _said(session, project, schema, source)
    there = await known.places_of_all(session, project, found)
    most = most_of(project.kind)
    seen = await known.aside(seen_on_tiles, project.kind, schema, said, there, most=most)
    return there, await known.aside(cut, project.kind, schema, seen)


async def _said(
    session: AsyncSession, project: Project, schema: LabelSchema, source: Coco | Listed
) -> tuple[list[Known], dict[str, Found]]:
    if isinstance(source, Coco):
        said = await known.aside(from_coco.read, source.file, project.kind, schema)
        found = await known.all_of(session, project, [each.name for each in said])
        from_coco.check_sizes(said, {name: each.size for name, each in found.items()})
        return said, found
    found = await known.all_of(session, project, known.distinct(source))
    return await known.aside(known.listed, project.kind, schema, source, found), found


def cut(kind_name: str, schema: LabelSchema, seen: Sequence[Seen]) -> list[Row]:
    """The right answers to tasks that wait, and what those that verify are to be about."""
    if kind_name == "verify":
        cuts = watched(schema, seen)
    else:
        cuts = plain(kind_of(kind_name), schema, seen)
    return [Row.of(place, expected=right, subject=subject) for place, right, subject in cuts]


async def put(
    session: AsyncSession, project_id: UUID, rows: Iterable[Row], *, actor_id: UUID
) -> tuple[set[UUID], set[UUID]]:
    """Of tasks that wait, make those gold that have a known answer, and no others.

    The project is locked.

    Returns:
        Those that wait, and those that are gold now.
    """
    by_id = {each.task_id: each for each in rows}
    told_ = [each for each in by_id.values() if each.expected is not None]
    await known.make(session, project_id, told_)
    found = await session.scalars(_WAITING, {"project_id": project_id, "task_ids": list(by_id)})
    waiting = set(found)
    gold = [each for each in told_ if each.task_id in waiting]
    them = {"project_id": project_id, "task_ids": list(waiting)}
    await session.execute(_FORGET, them)
    await session.execute(
        _NOTE,
        {
            "project_id": project_id,
            "task_ids": [each.task_id for each in gold],
            "expected": [each.expected for each in gold],
            "source": GoldSource.IMPORT.value,
            "created_by": actor_id,
        },
    )
    await session.execute(_MARK, them)
    await known.show(session, project_id, gold, gold=True)
    return waiting, {each.task_id for each in gold}


def told(name: str, places: Sequence[Place], waiting: set[UUID], gold: set[UUID]) -> Taken:
    return Taken(
        name,
        gold_tasks=sum(each.task_id in gold for each in places),
        launched_tasks=sum(not each.is_new and each.task_id not in waiting for each in places),
    )
