"""Known answers by the ten thousand: what one import may hold, and whom it keeps waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import event, insert, text

from tessera.accounts import service
from tessera.assignment import launch as launching
from tessera.images.models import Image, ImageState, Tile
from tessera.images.policy import SlicePolicy
from tessera.kernel import db
from tessera.kernel.errors import Unavailable
from tessera.kinds import Window
from tessera.quality import gold_import
from tessera.quality.errors import UnknownClass
from tessera.quality.known import MOST_TILES
from tessera.quality.views import MOST_SEEN
from tests.quality.court import CAT, Court, coco, court
from tests.quality.test_gold import expected
from tests.waiting import until_locks_are_waited_for
from tests.world import BOX_SCHEMA, World

SIDE = 12_000


async def mosaic(
    world: World, side: int = SIDE, *, beside: Court | None = None, **cut: Any
) -> Court:
    """A box project with one large square image, as if it had been sliced."""
    here = await court(world, beside=beside, kind="box", label_schema=BOX_SCHEMA)
    project_id, image_id = UUID(here.project["id"]), uuid4()
    image = {"id": image_id, "project_id": project_id, "name": "a.tif", "state": ImageState.READY}
    tiles = [
        {
            "id": uuid4(),
            "project_id": project_id,
            "image_id": image_id,
            "number": each.index,
            **{f"core_{edge}": place for edge, place in each.core._asdict().items()},
            **{f"window_{edge}": place for edge, place in each.window._asdict().items()},
            "key": f"tiles/{image_id}/{each.index}",
            "content_type": "image/jpeg",
            "bytes": 1000,
        }
        for each in SlicePolicy(**cut).boxes(side, side)
    ]
    async with db.transaction(world.sessions) as session:
        await session.execute(insert(Image).values(**image, width=side, height=side))
        await session.execute(insert(Tile), tiles)
        await launching.make_tasks(session, project_id=project_id, image_id=image_id)
    return here


def coins(count: int, side: int = SIDE, size: float = 40) -> dict[str, Any]:
    """So many coins all over the image."""
    corners = np.random.default_rng(1).integers(0, side - int(size), (count, 2)).tolist()
    return {
        "images": [{"id": 1, "file_name": "a.tif", "width": side, "height": side}],
        "categories": [{"id": 9, "name": "coin"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 9, "bbox": [x, y, size, size]}
            for i, (x, y) in enumerate(corners)
        ],
    }


async def bring(here: Court, known: dict[str, Any]) -> Any:
    """Import, without HTTP around it."""
    async with db.transaction(here.world.sessions) as session:
        caller = await service.caller_of(session, here.operator.token)
        return await gold_import.import_gold(
            session, UUID(here.project["id"]), source=gold_import.Coco(known), caller=caller
        )


@asynccontextmanager
async def silences() -> AsyncIterator[list[float]]:
    """How long everybody else had to wait for their turn, each time; seconds."""
    seen: list[float] = []

    async def beat() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            seen.append(time.perf_counter() - before)

    beating = asyncio.create_task(beat())
    yield seen
    beating.cancel()


@contextmanager
def statements(sessions: db.Sessions) -> Iterator[list[str]]:
    engine, sent = sessions.kw["bind"].sync_engine, list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def in_tables(world: World) -> dict[str, int]:
    async with db.reading(world.sessions) as reader:
        row = await reader.execute(
            text(
                "SELECT count(*) AS gold,"
                " sum(jsonb_array_length(expected -> 'objects')) AS objects,"
                " (SELECT count(*) FROM tasks WHERE is_gold AND label IS NOT NULL) AS tasks"
                " FROM gold"
            )
        )
        return dict(row.mappings().one())


@pytest.mark.long
async def test_thousands_of_objects_on_hundreds_of_tiles_hold_up_nobody(world: World) -> None:
    here, known = await mosaic(world), coins(30_000)
    async with silences() as seen:
        (taken,) = await bring(here, known)
    assert max(seen) < 3, "looking at each object for each tile takes 20 s"
    there = await in_tables(world)
    assert there["gold"] == there["tasks"] == taken.gold_tasks == 27**2
    assert 30_000 < there["objects"] < 2 * 30_000, "those in margins twice"


async def test_many_images_take_as_few_statements_as_one(world: World) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    here = await court(world, *names)
    counts = []
    for some in (names[:1], names):
        with statements(world.sessions) as sent:
            taken = await bring(here, coco(some))
        assert sum(each.gold_tasks for each in taken) == len(some)
        counts.append(len(sent))
    assert counts[0] == counts[1] < 15
    assert len(await expected(world)) == len(names)


@pytest.mark.long
async def test_more_than_one_import_may_hold_is_refused_and_changes_nothing(world: World) -> None:
    here = await mosaic(world)
    everywhere = coins(500, size=SIDE - 1)
    crowd = coins(501)
    for each in crowd["annotations"]:
        each["bbox"] = [10, 10, 20, 20]
    finely_cut = await mosaic(world, 512, beside=here)
    await cut_again(finely_cut, MOST_TILES)
    cases = [
        (here, everywhere, MOST_SEEN),
        (here, crowd, 500),
        (finely_cut, coins(1, 512), MOST_TILES),
    ]
    for there, known, most in cases:
        got = await there.operator.post(f"{there.path}/gold", {"coco": known}, status=422)
        assert got["code"] == "too-much-gold"
        assert most in (got.get("most_objects"), got.get("most_tiles"))
    assert (await in_tables(world))["gold"] == 0


@pytest.mark.long
async def test_of_many_imports_at_once_some_are_asked_to_come_again(world: World) -> None:
    here = await mosaic(world)
    known = coins(5_000)
    got = await asyncio.gather(*(bring(here, known) for _ in range(9)), return_exceptions=True)
    refused = [each for each in got if isinstance(each, Unavailable)]
    taken = [each for each in got if not isinstance(each, BaseException)]
    assert len(refused) + len(taken) == 9
    assert 1 <= len(taken) < 9
    assert (await in_tables(world))["gold"] == 27**2
    (again,) = await bring(here, known)
    assert again.gold_tasks == 27**2


async def cut_again(here: Court, times: int) -> None:
    """Add copies of the only tile of a project, with their tasks."""
    edges = ", ".join(f"{part}_{edge}" for part in ("core", "window") for edge in Window._fields)
    names = f"project_id, image_id, {edges}, key, content_type, bytes"
    project_id = UUID(here.project["id"])
    async with db.transaction(here.world.sessions) as session:
        image_id = await session.scalar(
            text(
                f"INSERT INTO tiles (id, number, {names})"
                f" SELECT gen_random_uuid(), n, {names} FROM tiles, generate_series(1, :times) AS n"
                " WHERE project_id = :project_id RETURNING image_id"
            ),
            {"times": times, "project_id": project_id},
        )
        await launching.make_tasks(session, project_id=project_id, image_id=image_id)


async def test_a_bad_file_is_refused_though_somebody_holds_the_project(world: World) -> None:
    here = await court(world, "a.jpg")
    async with db.transaction(world.sessions) as session:
        await session.execute(text("SELECT id FROM projects FOR UPDATE"))
        with pytest.raises(UnknownClass):
            await bring(here, coco(["a.jpg"], "unicorn"))


async def test_what_is_launched_while_a_file_is_read_stays_what_it_was(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg")
    async with db.transaction(world.sessions) as session:
        await session.execute(text("SELECT id FROM projects FOR UPDATE"))
        importing = asyncio.create_task(bring(here, coco(["a.jpg", "b.jpg"])))
        await until_locks_are_waited_for(world.sessions)
        await session.execute(
            text(
                "UPDATE tasks SET state = 'open' FROM tiles JOIN images ON images.id = image_id"
                " WHERE tiles.id = tile_id AND images.name = 'a.jpg'"
            )
        )
    first, second = await importing
    assert (first.gold_tasks, first.launched_tasks) == (0, 1)
    assert (second.gold_tasks, second.launched_tasks) == (1, 0)
    assert await expected(world) == {"b.jpg 0": CAT}
