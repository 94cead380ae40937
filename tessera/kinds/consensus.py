"""What several earners' drawings of one tile come to, object by object."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessera.kinds.attributes import Value, agreed
from tessera.kinds.opinions import posterior, probability, weight
from tessera.kinds.protocol import Label, Opinion, Question, Skill
from tessera.kinds.shape import Measures, Shape, Shapes
from tessera.shapes.boxes import Indices, as_boxes, ious, owned, pairs
from tessera.shapes.frames import TileFrame
from tessera.shapes.matching import join

UNSURE = 0.5
"""What an object counts that its earner does not vouch for."""
NEAR = 4.0
"""Half the pixels that two outlines may lie apart and still be compared: lines seldom touch."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that at least one earner drew."""

    class_id: int
    place: dict[str, Any]
    attributes: dict[str, Value]
    exists: float
    """Probability that it is there."""
    class_right: float
    """Probability that its class is right, given that it is there."""
    owned: bool
    """Whether its centre lies in the tile's core, so that this tile decides about it."""

    @property
    def kept(self) -> bool:
        return self.exists >= 0.5  # noqa: PLR2004

    @property
    def certainty(self) -> float:
        """Probability that what was decided about it is right."""
        return self.exists * self.class_right if self.kept else 1 - self.exists

    def as_json(self, target_confidence: float) -> dict[str, Any]:
        doubtful = not self.owned and self.certainty < target_confidence
        return {
            "class": self.class_id,
            **self.place,
            "attributes": self.attributes,
            "confidence": round(self.certainty, 4),
        } | ({"optional": True} if doubtful else {})


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One earner's drawing of an object."""

    said: Mapping[str, Any]
    trust: float
    skill: Skill

    def weight(self, choices: int) -> float:
        return weight(self.trust, choices) * vouched(self.said)


class InQuestion(NamedTuple):
    """All that several answers drew of one tile."""

    objects: Sequence[Mapping[str, Any]]
    makers: Indices
    """Of each object the number of its answer, ascending."""
    shapes: Shapes
    things: Sequence[list[int]]
    """Objects, by number, that are drawings of one thing; at most one of each answer."""


_LEAST_SILENT = 0.02


def vouched(said: Mapping[str, Any]) -> float:
    """What a drawing counts."""
    return UNSURE if said.get("unsure") else 1.0


def by_drawing(skill: Skill, said: Mapping[str, Any]) -> float:
    """Log-odds that somebody's drawing adds to there being something."""
    return weight(skill.right, 2) * vouched(said)


def by_silence(skill: Skill) -> float:
    """Log-odds that the silence of somebody takes from there being something.

    Who finds f of what is there, and is right in p of what they draw, draws f (1 - p) / p of the
    things in question that are not there: half of those are, before anybody is asked.
    """
    in_vain = skill.finds * (1 - skill.right) / skill.right
    misses = max(1 - skill.finds, _LEAST_SILENT)
    return max(0.0, math.log(max(1 - in_vain, _LEAST_SILENT) / misses))


def consensus(
    shape: Shape, opinions: Sequence[Opinion], question: Question
) -> tuple[list[Found], float]:
    """Match drawings across answers and weigh the evidence for each object.

    Everybody has a rate of what they miss and one of what they draw in vain (Branson et al. 2017);
    where those are not known, one coin for both: an earner of trust t draws an object that is there
    with probability t, and one that is not with probability 1 - t. (Trust is a mean F1 on gold.)
    The prior is even, as an object is only in question once somebody drew it.

    Args:
        opinions: In an order that does not depend on who answered first.

    Returns:
        Every object in question; and the probability that there is no further one, given that
        nobody drew it.
    """
    against = [by_silence(each.drawing) for each in opinions]
    drawn = in_question(shape, [each.answer for each in opinions], question)
    found = []
    for thing in drawn.things:
        makers = drawn.makers[thing]
        theirs = [
            _Drawn(drawn.objects[i], opinions[maker].trust, opinions[maker].drawing)
            for i, maker in zip(thing, makers, strict=True)
        ]
        fused = shape.fuse(drawn.shapes[thing], np.array([each.skill.precision for each in theirs]))
        silent = math.fsum(against) - math.fsum(against[maker] for maker in makers)
        drew = math.fsum(by_drawing(each.skill, each.said) for each in theirs)
        found.append(_found(shape, fused, theirs, probability(drew - silent), question))
    return found, probability(math.fsum(against))


