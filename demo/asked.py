"""What people are asked: what they see of the truth in a tile, and what they say."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from demo.hands import Hand, Say, Tile
from demo.pictures import Picture, Thing
from demo.simulated import Answer, Earner, visible_truth
from demo.truth import Labelled
from tessera.kinds import KINDS, Question


@dataclass(frozen=True)
class Scene:
    """What a tile truly shows, known to the simulation alone."""

    things: Sequence[Thing]
    """Those that people are to say something of, in tile pixels."""
    tile: Tile
    subject: Mapping[str, Any] | None = None
    """What the task is about, as its lease shows it; None where it is about the picture alone."""


class Asked(Protocol):
    """One kind of question."""

    def known(self, picture: Picture) -> Sequence[Thing]:
        """The truth of a picture, as gold takes it."""

    def scene(self, picture: Picture, question: Question) -> Scene:
        """What one of its tiles shows."""

    def right(self, scene: Scene) -> Answer:
        """The answer of who makes no mistake."""

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer: ...


class Class:
    """What a picture mainly shows."""

    def known(self, picture: Picture) -> Sequence[Thing]:
        return picture.truth

    def scene(self, picture: Picture, question: Question) -> Scene:
        return Scene(picture.truth, question.tile)

    def right(self, scene: Scene) -> Answer:
        return {"classes": [each["class"] for each in scene.things]}

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        return earner.answer_classes(self.right(scene)["classes"], class_ids, rng)


class Boxes:
    """Boxes around things, edge by edge."""

    def known(self, picture: Picture) -> Sequence[Thing]:
        return picture.truth

    def scene(self, picture: Picture, question: Question) -> Scene:
        things = [Labelled(each["class"], tuple(each["box"])) for each in picture.truth]
        seen = visible_truth(things, question.frame.window)
        return Scene([{"class": e.class_id, "box": list(e.box)} for e in seen], question.tile)

    def right(self, scene: Scene) -> Answer:
        return {"objects": list(scene.things)}

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        seen = [Labelled(each["class"], tuple(each["box"])) for each in scene.things]
        return earner.answer_boxes(seen, *scene.tile, class_ids, rng)


@dataclass(frozen=True)
class Drawn:
    """Things drawn with points, and said in whatever way the kind has it.

    The window's part of a thing is the product's own; how it is drawn and said is not.
    """

    places: str
    """The kind in whose places the truth is."""
    hand: Hand
    say: Say
    barely: bool = False
    """Whether also what barely shows has to be drawn."""

    def known(self, picture: Picture) -> Sequence[Thing]:
        (said,) = self.say(picture.truth, (picture.width, picture.height)).values()
        return list(said)

    def scene(self, picture: Picture, question: Question) -> Scene:
        label = KINDS[self.places].to_tile(picture.truth, question)
        things = [] if label is None else label["objects"]
        seen = [
            {name: value for name, value in each.items() if name != "optional"}
            for each in things
            if self.barely or not each.get("optional", False)
        ]
        return Scene(seen, question.tile)

    def right(self, scene: Scene) -> Answer:
        return self.say(scene.things, scene.tile)

    def answer(
        self, earner: Earner, scene: Scene, class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        drawing = self.hand, self.say
        return earner.answer_drawn(scene.things, scene.tile, class_ids, drawing, rng)
