"""What drawings tell of those who made them, beside what the others drew.

Gold tells little of who is new, or draws what gold seldom shows. What others drew tells of
everybody all the time, though not for certain: a thing counts as there as far as the others say so.
Nobody vouches for themselves; else who draws alone would be right for having drawn it.
"""

import math
from collections.abc import Sequence

import numpy as np

from tessera.kinds.consensus import by_drawing, by_silence, in_question, owned_by
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


def says(
    shape: Shape, answers: Sequence[Label], question: Question, *, first_is_true: bool
) -> Indices:
    """Of all that anybody drew, as what each drew it; see `parts.InParts`.

    But for what somebody drew outside the tile's core: that is another tile's, and some leave it
    out. Where what is true leaves something open, so is what it does not have: it may be a part.
    """
    drawn = in_question(shape, answers, question)
    here = owned_by(shape, drawn.shapes, question.frame)
    things = [thing for thing in drawn.things if here[thing].all()]
    number = {class_id: 1 + at for at, class_id in enumerate(question.schema.ids)}
    said = np.zeros((len(answers), len(things)), dtype=np.int64)
    for at, thing in enumerate(things):
        said[drawn.makers[thing], at] = [number[drawn.objects[i]["class"]] for i in thing]
    if first_is_true and any(each.get("optional") for each in answers[0]["objects"]):
        sure = [
            any(drawn.makers[i] == 0 and not drawn.objects[i].get("optional") for i in thing)
            for thing in things
        ]
        said[0, ~np.array(sure, dtype=bool)] = OPEN
    return said
