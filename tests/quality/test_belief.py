"""What a few answers come to, by what everybody is known to confuse."""

from collections.abc import Sequence

import numpy as np
import pytest

from tessera.kinds import LabelSchema, Opinion, Question, Size, TileFrame, Window
from tessera.kinds.choice import choice_of
from tessera.quality.belief import Belief, Earner
from tessera.truth.calibration import Calibration
from tests.quality.court import ANIMALS, CAT, DOG, OWL

WHOLE = Window(0, 0, 64, 64)
SCHEMA = LabelSchema.parse(ANIMALS)
QUESTION = Question(SCHEMA, TileFrame(WHOLE, WHOLE, Size(64, 64)))
RARELY = 1e-4
GOOD = [90.0, 10.0, 0.0, 0.0, 100.0, 0.0, 0.0, 10.0, 90.0]
"""Cats are taken for dogs at times, dogs never for cats."""


def belief(*, bias: Sequence[float] = (0, 0, 0), by_coins: bool = False) -> Belief:
    choice = choice_of("classify", SCHEMA)
    assert choice is not None
    common = np.array([[0.9, 0.1, RARELY], [RARELY, 1.0, RARELY], [RARELY, 0.1, 0.9]])
    calibration = Calibration(0.31, np.array(bias, dtype=np.float64), 50)
    prior = np.full(3, 1 / 3)
    return Belief(choice, [1, 2, 3], prior, common, calibration, by_coins)


def decided(of: Belief, *said: object, known: Sequence[Earner] = ()) -> tuple[int, bool, float]:
    opinions = [Opinion(f"p{i}", dict(answer), 0.8) for i, answer in enumerate(said)]  # type: ignore[call-overload]
    outcome = of.decide(
        opinions,
        {f"p{i}": each for i, each in enumerate(known)},
        QUESTION,
        target_confidence=0.9,
    )
    return outcome.label["classes"][0], outcome.decided, outcome.confidence


def test_one_newcomer_does_not_outvote_four_who_are_known() -> None:
    known = [Earner(40, GOOD)] * 4
    class_id, is_decided, _ = decided(belief(), DOG, DOG, DOG, DOG, CAT, known=known)
    assert (class_id, is_decided) == (2, True)


def test_who_is_known_to_take_cats_for_dogs_does_not_make_a_dog() -> None:
    blind = Earner(60, [0.0, 60.0, 0.0, 0.0, 60.0, 0.0, 0.0, 0.0, 60.0])
    assert decided(belief(), DOG, CAT, known=[blind, Earner(60, GOOD)])[0] == 1


def test_what_calibration_makes_of_it_is_not_decided_if_nobody_is_sure_of_it() -> None:
    class_id, is_decided, _ = decided(belief(bias=(-3, 3, 0)), CAT, CAT, CAT)
    assert (class_id, is_decided) == (2, False)


@pytest.mark.parametrize("counts", [None, [3.0, 4.0], [1.0] * 16])
def test_counts_of_another_size_count_as_none(counts: list[float] | None) -> None:
    told = decided(belief(), OWL, OWL, known=[Earner(8, counts), Earner(8, counts)])
    assert told == decided(belief(), OWL, OWL, known=[Earner(8, None), Earner(8, None)])
    assert len(belief().counted(counts, CAT, DOG)) == 9


def test_one_number_of_each_does_where_choices_are_too_many() -> None:
    good, bad = Earner(20, [19.0, 20.0]), Earner(20, [4.0, 20.0])
    class_id, _, _ = decided(belief(by_coins=True), CAT, DOG, known=[good, bad])
    assert class_id == 1
    assert belief(by_coins=True).counted([19.0, 20.0], CAT, CAT) == [20, 21]
    assert belief(by_coins=True).counted([19.0, 20.0], CAT, DOG) == [19, 21]
