"""Whether two pieces are one object."""

from typing import Any

import pytest

from tessera.kinds import KINDS, InvalidAnswer, LabelSchema, Opinion, Question, Size
from tests.kinds.samples import a_box, a_schema, opinions, whole

JOIN = KINDS["join"]
SCHEMA = LabelSchema.parse({**a_schema().as_json(), "of": "box"})
QUESTION = Question(
    SCHEMA,
    whole(Size(200, 100)),
    {"first": a_box(10, 10, 90, 40), "second": a_box(95, 12, 150, 40)},
)
YES, NO = {"verdict": "yes"}, {"verdict": "no"}


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (None, ""),
        ({}, ""),
        ({"verdict": "maybe"}, "verdict"),
        ({"verdict": True}, "verdict"),
        ({"verdict": ["yes"]}, "verdict"),
        ({"verdict": "yes", "reason": "other"}, ""),
    ],
)
def test_only_yes_and_no_are_answers(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        JOIN.validate(answer, QUESTION)
    assert refusal.value.facts["at"] == at
    assert [JOIN.validate(each, QUESTION) for each in (YES, NO)] == [YES, NO]


def test_an_answer_is_right_or_wrong() -> None:
    scores = [JOIN.score(a, b, QUESTION) for a in (YES, NO) for b in (YES, NO)]
    assert scores == [1, 0, 0, 1]


def test_most_trust_decides_and_at_even_odds_they_stay_apart() -> None:
    JOIN.check_schema(SCHEMA)
    agreed = JOIN.aggregate(opinions(YES, YES, NO), QUESTION, target_confidence=0.85)
    assert (agreed.label["verdict"], agreed.decided) == ("yes", True)
    assert agreed.confidence == pytest.approx(0.9)
    doubted = [Opinion("a", NO, 0.95), Opinion("b", YES, 0.6)]
    assert JOIN.aggregate(doubted, QUESTION, target_confidence=0.9).label["verdict"] == "no"
    even = JOIN.aggregate(opinions(YES, NO), QUESTION, target_confidence=0.9)
    assert (even.label, even.decided) == ({"verdict": "no", "confidence": 0.5}, False)


def test_it_shows_nothing_of_its_own() -> None:
    assert JOIN.to_image(YES, QUESTION) == []
    assert JOIN.merge([], SCHEMA) == []
    assert JOIN.to_tile([a_box(10, 10, 90, 40)], QUESTION) is None
