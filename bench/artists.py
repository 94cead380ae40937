"""Drawings by simulated people of known boxes: some see little, some see things, some shake."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import Answer, LabelSchema, Objects, Question, Size, TileFrame, Window
from tessera.quality.replay_drawings import Drawings

SIDE = 512
SCHEMA = LabelSchema.parse(
    {"classes": [{"id": i, "name": f"class {i}", "colour": "#e6194b"} for i in (1, 2, 3)]}
)


@dataclass(frozen=True)
class Artist:
    finds: float
    in_vain: float
    """Boxes of nothing, per picture."""
    jitter: float
    """Standard deviation of each edge, as a share of the side."""


@dataclass(frozen=True)
class Scene:
    drawings: Drawings
    truth: Answer


def artists(count: int, dice: np.random.Generator) -> list[Artist]:
    return [
        Artist(
            float(dice.beta(9, 1.5)),
            float(dice.gamma(0.6, 0.5)),
            float(dice.uniform(0.02, 0.14)),
        )
        for _ in range(count)
    ]


def scenes(
    kind: Objects, count: int, people: list[Artist], per_scene: int, dice: np.random.Generator
) -> list[Scene]:
    """Pictures of up to a dozen boxes, each drawn by some people; some objects are hard to see."""
    whole = Window(0, 0, SIDE, SIDE)
    question = Question(SCHEMA, TileFrame(whole, whole, Size(SIDE, SIDE)))
    made = []
    for _ in range(count):
        boxes = apart(int(dice.integers(0, 12)), dice)
        classes = dice.integers(1, 4, len(boxes))
        hard = dice.random(len(boxes)) < 0.15
        truth = kind.validate(boxes_of(boxes, classes), question)
        chosen = dice.choice(len(people), per_scene, replace=False)
        answers = [
            (
                f"p{number:03}",
                kind.validate(drawn(people[number], boxes, classes, hard, dice), question),
            )
            for number in chosen.tolist()
        ]
        made.append(Scene(Drawings(question, answers), truth))
    return made


def apart(count: int, dice: np.random.Generator) -> NDArray[np.float64]:
    """Boxes that hardly overlap; shape (N, 4)."""
    boxes: list[NDArray[np.float64]] = []
    for _ in range(count * 4):
        size = dice.uniform(24, 120, 2)
        corner = dice.uniform(0, SIDE - size)
        box = np.r_[corner, corner + size]
        if len(boxes) < count and all(_overlap(box, other) < 0.05 for other in boxes):
            boxes.append(box)
    return np.array(boxes).reshape(-1, 4)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = float(np.prod(np.maximum(size, 0)))
    return both / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


def drawn(
    artist: Artist,
    boxes: NDArray[np.float64],
    classes: NDArray[np.int64],
    hard: NDArray[np.bool_],
    dice: np.random.Generator,
    lean: tuple[float, int | None] = (0.03, None),
) -> Answer:
    """What somebody draws of a picture.

    Args:
        lean: How often they name it as something else, and as what; as anything.
    """
    seen = dice.random(len(boxes)) < artist.finds * np.where(hard, 0.6, 1.0)
    sides = (boxes[:, 2:] - boxes[:, :2])[seen]
    shaken = boxes[seen] + artist.jitter * np.hstack((sides, sides)) * dice.normal(
        size=(int(seen.sum()), 4)
    )
    often, favourite = lean
    wrong = dice.random(len(shaken)) < often
    other = dice.integers(1, 4, len(shaken)) if favourite is None else favourite
    said = np.where(wrong, other, classes[seen])
    ghosts = apart(int(dice.poisson(artist.in_vain)), dice)
    return boxes_of(np.vstack((shaken, ghosts)), np.r_[said, dice.integers(1, 4, len(ghosts))])


def boxes_of(boxes: NDArray[np.float64], classes: NDArray[np.int64]) -> Answer:
    clipped = np.clip(boxes, 0, SIDE).round(2)
    fine = (clipped[:, 2:] - clipped[:, :2]).min(axis=1, initial=SIDE) > 2
    return {
        "objects": [
            {"class": int(class_id), "box": box.tolist()}
            for box, class_id, is_fine in zip(clipped, classes, fine, strict=True)
            if is_fine
        ]
    }
