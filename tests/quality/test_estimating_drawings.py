"""How people draw is learnt from what others drew of the same pictures, without any gold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.quality import task_sample
from tests.client import As
from tests.quality.court import Court, court
from tests.quality.test_reconsider import Killed, estimate, sql
from tests.world import BOX_SCHEMA, World

MANY = [f"many {number}.jpg" for number in range(34)]
"""Answered by three each, that is more than a hundred answers."""
LATER = [f"later {number}.jpg" for number in range(4)]
CUP, GHOST = [20.0, 20.0, 80.0, 80.0], [150.0, 150.0, 200.0, 200.0]
Say = Callable[[str], dict[str, Any]]


def boxes(*where: list[float]) -> dict[str, Any]:
    return {"objects": [{"class": 1, "box": box} for box in where]}


def clear(_: str) -> dict[str, Any]:
    return boxes(CUP)


def haunted(_: str) -> dict[str, Any]:
    return boxes(CUP, GHOST)


@dataclass(frozen=True)
class Drawn:
    court: Court
    people: list[As]
    kept: list[list[dict[str, Any]]]
    """Of each person the leases of pictures that are answered later."""

    async def later(self, *say: Say) -> dict[str, Any]:
        """What comes of them when the first so many people answer; by name."""
        for person, leases, each in zip(self.people, self.kept, say, strict=False):
            await self.court.answer(person, leases, each)
        await self.court.judge()
        return await self.tasks(LATER)

    async def tasks(self, names: Sequence[str]) -> dict[str, Any]:
        tasks = await self.court.tasks()
        return {name: tasks[name] for name in names}


async def drawn(world: World, *people: Say, **quality: Any) -> Drawn:
    """All have drawn on many pictures, and what they drew is settled; some they keep for later."""
    policy = {"max_overlap": 3, "redo": 0, "gold_share": 0, **quality}
    here = await court(world, *MANY, *LATER, kind="box", label_schema=BOX_SCHEMA, quality=policy)
    await here.launch()
    crowd, kept = await here.earners(len(people)), []
    for person, say in zip(crowd, people, strict=True):
        leases = await here.lease(person)
        await here.answer(person, [each for each in leases if here.seen(each) in MANY], say)
        kept.append([each for each in leases if here.seen(each) in LATER])
        await here.judge()
    found = Drawn(here, crowd, kept)
    assert {task["state"] for task in (await found.tasks(MANY)).values()} == {"settled"}
    return found


async def others(here: Court) -> dict[str, list[float] | None]:
    async with db.reading(here.world.sessions) as reader:
        rows = await reader.execute(text("SELECT earner_id::text, others FROM trust"))
        return dict(rows.all())


async def test_who_sees_things_that_nobody_else_does_is_believed_less(world: World) -> None:
    found = await drawn(world, clear, clear, haunted, min_overlap=3, target_confidence=0.5)
    before = {task["confidence"] for task in (await found.tasks(MANY)).values()}
    await estimate(found.court)
    told = await others(found.court)
    ids = [(await each.get("/v1/me"))["person_id"] for each in found.people]
    good, _, seer = (told[each] for each in ids)
    assert good is not None
    assert seer is not None
    assert good[1] / good[2] > 0.85
    assert seer[1] / seer[2] < 0.6
    for task in (await found.later(clear, clear, haunted)).values():
        assert [each["box"] for each in task["label"]["objects"]] == [CUP]
        assert task["confidence"] > 0.85 > max(before)


async def test_those_who_draw_alike_are_asked_less(world: World) -> None:
    found = await drawn(world, clear, clear, clear, min_overlap=2, target_confidence=0.92)
    assert {len(task["answers"]) for task in (await found.tasks(MANY)).values()} == {3}
    await estimate(found.court)
    for task in (await found.later(clear, clear)).values():
        assert task["state"] == "settled"
        assert len(task["answers"]) == 2


async def test_what_was_in_doubt_is_settled_when_more_is_known_and_paid_once(world: World) -> None:
    """Two of a picture did not suffice, and the third has not answered yet."""
    found = await drawn(world, clear, clear, clear, min_overlap=2, target_confidence=0.92)
    tasks = await found.later(clear, clear)
    assert {task["state"] for task in tasks.values()} == {"open"}
    await estimate(found.court)
    await found.court.judge()
    tasks = await found.tasks(LATER)
    assert {task["state"] for task in tasks.values()} == {"settled"}
    for person in found.people[:2]:
        assert len(await found.court.earnings(person)) == len(MANY) + len(LATER)


@pytest.mark.long
async def test_an_estimate_that_is_killed_half_way_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await drawn(world, clear, clear, clear, min_overlap=2, target_confidence=0.92)
    here = found.court

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("tessera.quality.estimating_drawings.doubtful", dies)
        with pytest.raises(Killed):
            await estimate(here)
    before = await others(here)
    await estimate(here)
    assert (await others(here)).keys() == before.keys()
    rows = await sql(here.world, "SELECT answers FROM estimates")
    assert [row[0] for row in rows] == [3 * len(MANY)]


async def test_a_sample_begins_anywhere_and_has_nothing_twice(world: World) -> None:
    here = (await drawn(world, clear, clear, min_overlap=2, target_confidence=0.5)).court
    project_id = UUID(here.project["id"])
    async with db.reading(world.sessions) as reader:
        every = await task_sample.sample(reader, project_id, start=UUID(int=0))
        turned = await task_sample.sample(reader, project_id, start=UUID(int=1 << 127))
        few = [
            await task_sample.sample(reader, project_id, start=UUID(int=at << 124), most=5)
            for at in range(16)
        ]
    assert len(set(every)) == len(every) == len(MANY)
    assert turned == every
    assert {len(each) for each in few} == {5}
    assert set().union(*few) <= set(every)
    assert len(set(map(tuple, few))) > 3
