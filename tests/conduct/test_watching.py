"""Cheats of every kind among sixty honest people: who is told of, what follows, and how it ends.

All is written into one project at once, then looked at three times. In between somebody is cleared
by a person, and others answer as everybody does.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from bench.adversaries import HONEST, Project, Setting, cheats, honest, project
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.truth.response import reached
from tessera.truth.signals import Kind
from tests.client import As
from tests.conduct.log import id_of, of_choices, watch, write
from tests.quality.court import Court, court
from tests.quality.own_world import world_of_its_own
from tests.seeds import seeds
from tests.world import PASSWORD

FOUR = {
    "classes": [
        {"id": number + 1, "name": name, "colour": "#e6194b"}
        for number, name in enumerate(("cat", "dog", "owl", "fox"))
    ]
}
CHEATS: Mapping[str, tuple[int, Kind]] = {
    "clicker": (4, Kind.RANDOM),
    "constant": (4, Kind.CONSTANT),
    "fast": (4, Kind.FAST),
    "ring": (6, Kind.RING),
    "farm": (10, Kind.LINKED),
    "scheduled": (4, Kind.MECHANICAL),
    "slacker": (4, Kind.FALLING),
}
COUPLE, HOUSEHOLD = slice(0, 2), slice(2, 5)
"""Of the honest: two who are paid to one account, and three who use one phone."""
LEAST_GOLD_CHANCE = 0.3
AT_ONCE = 12
"""People who ask for tasks: each holds what no other may get meanwhile."""
Json = dict[str, Any]


@dataclass
class Look:
    """What the API told after the job had run."""

    receipts: list[list[Json]]
    """Of each earner, newest first."""
    listed: dict[str, Json]
    """The operator's list, by earner."""
    cases: set[str]


@dataclass
class Watched:
    court: Court
    simulated: Project
    people: list[As]
    ids: list[UUID]
    looks: list[Look] = field(default_factory=list)
    cleared: int = -1
    """A clicker whom a person let go on after the first look, and another signal came after the
    second."""
    honest_again: list[int] = field(default_factory=list)
    """Who had always said the same, and from the second look on said what is right."""
    leased: list[tuple[int, Json, Json]] = field(default_factory=list)
    """Of each earner the status of a call for tasks, what it handed out, and the next call."""
    chances: dict[str, float] = field(default_factory=dict)
    """Of gold, by earner."""
    earned: set[str] = field(default_factory=set)
    """States of what the people have earned."""
    standings: list[Json] = field(default_factory=list)

    def of(self, *kinds: str) -> list[int]:
        return [int(each) for each in self.simulated.of(*kinds)]

    @property
    def alike(self) -> list[int]:
        """Honest people whom nothing links."""
        some = self.of(*HONEST)
        return some[HOUSEHOLD.stop :]

    def step(self, look: int, number: int) -> int:
        step: int = self.looks[look].listed[str(self.ids[number])]["step"]
        return step


def crowd(seed: int) -> Project:
    people = honest(60, seed)
    for kind, (count, _) in CHEATS.items():
        people += cheats(kind, count, seed, ring=int(kind == "farm"))
    return project(people, seed, Setting(items=1_800))


@pytest.fixture(scope="module", params=seeds(3))
async def watched(request: Any, settings: Settings, superuser: asyncpg.Connection) -> Watched:
    async with world_of_its_own(settings, superuser) as world:
        pictures = [f"{number}.jpg" for number in range(60)]
        policy = {"min_overlap": 4, "max_overlap": 4, "redo": 0}
        here = await court(world, *pictures, label_schema=FOUR, quality=policy)
        await here.launch()
        simulated = crowd(request.param)
        people = await asyncio.gather(*(world.earner() for _ in simulated.people))
        one = Watched(here, simulated, people, list(await asyncio.gather(*map(id_of, people))))
        await _share(one)
        await write(here, of_choices(simulated, lambda named: {"classes": [named]}), one.ids)
        await world.work.sweep("estimate")
        await here.judge()
        await _lease(one)
        await _look(one)
        await _clear(one)
        await watch(here)
        await _look(one)
        await _behave(one)
        await watch(here)
        await _look(one)
        return one


async def _share(one: Watched) -> None:
    farm, fast, like = one.of("farm"), one.of("fast"), one.of(*HONEST)
    await _paid_to([one.people[each] for each in farm], "Bank of Farms 1 2345")
    await _paid_to([one.people[each] for each in fast], "Bank of the Fast 1")
    await _paid_to([one.people[each] for each in like[COUPLE]], "Bank of Couples 77")
    await asyncio.gather(
        *(_on_device(one.people[each], f"phone of the farm {each // 6}") for each in farm),
        *(_on_device(one.people[each], "phone of a household") for each in like[HOUSEHOLD]),
    )


