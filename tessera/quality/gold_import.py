"""Gold from a file: read and cut to tiles without a lock, written in a few statements."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import String, Uuid, any_, exists, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Task, TaskState
from tessera.images.models import Image, Tile
from tessera.kernel.errors import Unavailable
from tessera.kinds import (
    InvalidAnswer,
    Kind,
    LabelSchema,
    Question,
    Size,
    TileFrame,
    Window,
    fields,
    kind_of,
    parsed,
)
from tessera.kinds.objects import MOST_OBJECTS
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality.coco import Known, read
from tessera.quality.errors import BadCoco, TooMuchGold, UnknownImage
from tessera.quality.models import GoldSource
from tessera.quality.views import Picks, views

FROM_COCO = frozenset({"box", "classify"})
MOST_TILES = 20_000
"""Of one import."""
MOST_SEEN = 250_000
"""Objects of one import, each counted for every tile that shows it; they take some seconds."""

# each keeps a connection while the one thread gets to it: a flood must not take all there are,
# nor last until Postgres gives up on an idle transaction
_seats = asyncio.Semaphore(2)
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gold")

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


class _Place(NamedTuple):
    """A task, and where in its image it is."""

    task_id: UUID
    waits: bool
    frame: TileFrame


@dataclass(frozen=True)
class Coco:
    """A COCO file, decoded."""

    file: object


@dataclass(frozen=True)
class Listed:
    """Objects by the name of their image, in image pixels, each as in an answer of the kind."""

    images: Sequence[tuple[str, Sequence[object]]]


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
    if _seats.locked():
        raise Unavailable("Others are bringing in gold right now; try again soon.")
    async with _seats:
        known, places, expected = await _read(session, project, source)
    # Locked only now: no launch may open a task between this look at it and our change. A label
    # schema that was edited meanwhile has all the classes that it had.
    await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True)
    waiting = await _waiting(session, project.id, list(expected))
    gold = {id_: label for id_ in waiting if (label := expected[id_]) is not None}
    await _replace(session, project.id, waiting, gold, caller.person_id)
    return [
        Taken(
            name,
            gold_tasks=sum(place.task_id in gold for place in places[name]),
            launched_tasks=sum(place.task_id not in waiting for place in places[name]),
        )
        for name in sorted(known)
    ]


async def _read(
    session: AsyncSession, project: Project, source: Coco | Listed
) -> tuple[dict[str, Known], dict[str, list[_Place]], dict[UUID, str | None]]:
    """What a file knows by image, the tasks by image, and the right answers by task."""
    schema, loop = parsed(project.label_schema), asyncio.get_running_loop()
    if isinstance(source, Coco):
        if project.kind not in FROM_COCO:
            raise BadCoco(f"Of {project.kind}, known objects are given as `images`.", at="")
        boxes = project.kind == "box"
        known = await loop.run_in_executor(_thread, lambda: read(source.file, schema, boxes=boxes))
        images, sizes = await _images(session, project.id, list(known))
        _check_sizes(known, sizes)
    else:
        names = [name for name, _ in source.images]
        fields.distinct(names, "images", "file_name", InvalidAnswer)
        images, sizes = await _images(session, project.id, names)
        kind = kind_of(project.kind)
        known = await loop.run_in_executor(_thread, _listed, kind, schema, source, sizes)
    places = await _places(session, project.id, images, known)
    expected = await loop.run_in_executor(_thread, _expected, project.kind, schema, known, places)
    return known, places, expected


def _listed(
    kind: Kind, schema: LabelSchema, source: Listed, sizes: Mapping[str, Size]
) -> dict[str, Known]:
    known = {}
    for number, (name, objects) in enumerate(source.images):
        at, whole = f"images[{number}]", Window(0, 0, *sizes[name])
        question = Question(schema, TileFrame(whole, whole, sizes[name]))
        read_ = [kind.known(each, f"{at}.objects[{i}]", question) for i, each in enumerate(objects)]
        known[name] = Known(at, sizes[name], read_)
    return known


def _check_sizes(known: Mapping[str, Known], sizes: Mapping[str, Size]) -> None:
    for name, (width, height) in sizes.items():
        if (width, height) != known[name].size:
            raise BadCoco(
                f"“{name}” is {width} x {height} pixels, seen upright. Boxes drawn on another "
                "size would be wrong.",
                at=known[name].at,
            )


async def _images(
    session: AsyncSession, project_id: UUID, names: Sequence[str]
) -> tuple[dict[UUID, str], dict[str, Size]]:
    """Names by id, and sizes by name, of the images that a file names."""
    # an image has all its tasks at once: a look at its first tile does for all
    has_tasks = exists().where(
        Tile.image_id == Image.id,
        Tile.number == 0,
        Task.project_id == project_id,
        Task.tile_id == Tile.id,
    )
    rows = await session.execute(
        select(Image.id, Image.name, Image.width, Image.height).where(
            Image.project_id == project_id,
            Image.name == any_(literal(names, ARRAY(String))),
            has_tasks,
        )
    )
    found = {name: (id_, Size(width or 0, height or 0)) for id_, name, width, height in rows}
    if missing := sorted(set(names) - found.keys()):
        raise UnknownImage(
            "The file names images that this project does not have, or has not sliced yet.",
            images=missing[:20],
            count=len(missing),
        )
    by_id = {id_: name for name, (id_, _) in found.items()}
    return by_id, {name: size for name, (_, size) in found.items()}


async def _places(
    session: AsyncSession, project_id: UUID, images: Mapping[UUID, str], known: Mapping[str, Known]
) -> dict[str, list[_Place]]:
    """All tasks of some images, by the image's name."""
    window = (Tile.window_left, Tile.window_top, Tile.window_right, Tile.window_bottom)
    core = (Tile.core_left, Tile.core_top, Tile.core_right, Tile.core_bottom)
    rows = (
        await session.execute(
            select(Tile.image_id, Task.id, Task.state == TaskState.WAITING, *window, *core)
            .join(Tile, Tile.id == Task.tile_id)
            .where(
                Task.project_id == project_id,
                Tile.image_id == any_(literal(list(images), ARRAY(Uuid))),
            )
            .limit(MOST_TILES + 1)
        )
    ).all()
    if len(rows) > MOST_TILES:
        raise TooMuchGold(
            f"The images of one import have at most {MOST_TILES:,} tiles together: "
            "bring in a part of them at a time.",
            most_tiles=MOST_TILES,
        )
    places: dict[str, list[_Place]] = {name: [] for name in known}
    for image_id, task_id, waits, *edges in rows:
        name = images[image_id]
        frame = TileFrame(Window(*edges[:4]), Window(*edges[4:]), known[name].size)
        places[name].append(_Place(task_id, waits, frame))
    return places


