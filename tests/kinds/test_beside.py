"""What drawings tell of those who made them, beside what the others drew."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import (
    KINDS,
    LabelSchema,
    Objects,
    Opinion,
    Question,
    Size,
    Skill,
    Tally,
    TileFrame,
    Window,
)
from tests.world import BOX_SCHEMA

WHOLE = Window(0, 0, 256, 256)
QUESTION = Question(LabelSchema.parse(BOX_SCHEMA), TileFrame(WHOLE, WHOLE, Size(256, 256)))
CUP, COIN, GHOST = (
    [20.0, 20.0, 80.0, 80.0],
    [100.0, 100.0, 140.0, 140.0],
    [150.0, 150.0, 200.0, 200.0],
)
PLACES = (CUP, COIN, GHOST)
BOX = KINDS["box"]


def boxes(*where: list[float]) -> dict[str, Any]:
    assert isinstance(BOX, Objects)
    said = {"objects": [{"class": 1, "box": box} for box in where]}
    return BOX.validate(said, QUESTION)


def told(**drawn: Any) -> dict[str, Tally]:
    assert isinstance(BOX, Objects)
    opinions = [Opinion(name, answer, 0.8) for name, answer in drawn.items()]
    tallies = BOX.tallies(opinions, QUESTION)
    return dict(zip(drawn, tallies, strict=True))


def test_who_draws_what_the_others_draw_finds_what_is_there() -> None:
    for tally in told(ada=boxes(CUP), ben=boxes(CUP), eve=boxes(CUP)).values():
        there, found, drawn, credit = tally
        assert there == found == pytest.approx(0.94, abs=0.02)
        assert drawn == 1
        assert credit == pytest.approx(found)


def test_nobody_vouches_for_themselves() -> None:
    tallies = told(ada=boxes(CUP), ben=boxes(CUP), eve=boxes(CUP, GHOST))
    assert tallies["eve"].drawn - tallies["eve"].found > 0.9
    assert tallies["ada"].there - tallies["ada"].found == pytest.approx(0.5, abs=0.1), (
        "eve says that there is something, ben that there is not"
    )


def test_who_misses_what_the_others_draw_is_told_so() -> None:
    tallies = told(ada=boxes(CUP, COIN), ben=boxes(CUP, COIN), eve=boxes(CUP))
    assert tallies["eve"].there - tallies["eve"].found > 0.9
    assert tallies["eve"].drawn == 1


def test_of_one_alone_nothing_is_told() -> None:
    assert told(ada=boxes(CUP, GHOST)) == {"ada": Tally(0, 0, 0, 0)}


def test_where_nobody_draws_anything_nothing_is_told() -> None:
    assert set(told(ada=boxes(), ben=boxes()).values()) == {Tally(0, 0, 0, 0)}


def test_who_sees_things_by_gold_is_no_witness() -> None:
    assert isinstance(BOX, Objects)
    sees_things, usual = Skill(0.8, 0.5, 0.8), Skill(0.8, 0.8, 0.8)
    by = {}
    for name, skill in (("a medium", sees_things), ("anybody", usual)):
        opinions = [
            Opinion("ada", boxes(), 0.8),
            Opinion("ben", boxes(GHOST), 0.8, skill),
            Opinion("eve", boxes(GHOST), 0.8),
        ]
        by[name] = BOX.tallies(opinions, QUESTION)[2].found
    assert by["a medium"] < by["anybody"]


@given(
    drawn=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_tallies_are_shares_of_each_other_and_depend_on_no_order(
    drawn: list[list[bool]], seed: int
) -> None:
    answers = {
        f"earner {number}": boxes(*(p for p, drew in zip(PLACES, mine, strict=True) if drew))
        for number, mine in enumerate(drawn)
    }
    tallies = told(**answers)
    for name, (there, found, count, credit) in tallies.items():
        assert 0 <= credit <= found + 1e-9 <= there + 2e-9
        assert found <= count + 1e-9
        assert count in {len(answers[name]["objects"]), 0.0}
    shuffled = random.Random(seed).sample(list(answers), len(answers))
    again = told(**{name: answers[name] for name in shuffled})
    for name, tally in tallies.items():
        assert again[name] == pytest.approx(tally)
