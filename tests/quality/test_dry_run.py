"""Dry runs: what another policy would have made of the answers that there are."""

from typing import Any

import asyncpg
import pytest

from tessera.kernel.settings import Settings
from tests.quality.court import CAT, DOG, Court, always, court
from tests.quality.own_world import world_of_its_own
from tests.world import World

MANY = [f"{number:02}.jpg" for number in range(30)]
GOLD = [f"gold {number:02}.jpg" for number in range(12)]
POLICY = {"min_overlap": 4, "max_overlap": 4, "redo": 0, "gold_share": 0.5, "minimum_trust": 0.5}


AS_IT_IS = "minimum_trust=0.5"
TRIED = (
    "",
    AS_IT_IS,
    "min_overlap=2&target_confidence=0.9",
    "min_overlap=1&wrong_label_micro=100",
    "min_overlap=1&wrong_label_micro=1000000000",
    "min_overlap=5&max_overlap=6",
    "minimum_trust=0.6",
)
REFUSED = {
    "min_overlap=9": "invalid-policy",
    "min_overlap=zero": "invalid-request",
    "target_confidence=1.5": "invalid-policy",
    "target_confidence=nan": "invalid-policy",
    "wrong_label_micro=-1": "invalid-policy",
    "overlap=3": "invalid-request",
}
Told = dict[str, Any]


@pytest.fixture(scope="module")
async def told(settings: Settings, superuser: asyncpg.Connection) -> Told:
    """Four people have answered everything, and one of them is always wrong; then by query."""
    async with world_of_its_own(settings, superuser) as world:
        judged = await court(world, *MANY, *GOLD, quality=POLICY)
        await judged.gold(GOLD)
        await judged.launch()
        people = await judged.earners(4)
        for person in people[:3]:
            await judged.work(person, always(CAT))
        await judged.work(people[3], always(DOG))
        await judged.judge()
        found = {query: await dry(judged, query) for query in TRIED}
        refused = {query: await dry(judged, query, status=422) for query in REFUSED}
        return {**found, **refused, "after": await dry(judged)}


async def dry(judged: Court, query: str = "", *, status: int = 200) -> Any:
    return await judged.operator.get(f"{judged.path}/quality/dry-run?{query}", status=status)


def test_the_policy_as_it_is_saves_nothing_but_what_the_one_it_stops_has_said(told: Told) -> None:
    same = told[AS_IT_IS]
    assert len(same["stopped"]) == 1
    assert 0 <= same["answers"] - same["asked"] <= len(MANY)
    assert same["asked"] == 3 * len([*MANY, *GOLD]) + len(GOLD)
    assert told[AS_IT_IS]["settled_otherwise"] == 0


def test_asking_fewer_saves_what_their_answers_cost(told: Told) -> None:
    now, fewer = told[""], told["min_overlap=2&target_confidence=0.9"]
    assert fewer["asked"] < now["asked"]
    price = now["cost_micro"] // now["asked"]
    assert fewer["cost_micro"] == price * fewer["asked"]
    assert fewer["difference_micro"] == price * (fewer["asked"] - fewer["answers"]) < 0


def test_a_price_of_a_wrong_label_takes_the_place_of_a_target(told: Told) -> None:
    cheap, dear = (told[query] for query in TRIED if "wrong_label" in query)
    assert cheap["asked"] < dear["asked"]


def test_it_tells_of_how_many_tasks_more_would_be_asked(told: Told) -> None:
    assert told["min_overlap=5&max_overlap=6"]["unsure"] == len(MANY)


def test_it_names_who_would_be_stopped_and_stops_nobody(told: Told) -> None:
    assert len(told["minimum_trust=0.6"]["stopped"]) == 1
    assert told["after"] == told[""]


@pytest.mark.parametrize(("query", "code"), REFUSED.items())
def test_a_policy_that_cannot_be_is_refused(told: Told, query: str, code: str) -> None:
    assert told[query]["code"] == code


async def test_what_nobody_answered_cannot_be_replayed(world: World) -> None:
    new = await court(world, "a.jpg")
    assert (await dry(new, status=409))["code"] == "nothing-to-replay"


async def test_drawings_cannot_be_replayed(world: World) -> None:
    drawn = await court(world, kind="box")
    assert (await dry(drawn, status=409))["code"] == "nothing-to-replay"
