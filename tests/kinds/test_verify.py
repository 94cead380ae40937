"""Looking at what somebody, or a model, has said before."""

import json
import random
from typing import Any

import pytest

from tessera.kinds import (
    KINDS,
    InvalidAnswer,
    InvalidLabelSchema,
    LabelSchema,
    Opinion,
    Piece,
    Question,
    Size,
)
from tests.kinds.samples import a_box, a_schema, boxes, gold_of, opinions, tiles_of, whole

VERIFY, BOX = KINDS["verify"], KINDS["box"]
SCHEMA = LabelSchema.parse({**a_schema().as_json(), "of": "box"})
TILE = Size(200, 160)
FRAME = whole(TILE)
SUBJECT = boxes(a_box(20, 20, 60, 60), a_box(100, 90, 180, 140, label=2))
BETTER = boxes(a_box(20, 20, 60, 60), a_box(90, 90, 180, 150, label=2))
QUESTION = Question(SCHEMA, FRAME, {"label": SUBJECT})
SUBJECT_ALONE = boxes(a_box(20, 20, 60, 60))
YES: dict[str, Any] = {"verdict": "yes"}
NO: dict[str, Any] = {"verdict": "no", "reason": "bad-outline"}
FIX: dict[str, Any] = {"verdict": "fix", "label": BETTER}


@pytest.mark.parametrize("answer", [YES, NO, FIX, {**FIX, "reason": "missing"}])
def test_right_wrong_and_better_are_answers(answer: dict[str, Any]) -> None:
    canonical = VERIFY.validate(answer, QUESTION)
    assert json.dumps(VERIFY.validate(canonical, QUESTION)) == json.dumps(canonical)
    assert canonical["verdict"] == answer["verdict"]


def test_nothing_here_can_be_the_fix() -> None:
    assert VERIFY.validate({"verdict": "fix", "label": boxes()}, QUESTION)["label"] == boxes()


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (None, ""),
        ({}, ""),
        ({"verdict": "maybe"}, "verdict"),
        ({"verdict": True}, "verdict"),
        ({"verdict": ["yes"]}, "verdict"),
        ({"verdict": "yes", "reason": "extra"}, ""),
        ({"verdict": "yes", "label": BETTER}, ""),
        ({"verdict": "no"}, "reason"),
        ({"verdict": "no", "reason": "ugly"}, "reason"),
        ({"verdict": "no", "reason": None}, "reason"),
        ({"verdict": "no", "reason": "extra", "label": BETTER}, "reason"),
        ({"verdict": "fix"}, "label"),
        ({"verdict": "fix", "label": []}, "label"),
        ({"verdict": "fix", "label": boxes(a_box(1, 1, 1, 9))}, "label.objects[0].box"),
        ({"verdict": "fix", "label": SUBJECT}, "label"),
        ({"verdict": "fix", "label": BETTER, "confidence": 1}, ""),
    ],
)
def test_hostile_verdicts_are_refused_with_the_place(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        VERIFY.validate(answer, QUESTION)
    assert refusal.value.facts["at"] == at


@pytest.mark.parametrize(
    ("kind", "label", "same"),
    [
        ("box", boxes(a_box(20, 20, 60, 60, confidence=0.9, optional=True)), SUBJECT_ALONE),
        ("classify", {"classes": [2], "confidence": 0.8}, {"classes": [2]}),
    ],
)
def test_a_fix_that_only_leaves_out_how_certain_it_was_changes_nothing(
    kind: str, label: dict[str, Any], same: dict[str, Any]
) -> None:
    schema = LabelSchema.parse({**a_schema().as_json(), "of": kind})
    with pytest.raises(InvalidAnswer, match="changes nothing"):
        VERIFY.validate(
            {"verdict": "fix", "label": same}, Question(schema, FRAME, {"label": label})
        )


@pytest.mark.parametrize("of", [None, "verify", "join", "hologram"])
def test_a_schema_names_a_kind_that_can_be_looked_at(of: str | None) -> None:
    data = a_schema().as_json() | ({} if of is None else {"of": of})
    for kind in ("verify", "join"):
        with pytest.raises(InvalidLabelSchema) as refusal:
            KINDS[kind].check_schema(LabelSchema.parse(data))
        assert refusal.value.facts["at"] == "of"
    with pytest.raises(InvalidLabelSchema):
        BOX.check_schema(SCHEMA)


def test_the_kind_that_is_looked_at_checks_the_schema_too() -> None:
    one_class = LabelSchema.parse({**a_schema(1).as_json(), "of": "classify"})
    with pytest.raises(InvalidLabelSchema):
        VERIFY.check_schema(one_class)
    VERIFY.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        (YES, YES, 1),
        (NO, YES, 0),
        (FIX, YES, 0),
        (YES, NO, 0),
        (YES, FIX, 0),
        (NO, NO, 1),
        (FIX, NO, 1),
        (NO, FIX, 1),
        (FIX, FIX, 1),
        ({"verdict": "fix", "label": boxes(a_box(20, 20, 60, 60))}, FIX, 2 / 3),
    ],
)
def test_lazy_acceptance_is_wrong_and_a_fix_is_as_right_as_what_it_proposes(
    answer: dict[str, Any], gold: dict[str, Any], expected: float
) -> None:
    assert VERIFY.score(answer, gold, QUESTION) == pytest.approx(expected)


