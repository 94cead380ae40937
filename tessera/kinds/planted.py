"""Plausible mistakes: what a model might have said instead of what is right.

Whoever accepts all that they are shown is noticed only where some of it is wrong. Pure: all chance
comes out of the dice.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import Answer, Kind, Label, Question
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import Shape
from tessera.kinds.subjects import kind_under, shown
from tessera.kinds.verify import is_right
from tessera.shapes.frames import Window

Dice = np.random.Generator
Way = Callable[[Answer, Question, Sequence[Label], Dice], Iterator[Answer]]
"""Of spoiling an answer: yields ever worse ones, which may be no answers, or not wrong enough."""

FEWEST, MOST = 0.2, 0.35
"""Share of the objects that the first try spoils; a tenth may not be noticed, a half is no trap."""
NEAREST, FURTHEST = 0.4, 0.7
"""How far an object is moved, in sizes of its own: that no drawing of it could be taken for it."""


def planted(
    drawn: Answer, truth: Label, question: Question, others: Sequence[Label], dice: Dice
) -> Answer | None:
    """A wrong version of what is right, in canonical form; None if there is none to be found.

    Args:
        drawn: What is right, as an earner would have sent it.
        truth: What it is judged by; may also have what is optional.
        question: Of the project that verifies; its subject does not matter.
        others: What is right on other tiles, as earners would have sent it.
    """
    kind = kind_under(question.schema)
    under = Question(shown("verify", question.schema)[1], question.frame)
    ways, last = _ways(kind, question.schema)
    for way in (*_shuffled(ways, dice), *last):
        for wrong in way(drawn, under, others, dice):
            try:
                found = kind.validate(wrong, under)
            except InvalidAnswer:
                continue
            if is_right(found, truth, question) is False:
                return found
    return None


def _ways(kind: Kind, schema: LabelSchema) -> tuple[Sequence[Way], Sequence[Way]]:
    """Some to choose from, and some for when none of them will do."""
    if isinstance(kind, Objects):
        return (_left_out, _renamed, *(partial(way, kind.shape) for way in (_added, _moved))), ()
    if schema.of == "classify":
        return (_another, _other_classes), ()
    return (_less, _swapped), (_another,)


def _shuffled(some: Sequence[Any], dice: Dice) -> list[Any]:
    return [some[i] for i in dice.permutation(len(some))]


def _counts(size: int, dice: Dice) -> Iterator[int]:
    """How many to spoil: some, and then ever more of them."""
    count = math.ceil(size * dice.uniform(FEWEST, MOST))
    while count < size:
        yield count
        count *= 2
    if size:
        yield size


def _spoilt(
    drawn: Answer, dice: Dice, spoil: Callable[[dict[str, Any]], Sequence[dict[str, Any]]]
) -> Iterator[Answer]:
    """Answers of which ever more objects are spoilt."""
    objects = drawn["objects"]
    order = dice.permutation(len(objects)).tolist()
    for count in _counts(len(objects), dice):
        chosen = frozenset(order[:count])
        parts = [spoil(each) if i in chosen else [each] for i, each in enumerate(objects)]
        yield {"objects": [each for part in parts for each in part]}


def _left_out(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    del question, others
    return _spoilt(drawn, dice, lambda _: [])


def _renamed(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    del others

    def rename(each: dict[str, Any]) -> list[dict[str, Any]]:
        wrong = [id_ for id_ in question.schema.ids if id_ != each["class"]]
        return [_as_class(each, int(dice.choice(wrong)), question.schema) if wrong else each]

    return _spoilt(drawn, dice, rename)


def _as_class(each: Mapping[str, Any], class_id: int, schema: LabelSchema) -> dict[str, Any]:
    """With what it says that the other class can say, too."""
    named = schema.find(class_id)
    said = {
        name: value
        for name, value in each["attributes"].items()
        if named is not None and named.attribute(name)
    }
    return {**each, "class": class_id, "attributes": said}


def _added(
    shape: Shape, drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    """Objects of another tile, but not where they are there: nothing is to be seen twice."""
    for other in _shuffled(others, dice):
        for count in _counts(max(len(drawn["objects"]), 1), dice):
            more = _shuffled(other["objects"], dice)[:count]
            moved = [each for one in more for each in _moved_one(shape, one, question, dice)]
            yield {"objects": [*drawn["objects"], *moved]}


def _moved(
    shape: Shape, drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    del others
    return _spoilt(drawn, dice, lambda each: _moved_one(shape, each, question, dice) or [each])


def _moved_one(
    shape: Shape, each: Mapping[str, Any], question: Question, dice: Dice
) -> list[dict[str, Any]]:
    """By whole pixels, so that fractions stay what they were; nothing if it cannot be moved."""
    place = _elsewhere(shape, each, question, dice)
    rest = {name: value for name, value in each.items() if name not in shape.FIELDS}
    return [] if place is None else [rest | place]


def _elsewhere(
    shape: Shape, each: Mapping[str, Any], question: Question, dice: Dice
) -> dict[str, Any] | None:
    """Where the object is moved to: inside the tile if it fits there, else cut at its edge."""
    there = shape.load([each], question.schema, question.frame.window[:2])
    left, top, right, bottom = shape.bounds(there)[0].tolist()
    width, height = question.tile
    angle, far = dice.uniform(0, math.pi / 2), dice.uniform(NEAREST, FURTHEST)
    by = [far * math.cos(angle) * (right - left), far * math.sin(angle) * (bottom - top)]
    ways = [(x * round(by[0]), y * round(by[1])) for x in (1, -1) for y in (1, -1)]
    inside = [
        (x, y)
        for x, y in ways
        if min(left + x, top + y) >= 0 and right + x <= width and bottom + y <= height
    ]
    x, y = _shuffled(inside or ways, dice)[0]
    shown_ = shape.clipped(shape.moved(there, x, y), Window(0, 0, width, height)).shapes
    return shape.dump(shown_)[0] if len(shown_) == 1 else None


def _another(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    """What is right of another tile."""
    del drawn, question
    return (dict(each) for each in _shuffled(others, dice))


def _other_classes(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    """Of one, another; of several, ever more of them that are not there, or are."""
    del others
    schema, said = question.schema, set(drawn["classes"])
    order = _shuffled(schema.ids, dice)
    for count, each in enumerate(order, 1):
        classes = said ^ set(order[:count]) if schema.multiple else {each}
        kept = {key: of for key, of in drawn.get("attributes", {}).items() if int(key) in classes}
        yield {"classes": sorted(classes), **({"attributes": kept} if kept else {})}


def _less(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    """Without one of its regions."""
    del question, others
    for gone in dice.permutation(len(drawn["regions"])).tolist():
        yield {"regions": [each for i, each in enumerate(drawn["regions"]) if i != gone]}


def _swapped(
    drawn: Answer, question: Question, others: Sequence[Label], dice: Dice
) -> Iterator[Answer]:
    """One class taken for another, and the other for it."""
    del others
    schema = question.schema
    there = [each["class"] for each in drawn["regions"]]
    for first in _shuffled(there, dice):
        second = int(dice.choice([id_ for id_ in schema.ids if id_ != first] or [first]))
        swap = {first: second, second: first}
        yield {
            "regions": [
                _as_class(each, swap.get(each["class"], each["class"]), schema)
                for each in drawn["regions"]
            ]
        }
