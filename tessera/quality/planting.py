"""Gold of projects that verify: of what is known to be right, half is shown wrong.

Else an earner who accepts whatever they are shown would answer all gold rightly. What a task shows
is the prediction that it has, if it has one, so that gold looks like the rest: one that is wrong
stays, one that is right is spoilt where wrong ones are missing. A task without one, or with one of
which good people may say either, shows the truth as an earner would have drawn it, or a spoilt
version of that.

Pure. Chance comes of the tasks' ids, which no earner ever sees; so what is brought in again makes
the same tasks wrong.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from tessera.kinds import Answer, InvalidAnswer, Kind, Label, LabelSchema, Question, shown, verify
from tessera.kinds.planted import planted
from tessera.kinds.subjects import as_answer, kind_under
from tessera.quality.views import Place, Seen

OTHERS = 8
"""Tiles of which objects may turn up on a spoilt one."""


class Cut(NamedTuple):
    """What is known of a tile."""

    place: Place
    expected: Answer | None
    """The right answer; None where what is known does not tell it."""
    subject: Mapping[str, Any] | None = None
    """What its task is to be about, if it is about something."""


class _Shown(NamedTuple):
    seen: Seen
    question: Question
    truth: Label
    drawn: Answer
    """What the task is about for now: as it was predicted, or as an earner would have drawn it."""
    is_right: bool


def watched(schema: LabelSchema, seen: Sequence[Seen]) -> list[Cut]:
    """Gold tasks of which half are about something wrong, if it can be."""
    there = {each.place.task_id: _shown(schema, each) for each in seen}
    some = [each for each in there.values() if each is not None]
    wrong = sum(not each.is_right for each in some)
    right = sorted((each for each in some if each.is_right), key=lambda each: _chance(each.seen))
    spoilt: dict[UUID, Answer] = {}
    for each in right:
        if wrong + len(spoilt) >= (len(some) + 1) // 2:
            break
        others = [other.drawn for other in some if other is not each and other.is_right]
        mistake = _spoil(each, others)
        if mistake is not None:
            spoilt[each.seen.place.task_id] = mistake
    return [_cut(each, there[each.place.task_id], spoilt) for each in seen]


def _shown(schema: LabelSchema, seen: Seen) -> _Shown | None:
    """None where no right answer is told, or no earner could have drawn it."""
    kind, of = kind_under(schema), Question(shown("verify", schema)[1], seen.place.frame)
    truth = kind.to_tile(seen.objects, of)
    drawn = as_drawn(kind, [each for each in seen.objects if not each.get("optional")], of)
    if truth is None or drawn is None:
        return None
    question = Question(schema, seen.place.frame)
    if seen.place.subject is not None:
        subject = seen.place.subject["label"]
        is_right = verify.is_right(subject, truth, question)
        if is_right is not None:
            return _Shown(seen, question, truth, subject, is_right)
    return _Shown(seen, question, truth, drawn, is_right=True)


def as_drawn(kind: Kind, objects: Sequence[Mapping[str, Any]], question: Question) -> Answer | None:
    """What an earner would have sent to say that these objects are there, if one could have.

    Slivers at the window's edge that nobody could have drawn are left out.
    """
    label = kind.to_tile(objects, question)
    if label is None:
        return None
    for shown_ in (label, _without_optional(label)):
        try:
            return kind.validate(as_answer(shown_), question)
        except InvalidAnswer:
            continue
    return None


def _without_optional(label: Label) -> Label:
    return {
        name: [each for each in value if not (isinstance(each, dict) and each.get("optional"))]
        if isinstance(value, list)
        else value
        for name, value in label.items()
    }


def _spoil(each: _Shown, others: Sequence[Answer]) -> Answer | None:
    dice = np.random.default_rng(list(_chance(each.seen)))
    few = [others[i] for i in dice.permutation(len(others))[:OTHERS]]
    return planted(each.drawn, each.truth, each.question, few, dice)


def _chance(seen: Seen) -> bytes:
    return hashlib.sha256(seen.place.task_id.bytes).digest()


def _cut(seen: Seen, known: _Shown | None, spoilt: Mapping[UUID, Answer]) -> Cut:
    if known is None:
        return Cut(seen.place, None)
    subject = {"label": spoilt.get(seen.place.task_id, known.drawn)}
    question = Question(known.question.schema, known.question.frame, subject)
    return Cut(seen.place, verify.to_tile(seen.objects, question), subject)


def plain(kind: Kind, schema: LabelSchema, seen: Iterable[Seen]) -> list[Cut]:
    """Gold tasks of a project that asks for something new."""
    return [
        Cut(each.place, kind.to_tile(each.objects, Question(schema, each.place.frame)))
        for each in seen
    ]