def test_most_trust_decides_and_fixes_are_put_together() -> None:
    shaky = [
        {"verdict": "fix", "label": boxes(a_box(20, 20, 60, 60), a_box(*edges, label=2))}
        for edges in ((89, 90, 181, 150), (91, 92, 180, 149), (90, 89, 179, 151))
    ]
    said = [*opinions(*shaky), Opinion("lazy", YES, 0.7), Opinion("short", NO, 0.7)]
    outcome = VERIFY.aggregate(said, QUESTION, target_confidence=0.9)
    assert outcome.decided
    assert (outcome.label["verdict"], outcome.label["reason"]) == ("fix", "bad-outline")
    assert [each["box"] for each in outcome.label["label"]["objects"]] == [
        [20, 20, 60, 60],
        [90, 90, 180, 150],
    ]
    shuffled = random.Random(3).sample(said, len(said))
    assert VERIFY.aggregate(shuffled, QUESTION, target_confidence=0.9) == outcome


def test_without_fixes_it_is_wrong_for_the_reason_of_most() -> None:
    said = [
        Opinion("a", NO, 0.9),
        Opinion("b", {"verdict": "no", "reason": "extra"}, 0.7),
        Opinion("c", {"verdict": "no", "reason": "bad-outline"}, 0.7),
        Opinion("d", YES, 0.6),
    ]
    outcome = VERIFY.aggregate(said, QUESTION, target_confidence=0.9)
    assert outcome.label == {
        "verdict": "no",
        "reason": "bad-outline",
        "confidence": round(outcome.confidence, 4),
    }
    agreed = VERIFY.aggregate(opinions(YES, YES), QUESTION, target_confidence=0.9)
    assert agreed.label == {"verdict": "yes", "confidence": round(agreed.confidence, 4)}
    with pytest.raises(ValueError, match="no opinions"):
        VERIFY.aggregate([], QUESTION, target_confidence=0.9)


def test_many_who_are_not_believed_do_not_get_their_fix() -> None:
    said = [Opinion("honest", NO, 0.9), *(Opinion(f"spoiler {i}", FIX, 0.3) for i in range(5))]
    outcome = VERIFY.aggregate(said, QUESTION, target_confidence=0.9)
    assert (outcome.label["verdict"], outcome.label["reason"]) == ("no", "bad-outline")


def test_one_who_is_hardly_believed_still_has_a_verdict() -> None:
    outcome = VERIFY.aggregate([Opinion("spoiler", NO, 1e-12)], QUESTION, target_confidence=0.9)
    assert outcome.label == {"verdict": "no", "reason": "bad-outline", "confidence": 0.5}