def in_question(shape: Shape, answers: Sequence[Label], question: Question) -> InQuestion:
    """Match what was drawn across answers."""
    objects = [each for answer in answers for each in answer["objects"]]
    makers = np.repeat(np.arange(len(answers)), [len(each["objects"]) for each in answers])
    shapes = shape.load(objects, question.schema, question.frame.window[:2])
    classes = np.array([each["class"] for each in objects], dtype=np.int64)
    things: dict[int, list[int]] = defaultdict(list)
    for index, thing in enumerate(matched(shape, shapes, classes, makers).tolist()):
        things[thing].append(index)
    return InQuestion(objects, makers, shapes, list(things.values()))


def matched(shape: Shape, shapes: Shapes, classes: Indices, makers: Indices) -> Indices:
    """Group drawings by object: best pairs first, those of one class before others.

    Greedy over all pairs instead of one earner after another, so that no answer is the seed.

    Args:
        makers: Shape (N,), ascending.
    """
    starts = np.flatnonzero(np.diff(makers, prepend=-1, append=makers.max(initial=-1) + 1))
    spans = list(pairwise(starts.tolist()))
    firsts, seconds, likeness = [], [], []
    for (a, b), (c, d) in combinations(spans, 2):
        first, second, alike = likely(shape, shapes[a:b], shapes[c:d])
        firsts.append(first + a)
        seconds.append(second + c)
        likeness.append(alike)
    if not firsts:
        return np.arange(len(makers))
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    other_class = classes[first] != classes[second]
    order = np.lexsort((second, first, -np.concatenate(likeness), other_class))
    return join(makers, first[order], second[order])


def likely(shape: Shape, first: Shapes, second: Shapes) -> tuple[Indices, Indices, Measures]:
    """Pairs that may be drawings of one object, and how alike they are.

    Only what lies close is compared, and of a crowd on one spot only some: a comparison of two
    outlines can take a millisecond.

    Returns:
        Indices into first and second, and the likeness; shape (P,) each.
    """
    wide = np.array([-NEAR, -NEAR, NEAR, NEAR])
    around, of_second = shape.bounds(first) + wide, shape.bounds(second) + wide
    row, column, _ = pairs(ious, around, of_second, least=_TOUCHING)
    alike = shape.likeness(first[row], second[column])
    same = alike >= shape.SAME
    return row[same], column[same], alike[same]


_TOUCHING = 1e-9


def _found(
    shape: Shape, fused: Shapes, drawn: Sequence[_Drawn], exists: float, question: Question
) -> Found:
    schema = question.schema
    votes: dict[int, list[float]] = defaultdict(list)
    for each in drawn:
        votes[each.said["class"]].append(each.weight(len(schema.classes)))
    class_id, class_right = posterior(
        {voted: math.fsum(weights) for voted, weights in votes.items()}, len(schema.classes)
    )
    named = schema.find(class_id)
    said = [(e.said["attributes"], e.weight(2)) for e in drawn if e.said["class"] == class_id]
    return Found(
        class_id,
        shape.dump(fused)[0],
        {} if named is None else agreed(said, named.attributes),
        exists,
        class_right,
        bool(owned_by(shape, fused, question.frame)[0]),
    )


def owned_by(shape: Shape, shapes: Shapes, frame: TileFrame) -> NDArray[np.bool_]:
    """Shape (N,): whose centre lies in the tile's core, so that this tile decides about it."""
    in_image = shape.bounds(shapes) + np.tile(frame.window[:2], 2)
    return owned(in_image, as_boxes([frame.core]), frame.image)
