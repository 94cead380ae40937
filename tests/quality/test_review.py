"""What people could not agree on, decided by a reviewer; and answers that come after it."""

from typing import Any

from tessera.accounts.models import Role
from tests.quality.court import CAT, DOG, OWL, Court, always, court
from tests.world import World

BROKEN = {"outcome": "broken"}
PICTURES = ("a.jpg", "b.jpg", "c.jpg")


async def split(world: World) -> tuple[Court, list[Any], dict[str, str]]:
    """Three pictures on which two people disagreed; the people; the tasks by picture."""
    here = await court(world, *PICTURES, quality={"min_overlap": 2, "max_overlap": 2, "redo": 0})
    await here.launch()
    people = await here.say(CAT, DOG)
    return here, people, {name: task["id"] for name, task in (await here.tasks()).items()}


async def test_a_reviewer_decides_and_everybody_is_paid(world: World) -> None:
    here, people, tasks = await split(world)
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    assert len((await reviewer.get(f"{here.path}/review"))["items"]) == 3
    decided = await reviewer.post(f"/v1/tasks/{tasks['a.jpg']}/review", {"label": OWL})
    assert (decided["state"], decided["settled_by"]) == ("settled", "review")
    assert (decided["label"], decided["confidence"]) == (OWL, 1.0)
    unusable = await reviewer.post(f"/v1/tasks/{tasks['b.jpg']}/review", {"unusable": True})
    assert (unusable["state"], unusable["label"]) == ("settled", None)
    for person in people:
        states = sorted(each["state"] for each in await here.earnings(person))
        assert states == ["approved", "approved", "pending"]
    (left,) = (await reviewer.get(f"{here.path}/review"))["items"]
    assert left["id"] == tasks["c.jpg"]
    for name in ("a.jpg", "b.jpg"):
        path = f"/v1/tasks/{tasks[name]}/review"
        problem = await reviewer.post(path, {"label": CAT}, status=409)
        assert problem["code"] == "not-in-review"
    problem = await here.operator.post(f"/v1/tasks/{tasks['b.jpg']}/gold", status=409)
    assert problem["code"] == "not-settled", "nobody knows what an unusable tile shows"


async def test_a_task_that_nobody_is_left_for_can_be_decided(world: World) -> None:
    """One of two has answered; the other one may never come."""
    here = await court(world, "a.jpg", quality={"min_overlap": 2, "gold_share": 0.1})
    await here.launch()
    (earner,) = await here.earners(1)
    await here.work(earner, always(CAT))
    await here.judge()
    tasks = await here.tasks()
    assert tasks["a.jpg"]["state"] == "open"
    decided = await here.operator.post(f"/v1/tasks/{tasks['a.jpg']['id']}/review", {"label": CAT})
    assert decided["state"] == "settled"
    assert [each["state"] for each in await here.earnings(earner)] == ["approved"]
    assert not await here.work((await here.earners(1))[0], always(CAT)), "nobody else is asked"


async def test_a_decision_that_makes_no_sense_decides_nothing(world: World) -> None:
    here, people, tasks = await split(world)
    path = f"/v1/tasks/{tasks['a.jpg']}/review"
    labels: list[dict[str, Any]] = [
        {"classes": [99]}, {"classes": []}, {"objects": []}, {"classes": [1.5]}, {"classes": None},
    ]  # fmt: skip
    for label in labels:
        problem = await here.operator.post(path, {"label": label}, status=422)
        assert problem["code"] == "invalid-answer"
    for body in ({}, {"label": OWL, "unusable": True}, {"unusable": False}):
        problem = await here.operator.post(path, body, status=422)
        assert problem["code"] == "invalid-request"
    stranger, _ = await world.operator()
    for someone in (stranger, people[0]):
        await someone.post(path, {"label": CAT}, status=404)
        await someone.get(f"{here.path}/review", status=404)
    assert {task["state"] for task in (await here.tasks()).values()} == {"review"}


async def test_pages_of_the_review_neither_repeat_nor_miss_any(world: World) -> None:
    here, _, tasks = await split(world)
    seen, cursor = [], ""
    while True:
        page = await here.operator.get(f"{here.path}/review?limit=1{cursor}")
        seen += [task["id"] for task in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(tasks.values())


async def test_answers_that_come_after_the_decision_are_taken_and_paid(world: World) -> None:
    here = await court(world, "a.jpg", quality={"min_overlap": 4, "max_overlap": 5})
    await here.launch()
    one, other, waiting, late = people = await here.earners(4)
    leases = [(await here.lease(person))[0] for person in people]
    for person, lease in zip((one, other), leases, strict=False):
        await here.answer(person, [lease], always(BROKEN))
    await here.judge()
    found = (await here.tasks())["a.jpg"]
    assert found["state"] == "review"
    await here.answer(waiting, [leases[2]], always(CAT))
    await here.judge()
    assert [each["state"] for each in await here.earnings(waiting)] == ["pending"]
    await here.operator.post(f"/v1/tasks/{found['id']}/review", {"label": DOG})
    await here.answer(late, [leases[3]], always(CAT))
    await here.judge()
    after = (await here.tasks())["a.jpg"]
    assert after["label"] == DOG, "what is decided stays decided"
    assert {each["verdict"] for each in after["answers"]} == {"accepted"}
    for person in people:
        assert [each["state"] for each in await here.earnings(person)] == ["approved"]
