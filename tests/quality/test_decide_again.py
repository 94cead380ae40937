"""An edited policy decides again what is still open, and takes nothing back that was decided."""

from typing import Any

import pytest

from tests.quality.court import CAT, DOG, Court, court
from tests.quality.facts import nothing_contradicts
from tests.world import World

SURER = {"min_overlap": 2, "max_overlap": 3, "redo": 1, "target_confidence": 0.9999}


async def edit(here: Court, **quality: Any) -> None:
    await here.operator.patch(here.path, {"quality": quality})
    await here.judge()


async def decided(here: Court) -> dict[str, list[Any]]:
    fields = ("state", "label", "confidence", "settled_at", "settled_by", "policy_version")
    return {name: [task[each] for each in fields] for name, task in (await here.tasks()).items()}


async def pay(here: Court, *people: Any) -> set[str]:
    return {each["state"] for person in people for each in await here.earnings(person)}


@pytest.mark.parametrize("answers", [2, 3])
async def test_a_lower_target_settles_what_waits_for_more_answers_or_for_a_reviewer(
    world: World, answers: int
) -> None:
    here = await court(world, "a.jpg", "b.jpg", quality=SURER)
    await here.launch()
    people = await here.say(*[CAT] * answers)
    before = (await here.tasks())["a.jpg"]
    assert before["state"] == {2: "open", 3: "review"}[answers]
    assert await pay(here, *people) == {"pending"}
    await edit(here, target_confidence=0.6)
    for task in (await here.tasks()).values():
        assert (task["state"], task["settled_by"]) == ("settled", "consensus")
        assert task["label"]["classes"] == CAT["classes"]
        assert task["policy_version"] == 2
    assert await pay(here, *people) == {"approved"}
    (late,) = await here.earners(1)
    assert await here.lease(late) == [], "nobody else is asked"
    await nothing_contradicts(world.sessions)


async def test_what_a_lower_target_does_not_settle_is_asked_about_as_before(world: World) -> None:
    here = await court(world, "a.jpg", quality=SURER)
    await here.launch()
    await here.say(CAT, DOG)
    await edit(here, target_confidence=0.95)
    assert (await here.tasks())["a.jpg"]["state"] == "open"
    (late,) = await here.earners(1)
    assert len(await here.lease(late)) == 1, "one place, as before"


async def test_a_higher_target_takes_nothing_back(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", quality={**SURER, "target_confidence": 0.6})
    await here.launch()
    people = await here.say(CAT, CAT)
    before = await decided(here)
    assert {each[0] for each in before.values()} == {"settled"}
    await edit(here, target_confidence=0.9999)
    assert await decided(here) == before
    assert await pay(here, *people) == {"approved"}


async def test_what_a_reviewer_has_for_another_reason_stays_theirs(world: World) -> None:
    here = await court(world, "a.jpg", quality=SURER)
    await here.launch()
    await here.say({"outcome": "broken"}, {"outcome": "broken"})
    await edit(here, target_confidence=0.6)
    task = (await here.tasks())["a.jpg"]
    assert (task["state"], task["review_reason"]) == ("review", "broken")
