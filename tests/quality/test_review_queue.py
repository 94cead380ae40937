"""In which order reviewers see tasks, what they see of each, and what else a decision may do."""

from typing import Any
from uuid import UUID

from sqlalchemy import text, update

from tessera.accounts.models import Role
from tessera.assignment.models import Lane, Task
from tessera.kernel import db
from tests.client import As
from tests.ledger.money import at_once
from tests.quality.court import CAT, DOG, OWL, Court, always, court
from tests.world import World

NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
ASKED_TWICE = {"min_overlap": 2, "max_overlap": 2, "redo": 0}


async def in_review(
    world: World, *names: str, **quality: Any
) -> tuple[Court, dict[str, str], list[As]]:
    """Pictures of which two people said other things; the ids of their tasks; the people."""
    here = await court(world, *(names or NAMES), quality={**ASKED_TWICE, **quality})
    await here.launch()
    people = await here.say(CAT, DOG)
    return here, {name: task["id"] for name, task in (await here.tasks()).items()}, people


async def guess(world: World, task_id: str, label: dict[str, Any] | None, sure: float) -> None:
    """Have a task in review come to this so far."""
    async with db.transaction(world.sessions) as session:
        one = update(Task).where(Task.id == UUID(task_id))
        await session.execute(one.values(label=label, confidence=sure))


async def order(here: Court, tasks: dict[str, str], limit: int = 50) -> list[str]:
    """The queue, page by page."""
    names = {task_id: name for name, task_id in tasks.items()}
    seen, cursor, values = [], "", []
    while True:
        page = await here.operator.get(f"{here.path}/review?limit={limit}{cursor}")
        seen += [names[each["id"]] for each in page["items"]]
        values += [each["value"] for each in page["items"]]
        if page["next"] is None:
            assert values == sorted(values, reverse=True)
            return seen
        cursor = f"&cursor={page['next']}"


async def test_what_is_least_sure_comes_first(world: World) -> None:
    here, tasks, _ = await in_review(world)
    for name, sure in zip(NAMES, (0.8, 0.5, 0.9, 0.6), strict=True):
        await guess(world, tasks[name], CAT, sure)
    for limit in (50, 3, 1):
        assert await order(here, tasks, limit) == ["b.jpg", "d.jpg", "a.jpg", "c.jpg"]


async def test_a_class_that_costs_more_is_looked_at_first(world: World) -> None:
    here, tasks, _ = await in_review(world)
    for name, label, sure in (
        ("a.jpg", CAT, 0.5),
        ("b.jpg", OWL, 0.9),
        ("c.jpg", DOG, 0.6),
        ("d.jpg", None, 0.3),
    ):
        await guess(world, tasks[name], label, sure)
    assert await order(here, tasks) == ["d.jpg", "a.jpg", "c.jpg", "b.jpg"]
    await here.operator.patch(here.path, {"quality": {"importance": {"3": 10, "1": 0.1}}})
    for limit in (50, 1):
        assert await order(here, tasks, limit) == ["b.jpg", "d.jpg", "c.jpg", "a.jpg"]
    (first,) = (await here.operator.get(f"{here.path}/review?limit=1"))["items"]
    assert round(first["value"], 9) == 1, "a tenth of doubt, times ten"


async def test_of_equals_the_oldest_comes_first(world: World) -> None:
    here, tasks, _ = await in_review(world)
    for place, name in enumerate(("c.jpg", "a.jpg", "d.jpg", "b.jpg")):
        await guess(world, tasks[name], CAT, 0.5)
        async with db.transaction(world.sessions) as session:
            await session.execute(
                update(Task)
                .where(Task.id == UUID(tasks[name]))
                .values(opened_at=text(f"timestamptz '2026-01-0{place + 1}'"))
            )
    for limit in (50, 1):
        assert await order(here, tasks, limit) == ["c.jpg", "a.jpg", "d.jpg", "b.jpg"]


async def test_importance_that_makes_no_sense_is_refused(world: World) -> None:
    here = await court(world)
    wrong: list[Any] = [{"cat": 2}, {"1": 0}, {"1": -1}, {"1": 1e9}, {"01": 1}, [1], {"1": "2"}]
    for importance in wrong:
        changes: dict[str, Any] = {"quality": {"importance": importance}}
        problem = await here.operator.patch(here.path, changes, status=422)
        assert problem["code"] == "invalid-request"
    for share in (-0.1, 0.6, "all"):
        changes = {"quality": {"second_opinions": share}}
        await here.operator.patch(here.path, changes, status=422)


async def test_a_cursor_with_a_number_that_is_none_is_refused(world: World) -> None:
    here = await court(world)
    page = (
        "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCAwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDAvbmFu"
    )
    problem = await here.operator.get(f"{here.path}/review?cursor={page}", status=422)
    assert problem["code"] == "bad-cursor"


async def test_the_queue_is_read_by_its_index_while_all_classes_cost_the_same(
    world: World,
) -> None:
    here, tasks, _ = await in_review(world)
    query = text(
        "EXPLAIN SELECT id FROM tasks WHERE project_id = :project_id AND tasks.state = 'review' "
        "ORDER BY coalesce(tasks.confidence, 0) - 1, opened_at, id LIMIT 50"
    )
    async with db.transaction(world.sessions) as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL enable_sort = off"))
        rows = await session.scalars(query, {"project_id": UUID(here.project["id"])})
        plan = "\n".join(rows.all())
    assert "ix_tasks_review_risk" in plan
    assert "Sort" not in plan
    assert tasks


