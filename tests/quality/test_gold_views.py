"""Gold that enough people have seen is shown in another picture; nothing else changes."""

import asyncio
import json
from collections import defaultdict
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import gold_decoys, gold_jobs, gold_views
from tests.client import browser
from tests.quality.shown import ALIKE, Gallery, apart, gallery
from tests.world import World

MIDDLE = {"objects": [{"class": 1, "box": [44, 44, 84, 84]}]}
pytestmark = pytest.mark.usefixtures("gold_first")


async def crowd(here: Gallery, people: int, *, count: int = 4) -> None:
    for _ in range(people):
        await here.work(await here.world.earner(), lambda _: MIDDLE, count=count)


@pytest.mark.long
async def test_gold_that_enough_people_have_seen_gets_another_picture(world: World) -> None:
    here = await gallery(world, gold_exposure=3)
    before = await here.committed()
    ((money,),) = await here.rows("SELECT committed_micro FROM projects")
    for _ in range(3):
        await crowd(here, 4)
        await here.rotate()
    assert await here.committed() == before, "no place was added, and none was lost"
    assert await here.rows("SELECT committed_micro FROM projects") == [(money,)]
    views = await here.rows("SELECT count(*) FROM tasks WHERE is_view")
    assert views[0][0] >= 3
    pictures: dict[Any, dict[Any, Any]] = defaultdict(dict)
    for _, met in here.met:
        if met.is_gold:
            pictures[met.first][met.task_id] = met.seen
    several = [[*each.values()] for each in pictures.values() if len(each) > 1]
    assert several
    for seen in several:
        assert len({each.sha256 for each in seen}) == len(seen)
        for number, one in enumerate(seen):
            assert all(apart(one.hash, other.hash) > ALIKE for other in seen[:number])


async def test_nobody_meets_a_gold_task_twice_in_whatever_picture(world: World) -> None:
    here = await gallery(world, gold_exposure=2, may_flip=True)
    people = [await world.earner() for _ in range(4)]
    for _ in range(4):
        for earner in people:
            await here.work(earner, lambda _: MIDDLE)
        await here.rotate()
    met: dict[int, list[Any]] = defaultdict(list)
    for earner, each in here.met:
        if each.is_gold:
            met[id(earner)].append(each.first)
    assert len(met) == len(people)
    for firsts in met.values():
        assert len(firsts) == len(set(firsts))
    shown = {each.task_id for _, each in here.met if each.is_gold}
    assert len(shown) > len({each.first for _, each in here.met if each.is_gold})


@pytest.mark.long
async def test_who_sees_what_is_there_is_right_on_every_picture(world: World) -> None:
    here = await gallery(world, gold_exposure=2)
    for _ in range(3):
        await crowd(here, 2)
        await here.rotate()
    right = {
        (r.key, r.width): r.expected
        for r in await here.rows(
            "SELECT tiles.key, window_right - window_left AS width, expected FROM gold"
            " JOIN tasks ON tasks.id = gold.task_id JOIN tiles ON tiles.id = tasks.tile_id"
            " WHERE tasks.is_view"
        )
    }
    assert right

    def seen(lease: Any) -> Any:
        """As an earner would draw it who knows what is there; of what is not known, nothing."""
        url = lease["picture"]["url"]
        found = next((each for (key, _), each in right.items() if key in url), None)
        if found is None:
            return MIDDLE
        return {"objects": [each for each in found["objects"] if not each.get("optional")]}

    knowing = await world.earner()
    await here.work(knowing, seen, count=9)
    theirs = (await knowing.get("/v1/me"))["person_id"]
    scores = await here.rows(
        "SELECT score FROM answers JOIN tasks ON tasks.id = answers.task_id"
        f" WHERE is_view AND earner_id = '{theirs}'"
    )
    assert [score for (score,) in scores] == [1.0] * len(scores)
    assert scores


@pytest.mark.long
async def test_views_are_in_no_dataset_and_count_as_nothing(world: World) -> None:
    here = await gallery(
        world, gold_exposure=1, min_overlap=1, max_overlap=1, target_confidence=0.5
    )
    counted = await here.operator.get(f"{here.path}/progress")
    await crowd(here, 1)
    await here.rotate()
    assert (await here.rows("SELECT count(*) FROM tasks WHERE is_view"))[0][0]
    tasks = (await here.operator.get(f"{here.path}/tasks?limit=200"))["items"]
    assert len(tasks) == 18
    after = await here.operator.get(f"{here.path}/progress")
    assert sum(after["tasks"].values()) == sum(counted["tasks"].values()) == 18
    assert after["tasks"]["gold"] == 9
    for image in (await here.operator.get(f"{here.path}/images"))["items"]:
        tiles = await here.operator.get(f"/v1/images/{image['id']}/tiles?limit=200")
        assert [each["number"] for each in tiles["items"]] == [*range(9)]
    planned = await here.operator.get(f"{here.path}/estimate")
    assert (planned["tasks"], planned["gold_tasks"]) == (0, 0)
    while await here.work(await world.earner(), lambda _: MIDDLE, count=9):
        pass
    for each in (await here.operator.get(f"{here.path}/review"))["items"]:
        await here.operator.post(f"/v1/tasks/{each['id']}/review", {"label": MIDDLE})
    files = await world.dataset(here.operator, here.path, formats=["coco"])
    objects = json.loads(files["coco.json"])["annotations"]
    assert len(objects) == 18, "a coin for each tile, and none for a view"