async def _paid_to(people: Collection[As], account: str) -> None:
    for number, each in enumerate(people):
        details = {"holder": f"Name {number}", "account": account}
        await each.put("/v1/payout-destination", {"rail": "manual", "details": details})


async def _on_device(person: As, device: str) -> None:
    body = {"email": person.email, "password": PASSWORD, "device": device}
    made = await person.post("/v1/sessions", body)
    assert made["token"]


async def _lease(one: Watched) -> None:
    wanted = {"project_id": one.court.project["id"], "count": 3}

    async def twice(person: As) -> tuple[int, Json, Json]:
        first = await person.call("POST", "/v1/work/leases", wanted)
        then = await person.post("/v1/work/leases", wanted)
        ids = [each["lease_id"] for each in (*first.json()["leases"], *then["leases"])]
        await person.post("/v1/work/leases/return", {"lease_ids": ids, "reason": "later"})
        return first.status_code, first.json(), then

    for start in range(0, len(one.people), AT_ONCE):
        some = one.people[start : start + AT_ONCE]
        one.leased += await asyncio.gather(*map(twice, some))
    async with db.reading(one.court.world.sessions) as reader:
        rows = await reader.execute(text("SELECT earner_id, gold_chance FROM standings"))
        one.chances = {str(earner_id): chance for earner_id, chance in rows}
        states = await reader.scalars(text("SELECT DISTINCT state FROM earnings"))
        one.earned = set(states)


async def _look(one: Watched) -> None:
    told = await asyncio.gather(*(person.get("/v1/decisions?limit=200") for person in one.people))
    listed, cases = await asyncio.gather(_all(one, "earners"), _all(one, "cases"))
    one.looks.append(Look([each["items"] for each in told], listed, set(cases)))


