"""Verify: is this existing annotation right?

The task's `subject` is the annotation: `{"label": {...}}`, a label of the kind that the label
schema names in `of`, in tile pixels. Answer: `{"verdict": "yes"}`; `{"verdict": "no", "reason":
"bad-outline"}`; or `{"verdict": "fix", "label": {...}}`, the annotation as it should be, with or
without a reason. Label: also `confidence`.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.objects import Objects
from tessera.kinds.opinions import each_once, of_two, weight
from tessera.kinds.protocol import (
    UNDECIDED,
    Answer,
    Decided,
    ImageObject,
    Kind,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
)
from tessera.kinds.schema import LabelSchema
from tessera.kinds.subjects import as_answer, kind_under, shown, subject_of
from tessera.shapes.boxes import Boxes

RIGHT_ENOUGH, WRONG_ENOUGH = 0.9, 0.6
"""Scores, against the truth, from which an annotation should be accepted, and below which not."""
_YES, _OTHERWISE = 1, 0
_ROUNDING = 1e-9


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"
    FIX = "fix"


class Reason(StrEnum):
    WRONG_CLASS = "wrong-class"
    BAD_OUTLINE = "bad-outline"
    MISSING = "missing"
    """Something that should be annotated is not."""
    EXTRA = "extra"
    """Something is annotated that should not be, or twice."""
    NOT_VISIBLE = "not-visible"
    """It cannot be told from this picture."""
    OTHER = "other"


def check_schema(schema: LabelSchema) -> None:
    if schema.of is None:
        raise InvalidLabelSchema("of", "must name the kind of what is looked at")
    for number, each in enumerate(schema.reasons):
        _one_of(Reason, each, f"reasons[{number}]", InvalidLabelSchema)
    kind_under(schema).check_schema(shown("verify", schema)[1])


def validate(answer: object, question: Question) -> Answer:
    found = fields.record(
        answer,
        "",
        InvalidAnswer,
        required={"verdict"},
        optional=frozenset({"reason", "label"}),
    )
    verdict = _one_of(Verdict, found["verdict"], "verdict")
    reason = _reason(found["reason"], question.schema) if "reason" in found else None
    if verdict is Verdict.YES and len(found) > 1:
        raise InvalidAnswer("", "what is right has neither a reason nor another label")
    if verdict is Verdict.NO and (reason is None or "label" in found):
        raise InvalidAnswer("reason", "is what a 'no' has, and nothing else")
    if verdict is not Verdict.FIX:
        return {"verdict": verdict.value, **({} if reason is None else {"reason": reason.value})}
    if "label" not in found:
        raise InvalidAnswer("label", "is missing: a fix says what would be right")
    label = _fixed(found["label"], question)
    said = {} if reason is None else {"reason": reason.value}
    return {"verdict": verdict.value, **said, "label": label}


def _reason(value: object, schema: LabelSchema) -> Reason:
    reason: Reason = _one_of(Reason, value, "reason")
    if schema.reasons and reason not in schema.reasons:
        raise InvalidAnswer("reason", f"must be one of {', '.join(schema.reasons)}")
    return reason


def _one_of(
    words: type[StrEnum],
    value: object,
    at: str,
    error: type[InvalidAnswer | InvalidLabelSchema] = InvalidAnswer,
) -> Any:
    if not isinstance(value, str) or value not in list(words):
        raise error(at, f"must be one of {', '.join(words)}")
    return words(value)


def _fixed(value: object, question: Question) -> Answer:
    try:
        label = kind_under(question.schema).validate(value, _under(question))
    except InvalidAnswer as error:
        at = f"label.{error.facts['at']}" if error.facts["at"] else "label"
        raise InvalidAnswer(at, error.facts["why"]) from error
    if label == as_answer(subject_of(question)["label"]):
        raise InvalidAnswer("label", "changes nothing: say yes")
    return label


def _under(question: Question) -> Question:
    """What was asked when the annotation was made."""
    return Question(shown("verify", question.schema)[1], question.frame)


def score(answer: Label, gold: Label, question: Question) -> float:
    """Whether the verdict is right; a fix also by how right it is.

    That something is wrong can be said in two ways. Where the truth is known, a fix counts as much
    as the annotation it proposes, and a *no* is right; where it is not, either is.
    """
    if Verdict.YES in (answer["verdict"], gold["verdict"]):
        return float(answer["verdict"] == gold["verdict"])
    if answer["verdict"] == Verdict.FIX and "label" in gold:
        return kind_under(question.schema).score(answer["label"], gold["label"], _under(question))
    return 1.0


def aggregate(
    opinions: Sequence[Opinion], question: Question, *, target_confidence: float
) -> Outcome:
    """Naive Bayes over *right* and *not right*; then, if it is not, what would be.

    It is fixed if those who propose a fix have at least half of the weight of all who find it
    wrong: their fixes are aggregated as answers of the annotated kind. How sure that kind is of
    the fix is not asked: people do not correct alike, and the next to verify sees the result.
    """
    ordered = each_once(opinions)
    probable = of_two(ordered, [choice(each.answer) for each in ordered])
    confidence = max(probable.values())
    label = label_of(probable, ordered, question)
    return Outcome(label, confidence, confidence >= target_confidence)


def choices(schema: LabelSchema) -> Sequence[int]:
    """See `Choice`: right, or not."""
    del schema
    return sorted((_YES, _OTHERWISE))


def choice(label: Label) -> int:
    return _YES if label["verdict"] == Verdict.YES else _OTHERWISE


def label_of(
    probable: Mapping[int, float], opinions: Sequence[Opinion], question: Question
) -> Answer:
    best = min(probable, key=lambda each: (-probable[each], each))
    wrong = [each for each in opinions if choice(each.answer) != _YES]
    # however it came about: where nobody says so, there is no reason either
    found = best != _YES and bool(wrong)
    label: Answer = _otherwise(wrong, question) if found else {"verdict": Verdict.YES.value}
    label["confidence"] = round(probable[_OTHERWISE if found else _YES], 4)
    return label


def _otherwise(opinions: Sequence[Opinion], question: Question) -> dict[str, Any]:
    reasons: dict[str, list[float]] = defaultdict(list)
    for each in opinions:
        if "reason" in each.answer:
            reasons[each.answer["reason"]].append(weight(each.trust, 2))
    behind = {reason: math.fsum(weights) for reason, weights in reasons.items()}
    said = {"reason": min(behind, key=lambda r: (-behind[r], r))} if behind else {}
    fixes = [each for each in opinions if each.answer["verdict"] == Verdict.FIX]
    behind_fixes, total = (
        math.fsum(weight(each.trust, 2) for each in some) for some in (fixes, opinions)
    )
    if not fixes or 2 * behind_fixes < total - _ROUNDING:
        return {"verdict": Verdict.NO.value, **said}
    proposed = [replace(each, answer=each.answer["label"]) for each in fixes]
    fixed = kind_under(question.schema).aggregate(proposed, _under(question), target_confidence=0.5)
    return {"verdict": Verdict.FIX.value, **said, "label": fixed.label}


def to_image(label: Label, question: Question) -> list[ImageObject]:
    """What the verdict leaves: the annotation, the fix, or nothing."""
    if label["verdict"] == Verdict.NO:
        return []
    right = label["label"] if label["verdict"] == Verdict.FIX else subject_of(question)["label"]
    return kind_under(question.schema).to_image(right, _under(question))


def is_right(label: Label, truth: Label, question: Question) -> bool | None:
    """Whether an annotation should be accepted; None where good people may differ.

    They do if everything is there, but not quite where it should be; and where one thing in ten is
    missing, which one of them has seen and another has not.

    Args:
        question: Of the project that verifies; its subject does not matter.
    """
    kind, under = kind_under(question.schema), _under(question)
    score = kind.score(label, truth, under)
    if _names_the_same(kind, label, truth, under):
        return True if score >= RIGHT_ENOUGH else False if score < WRONG_ENOUGH else None
    return False if score < RIGHT_ENOUGH else None


def _names_the_same(kind: Kind, label: Label, truth: Label, under: Question) -> bool:
    if isinstance(kind, Objects):
        return kind.names_the_same(label, truth, under)
    said, true = (
        each["classes"] if "classes" in each else [region["class"] for region in each["regions"]]
        for each in (label, truth)
    )
    return sorted(said) == sorted(true)


def to_tile(objects: Sequence[Mapping[str, Any]], question: Question) -> Answer | None:
    """The verdict that known objects give on the task's subject; None if that can be disputed."""
    truth = kind_under(question.schema).to_tile(objects, _under(question))
    right = None if truth is None else is_right(subject_of(question)["label"], truth, question)
    if right is None:
        return None
    if right:
        return {"verdict": Verdict.YES.value}
    return {"verdict": Verdict.FIX.value, "label": truth}


def known(value: object, at: str, question: Question) -> ImageObject:
    return kind_under(question.schema).known(value, at, _under(question))


def reach(objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
    return kind_under(schema).reach(objects, shown("verify", schema)[1])


def merge(
    pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
) -> list[ImageObject]:
    return kind_under(schema).merge(pieces, shown("verify", schema)[1], decided)


def soft(labels: Sequence[Label], schema: LabelSchema) -> None:
    """How probable it is that all is right says little of each class."""