def _expected(
    kind_name: str,
    schema: LabelSchema,
    known: Mapping[str, Known],
    places: Mapping[str, Sequence[_Place]],
) -> dict[UUID, str | None]:
    """The right answers to tasks that wait, as JSON; none where the file does not tell it."""
    kind = kind_of(kind_name)
    most = MOST_SEEN if kind_name == "classify" else MOST_OBJECTS
    expected: dict[UUID, str | None] = {}
    for name, place, picks in _seen(kind, schema, known, places, most_on_a_tile=most):
        objects = known[name].objects
        label = kind.to_tile([objects[i] for i in picks], Question(schema, place.frame))
        expected[place.task_id] = None if label is None else orjson.dumps(label).decode()
    return expected


def _seen(
    kind: Kind,
    schema: LabelSchema,
    known: Mapping[str, Known],
    places: Mapping[str, Sequence[_Place]],
    *,
    most_on_a_tile: int,
) -> list[tuple[str, _Place, Picks]]:
    """What each task that waits may show of its image; all of it, for too much is found at once."""
    found: list[tuple[str, _Place, Picks]] = []
    total = 0
    for name, of_image in places.items():
        waiting = [place for place in of_image if place.waits]
        reach = kind.reach(known[name].objects, schema)
        for number, picks in views(reach, [each.frame.window for each in waiting]):
            total += len(picks)
            if len(picks) > most_on_a_tile:
                raise TooMuchGold(
                    f"A tile of “{name}” would show {len(picks):,} objects; an answer has at most "
                    f"{most_on_a_tile:,}.",
                    most_objects=most_on_a_tile,
                )
            if total > MOST_SEEN:
                raise TooMuchGold(
                    f"One import has at most {MOST_SEEN:,} objects, each counted for every tile "
                    "that shows it: bring in a part of the images at a time.",
                    most_objects=MOST_SEEN,
                )
            found.append((name, waiting[number], picks))
    return found


async def _waiting(session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]) -> set[UUID]:
    found = await session.scalars(_WAITING, {"project_id": project_id, "task_ids": task_ids})
    return set(found)


async def _replace(
    session: AsyncSession,
    project_id: UUID,
    task_ids: Collection[UUID],
    gold: Mapping[UUID, str],
    actor_id: UUID,
) -> None:
    """Of some tasks, make those gold that have a known answer, and no others."""
    them = {"project_id": project_id, "task_ids": list(task_ids)}
    await session.execute(_FORGET, them)
    await session.execute(
        _NOTE,
        {
            "project_id": project_id,
            "task_ids": list(gold),
            "expected": list(gold.values()),
            "source": GoldSource.IMPORT.value,
            "created_by": actor_id,
        },
    )
    await session.execute(_MARK, them)
