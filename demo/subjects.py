"""Questions about what was drawn before: is it right, and are these two one thing?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from demo import hands, score
from demo.asked import Drawn, Scene
from demo.pictures import Picture, Points, Thing
from demo.simulated import Answer, Earner, Honest
from tessera.kinds import KINDS, Question

MODEL = Honest(miss=0.15, jitter=0.01, wrong=0.1, false=0.5, pace=(0, 0))
"""A machine that gets a quarter of the things wrong."""


@dataclass(frozen=True)
class Checked:
    """Whether outlines are right as they are; who says no says what would be."""

    drawn: Drawn

    def known(self, picture: Picture) -> Sequence[Thing]:
        return self.drawn.known(picture)

    def predicted(self, picture: Picture, class_ids: Sequence[int], seed: int) -> Sequence[Thing]:
        """What the model has made of a picture."""
        rng, size = random.Random(f"{seed} {picture.name}"), (picture.width, picture.height)
        drawing = self.drawn.hand, hands.objects
        objects: list[Thing] = MODEL.answer_drawn(picture.truth, size, class_ids, drawing, rng)[
            "objects"
        ]
        return objects

    def scene(self, picture: Picture, question: Question) -> Scene:
        label = KINDS[self.drawn.places].to_tile(picture.truth, question)
        return Scene([] if label is None else label["objects"], question.tile)

    def right(self, scene: Scene) -> Answer:
        if _is_right(scene):
            return {"verdict": "yes"}
        return {"verdict": "fix", "label": self.drawn.right(_needed(scene))}

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        if earner.says_yes(_is_right(scene), rng):
            return {"verdict": "yes"}
        label = self.drawn.answer(earner, _needed(scene), class_ids, rng)
        return {"verdict": "fix", "label": label}


@dataclass(frozen=True)
class Joined:
    """Whether two pieces are of one line."""

    drawn: Drawn

    def known(self, picture: Picture) -> Sequence[Thing]:
        return self.drawn.known(picture)

    def scene(self, picture: Picture, question: Question) -> Scene:
        return self.drawn.scene(picture, question)

    def right(self, scene: Scene) -> Answer:
        return _verdict(yes=_are_one(scene))

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        del class_ids
        return _verdict(yes=earner.says_yes(_are_one(scene), rng))


def nearest(piece: Points, lines: Sequence[Points]) -> int:
    """Which of some lines a piece lies along: the one that its points are closest to."""
    points = shapely.points(piece)
    return int(np.argmin([shapely.distance(points, shapely.LineString(e)).mean() for e in lines]))


def _verdict(*, yes: bool) -> Answer:
    return {"verdict": "yes" if yes else "no"}


def _are_one(scene: Scene) -> bool:
    first, second = (_about(scene)[end]["line"] for end in ("first", "second"))
    lines = [np.array(each["line"]) for each in scene.things]
    return nearest(np.array(first), lines) == nearest(np.array(second), lines)


def _is_right(scene: Scene) -> bool:
    """Whether everything is there under its name, and nothing else."""
    said, true = _about(scene)["label"]["objects"], scene.things
    alike = score.area_ious(score.areas(true), score.areas(said))
    same = np.equal.outer([each["class"] for each in true], [each["class"] for each in said])
    worth = np.where(same & (alike >= score.LEAST_IOU), alike, 0.0)
    row, column = linear_sum_assignment(worth, maximize=True)
    found = set(row[worth[row, column] > 0].tolist())
    needed = {n for n, each in enumerate(true) if not each.get("optional", False)}
    return needed <= found and len(found) == len(said)


def _needed(scene: Scene) -> Scene:
    """Without what may be drawn or not."""
    things = [each for each in scene.things if not each.get("optional", False)]
    return Scene([{k: v for k, v in each.items() if k != "optional"} for each in things],
                 scene.tile)  # fmt: skip


def _about(scene: Scene) -> Mapping[str, Any]:
    if scene.subject is None:
        raise ValueError("a task that is about nothing")
    return scene.subject
