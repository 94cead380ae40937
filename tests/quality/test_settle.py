"""How answers become labels: stop early, ask again, or ask a reviewer.

All scripts run at once, each in a project of its own, with the same few people; what happened is
looked at by the tests one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from tessera.kernel.settings import Settings
from tests.client import As
from tests.quality.court import ANIMALS, CAT, DOG, OWL, Court, court, given
from tests.quality.own_world import world_of_its_own
from tests.world import BOX_SCHEMA, World

NOT_SURE = {"outcome": "not_sure"}
BROKEN = {"outcome": "broken"}
NOTHING: dict[str, Any] = {"objects": []}
ROUNDS = 4


def box(*edges: float) -> dict[str, Any]:
    return {"objects": [{"class": 1, "box": list(edges)}]}


def asking(least: int, most: int, redo: int = 0, **quality: Any) -> dict[str, Any]:
    return {"min_overlap": least, "max_overlap": most, "redo": redo, **quality}


@dataclass
class Script:
    """A picture, the answers it gets one after the other, and what comes of it."""

    policy: Mapping[str, Any]
    answers: Sequence[Mapping[str, Any]]
    kind: str = "classify"
    states: list[str] = field(default_factory=list)
    """After each round in which somebody was asked, and after the rest of the rounds."""
    asked: int = 0
    task: dict[str, Any] = field(default_factory=dict)
    pay: set[str] = field(default_factory=set)
    """What became of the earnings."""


def scripts() -> dict[str, Script]:
    return {
        "two agree": Script(asking(2, 5), [CAT, CAT]),
        "wants to be surer": Script(asking(2, 5, target_confidence=0.999), [CAT] * 4),
        "one is wrong": Script(asking(2, 5), [CAT, DOG, CAT, CAT]),
        "nobody agrees": Script(asking(2, 3), [CAT, DOG, OWL]),
        "two say broken": Script(asking(3, 5), [BROKEN, BROKEN]),
        "one says broken": Script(asking(2, 5, redo=1), [BROKEN, CAT, CAT]),
        "one is not sure": Script(asking(2, 2, redo=1), [NOT_SURE, CAT, CAT]),
        "two are not sure": Script(asking(2, 2, redo=1), [NOT_SURE, NOT_SURE, CAT]),
        "three boxes": Script(
            asking(3, 3), [box(20, 20, 80, 60), box(22, 20, 80, 62), box(20, 19, 81, 60)], "box"
        ),
        "nothing there": Script(asking(3, 3), [NOTHING] * 3, "box"),
    }


@pytest.fixture(scope="module")
async def played(settings: Settings, superuser: asyncpg.Connection) -> dict[str, Script]:
    everything = scripts()
    async with world_of_its_own(settings, superuser) as world:
        courts = await _courts(world, everything)
        people = [await world.earner() for _ in range(ROUNDS)]
        for person in people:
            await _round(world, person, courts, everything)
        for name, script in everything.items():
            script.task = (await courts[name].tasks())[name]
            for person in people:
                script.pay |= {
                    each["state"]
                    for each in await courts[name].earnings(person)
                    if each["project_id"] == courts[name].project["id"]
                }
    return everything


async def _courts(world: World, everything: dict[str, Script]) -> dict[str, Court]:
    courts: dict[str, Court] = {}
    beside = None
    for name, script in everything.items():
        schema = ANIMALS if script.kind == "classify" else BOX_SCHEMA
        courts[name] = beside = await court(
            world, beside=beside, kind=script.kind, label_schema=schema, quality=script.policy
        )
        await beside.pictures(name)
        await beside.operator.post(f"{beside.path}/launch")
    await world.work.jobs()
    return courts


async def _round(
    world: World, person: As, courts: dict[str, Court], everything: dict[str, Script]
) -> None:
    """One more person takes all there is, and all is judged."""
    by_project = {court.project["id"]: name for name, court in courts.items()}
    while leases := (await person.post("/v1/work/leases", {"count": 50}))["leases"]:
        body = []
        for lease in leases:
            script = everything[by_project[lease["project_id"]]]
            body.append(given(lease, script.answers[script.asked]))
            script.asked += 1
        await person.post("/v1/work/answers", {"answers": body})
    await world.work.jobs()
    for name, script in everything.items():
        (task,) = (await courts[name].tasks()).values()
        script.states.append(task["state"])


def test_two_who_agree_are_enough(played: dict[str, Script]) -> None:
    script = played["two agree"]
    assert script.states == ["open", "settled", "settled", "settled"]
    assert script.asked == 2, "nobody else is asked"
    assert script.task["settled_by"] == "consensus"
    assert script.task["label"]["classes"] == CAT["classes"]
    assert script.task["confidence"] >= 0.95
    assert {each["agreement"] for each in script.task["answers"]} == {1.0}
    assert script.pay == {"approved"}


def test_a_project_that_wants_to_be_surer_asks_more_people(played: dict[str, Script]) -> None:
    assert played["wants to be surer"].states == ["open", "open", "open", "settled"]


def test_while_people_disagree_one_more_is_asked_at_a_time(played: dict[str, Script]) -> None:
    script = played["one is wrong"]
    assert script.states == ["open", "open", "open", "settled"], "two against one is not enough"
    assert script.task["label"]["classes"] == CAT["classes"]
    assert sorted(each["agreement"] for each in script.task["answers"]) == [0, 1, 1, 1]
    assert script.pay == {"approved"}, "honest work is paid, not agreement"


def test_what_nobody_agrees_on_goes_to_review_with_a_best_guess(played: dict[str, Script]) -> None:
    script = played["nobody agrees"]
    assert script.states == ["open", "open", "review", "review"]
    assert script.asked == 3
    assert script.task["review_reason"] == "no-agreement"
    assert script.task["label"]["classes"]
    assert script.pay == {"pending"}


def test_two_who_say_that_a_picture_is_broken_send_it_to_review(played: dict[str, Script]) -> None:
    script = played["two say broken"]
    assert script.states == ["open", "review", "review", "review"]
    assert script.task["review_reason"] == "broken"
    assert script.asked == 2, "nobody else is sent to a broken picture"


@pytest.mark.parametrize("name", ["one is not sure", "one says broken"])
def test_somebody_else_is_asked_instead(name: str, played: dict[str, Script]) -> None:
    script = played[name]
    assert script.states == ["open", "open", "settled", "settled"]
    assert script.task["label"]["classes"] == CAT["classes"]
    assert len(script.task["answers"]) == 3
    assert script.pay == {"approved"}, "an honest answer too"


def test_when_too_many_are_not_sure_a_reviewer_is_asked(played: dict[str, Script]) -> None:
    script = played["two are not sure"]
    assert script.states[-1] == "review"
    assert script.task["review_reason"] == "too-few-answers"


def test_boxes_of_several_people_become_one(played: dict[str, Script]) -> None:
    (found,) = played["three boxes"].task["label"]["objects"]
    assert (found["class"], found["box"]) == (1, [20, 20, 80, 60])


def test_nothing_here_is_an_answer(played: dict[str, Script]) -> None:
    assert played["nothing there"].states[2] == "settled"
    assert played["nothing there"].task["label"]["objects"] == []
