"""Who counts as stopped, and that a demo which hangs ends."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from httpx2 import AsyncClient

from demo.__main__ import TookTooLong, in_time
from demo.client import Person
from demo.crowd import CROWD, SPAMMERS, TEAM, Labeller, counted, some
from demo.main_job import Report
from demo.simulated import EARNERS
from demo.verdict import failures
from demo.ways import WAYS, Way
from tests.demo.test_verdict import RIGHT

PROJECTS = [{"id": "photos", "name": "Photos"}, {"id": "mosaic", "name": "Mosaic"}]
BOTH = frozenset({"photos", "mosaic"})


def somebody(model: str, *, answers: dict[str, int], stopped: Iterable[str]) -> Labeller:
    person = Person(AsyncClient(), f"{model}@earners.example", "")
    return Labeller(person, model, Random(1), Counter(answers), set(stopped))


def a_crowd(spammer: Labeller) -> list[Labeller]:
    return [
        spammer,
        somebody("box_everything", answers={"photos": 25, "mosaic": 29}, stopped=BOTH),
        somebody("careful", answers={"photos": 30, "mosaic": 90}, stopped=set()),
    ]


def judged(crowd: list[Labeller]) -> list[str]:
    return failures({**RIGHT, **counted(crowd, PROJECTS)})


def test_a_crowd_whose_spammers_were_stopped_wherever_they_worked_passes() -> None:
    everywhere = somebody("random_clicker", answers={"photos": 25, "mosaic": 5}, stopped=BOTH)
    assert judged(a_crowd(everywhere)) == []
    for elsewhere in (0, 3):  # a handful is no work
        answers = {"photos": elsewhere, "mosaic": 25}
        only_there = somebody("random_clicker", answers=answers, stopped={"mosaic"})
        assert judged(a_crowd(only_there)) == []


@pytest.mark.parametrize("stopped", [{"photos"}, {"mosaic"}, set()], ids=["a", "b", "none"])
def test_a_spammer_who_was_not_stopped_in_one_of_two_projects_fails(stopped: set[str]) -> None:
    spammer = somebody("random_clicker", answers={"photos": 25, "mosaic": 25}, stopped=stopped)
    assert judged(a_crowd(spammer)) == ["not every spammer was stopped"]


def test_a_spammer_who_never_worked_does_not_count_as_stopped() -> None:
    assert judged(a_crowd(somebody("random_clicker", answers={}, stopped=set())))


@pytest.mark.parametrize("stopped", [{"photos"}, {"mosaic"}, BOTH], ids=["a", "b", "both"])
@pytest.mark.parametrize("model", ["careful", "average"])
def test_somebody_good_who_was_stopped_in_any_project_fails(model: str, stopped: set[str]) -> None:
    crowd = a_crowd(somebody(model, answers={"photos": 5, "mosaic": 5}, stopped=stopped))
    assert judged(crowd) == ["somebody careful or average was stopped"]


def test_the_report_says_per_project_who_was_stopped() -> None:
    spammer = somebody("random_clicker", answers={"photos": 5, "mosaic": 7}, stopped={"mosaic"})
    found: dict[str, Any] = counted(a_crowd(spammer), PROJECTS)
    assert found["answers"] == 186
    assert found["stopped"]["Photos"]["random_clicker"] == {"stopped": 0, "worked": 1}
    assert found["stopped"]["Mosaic"]["random_clicker"] == {"stopped": 1, "worked": 1}
    assert found["stopped"]["Mosaic"]["careful"] == {"stopped": 0, "worked": 1}
    assert found["stopped"]["Mosaic"]["too_fast"] == {"stopped": 0, "worked": 0}


def test_a_team_has_so_many_of_each_model_and_is_the_same_for_the_same_seed() -> None:
    everybody = [
        somebody(model, answers={}, stopped=set())
        for model, count in CROWD.items()
        for _ in range(count)
    ]
    team = some(everybody, TEAM, seed="a")
    assert Counter(each.model for each in team) == TEAM
    assert len({id(each) for each in team}) == len(team)
    assert some(everybody, TEAM, seed="a") == team
    assert {*SPAMMERS} < {*TEAM}
    assert some(everybody, CROWD, seed="b") != some(everybody, CROWD, seed="c")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_more_honest_people_work_on_a_project_than_a_task_may_ask(way: Way) -> None:
    honest = sum(count for model, count in way.people.items() if EARNERS[model].honest)
    assert honest > way.quality["max_overlap"]


async def test_a_demo_that_hangs_ends_and_says_what_it_waited_for() -> None:
    report = Report(waits_for="the moon")
    with pytest.raises(TookTooLong, match="waited for the moon"):
        async with in_time(report, timedelta(milliseconds=10)):
            await asyncio.Event().wait()


async def test_a_demo_that_fails_in_time_says_its_own_reason() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with in_time(Report(), timedelta(minutes=1)):
            raise TimeoutError("its own")