async def _all(one: Watched, what: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    path = f"{one.court.path}/{what}?limit=40"
    page = await one.court.operator.get(path)
    while True:
        found |= {each["earner_id"]: each for each in page["items"]}
        if page["next"] is None:
            return found
        page = await one.court.operator.get(f"{path}&cursor={page['next']}")


async def _clear(one: Watched) -> None:
    one.cleared = next(each for each in one.of("clicker") if one.step(0, each))
    path = f"{one.court.path}/earners/{one.ids[one.cleared]}/decision"
    said = {"outcome": "go_on", "reason": "Their screen was broken."}
    await one.court.operator.post(path, said)


async def _behave(one: Watched) -> None:
    """As if they had answered otherwise; and as if who was cleared had been so of less."""
    one.honest_again = [each for each in one.of("constant") if one.step(1, each)]
    async with db.transaction(one.court.world.sessions) as session:
        await session.execute(
            text(
                "UPDATE answers SET value = coalesce(expected, label) FROM tasks"
                " LEFT JOIN gold ON gold.task_id = tasks.id"
                " WHERE tasks.id = answers.task_id AND answers.earner_id = ANY(:them)"
            ),
            {"them": [one.ids[each] for each in one.honest_again]},
        )
        await session.execute(
            text("UPDATE suspicions SET signals = '{fast}' WHERE earner_id = :who"),
            {"who": one.ids[one.cleared]},
        )


def receipts(watched: Watched, look: int, numbers: Sequence[int]) -> Iterator[tuple[int, Json]]:
    return ((number, each) for number in numbers for each in watched.looks[look].receipts[number])


@pytest.mark.parametrize("kind", CHEATS)
def test_cheats_of_every_kind_are_told_of_and_read_why(watched: Watched, kind: str) -> None:
    them, signal = watched.of(kind), CHEATS[kind][1]
    told = [number for number, each in receipts(watched, 0, them) if signal in each["numbers"]]
    assert len(told) == len(set(told)) > 0.65 * len(them)
    for number, receipt in receipts(watched, 0, them):
        assert receipt["rule"] == "unusual-answers"
        assert receipt["effect"] in {"checked", "slowed"}
        assert min(receipt["numbers"].values()) >= 2.5
        assert receipt["reason"].count(".") > len(receipt["numbers"])
        assert receipt["window_from"] < receipt["window_to"]
        assert not receipt["by_a_person"]
        listed = watched.looks[0].listed[str(watched.ids[number])]
        strengths = dict(zip(listed["signals"], listed["strengths"], strict=True))
        assert receipt["numbers"] == {kind: reached(each) for kind, each in strengths.items()}
        assert set(receipt["numbers"].values()) <= {2.5, 4.0, 6.0}, "which tells nothing of gold"
        assert listed["strengths"] == sorted(strengths.values(), reverse=True)
        assert receipt["reason"].startswith(" ".join(listed["evidence"]))
        assert receipt["effect"] == ("checked" if listed["step"] == 1 else "slowed")


def test_honest_people_behind_the_same_address_are_left_alone(watched: Watched) -> None:
    """All requests of this test come from one; the false alarms of two in a thousand are none."""
    assert len(watched.alike) == 55
    assert len(dict(receipts(watched, 0, watched.alike))) <= 1
    assert sum(len(watched.looks[2].receipts[each]) for each in watched.alike) <= 2


def test_a_couple_with_one_account_is_checked_and_a_household_with_one_phone_is_nothing(
    watched: Watched,
) -> None:
    like = watched.of(*HONEST)
    told = dict(receipts(watched, 0, like[COUPLE]))
    assert [each["effect"] for each in told.values()] == ["checked"] * 2
    assert {str(each["numbers"]) for each in told.values()} == {"{'linked': 2.5}"}
    assert not dict(receipts(watched, 0, like[HOUSEHOLD]))


def test_two_signals_that_see_different_things_slow_somebody_down(watched: Watched) -> None:
    """The fast ones are paid to one account, too."""
    both = [
        number
        for number, receipt in receipts(watched, 0, watched.of("fast"))
        if receipt["numbers"].keys() == {"fast", "linked"} and max(receipt["numbers"].values()) < 4
    ]
    assert both
    assert {watched.step(0, number) for number in both} == {2}


def test_a_person_is_asked_about_the_gravest_and_only_about_those(watched: Watched) -> None:
    asked = {str(id_) for n, id_ in enumerate(watched.ids) if watched.step(0, n) == 3}
    assert watched.looks[0].cases == asked
    assert {str(watched.ids[each]) for each in watched.of("farm", "ring")} <= asked
    assert not asked & {str(watched.ids[each]) for each in watched.of(*HONEST)}


def test_nobody_is_stopped_and_nothing_is_rejected(watched: Watched) -> None:
    assert {status for status, _, _ in watched.leased} == {200}
    assert watched.earned == {"approved"}
    for look in watched.looks:
        assert not [each for each in look.listed.values() if each["blocked_at"]]
        effects = {each["effect"] for told in look.receipts for each in told}
        assert effects <= {"checked", "slowed", "restored"}


def test_who_is_slowed_gets_two_at_a_time_and_others_what_they_ask_for(watched: Watched) -> None:
    slowed = [each for each in range(len(watched.ids)) if watched.step(0, each) >= 2]
    assert len(slowed) > 20
    for number, (_, first, then) in enumerate(watched.leased):
        assert len(first["leases"]) == (2 if number in slowed else 3)
        assert (then["reason"] == "slowed") == (number in slowed)


def test_who_is_told_of_meets_more_gold(watched: Watched) -> None:
    chance = [watched.chances[str(id_)] for id_ in watched.ids]
    for number, each in enumerate(chance):
        if watched.step(0, number):
            assert each >= LEAST_GOLD_CHANCE
        else:
            assert each < LEAST_GOLD_CHANCE


def test_looking_again_at_the_same_notes_nothing_twice(watched: Watched) -> None:
    first, second, _ = watched.looks
    for number, told in enumerate(second.receipts):
        if number == watched.cleared:
            continue
        assert told == first.receipts[number]
        assert watched.step(1, number) == watched.step(0, number)
    assert second.cases == first.cases - {str(watched.ids[watched.cleared])}


def test_who_was_let_go_on_stays_so_until_there_is_another_signal(watched: Watched) -> None:
    restored, before = watched.looks[1].receipts[watched.cleared]
    assert (restored["effect"], restored["by_a_person"]) == ("restored", True)
    assert restored["reason"] == "Their screen was broken."
    assert [before] == watched.looks[0].receipts[watched.cleared]
    assert watched.step(1, watched.cleared) == 0
    again = watched.looks[2].receipts[watched.cleared][0]
    assert (again["effect"], again["rule"]) == (before["effect"], "unusual-answers")
    assert watched.step(2, watched.cleared) == watched.step(0, watched.cleared)
    assert watched.looks[2].listed[str(watched.ids[watched.cleared])]["looked_at"] is None


def test_who_answers_as_others_do_again_is_left_alone_again_and_reads_so(watched: Watched) -> None:
    assert watched.honest_again
    for number in watched.honest_again:
        restored, before = watched.looks[2].receipts[number]
        assert before["effect"] in {"checked", "slowed"}
        assert (restored["effect"], restored["rule"]) == ("restored", "unusual-answers")
        assert not restored["by_a_person"]
        assert restored["numbers"] == {}
        listed = watched.looks[2].listed[str(watched.ids[number])]
        assert (listed["step"], listed["signals"], listed["evidence"]) == (0, [], [])