async def test_side_by_side_says_who_agrees_and_how_far_they_are_trusted(world: World) -> None:
    gold = [f"gold {number}.jpg" for number in range(6)]
    others = [f"other {number}.jpg" for number in range(14)]
    here = await court(world, "a.jpg", *others, *gold, quality={**ASKED_TWICE, "max_overlap": 3})
    await here.gold(gold)
    await here.launch()
    good, bad, third = await here.earners(3)
    await here.work(good, always(CAT))
    await here.work(bad, lambda name: DOG if name == "a.jpg" or name < "gold 3.jpg" else CAT)
    await here.judge()
    await here.work(third, lambda name: {"outcome": "not_sure"} if name == "a.jpg" else CAT)
    await here.judge()
    task = (await here.tasks())["a.jpg"]
    assert task["state"] == "review", task
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    seen = await reviewer.get(f"/v1/tasks/{task['id']}/review")
    assert seen["tile"]["window"] == [0, 0, 256, 256]
    trust = {str(each["value"]): each["trust"]["value"] for each in seen["answers"]}
    assert trust[str(CAT)] > trust[str(DOG)]
    assert [each["group"] for each in seen["answers"] if each["value"] is None] == [None]
    assert [(each["value"], each["answers"]) for each in seen["groups"]] == [(CAT, 1), (DOG, 1)]
    weight = trust[str(CAT)] / (trust[str(CAT)] + trust[str(DOG)])
    assert abs(seen["groups"][0]["weight"] - weight) < 1e-9
    assert seen["agreement"] == 0.5
    likeness = {str(each["value"]): each["likeness"] for each in seen["answers"]}
    assert likeness[str(CAT)] == 1 - likeness[str(DOG)]
    assert likeness["None"] is None


async def test_what_reviewers_see_is_for_reviewers_only(world: World) -> None:
    here, tasks, people = await in_review(world, "a.jpg")
    finance = await world.member(here.operator, here.project["organisation_id"], Role.FINANCE)
    stranger, _ = await world.operator()
    path = f"/v1/tasks/{tasks['a.jpg']}/review"
    await finance.get(path, status=403)
    for someone in (stranger, people[0]):
        await someone.get(path, status=404)
    usual = await here.operator.get(f"/v1/tasks/{tasks['a.jpg']}")
    assert "trust" not in usual["answers"][0]


async def test_a_decision_becomes_gold_on_request(world: World) -> None:
    here, tasks, _ = await in_review(world, "a.jpg", redo=2)
    path = f"/v1/tasks/{tasks['a.jpg']}/review"
    decided = await here.operator.post(path, {"label": OWL, "gold": True})
    assert (decided["state"], decided["is_gold"], decided["label"]) == ("settled", True, OWL)
    async with db.reading(world.sessions) as reader:
        lanes = await reader.scalars(
            text("SELECT lane FROM queue_entries WHERE task_id = :id"),
            {"id": UUID(tasks["a.jpg"])},
        )
        assert lanes.all() == [Lane.GOLD, Lane.GOLD]
    assert (await here.operator.post(f"/v1/tasks/{tasks['a.jpg']}/gold"))["expected"] == OWL


async def test_gold_that_cannot_be_decides_nothing(world: World) -> None:
    here, tasks, people = await in_review(world, "a.jpg", "b.jpg")
    path = f"/v1/tasks/{tasks['a.jpg']}/review"
    problem = await here.operator.post(path, {"label": OWL, "gold": True}, status=409)
    assert problem["code"] == "no-places-left"
    reviewer = await world.member(here.operator, here.project["organisation_id"], Role.REVIEWER)
    await reviewer.post(path, {"label": OWL, "gold": True}, status=403)
    await here.operator.post(path, {"unusable": True, "gold": True}, status=422)
    await here.operator.post(path, {"label": {"classes": [9]}, "gold": True}, status=422)
    assert {task["state"] for task in (await here.tasks()).values()} == {"review"}
    assert not (await here.operator.get(f"{here.path}/reviews"))["items"]
    states = [each["state"] for each in await here.earnings(people[0])]
    assert states == ["pending"] * 2, "nobody was paid for what is not decided"


async def test_of_two_reviewers_at_once_one_decides(world: World) -> None:
    here, tasks, people = await in_review(world, "a.jpg")
    path = f"/v1/tasks/{tasks['a.jpg']}/review"
    got: list[Any] = []

    async def decide(label: dict[str, Any]) -> None:
        got.append(await here.operator.call("POST", path, {"label": label}))

    assert await at_once(decide(label) for label in (CAT, DOG, OWL, CAT, DOG)) == []
    good = [each for each in got if each.is_success]
    assert len(good) == 1
    refused = [each.json()["code"] for each in got if not each.is_success]
    assert refused == ["not-in-review"] * 4
    assert (await here.tasks())["a.jpg"]["label"] == good[0].json()["label"]
    (noted,) = (await here.operator.get(f"{here.path}/reviews"))["items"]
    assert noted["label"] == good[0].json()["label"]
    for person in people:
        assert [each["state"] for each in await here.earnings(person)] == ["approved"]
