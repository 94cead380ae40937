"""Predictions: what a model, or somebody before, has said of images, for people to look at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.images.errors import ProjectCompleted
from tessera.kinds import LabelSchema, Question, parsed, shown
from tessera.kinds.subjects import kind_under
from tessera.projects import service as projects
from tessera.projects.models import Project, ProjectState
from tessera.quality import known
from tessera.quality.errors import TakesNoPredictions, TooManyPredictions
from tessera.quality.known import Listed, Row
from tessera.quality.planting import as_drawn
from tessera.quality.views import Place, Seen, most_of, seen_on_tiles


@dataclass(frozen=True)
class Predicted:
    """What an import made of one image."""

    file_name: str
    tasks: int
    """That are about its predictions now."""
    gold_tasks: int
    """Left as they are: of those it is known what is right, and so what to show."""
    launched_tasks: int
    """Left as they are: people may have answered them already."""
    untold_tiles: int
    """Of which the predictions say nothing, or nothing that an earner could have."""


async def bring_in(
    session: AsyncSession, project_id: UUID, *, source: Listed, caller: Caller
) -> Sequence[Predicted]:
    """Have each tile of some images asked about: is what is predicted there right? All or nothing.

    Brought in again, an image's tasks that wait are about the last predictions.

    Raises:
        TakesNoPredictions: The project asks something else.
        ProjectCompleted: Nobody is asked in it any more.
        InvalidAnswer: An object makes no sense; says where.
        UnknownImage: Images are not there, or not sliced yet.
        TooManyPredictions: It is too much at a time.
        Unavailable: Too many bring in something at the moment.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    refuse_others(project)
    async with known.seat():
        with known.told_as(TooManyPredictions):
            there, rows = await _read(session, project, source)
    project = await projects.owned(
        session, project_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True
    )
    refuse_others(project)
    taken = await put(session, project.id, rows)
    untold = {each.task_id for each in rows if each.subject is None}
    return [_told(name, there[name], taken, untold) for name in sorted(there)]


def refuse_others(project: Project) -> None:
    """Only a project that verifies, and follows none, takes predictions.

    Raises:
        TakesNoPredictions, ProjectCompleted: This one does not.
    """
    if project.kind != "verify":
        raise TakesNoPredictions(
            "Predictions are for projects of the kind verify: what is known to be right is gold.",
            kind=project.kind,
        )
    if project.follows_id is not None:
        raise TakesNoPredictions("This project verifies what the stage before it comes to.")
    if project.state is ProjectState.COMPLETED:
        raise ProjectCompleted("This project is completed: nobody is asked any more.")


async def _read(
    session: AsyncSession, project: Project, source: Listed
) -> tuple[dict[str, list[Place]], list[Row]]:
    """The tiles by image, and what is predicted of them."""
    schema = parsed(project.label_schema)
    found = await known.all_of(session, project, known.distinct(source))
    said = await known.aside(known.listed, project.kind, schema, source, found)
    there = await known.places_of_all(session, project, found)
    most = most_of(project.kind)
    seen = await known.aside(seen_on_tiles, project.kind, schema, said, there, most=most)
    return there, await known.aside(cut, schema, seen)


def cut(schema: LabelSchema, seen: Iterable[Seen]) -> list[Row]:
    """What is predicted of the tiles of tasks that wait, as an earner would have sent it.

    Gold is left out: of that it is known what is right, and so what to show.
    """
    kind, of = kind_under(schema), shown("verify", schema)[1]
    rows = []
    for each in seen:
        if not each.place.is_gold:
            label = as_drawn(kind, each.objects, Question(of, each.place.frame))
            rows.append(Row.of(each.place, subject=None if label is None else {"label": label}))
    return rows


async def put(session: AsyncSession, project_id: UUID, rows: Sequence[Row]) -> set[UUID]:
    """Have tasks that wait be about these, made where missing; the project is locked.

    Returns:
        Those that are.
    """
    await known.make(session, project_id, [each for each in rows if each.subject is not None])
    return await known.show(session, project_id, rows, gold=False)


def _told(name: str, places: Sequence[Place], taken: set[UUID], untold: set[UUID]) -> Predicted:
    left = [each for each in places if each.task_id not in taken | untold]
    gold = sum(each.is_gold and each.waits for each in left)
    return Predicted(
        name,
        tasks=sum(each.task_id in taken for each in places),
        gold_tasks=gold,
        launched_tasks=len(left) - gold,
        untold_tiles=sum(each.task_id in untold for each in places),
    )
