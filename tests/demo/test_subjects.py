"""People asked about what was drawn before: whoever looks says what is so, the lazy say yes."""

import json
import random
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import hands, measures
from demo.asked import Drawn, Scene
from demo.hands import HANDS
from demo.measures import Outcome, Pair
from demo.pictures import Picture, Thing
from demo.simulated import EARNERS
from demo.subjects import Checked, Joined
from demo.ways import WAYS
from tessera.kinds import KINDS, LabelSchema, Question, Size, TileFrame, Window, shown

SIDE, SEED = 384, 3
IDS = [1, 2, 3, 4]
HONEST = ("careful", "average", "sloppy")
CHECKED = Checked(Drawn("polygon", HANDS["polygon"], hands.objects))
JOINED = Joined(Drawn("polyline", HANDS["polyline"], hands.objects))

names = st.sampled_from(sorted(EARNERS))
seeds = st.integers(0, 2**32)


@cache
def table() -> Picture:
    return WAYS["verify"].pictures(SEED)[0]


def question(kind: str) -> Question:
    """As it is asked of the first stage's people, about some window."""
    _, schema = shown(kind, LabelSchema.parse(dict(WAYS[kind].label_schema)))
    window = Window(150, 220, 150 + SIDE, 220 + SIDE)
    return Question(schema, TileFrame(window, window, Size(table().width, table().height)))


def shown_with(objects: list[Thing]) -> Scene:
    """A window of a table, with these outlines over it."""
    return replace(
        CHECKED.scene(table(), question("verify")), subject={"label": {"objects": objects}}
    )


def right_there() -> list[Thing]:
    scene = CHECKED.scene(table(), question("verify"))
    return [{**each, "attributes": {}} for each in scene.things if not each.get("optional")]


def spoilt(number: int, how: str) -> list[Thing]:
    """What is right but for one thing."""
    objects = right_there()
    one = objects.pop(number % len(objects))
    if how == "renamed":
        objects.append({**one, "class": one["class"] % 4 + 1})
    if how == "doubled":
        objects += [one, one]
    if how == "moved":
        shift = np.array([0.6 * SIDE, 0])
        rings = [[(np.array(ring) - shift).tolist() for ring in part] for part in one["polygon"]]
        objects.append({**one, "polygon": rings})
    return objects


def test_who_makes_no_mistake_accepts_what_is_right() -> None:
    assert CHECKED.right(shown_with(right_there())) == {"verdict": "yes"}


@given(st.integers(0, 20), st.sampled_from(("gone", "renamed", "doubled", "moved")))
def test_who_makes_no_mistake_finds_one_wrong_thing_and_draws_what_would_be_right(
    number: int, how: str
) -> None:
    answer = CHECKED.right(shown_with(spoilt(number, how)))
    assert answer["verdict"] == "fix"
    as_answer = [{k: v for k, v in each.items() if k != "attributes"} for each in right_there()]
    found = [{k: v for k, v in e.items() if k != "attributes"} for e in answer["label"]["objects"]]
    assert found == as_answer


@given(names, st.integers(0, 20), seeds)
def test_every_verdict_is_valid_and_repeatable(name: str, number: int, seed: int) -> None:
    scene = shown_with(spoilt(number, "gone"))
    kind, asked = KINDS["verify"], question("verify")
    schema = LabelSchema.parse(dict(WAYS["verify"].label_schema))
    answer = CHECKED.answer(EARNERS[name], scene, IDS, random.Random(seed))
    kind.validate(answer, Question(schema, asked.frame, dict(scene.subject or {})))
    assert CHECKED.answer(EARNERS[name], scene, IDS, random.Random(seed)) == answer


@pytest.mark.parametrize("name", sorted(EARNERS))
def test_honest_people_mostly_say_what_is_so_and_spammers_say_yes(name: str) -> None:
    earner, rng = EARNERS[name], random.Random(SEED)
    said = [[earner.says_yes(truly, rng) for _ in range(500)] for truly in (True, False)]
    if earner.honest:
        assert np.mean(said[0]) > 0.9
        assert np.mean(said[1]) < 0.1
    else:
        assert np.all(said)


def test_the_model_is_wrong_often_enough_that_accepting_all_of_it_fails() -> None:
    way = WAYS["verify"]
    pictures = [each for each in way.pictures(SEED) if not each.is_gold]
    lines = [
        {"name": each.name, "objects": [_as_written(e) for e in CHECKED.predicted(each, IDS, SEED)]}
        for each in pictures
    ]
    measured = way.measure(pictures, Outcome({"labels.jsonl": _jsonl(lines)}))
    assert 0.5 < measured.value < way.floor
    assert CHECKED.predicted(table(), IDS, 1) == CHECKED.predicted(table(), IDS, 1)


def _as_written(thing: Thing) -> dict[str, Any]:
    return {"class_id": thing["class"], "place": {"polygon": thing["polygon"]}}


def _jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in lines)


UPPER, LOWER = [[0, 10], [200, 12]], [[0, 60], [200, 58]]
WALL = Picture("wall", b"", 200, 100, [{"class": 1, "line": UPPER}, {"class": 1, "line": LOWER}],
               is_gold=False)  # fmt: skip
LEFT, RIGHT, BELOW = [[0, 11], [110, 11]], [[90, 13], [200, 12]], [[90, 57], [200, 60]]


def _pair(first: list[list[int]], second: list[list[int]]) -> Scene:
    subject = {"first": {"line": first}, "second": {"line": second}}
    return Scene(WALL.truth, (200, 100), subject)


def test_two_pieces_are_one_if_they_lie_along_one_line() -> None:
    assert JOINED.right(_pair(LEFT, RIGHT)) == {"verdict": "yes"}
    assert JOINED.right(_pair(LEFT, BELOW)) == {"verdict": "no"}
    rng = random.Random(SEED)
    said = [JOINED.answer(EARNERS["careful"], _pair(LEFT, BELOW), [1], rng) for _ in range(100)]
    assert said.count({"verdict": "no"}) > 90


@pytest.mark.parametrize(
    ("found", "value"),
    [([UPPER, LOWER], 1.0), ([LEFT, RIGHT, LOWER], 0.5), ([RIGHT, [*LEFT, *BELOW]], 0.0)],
    ids=["as they are", "apart", "crossed"],
)
def test_a_pair_counts_if_the_dataset_has_it_as_it_truly_is(found: Any, value: float) -> None:
    objects = [{"class_id": 1, "place": {"line": line}} for line in found]
    lines = _jsonl([{"name": "wall", "objects": objects}])
    pairs = [Pair("wall", np.array(LEFT), np.array(end)) for end in (RIGHT, BELOW)]
    measured = measures.joins([WALL], Outcome({"labels.jsonl": lines}, pairs))
    assert (measured.value, measured.objects) == (value, 2)


def test_where_there_was_no_doubt_nothing_is_shown() -> None:
    lines = _jsonl([{"name": "wall", "objects": []}])
    assert measures.joins([WALL], Outcome({"labels.jsonl": lines})).value == 0
