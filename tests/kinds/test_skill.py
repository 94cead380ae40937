"""What is known of how somebody draws decides how much they count, and for what."""

from typing import Any

import pytest

from tessera.kinds import Objects, Opinion, Size, Skill
from tests.kinds.samples import BOX, about

QUESTION = about(Size(256, 256))
HERE, THERE = [100.0, 100.0, 140.0, 140.0], [20.0, 20.0, 60.0, 60.0]
CAREFUL = Skill(finds=0.95, right=0.95, exact=0.9)
SEES_LITTLE = Skill(finds=0.4, right=0.95, exact=0.9)
SEES_THINGS = Skill(finds=0.95, right=0.4, exact=0.9)


def said(*boxes: list[float]) -> dict[str, Any]:
    return BOX.validate({"objects": [{"class": 1, "box": box} for box in boxes]}, QUESTION)


def by(*drawings: tuple[Skill | None, dict[str, Any]], trust: float = 0.8) -> dict[str, Any]:
    opinions = [
        Opinion(f"p{number}", answer, trust, skill)
        for number, (skill, answer) in enumerate(drawings)
    ]
    outcome = BOX.aggregate(opinions, QUESTION, target_confidence=0.9)
    return {"objects": outcome.label["objects"], "confidence": outcome.confidence}


def test_who_sees_things_puts_nothing_there_that_a_careful_one_does_not_see() -> None:
    assert by((SEES_THINGS, said(HERE)), (CAREFUL, said()))["objects"] == []


def test_the_silence_of_who_sees_little_takes_nothing_away() -> None:
    found = by((CAREFUL, said(HERE)), (SEES_LITTLE, said()))
    assert [each["box"] for each in found["objects"]] == [HERE]
    assert found["confidence"] > by((CAREFUL, said(HERE)), (CAREFUL, said()))["confidence"]


def test_by_trust_alone_the_two_would_be_even() -> None:
    its_class_is_right = 0.8
    even = by((None, said(HERE)), (None, said()))["confidence"]
    assert even == pytest.approx(0.5 * its_class_is_right)


def test_nothing_here_is_surer_from_those_who_find_much() -> None:
    nothing = [by((skill, said()), (skill, said()))["confidence"] for skill in _by_finds()]
    assert nothing == sorted(nothing)
    assert nothing[0] < 0.75
    assert nothing[-1] > 0.98


def _by_finds() -> list[Skill]:
    return [Skill(finds, 0.9, 0.9) for finds in (0.4, 0.6, 0.8, 0.95)]


def test_where_an_object_lies_is_said_by_those_who_draw_exactly() -> None:
    shaky, exact = Skill(0.9, 0.9, 0.6), Skill(0.9, 0.9, 0.95)
    off = [94.0, 94.0, 134.0, 134.0]
    (found,) = by((shaky, said(off)), (exact, said(HERE)))["objects"]
    assert found["box"] == pytest.approx(HERE, abs=0.2)


def test_skill_that_trust_stands_in_for_changes_nothing() -> None:
    told = Skill(0.8, 0.8, 0.8)
    drawings = [said(HERE, THERE), said(HERE), said(THERE)]
    assert by(*((None, each) for each in drawings)) == by(*((told, each) for each in drawings))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_nobody_is_perfect(share: float) -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\)"):
        Skill(share, 0.5, 0.5)


def test_a_tally_counts_what_there_was_what_was_found_and_what_was_drawn() -> None:
    assert isinstance(BOX, Objects)
    tally = BOX.tally(said(HERE, [200.0, 200.0, 230.0, 230.0]), said(HERE, THERE), QUESTION)
    assert tally == (2, 1, 2, 1)


def test_what_is_optional_is_neither_there_nor_drawn_in_vain() -> None:
    assert isinstance(BOX, Objects)
    gold = said(HERE, THERE)
    gold["objects"][0]["optional"] = True
    where = [each["box"] for each in gold["objects"]]
    assert BOX.tally(said(where[0]), gold, QUESTION) == (1, 0, 0, 0)