def test_known_objects_tell_whether_the_annotation_is_right() -> None:
    there = BOX.to_image(SUBJECT, QUESTION)
    assert gold_of(VERIFY, there, QUESTION) == YES
    missed = gold_of(VERIFY, [*there, {"class": 3, "box": [5, 100, 50, 150]}], QUESTION)
    assert missed["verdict"] == "fix"
    assert VERIFY.score(YES, missed, QUESTION) == 0
    assert len(missed["label"]["objects"]) == 3


def _about(kind: str, label: dict[str, Any], **schema: Any) -> Question:
    found = LabelSchema.parse({**a_schema().as_json(), **schema, "of": kind})
    return Question(found, FRAME, {"label": label})


ROW = [a_box(x, 20, x + 12, 50) for x in range(0, 190, 15)]
OUTLINE = [[[[20, 20], [60, 20], [60, 60], [20, 60]]]]


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (boxes(*ROW), "yes"),
        (boxes(*(a_box(x + 1, 20, x + 12, 51) for x in range(0, 190, 15))), "yes"),
        (boxes(*ROW[1:]), None),
        (boxes(*ROW, a_box(10, 100, 60, 150)), None),
        (boxes(a_box(*ROW[0]["box"], label=2), *ROW[1:]), None),
        (boxes(*ROW[3:]), "fix"),
        (boxes(), "fix"),
    ],
)
def test_of_many_objects_one_that_is_wrong_can_be_disputed_and_some_cannot(
    label: dict[str, Any], verdict: str | None
) -> None:
    """Who says yes to it is not wrong, and who has noticed it neither."""
    question = _about("box", label)
    found = VERIFY.to_tile(BOX.to_image(boxes(*ROW), question), question)
    assert (found and found["verdict"]) == verdict


@pytest.mark.parametrize(("off", "verdict"), [(2, "yes"), (4, None), (9, "fix")])
def test_so_can_an_outline_that_is_not_quite_where_it_should_be(
    off: float, verdict: str | None
) -> None:
    moved = [[[[x + off, y] for x, y in ring] for ring in part] for part in OUTLINE]
    drawn = {"objects": [{"class": 1, "polygon": moved, "attributes": {}}]}
    known = [{"class": 1, "polygon": OUTLINE, "attributes": {}}]
    found = VERIFY.to_tile(known, _about("polygon", drawn))
    assert (found and found["verdict"]) == verdict


@pytest.mark.parametrize(("said", "verdict"), [(12, "yes"), (11, None), (9, "fix"), (0, "fix")])
def test_so_can_one_class_of_many(said: int, verdict: str | None) -> None:
    classes = a_schema(12).as_json()["classes"]
    question = _about(
        "classify", {"classes": [*range(1, said + 1)]}, classes=classes, multiple=True
    )
    known = [{"class": number, "attributes": {}} for number in range(1, 13)]
    found = VERIFY.to_tile(known, question)
    assert (found and found["verdict"]) == verdict


def test_what_was_verified_on_tiles_is_put_together_as_what_it_is_about() -> None:
    image = Size(180, 100)
    known = [{"class": 1, "box": [82.0, 20.0, 96.0, 40.0], "attributes": {}}]
    pieces = []
    for frame, verdict in zip(tiles_of(image, tile=100, margin=10), (YES, NO), strict=False):
        label = gold_of(BOX, known, Question(a_schema(), frame))
        question = Question(SCHEMA, frame, {"label": label})
        pieces.append(Piece(frame, VERIFY.to_image(verdict, question)))
    (found,) = VERIFY.merge(pieces, SCHEMA)
    assert found["box"] == known[0]["box"]
    fixed = VERIFY.to_image({**FIX, "confidence": 0.9}, QUESTION)
    assert [each["box"] for each in fixed] == [each["box"] for each in BETTER["objects"]]
    assert VERIFY.reach(known, SCHEMA).tolist() == [known[0]["box"]]


def test_a_question_without_its_subject_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has none"):
        VERIFY.to_image(YES, Question(SCHEMA, FRAME))
