"""What becomes known after a launch, while its tasks still wait to be opened."""

from tests.assignment.crowd import audit, number
from tests.world import World, coco, photograph

GOLD_ENTRIES = "SELECT count(*) FROM queue_entries WHERE lane = 2"


async def test_gold_brought_in_before_the_tasks_are_open_takes_part_for_what_they_cost(
    world: World,
) -> None:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**9)
    project = await world.project(operator, organisation_id)
    names = ["a.jpg", "b.jpg", "c.jpg"]
    await world.images(operator, project["id"], [(name, photograph()) for name in names])
    path = f"/v1/projects/{project['id']}"
    launched = await operator.post(f"{path}/launch")
    (taken,) = await operator.post(f"{path}/gold", {"coco": coco(["a.jpg"])}, status=201)
    assert taken["gold_tasks"] == 1
    await world.work.jobs()
    tasks = (await operator.get(f"{path}/progress"))["tasks"]
    assert (tasks["open"], tasks["gold"]) == (2, 1)
    # as many people as a task is paid for: the largest overlap and one to do again
    assert await number(world.sessions, GOLD_ENTRIES) == 3 + 1
    after = await operator.get(path)
    assert after["reserved_micro"] == launched["reserved_micro"]
    await audit(world.sessions)
