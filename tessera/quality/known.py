"""What is known of images, cut to the tiles that show it: for gold and for predictions alike.

All of it is looked up and cut without a lock. Where tasks come of what is known (verifying), or of
an earlier stage of a chain, a tile may have none yet: then the import makes it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, ParamSpec, TypeVar
from uuid import UUID, uuid4

import orjson
from sqlalchemy import ColumnElement, String, Uuid, any_, exists, literal, null, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Task, TaskState
from tessera.formats.protocol import Known
from tessera.images.models import Image, ImageState, Tile
from tessera.kernel.errors import Unavailable
from tessera.kinds import (
    InvalidAnswer,
    LabelSchema,
    Question,
    Size,
    TileFrame,
    Window,
    fields,
    kind_of,
)
from tessera.projects.models import Project
from tessera.quality.errors import TooMuch, UnknownImage
from tessera.quality.views import Place

MOST_TILES = 20_000
"""Of one call."""

P = ParamSpec("P")
T = TypeVar("T")

# each keeps a connection while the one thread gets to it: a flood must not take all there are,
# nor last until Postgres gives up on an idle transaction
_seats = asyncio.Semaphore(2)
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="known")


@dataclass(frozen=True)
class Listed:
    """Objects by the name of their image, in image pixels, each as in an answer of the kind."""

    images: Sequence[tuple[str, Sequence[object]]]


class Found(NamedTuple):
    """An image of the project that is ready."""

    id: UUID
    size: Size
    tiles: int


class Row(NamedTuple):
    """What is to be written of a task that waits, or is to be made; JSON."""

    task_id: UUID
    tile_id: UUID
    is_new: bool
    expected: str | None
    """The right answer, if it is known."""
    subject: str | None
    """What it is to be about, if that is to change."""

    @staticmethod
    def of(place: Place, *, expected: object = None, subject: object = None) -> "Row":
        told = (
            None if each is None else orjson.dumps(each).decode() for each in (expected, subject)
        )
        return Row(place.task_id, place.tile_id, place.is_new, *told)


@contextmanager
def told_as(refusal: type[TooMuch]) -> Iterator[None]:
    """Have what is too much refused in other words."""
    try:
        yield
    except TooMuch as error:
        raise refusal(error.detail, **error.facts) from error


@asynccontextmanager
async def seat() -> AsyncIterator[None]:
    """One of the few who bring in something at a time.

    Raises:
        Unavailable: Too many do at the moment.
    """
    if _seats.locked():
        raise Unavailable("Others are bringing in annotations right now; try again soon.")
    async with _seats:
        yield


async def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what takes its time in the one thread that there is for it."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread, lambda: function(*args, **kwargs))


def makes_tasks(project: Project) -> bool:
    """Whether tiles have no tasks of themselves."""
    return project.kind == "verify" or project.follows_id is not None


def distinct(source: Listed) -> list[str]:
    """The names of the images, each once.

    Raises:
        InvalidAnswer: One is there twice.
    """
    names = [name for name, _ in source.images]
    fields.distinct(names, "images", "file_name", InvalidAnswer)
    return names


def listed(
    kind_name: str, schema: LabelSchema, source: Listed, found: Mapping[str, Found]
) -> list[Known]:
    """What a body says, in canonical form; `confidence` is left out.

    Raises:
        InvalidAnswer: Says where and why.
    """
    kind, known = kind_of(kind_name), []
    for number, (name, objects) in enumerate(source.images):
        at, size = f"images[{number}]", found[name].size
        whole = Window(0, 0, *size)
        question = Question(schema, TileFrame(whole, whole, size))
        bare = [
            {key: value for key, value in each.items() if key != "confidence"}
            if isinstance(each, dict)
            else each
            for each in objects
        ]
        read = [kind.known(each, f"{at}.objects[{i}]", question) for i, each in enumerate(bare)]
        known.append(Known(at, name, read, size))
    return known


async def images(session: AsyncSession, project: Project, names: Sequence[str]) -> dict[str, Found]:
    """Those of some images, by name, of which the tiles can be asked about."""
    last = (
        select(Tile.number)
        .where(Tile.image_id == Image.id)
        .order_by(Tile.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(Image.name, Image.id, Image.width, Image.height, last).where(
            Image.project_id == project.images_of,
            Image.name == any_(literal(names, ARRAY(String))),
            Image.state == ImageState.READY if makes_tasks(project) else _has_tasks(project),
        )
    )
    return {
        name: Found(id_, Size(width or 0, height or 0), 1 + (number or 0))
        for name, id_, width, height, number in rows
    }


async def all_of(session: AsyncSession, project: Project, names: Sequence[str]) -> dict[str, Found]:
    """The same, where each name must be one of them.

    Raises:
        UnknownImage: Some are not.
    """
    found = await images(session, project, names)
    if missing := sorted(set(names) - found.keys()):
        raise UnknownImage(
            "The file names images that this project does not have, or has not sliced yet.",
            images=missing[:20],
            count=len(missing),
        )
    return found


def _has_tasks(project: Project) -> ColumnElement[bool]:
    # an image has all its tasks at once: a look at its first tile does for all
    return exists().where(
        Tile.image_id == Image.id,
        Tile.number == 0,
        Task.project_id == project.id,
        Task.tile_id == Tile.id,
    )


async def places(
    session: AsyncSession,
    project: Project,
    found: Mapping[str, Found],
    *,
    numbers: range,
    most: int,
) -> dict[str, list[Place]]:
    """The tiles of some images with a number in a range, by the image's name.

    Args:
        most: Tiles to fetch; one more than may be tells that there are too many.
    """
    window = (Tile.window_left, Tile.window_top, Tile.window_right, Tile.window_bottom)
    core = (Tile.core_left, Tile.core_top, Tile.core_right, Tile.core_bottom)
    # just sliced, tables look empty to the planner: of each tile it would read the whole project
    await session.execute(_LOOPS, {"how": "off"})
    rows = await session.execute(
        select(
            Tile.image_id,
            Tile.id,
            Task.id,
            Task.state,
            Task.is_gold,
            Task.subject if project.kind == "verify" else null(),
            *window,
            *core,
        )
        .join(
            Task,
            (Task.project_id == project.id) & (Task.tile_id == Tile.id),
            isouter=makes_tasks(project),
        )
        .where(
            Tile.image_id == any_(literal([each.id for each in found.values()], ARRAY(Uuid))),
            Tile.number.between(numbers.start, numbers.stop - 1),
        )
        .limit(most)
    )
    await session.execute(_LOOPS, {"how": "on"})
    by_id = {each.id: name for name, each in found.items()}
    there: dict[str, list[Place]] = {name: [] for name in found}
    for image_id, tile_id, task_id, state, is_gold, subject, *edges in rows:
        name = by_id[image_id]
        frame = TileFrame(Window(*edges[:4]), Window(*edges[4:]), found[name].size)
        waits, new = state in {None, TaskState.WAITING}, task_id is None
        there[name].append(
            Place(tile_id, task_id or uuid4(), new, waits, bool(is_gold), frame, subject)
        )
    return there


async def places_of_all(
    session: AsyncSession, project: Project, found: Mapping[str, Found]
) -> dict[str, list[Place]]:
    """All tiles of some images.

    Raises:
        TooMuch: They are too many.
    """
    every = range(max((each.tiles for each in found.values()), default=0))
    there = await places(session, project, found, numbers=every, most=MOST_TILES + 1)
    if sum(map(len, there.values())) > MOST_TILES:
        raise TooMuch(
            f"The images of one import have at most {MOST_TILES:,} tiles together: "
            "bring in a part of them at a time.",
            most_tiles=MOST_TILES,
        )
    return there


_LOOPS = text("SELECT set_config('enable_nestloop', :how, true)")
_MAKE = text(
    """
    INSERT INTO tasks (project_id, id, tile_id, state, is_gold, places, places_used)
    SELECT :project_id, id, tile_id, 'waiting', false, 0, 0
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tile_ids AS uuid[])) AS new (id, tile_id)
    ON CONFLICT (project_id, tile_id, pair) DO NOTHING
    """
)
_SHOW = text(
    """
    UPDATE tasks SET subject = CAST(new.subject AS jsonb)
    FROM unnest(CAST(:task_ids AS uuid[]), CAST(:subjects AS text[])) AS new (id, subject)
    WHERE tasks.project_id = :project_id AND tasks.id = new.id AND tasks.state = 'waiting'
      AND tasks.is_gold = :gold
    RETURNING tasks.id
    """
)


async def make(session: AsyncSession, project_id: UUID, made: Iterable[Row]) -> None:
    """Tasks for the tiles that have none; where one has come meanwhile, it stays."""
    new = [each for each in made if each.is_new]
    if new:
        ids = {"ids": [each.task_id for each in new], "tile_ids": [each.tile_id for each in new]}
        await session.execute(_MAKE, {"project_id": project_id, **ids})


async def show(
    session: AsyncSession, project_id: UUID, rows: Iterable[Row], *, gold: bool
) -> set[UUID]:
    """Have tasks that wait be about something else, if it is to change; tells which are now."""
    subjects = {each.task_id: each.subject for each in rows if each.subject is not None}
    if not subjects:
        return set()
    shown_ = await session.scalars(
        _SHOW,
        {
            "project_id": project_id,
            "task_ids": list(subjects),
            "subjects": list(subjects.values()),
            "gold": gold,
        },
    )
    return set(shown_)
