"""Another picture of the same place: moved a little in its image, or mirrored. Pure.

People who tell each other which pictures they have seen know a picture by its bytes, or by a hash
of what it looks like; a view has others. It is never scaled: whoever looks at the noise of a
picture can tell whether it was. What is known of the one picture is carried over to the other: what
leaves the window is cut, and where it shows what the first did not show, nothing is held against
anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera.kinds.mirroring import may_mirror, mirrored
from tessera.kinds.moving import may_move, moved
from tessera.kinds.protocol import Answer, Label, Question
from tessera.kinds.subjects import as_answer, kind_under, shown
from tessera.shapes.frames import TileFrame, Window

__all__ = ["AS_IT_IS", "View", "candidates", "known_in", "may_mirror", "may_move", "subject_in"]

NEAREST, FURTHEST = 1 / 8, 1 / 4
"""Of a window's side that it is moved. Nearer, a hash of what it looks like may stay the same;
further, too little of what is known may be left."""
BLOCK, HALF_BLOCK = 16, 8
"""Pixels. A view lies to the blocks of its image's file as the tile does: tiles mostly begin where
a block of a JPEG does, and cut elsewhere a picture would have more bytes than others, and other
traces of having been compressed twice. Colours have blocks twice as large."""
_FIELDS = ("dx", "dy", "mirror")


@dataclass(frozen=True, slots=True)
class View:
    """Where the window lies, beside that of the first picture, and whether it is mirrored then."""

    dx: int = 0
    """Pixels to the right; `dy` likewise downwards. One of them is 0."""
    dy: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.dx and self.dy:
            raise ValueError("a view is moved in one direction")

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}

    def of(self, frame: TileFrame) -> TileFrame:
        """Where it lies in its image; if it is mirrored, where what it shows lies."""
        window, core = (
            Window(*(edge + (self.dx, self.dy)[i % 2] for i, edge in enumerate(each)))
            for each in (frame.window, frame.core)
        )
        return TileFrame(window, core, frame.image)


AS_IT_IS = View()


def candidates(frame: TileFrame, *, may_move: bool, may_flip: bool, seed: bytes) -> list[View]:
    """All views of a window that its image has room for, in an order that nobody knows before."""
    dice = np.random.default_rng(list(seed))
    width, height = frame.window.size
    room = {
        (1, 0): frame.image.width - frame.window.right,
        (-1, 0): frame.window.left,
        (0, 1): frame.image.height - frame.window.bottom,
        (0, -1): frame.window.top,
    }
    places = [AS_IT_IS]
    for (right, down), free in room.items():
        side = width if right else height
        amounts = _amounts(side, free, dice) if may_move else ()
        places.extend(View(right * far, down * far) for far in amounts)
    every = [
        View(each.dx, each.dy, mirror)
        for each in places
        for mirror in ((False, True) if may_flip and width % HALF_BLOCK == 0 else (False,))
        if mirror or each != AS_IT_IS
    ]
    return [every[i] for i in dice.permutation(len(every))]


def _amounts(side: int, free: int, dice: np.random.Generator) -> list[int]:
    """One of the nearer half and one of the further half, as far as there is room."""
    middle = (NEAREST + FURTHEST) / 2
    halves = ((NEAREST, middle), (middle, FURTHEST))
    found = []
    for low, high in halves:
        some = [
            each
            for each in range(int(np.ceil(side * low)), min(int(side * high), free) + 1)
            if each % BLOCK == 0 and each not in found
        ]
        if some:
            found.append(int(dice.choice(some)))
    return found


def known_in(kind_name: str, label: Label, question: Question, view: View) -> Answer | None:
    """The right answer to a view of a task, given the right answer to the task.

    Args:
        question: Of the task, with its subject.

    Returns:
        Tile pixels of the view; None if it cannot be told, or too little is left to be asked.
    """
    if (view.dx or view.dy) and not may_move(kind_name, question.schema):
        return None
    if view.mirror and not may_mirror(kind_name, question.schema):
        return None
    there = view.of(question.frame)
    told = moved(kind_name, label, question, there) if view.dx or view.dy else dict(label)
    if told is None or not view.mirror:
        return told
    return mirrored(kind_name, told, Question(question.schema, there))


def subject_in(
    kind_name: str, subject: Mapping[str, Any] | None, question: Question, view: View
) -> dict[str, Any] | None:
    """What a view of a task is about, in the canonical form of answers."""
    if subject is None:
        return None
    if kind_name != "verify" or view.dx or view.dy:
        raise ValueError("a subject is only ever mirrored, and only to be verified")
    if not view.mirror:
        return dict(subject)
    of, schema = shown(kind_name, question.schema)
    under = Question(schema, question.frame)
    label = mirrored(of, subject["label"], under)
    return {**subject, "label": kind_under(question.schema).validate(as_answer(label), under)}
