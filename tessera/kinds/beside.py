"""What drawings tell of those who made them, beside what the others drew.

Gold tells little of who is new, or draws what gold seldom shows. What others drew tells of
everybody all the time, though not for certain: a thing counts as there as far as the others say so.
Nobody vouches for themselves; else who draws alone would be right for having drawn it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tessera.kinds.consensus import by_drawing, by_silence, in_question
from tessera.kinds.opinions import each_once, probability
from tessera.kinds.protocol import OPEN, Label, Opinion, Question, Tally
from tessera.kinds.shape import Shape
from tessera.shapes.boxes import Indices

NOTHING = Tally(0.0, 0.0, 0.0, 0.0)


def tallies(shape: Shape, opinions: Sequence[Opinion], question: Question) -> list[Tally]:
    """Of each opinion, what it tells if the others are believed, by what is known of them.

    What an opinion adds is taken out of the posterior of each thing again (the cavity of Minka
    2001). Exact is who lies near what all together come to.

    Args:
        opinions: Of one alone nothing is told.

    Raises:
        ValueError: No opinions, or two by one earner.
    """
    each_once(opinions)
    if len(opinions) == 1:
        return [NOTHING]
    drawn = in_question(shape, [each.answer for each in opinions], question)
    silent = [by_silence(each.drawing) for each in opinions]
    counts = np.zeros((len(opinions), len(Tally._fields)))
    for thing in drawn.things:
        adds = [-each for each in silent]
        for i in thing:
            maker = int(drawn.makers[i])
            adds[maker] = by_drawing(opinions[maker].drawing, drawn.objects[i])
        odds = math.fsum(adds)
        there = np.array([probability(odds - own) for own in adds])
        makers = drawn.makers[thing]
        exact = np.array([opinions[maker].drawing.precision for maker in makers])
        fused = shape.fuse(drawn.shapes[thing], exact)
        near = shape.credit(drawn.shapes[thing], np.repeat(fused, len(thing), axis=0))
        right = there[makers]
        counts[:, 0] += there
        counts[makers, 1] += right
        counts[makers, 2] += 1.0
        counts[makers, 3] += right * near
    return [Tally(*each) for each in counts.tolist()]


def says(shape: Shape, answers: Sequence[Label], question: Question) -> Indices:
    """Of all that anybody drew, as what each drew it; see `parts.InParts`."""
    drawn = in_question(shape, answers, question)
    number = {class_id: 1 + at for at, class_id in enumerate(question.schema.ids)}
    said = np.zeros((len(answers), len(drawn.things)), dtype=np.int64)
    for at, thing in enumerate(drawn.things):
        said[drawn.makers[thing], at] = [_named(drawn.objects[i], number) for i in thing]
    return said


def _named(said: Mapping[str, Any], number: Mapping[int, int]) -> int:
    return OPEN if said.get("optional") else number[said["class"]]