@pytest.mark.long
async def test_a_place_that_comes_back_to_a_retired_picture_is_the_next_one_s(
    world: World,
) -> None:
    here = await gallery(world, gold_exposure=1)
    before = await here.committed()
    idle = await world.earner()
    wanted = {"project_id": here.project["id"], "count": 9}
    leases = (await idle.post("/v1/work/leases", wanted))["leases"]
    await here.rotate()
    ids = [each["lease_id"] for each in leases]
    await idle.post("/v1/work/leases/return", {"lease_ids": ids, "reason": "skip"})
    retired = "SELECT count(*) FROM queue_entries e JOIN tasks t ON t.id = e.task_id WHERE {}"
    assert await here.rows(retired.format("retired_at IS NOT NULL")) == [(0,)]
    await crowd(here, 1, count=9)
    await here.rotate()
    assert await here.committed() == before
    unused = "SELECT sum(places) FROM tasks WHERE retired_at IS NOT NULL AND NOT is_view"
    assert await here.rows(unused) == [(0,)], "what came back went on to the next picture"


async def test_twice_at_once_and_killed_anywhere_there_is_one_picture_more(world: World) -> None:
    here = await gallery(world, gold_exposure=1)
    before = await here.committed()
    await crowd(here, 1, count=1)
    ((project_id, task_id),) = await due_in(world)
    payload = {"project_id": str(project_id), "task_id": str(task_id)}
    run = Run(1, "quality.rotate_gold", payload, 1, None)
    steps = 0
    while True:
        # each time killed one step later: at each of them another thing may be half done
        killed = asyncio.ensure_future(gold_jobs.rotate_gold(world.work.context, run))
        for _ in range(steps):
            await asyncio.sleep(0)
            if killed.done():
                break
        if killed.done() or steps > 40:
            break
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        steps += 8
    await asyncio.gather(
        killed, *(gold_jobs.rotate_gold(world.work.context, run) for _ in range(3))
    )
    assert await here.rows("SELECT count(*) FROM tasks WHERE is_view") == [(1,)]
    assert await here.rows("SELECT count(*) FROM tiles WHERE number < 0") == [(1,)]
    assert await here.committed() == before
    assert await due_in(world) == []


async def due_in(world: World) -> list[Any]:
    async with db.reading(world.sessions) as reader:
        return await gold_views.due(reader)


@pytest.mark.long
async def test_where_there_is_no_other_picture_gold_goes_on_and_that_is_told(
    world: World,
) -> None:
    here = await gallery(world, images=3, gold=2, side=256, whole=True, gold_exposure=1)
    await crowd(here, 1, count=2)
    await here.rotate()
    told = (await here.operator.get(f"{here.path}/gold"))["items"]
    assert {(each["no_view"], each["retired_at"]) for each in told} == {("may-not-flip", None)}
    assert {each["pictures"] for each in told} == {1}
    assert await due_in(world) == [], "and it is not tried again and again"
    await crowd(here, 1, count=2)
    assert await here.operator.patch(here.path, {"quality": {"may_flip": True}})
    await here.rotate()
    told = (await here.operator.get(f"{here.path}/gold"))["items"]
    assert {(each["no_view"], each["pictures"]) for each in told} == {(None, 2)}
    await crowd(here, 1, count=2)
    await here.rotate()
    told = (await here.operator.get(f"{here.path}/gold"))["items"]
    assert {(each["no_view"], each["pictures"]) for each in told} == {("used-up", 2)}


@pytest.mark.long
async def test_ordinary_pictures_are_as_new_as_those_of_gold(world: World) -> None:
    """The store says when each was written."""
    here = await gallery(world, gold_exposure=2)
    await crowd(here, 2, count=9)
    ((before,),) = await here.rows("SELECT max(ready_at) FROM images")
    await here.rotate()
    keys = await here.rows(
        "SELECT DISTINCT tiles.key, tasks.is_gold FROM queue_entries e"
        " JOIN tasks ON tasks.id = e.task_id JOIN tiles ON tiles.id = tasks.tile_id"
    )
    new = {True: 0, False: 0}
    async with browser() as outside:
        for key, is_gold in keys:
            link = world.store.presign_get(
                key, content_type="image/jpeg", expires=timedelta(minutes=1)
            )
            written = parsedate_to_datetime((await outside.get(link)).headers["Last-Modified"])
            new[is_gold] += written > before + timedelta(seconds=1)
    assert new[True] > 0
    assert new[False] > 0
    assert gold_decoys.wanted(exposure=30, gold_chance=0.1, overlap=2) == 135
    assert gold_decoys.wanted(exposure=30, gold_chance=0, overlap=1) == gold_decoys.MOST


@pytest.mark.parametrize(
    "quality",
    [
        {"gold_exposure": 0},
        {"gold_exposure": -1},
        {"gold_exposure": 1.5},
        {"gold_exposure": True},
        {"gold_exposure": None},
        {"gold_exposure": 10**7},
        {"may_flip": "yes"},
        {"may_flip": 1},
        {"may_flip": None},
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(
    world: World, quality: dict[str, Any]
) -> None:
    operator, organisation_id = await world.operator()
    project = await world.project(operator, organisation_id)
    path = f"/v1/projects/{project['id']}"
    await operator.patch(path, {"quality": quality}, status=422)
    kept = (await operator.get(path))["quality"]
    assert (kept["gold_exposure"], kept["may_flip"]) == (30, False)
