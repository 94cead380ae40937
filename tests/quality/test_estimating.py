"""Estimates of a whole project: what each earner confuses is learnt, and labels follow from it.

Three earners take every cat for a dog. By themselves they settle all, cats as dogs; then gold
has told on them, and the project is estimated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select

from tessera.assignment.models import Standing
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.quality.models import EstimateRecord, TrustRecord
from tests.client import As
from tests.conduct.log import id_of
from tests.quality.court import CAT, DOG, OWL, Court, court
from tests.quality.own_world import world_of_its_own

OF = {"cat": CAT, "dog": DOG, "owl": OWL}
GOLD = [
    f"{kind} {number} gold"
    for kind, count in (("cat", 6), ("dog", 14), ("owl", 14))
    for number in range(count)
]
"""So many that are no cats: who takes every cat for a dog is not stopped, whatever comes first."""
ORDINARY = [f"{kind} {number}" for kind in OF for number in range(12)]
ASKED = {
    "min_overlap": 3,
    "max_overlap": 7,
    "redo": 0,
    "target_confidence": 0.9,
    "minimum_trust": 0.5,
    "gold_share": 0.5,
}
Tasks = dict[str, dict[str, Any]]


def right(name: str) -> Mapping[str, Any]:
    return OF[name.split(maxsplit=1)[0]]


def no_cats(name: str) -> Mapping[str, Any]:
    return DOG if name.startswith("cat") else right(name)


@dataclass
class Played:
    court: Court
    confused: list[As]
    honest: list[As] = field(default_factory=list)
    before: Tasks = field(default_factory=dict)
    doubted: Tasks = field(default_factory=dict)
    after: Tasks = field(default_factory=dict)
    pay_before: list[dict[str, str]] = field(default_factory=list)
    pay_after: list[dict[str, str]] = field(default_factory=list)
    matrices: list[list[list[float]]] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    strengths: list[list[int]] = field(default_factory=list)
    """Of the confused, then of the honest."""


@pytest.fixture(scope="module")
async def played(settings: Settings, superuser: asyncpg.Connection) -> Played:
    async with world_of_its_own(settings, superuser) as world:
        judged = await court(world, *GOLD, *ORDINARY, quality=ASKED)
        for kind in OF:
            await judged.gold([name for name in GOLD if name.startswith(kind)], kind)
        await judged.launch()
        play = Played(judged, await judged.earners(3))
        for person in play.confused:
            await judged.work(person, no_cats)
            await judged.judge()
        play.before, play.pay_before = await judged.tasks(), await _pay(play)
        await _estimate(judged)
        play.doubted = await judged.tasks()
        for _ in range(3):
            play.honest += await judged.earners(1)
            for person in play.honest:  # what is kept for the strong is for them
                await judged.work(person, right)
            await judged.judge()
            await _estimate(judged)
        play.after, play.pay_after = await judged.tasks(), await _pay(play)
        async with db.reading(world.sessions) as reader:
            mine = TrustRecord.project_id == UUID(judged.project["id"])
            for counts in await reader.scalars(select(TrustRecord.counts).where(mine)):
                play.matrices.append([(counts or [])[row : row + 3] for row in (0, 3, 6)])
            crowd = await reader.get_one(EstimateRecord, UUID(judged.project["id"]))
            play.choices = list(crowd.choices)
            standings = await reader.execute(select(Standing.earner_id, Standing.strengths))
            told = dict(standings.all())
            play.strengths = [told[await id_of(each)] for each in (*play.confused, *play.honest)]
        return play


async def _estimate(judged: Court) -> None:
    await judged.world.work.sweep("estimate")
    await judged.judge()


async def _pay(play: Played) -> list[dict[str, str]]:
    earned = [await play.court.earnings(person) for person in play.confused]
    return [{each["lease_id"]: each["state"] for each in mine} for mine in earned]


def ordinary(tasks: Tasks, kind: str) -> list[dict[str, Any]]:
    return [tasks[name] for name in ORDINARY if name.startswith(kind)]


def labels(tasks: Sequence[Mapping[str, Any]]) -> set[int | None]:
    return {None if task["label"] is None else task["label"]["classes"][0] for task in tasks}


def test_before_an_estimate_three_who_agree_are_believed(played: Played) -> None:
    assert labels(ordinary(played.before, "cat")) == {2}
    assert {task["state"] for task in ordinary(played.before, "cat")} == {"settled"}


def test_settled_tasks_that_an_estimate_finds_unsure_are_asked_again(played: Played) -> None:
    assert {task["state"] for task in ordinary(played.doubted, "cat")} == {"open"}


def test_what_nobody_confuses_stays_settled(played: Played) -> None:
    assert {task["state"] for task in ordinary(played.doubted, "owl")} == {"settled"}
    assert labels(ordinary(played.doubted, "owl")) == {3}


def test_who_tells_cats_from_dogs_is_strong_in_cats_and_who_does_not_is_not(
    played: Played,
) -> None:
    assert not any(1 in strengths for strengths in played.strengths[:3])
    assert any(1 in strengths for strengths in played.strengths[3:]), "who answered enough"


@pytest.mark.parametrize(("kind", "class_id"), [("cat", 1), ("dog", 2), ("owl", 3)])
def test_labels_come_to_be_right_though_the_first_to_answer_were_wrong(
    played: Played, kind: str, class_id: int
) -> None:
    tasks = ordinary(played.after, kind)
    assert {task["state"] for task in tasks} == {"settled"}
    assert labels(tasks) == {class_id}


def test_estimates_take_back_no_pay_and_pay_nobody_twice(played: Played) -> None:
    for before, after in zip(played.pay_before, played.pay_after, strict=True):
        assert before.keys() == after.keys()
        decided = {lease: state for lease, state in before.items() if state != "pending"}
        assert len(decided) >= len(ORDINARY)
        assert decided.items() <= after.items()
        assert "rejected" not in after.values()


def test_a_matrix_shows_what_an_earner_takes_for_what(played: Played) -> None:
    cats_as_dogs = sorted(matrix[0][1] / sum(matrix[0]) for matrix in played.matrices)
    confused, honest = cats_as_dogs[-3:], cats_as_dogs[:-3]
    assert honest
    assert max(honest) < 0.5
    assert confused == pytest.approx([1, 1, 1], abs=0.1)
    assert played.choices == [1, 2, 3]
