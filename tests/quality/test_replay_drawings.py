"""Drawings replayed: fewer are asked for where people are sure, and skill is learnt from gold."""

from dataclasses import replace

import numpy as np
import pytest

from bench.artists import SCHEMA, SIDE, Artist, Scene, artists, scenes
from tessera.kinds import KINDS, Objects, Question, Size, TileFrame, Window
from tessera.quality.replay import Policy
from tessera.quality.replay_drawings import Drawings, ReplayedDrawings, replay_drawings
from tessera.truth.stopping import Stopping

BOX = KINDS["box"]
assert isinstance(BOX, Objects)
KIND: Objects = BOX
WHOLE = Window(0, 0, SIDE, SIDE)


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    dice = np.random.default_rng(5)
    return _with_gold(scenes(KIND, 70, artists(16, dice), 7, dice), dice)


def _with_gold(made: list[Scene], dice: np.random.Generator) -> list[Scene]:
    return [
        replace(each, drawings=replace(each.drawings, gold=each.truth if known else None))
        for each, known in zip(made, dice.random(len(made)) < 0.2, strict=True)
    ]


def played(
    made: list[Scene], stopping: Stopping, *, skilled: bool = True, minimum: float = 0.0
) -> ReplayedDrawings:
    policy = Policy(stopping, minimum)
    return replay_drawings(KIND, [each.drawings for each in made], policy, skilled=skilled)


def f1(made: list[Scene], found: ReplayedDrawings) -> float:
    tallies = np.array(
        [
            KIND.tally(outcome.label, each.truth, each.drawings.question)
            for each, outcome in zip(made, found.outcomes, strict=True)
            if each.drawings.gold is None and outcome is not None
        ]
    )
    there, hits, drawn_, _ = tallies.sum(0)
    return float(2 * hits / (there + drawn_))


def test_knowing_who_misses_and_who_sees_things_makes_better_labels(drawn: list[Scene]) -> None:
    five = Stopping(5, 5, 2.0)
    assert f1(drawn, played(drawn, five)) > f1(drawn, played(drawn, five, skilled=False)) + 0.005


@pytest.mark.long
def test_asking_until_sure_is_as_good_as_asking_everybody_at_fewer_answers(
    drawn: list[Scene],
) -> None:
    everybody, some = played(drawn, Stopping(7, 7, 2.0)), played(drawn, Stopping(2, 7, 0.95))
    assert f1(drawn, some) > f1(drawn, everybody) - 0.01
    assert sum(some.asked) < 0.8 * sum(everybody.asked)


@pytest.mark.long
def test_a_lower_target_asks_for_less(drawn: list[Scene]) -> None:
    asked = [sum(played(drawn, Stopping(1, 7, target)).asked) for target in (0.7, 0.9, 0.99)]
    assert asked == sorted(set(asked))


def test_no_task_is_asked_of_more_or_fewer_than_it_may_be(drawn: list[Scene]) -> None:
    found = played(drawn, Stopping(2, 4, 0.9))
    assert set(found.asked) <= {2, 3, 4}


def test_who_draws_anywhere_is_stopped_and_does_not_count() -> None:
    dice = np.random.default_rng(8)
    people = [Artist(0.95, 0.1, 0.03)] * 7 + [Artist(0.05, 4.0, 0.1)]
    made = _with_gold(scenes(KIND, 80, people, 5, dice), dice)
    found = played(made, Stopping(3, 5, 0.95), minimum=0.6)
    assert set(found.stopped) == {"p007"}
    assert f1(made, found) > 0.97


@pytest.mark.long
def test_a_replay_is_the_same_each_time(drawn: list[Scene]) -> None:
    first, second = (played(drawn, Stopping(2, 5, 0.9)) for _ in range(2))
    assert first == second


def test_a_task_that_was_settled_by_who_is_stopped_later_is_asked_again() -> None:
    """Of gold the two are asked only where the first to answer do not agree."""
    question = Question(SCHEMA, TileFrame(WHOLE, WHOLE, Size(SIDE, SIDE)))
    box = KIND.validate({"objects": [{"class": 1, "box": [50, 50, 99, 99]}]}, question)
    nothing = KIND.validate({"objects": []}, question)
    ordinary = [("blind", nothing), ("asleep", nothing), ("ada", box), ("ben", box)]
    gold = [
        [(f"a{number}", box), (f"b{number}", nothing), ("blind", nothing), ("asleep", nothing)]
        for number in range(8)
    ]
    tasks = [Drawings(question, ordinary), *(Drawings(question, each, box) for each in gold)]
    found = replay_drawings(KIND, tasks, Policy(Stopping(2, 4, 0.85), 0.6))
    assert found.stopped.keys() >= {"blind", "asleep"}
    outcome = found.outcomes[0]
    assert outcome is not None
    assert outcome.label["objects"][0]["box"] == [50, 50, 99, 99]
    assert found.asked[0] == 4
