"""What a second reviewer says who does not see the first; where two differ, a third decides."""

from typing import Any

import pytest

from tessera.accounts.models import Role
from tests.client import As
from tests.ledger.money import at_once
from tests.quality.court import CAT, DOG, OWL, Court, court
from tests.world import World

NAMES = tuple(f"{number:02}.jpg" for number in range(8))
HALF = {"min_overlap": 2, "max_overlap": 2, "redo": 0, "second_opinions": 0.5}


async def decided(
    world: World, *names: str, label: dict[str, Any] | None = None, **quality: Any
) -> tuple[Court, list[As], list[str]]:
    """Tasks that the first of three reviewers has decided; the reviewers; whose opinion is wanted.

    At least of one a second opinion is wanted: as many tasks are decided as that takes.
    """
    here = await court(world, *names, quality={**HALF, **quality})
    await here.launch()
    await here.say(CAT, DOG)
    organisation_id = here.project["organisation_id"]
    three = [await world.member(here.operator, organisation_id, Role.REVIEWER) for _ in range(3)]
    for task in (await three[0].get(f"{here.path}/review"))["items"]:
        await three[0].post(f"/v1/tasks/{task['id']}/review", {"label": label or CAT})
    wanted = await three[0].get(f"{here.path}/reviews?second_opinion=wanted")
    return here, three, [each["task_id"] for each in wanted["items"]]


def of(here: Court, task_id: str) -> str:
    return f"{here.path}/second-opinions/tasks/{task_id}"


@pytest.mark.long
async def test_about_as_many_as_the_policy_says_are_looked_at_again(world: World) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    _, _, wanted = await decided(world, *names)
    assert 8 <= len(wanted) <= 32, "half of forty: less is a matter of one in 50,000"
    _, _, none = await decided(world, *NAMES, second_opinions=0.0)
    assert none == []


async def test_another_reviewer_is_asked_and_sees_nothing_of_what_was_said(world: World) -> None:
    here, (first, second, third), wanted = await decided(world, *NAMES, *"abcdefgh")
    nothing = await first.get(f"{here.path}/second-opinions/next")
    assert nothing["task"] is None, "one's own decisions are no second opinion"
    shown = (await second.get(f"{here.path}/second-opinions/next"))["task"]
    assert shown["task_id"] in wanted
    assert shown.keys() == {"task_id", "subject", "tile"}
    said = await second.post(of(here, shown["task_id"]), {"label": CAT})
    assert (said["score"], said["compared"]["classes"]) == (1, [1])
    again = await third.post(of(here, shown["task_id"]), {"label": CAT}, status=409)
    assert again["code"] == "no-opinion-wanted"
    task = await here.operator.get(f"/v1/tasks/{shown['task_id']}")
    assert (task["label"], task["settled_by"]) == (CAT, "review")
    problem = await second.post(f"/v1/tasks/{shown['task_id']}/review", {"label": DOG}, status=409)
    assert problem["code"] == "not-in-review", "where two agree there is nothing to decide"


async def test_where_two_differ_a_third_may_decide_and_neither_of_them(world: World) -> None:
    here, (first, second, third), wanted = await decided(world, *NAMES, *"abcdefgh")
    task_id = wanted[0]
    said = await second.post(of(here, task_id), {"label": OWL})
    assert said["score"] == 0
    task = await here.operator.get(f"/v1/tasks/{task_id}")
    assert task["label"] == CAT, "a second opinion changes nothing by itself"
    (differs,) = (await third.get(f"{here.path}/reviews?second_opinion=differs"))["items"]
    assert (differs["task_id"], differs["label"]) == (task_id, CAT)
    for one_of_them in (first, second):
        problem = await one_of_them.post(f"/v1/tasks/{task_id}/review", {"label": OWL}, status=409)
        assert problem["code"] == "same-reviewer"
    settled = await third.post(f"/v1/tasks/{task_id}/review", {"label": OWL})
    assert (settled["label"], settled["settled_by"]) == (OWL, "review")
    await third.post(f"/v1/tasks/{task_id}/review", {"label": CAT}, status=409)
    purposes = [
        each["purpose"]
        for each in (await third.get(f"{here.path}/reviews"))["items"]
        if each["task_id"] == task_id
    ]
    assert purposes == ["third", "second", "queue"], "nothing of what was said is lost"


async def test_opinions_that_cannot_be_are_refused(world: World) -> None:
    here, (first, second, _), wanted = await decided(world, *NAMES, *"abcdefgh")
    path = of(here, wanted[0])
    assert (await first.post(path, {"label": CAT}, status=409))["code"] == "same-reviewer"
    labels: list[dict[str, Any]] = [{"classes": [9]}, {}, {"classes": []}]
    for label in labels:
        problem = await second.post(path, {"label": label}, status=422)
        assert problem["code"] == "invalid-answer"
    for body in ({}, {"label": CAT, "unusable": True}, {"label": CAT, "gold": True}):
        problem = await second.post(path, body, status=422)
        assert problem["code"] == "invalid-request"
    finance = await world.member(here.operator, here.project["organisation_id"], Role.FINANCE)
    await finance.post(path, {"label": CAT}, status=403)
    stranger, _ = await world.operator()
    await stranger.post(path, {"label": CAT}, status=404)
    for what in ("reviews", "reviewers", "second-opinions/next"):
        await stranger.get(f"{here.path}/{what}", status=404)
        await finance.get(f"{here.path}/{what}", status=403)
    assert (await second.post(path, {"unusable": True}))["score"] == 0


async def test_of_two_second_opinions_at_once_one_is_taken(world: World) -> None:
    here, (_, second, third), wanted = await decided(world, *NAMES, *"abcdefgh")
    got: list[Any] = []

    async def say(who: As) -> None:
        got.append(await who.call("POST", of(here, wanted[0]), {"label": CAT}))

    assert await at_once([say(second), say(third)]) == []
    assert sorted(each.status_code for each in got) == [200, 409]


async def test_how_far_reviewers_agree_is_told_beyond_chance(world: World) -> None:
    here, (first, second, _), wanted = await decided(world, *NAMES, *"abcdefgh")
    told = await first.get(f"{here.path}/reviewers")
    assert told["pairs"] == {"tasks": 0, "alike": 0, "mean_score": None, "alpha": None}
    for number, task_id in enumerate(wanted):
        await second.post(of(here, task_id), {"label": CAT if number else DOG})
    told = await first.get(f"{here.path}/reviewers")
    pairs, alike = len(wanted), len(wanted) - 1
    assert (told["pairs"]["tasks"], told["pairs"]["alike"]) == (pairs, alike)
    assert told["pairs"]["mean_score"] == round(alike / pairs, 4)
    # one of 2n opinions is another one: what differs within pairs, by what differs anywhere
    expected = 1 - (2 * pairs - 1) * 2 / ((2 * pairs) ** 2 - (2 * pairs - 1) ** 2 - 1)
    assert told["pairs"]["alpha"] == round(expected, 4)
    each = {one["decided"]: one for one in told["reviewers"]}
    assert each[len(NAMES) + 8]["seconds"] == each[0]["seconds"] == pairs
    assert each[0]["as_others"] == told["pairs"]["mean_score"]
    assert each[len(NAMES) + 8]["as_answers"] is not None
