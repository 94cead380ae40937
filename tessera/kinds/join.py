"""Join: are these two pieces one object?

The task's `subject` is the two: `{"first": {...}, "second": {...}}`, objects of the kind that the
label schema names in `of`, in tile pixels. Answer: `{"verdict": "yes"}` or `{"verdict": "no"}`.
Label: also `confidence`. It decides a merge, and shows nothing of its own.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.opinions import each_once, posterior, weight
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
    del question
    votes: dict[int, list[float]] = defaultdict(list)
    for each in each_once(opinions):
        votes[VERDICTS.index(each.answer["verdict"])].append(weight(each.trust, 2))
    best, confidence = posterior({c: math.fsum(w) for c, w in votes.items()}, len(VERDICTS))
    label = {"verdict": VERDICTS[best], "confidence": round(confidence, 4)}
    return Outcome(label, confidence, confidence >= target_confidence)


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
