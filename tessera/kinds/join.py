"""Join: are these two pieces one object?

The task's `subject` is the two: `{"first": {...}, "second": {...}}`, objects of the kind that the
label schema names in `of`, in tile pixels. Answer: `{"verdict": "yes"}` or `{"verdict": "no"}`.
Label: also `confidence`. It decides a merge, and shows nothing of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.opinions import each_once, of_two
from tessera.kinds.protocol import (
    UNDECIDED,
    Answer,
    Decided,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
)
from tessera.kinds.schema import LabelSchema
from tessera.kinds.subjects import kind_under
from tessera.shapes.boxes import Boxes

VERDICTS = ("no", "yes")


def check_schema(schema: LabelSchema) -> None:
    if schema.of is None:
        raise InvalidLabelSchema("of", "must name the kind of what is joined")
    kind_under(schema).check_schema(replace(schema, of=None))


def validate(answer: object, question: Question) -> Answer:
    del question
    found = fields.record(answer, "", InvalidAnswer, required={"verdict"})
    if found["verdict"] not in VERDICTS:
        raise InvalidAnswer("verdict", "must be yes or no")
    return {"verdict": found["verdict"]}


def score(answer: Label, gold: Label, question: Question) -> float:
    del question
    return float(answer["verdict"] == gold["verdict"])


def aggregate(
    opinions: Sequence[Opinion], question: Question, *, target_confidence: float
) -> Outcome:
    """Naive Bayes; at even odds the two stay apart."""
    ordered = each_once(opinions)
    probable = of_two(ordered, [choice(each.answer) for each in ordered])
    confidence = max(probable.values())
    label = label_of(probable, ordered, question)
    return Outcome(label, confidence, confidence >= target_confidence)


def choices(schema: LabelSchema) -> Sequence[int]:
    """See `Choice`: numbers of verdicts."""
    del schema
    return range(len(VERDICTS))


def choice(label: Label) -> int:
    return VERDICTS.index(label["verdict"])


def label_of(
    probable: Mapping[int, float], opinions: Sequence[Opinion], question: Question
) -> Answer:
    del opinions, question
    best = min(probable, key=lambda each: (-probable[each], each))
    return {"verdict": VERDICTS[best], "confidence": round(probable[best], 4)}


def to_image(label: Label, question: Question) -> list[ImageObject]:
    del label, question
    return []


def to_tile(objects: Sequence[Mapping[str, Any]], question: Question) -> Answer | None:
    """Objects alone do not tell which of them the two are pieces of."""
    del objects, question
    return None


def known(value: object, at: str, question: Question) -> ImageObject:
    """As `to_tile`: there is nothing to know of one object."""
    del value, question
    raise InvalidAnswer(at, "says nothing of two pieces")


def reach(objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
    del schema
    return np.tile((-np.inf, -np.inf, np.inf, np.inf), (len(objects), 1))


def merge(
    pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
) -> list[ImageObject]:
    """Nothing of its own: what it decides is decided in the merge of the kind it is about."""
    del pieces, schema, decided
    return []


def soft(labels: Sequence[Label], schema: LabelSchema) -> None:
    """It says nothing of classes."""
