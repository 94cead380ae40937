"""What is read of answers that say several things: how much, and what is known to be right."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tessera.assignment.models import Answer
from tessera.kernel import db
from tessera.kinds import parsed
from tessera.kinds.parts import parts_of
from tessera.projects.models import Project
from tessera.quality import answered_parts
from tessera.quality.answered_parts import BUDGET, MOST, Item, Said, Window
from tessera.truth.votes import UNKNOWN
from tests.quality.court import Court, court
from tests.world import BOX_SCHEMA, World

GOLD = [f"gold {number}.jpg" for number in range(6)]
COMMON = [f"common {number}.jpg" for number in range(16)]
POLICY = {"min_overlap": 2, "max_overlap": 4, "redo": 0, "gold_share": 0.5}


def boxes(*where: list[float]) -> dict[str, Any]:
    return {"objects": [{"class": 1, "box": box, "attributes": {}} for box in where]}


CUP, GHOST = boxes([20.0, 20.0, 80.0, 80.0]), boxes([150.0, 150.0, 200.0, 200.0])


async def said_by(world: World, *answers: dict[str, Any]) -> Court:
    """All gold is a cup; everybody says the same of everything."""
    here = await court(world, *GOLD, *COMMON, kind="box", label_schema=BOX_SCHEMA, quality=POLICY)
    known = [{"file_name": name, **CUP} for name in GOLD]
    await here.operator.post(f"{here.path}/gold", {"images": known}, status=201)
    await here.launch()
    await here.say(*answers)
    return here


async def read(here: Court, most: int = MOST) -> list[Item]:
    project_id = UUID(here.project["id"])
    async with db.reading(here.world.sessions) as reader:
        project = await reader.get_one(Project, project_id)
        parts = parts_of(project.kind, parsed(project.label_schema))
        assert parts is not None
        window = await answered_parts.window(reader, project_id, most=most)
        task_ids = await answered_parts.tasks(reader, project_id, window)
        return await answered_parts.items(reader, project, parts, task_ids, window)


async def ids(here: Court, names: Sequence[str]) -> set[str]:
    tasks = await here.tasks()
    return {tasks[name]["id"] for name in names}


async def test_of_every_task_it_is_one_thing_that_somebody_drew(world: World) -> None:
    here = await said_by(world, CUP, GHOST)
    items = await read(here)
    gold, common = await ids(here, GOLD), await ids(here, COMMON)
    assert {str(each.task_id) for each in items} <= gold | common
    assert {str(each.task_id) for each in items} >= common
    for each in items:
        is_gold = str(each.task_id) in gold
        assert each.known in ({0, 1} if is_gold else {UNKNOWN})
        assert set(each.labels) <= {0, 1}
        if len(each.said) == 2:
            assert each.parts == 2
            assert sum(each.labels) == 1, "each drew what the other did not"


async def test_gold_that_was_pulled_is_not_what_people_are_compared_with(world: World) -> None:
    here = await said_by(world, GHOST, GHOST)
    task = (await here.tasks())[GOLD[0]]
    told = {"reason": "It shows something else.", "label": GHOST}
    await here.operator.post(f"/v1/tasks/{task['id']}/gold/wrong", told)
    found = {str(each.task_id): each for each in await read(here)}
    if task["id"] in found:  # if anybody had met it
        assert found[task["id"]].known == UNKNOWN
        assert set(found[task["id"]].labels) == {1}
    others = {each.known for id_, each in found.items() if id_ != task["id"]}
    assert {UNKNOWN} < others <= {0, 1, UNKNOWN}


async def test_of_a_large_project_the_same_part_is_read_each_time(world: World) -> None:
    here = await said_by(world, CUP, CUP)
    every, some = await read(here), await read(here, most=8)
    assert some == await read(here, most=8)
    assert len(some) < len(every)
    assert {each.task_id for each in some} < {each.task_id for each in every}


def test_a_window_around_the_end_of_all_ids_is_as_large_as_another() -> None:
    at_the_end = Window(UUID(int=(1 << 128) - 1), 0.5)
    assert "OR" in str(at_the_end.holds(Answer.lease_id))
    assert "AND" in str(Window(UUID(int=0), 0.5).holds(Answer.lease_id))
    assert str(Window(UUID(int=0), 1.5).holds(Answer.lease_id)) == "true"


def test_fewer_tasks_are_looked_at_where_much_is_drawn() -> None:
    def item(parts: int) -> Item:
        said = [Said(UUID(int=number), 0.0, 1.0) for number in range(5)]
        return Item(UUID(int=0), parts, UNKNOWN, [0] * 5, said)

    assert answered_parts.affordable([]) == MOST
    assert answered_parts.affordable([item(2), item(4)]) == MOST
    assert answered_parts.affordable([item(300)] * 7) == BUDGET // 1_500


def test_what_nobody_has_answered_is_nothing() -> None:
    found, work = answered_parts.together([])
    assert (len(found.votes), len(found.tasks), len(found.earners), len(work)) == (0, 0, 0, 0)
