"""What is broken is taken out, and whoever met it is paid."""

from typing import Any

from tests.client import As
from tests.quality.court import CAT, Court, court
from tests.quality.facts import nothing_contradicts
from tests.world import World

THREE = {"min_overlap": 3, "max_overlap": 4}
BROKEN = {"outcome": "broken"}
TORN = [f"torn {number}.jpg" for number in range(10)]
WHOLE = [f"whole {number}.jpg" for number in range(4)]


def torn(name: str) -> dict[str, Any]:
    return BROKEN if name in TORN else CAT


async def by_turns(here: Court) -> None:
    """Three people, of whom each finds another third of what is torn whole."""
    for number, earner in enumerate(await here.earners(3)):
        while leases := await here.lease(earner):
            names = [here.seen(lease) for lease in leases]
            whole = {name for name in names if name in TORN and TORN.index(name) % 3 == number}
            said = {name: CAT if name in whole or name not in TORN else BROKEN for name in names}
            await here.answer(earner, leases, said.__getitem__)
    await here.judge()


async def pay(here: Court, earner: As) -> set[str]:
    return {each["state"] for each in await here.earnings(earner)}


async def test_who_met_a_broken_task_is_paid_though_nobody_has_looked_at_it_yet(
    world: World,
) -> None:
    here = await court(world, "a.jpg", quality={"min_overlap": 3, "max_overlap": 5})
    await here.launch()
    saw_a_cat, first = await here.say(CAT, BROKEN)
    assert await pay(here, saw_a_cat) == await pay(here, first) == {"pending"}
    (second,) = await here.say(BROKEN)
    task = (await here.tasks())["a.jpg"]
    assert (task["state"], task["review_reason"]) == ("review", "broken")
    for each in (saw_a_cat, first, second):
        assert await pay(here, each) == {"approved"}
    (nobody,) = await here.earners(1)
    assert await here.lease(nobody) == []
    await here.operator.post(f"/v1/tasks/{task['id']}/review", {"unusable": True})
    assert await pay(here, second) == {"approved"}
    await nothing_contradicts(world.sessions)


async def test_a_project_of_broken_tasks_pauses_until_its_operator_has_looked(
    world: World,
) -> None:
    here = await court(world, *TORN, *WHOLE, quality=THREE)
    await here.launch()
    for earner in await here.earners(2):
        await here.work(earner, torn)
    await here.judge()
    assert [each["state"] for each in (await here.tasks()).values()].count("review") == len(TORN)
    project = await here.operator.get(here.path)
    assert (project["state"], project["paused_reason"]) == ("open", None), "two may have a grudge"
    more = await court(world, *TORN, *WHOLE, beside=here, quality=THREE)
    await more.launch()
    await by_turns(more)
    project = await more.operator.get(more.path)
    assert (project["state"], project["paused_reason"]) == ("paused", "broken-tasks")
    (late,) = await more.earners(1)
    await late.post("/v1/work/leases", {"project_id": more.project["id"]}, status=404)
    resumed = await more.operator.post(f"{more.path}/resume")
    assert (resumed["state"], resumed["paused_reason"]) == ("open", None)
    await more.pictures("new.jpg")
    await more.launch()
    await more.say(BROKEN, BROKEN)
    assert (await more.tasks())["new.jpg"]["review_reason"] == "broken"
    project = await more.operator.get(more.path)
    assert project["state"] == "open", "what its operator has seen does not count again"
    await nothing_contradicts(world.sessions)


async def test_a_few_broken_tasks_among_many_stop_nobody(world: World) -> None:
    names = [f"whole {number}.jpg" for number in range(45)]
    here = await court(world, *names, quality=THREE)
    await here.launch()
    await by_turns(here)
    await here.pictures(*TORN)
    await here.launch()
    await by_turns(here)
    states = [task["state"] for task in (await here.tasks()).values()]
    assert states.count("review") == len(TORN)
    assert (await here.operator.get(here.path))["state"] == "open"
