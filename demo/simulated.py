"""Simulated earners: pure, seeded models of how people err.

An answer is made from the truth of one tile and a random generator; the same generator state
gives the same answer. Boxes are [left, top, right, bottom] in tile pixels.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from demo.hands import Hand, Say, Tile
from demo.pictures import Points, Thing
from demo.truth import Box, Labelled

Answer = dict[str, Any]

VISIBLE_SHARE = 0.25
VISIBLE_SIDE = 8
LARGE = 50.0
"""Pixels: from there on a hand that follows an outline errs no more with the object's size."""


def visible_truth(objects: Sequence[Labelled], window: Box) -> list[Labelled]:
    """What honest people draw in a tile, and what gold asks for: visible parts, tile pixels.

    An object counts if at least a quarter of its area lies in the window, at least 8 px of each
    side; less of it may be drawn or left out.

    Args:
        objects: In image pixels.
        window: The tile's window, image pixels.
    """
    seen = []
    for thing in objects:
        part = _common(thing.box, window)
        width, height = part[2] - part[0], part[3] - part[1]
        if min(width, height) < VISIBLE_SIDE or width * height < VISIBLE_SHARE * _area(thing.box):
            continue
        seen.append(Labelled(thing.class_id, _shifted(part, -window[0], -window[1])))
    return seen


class Earner(Protocol):
    """One way of working."""

    @property
    def honest(self) -> bool: ...

    def answer_boxes(
        self,
        truth: Sequence[Labelled],
        tile_w: int,
        tile_h: int,
        class_ids: Sequence[int],
        rng: random.Random,
    ) -> Answer:
        """The answer to a box task; `truth` as `visible_truth` gives it."""

    def answer_classes(
        self, true_classes: Sequence[int], class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        """The answer to a classify task."""

    def answer_drawn(
        self,
        truth: Sequence[Thing],
        tile: Tile,
        class_ids: Sequence[int],
        drawing: tuple[Hand, Say],
        rng: random.Random,
    ) -> Answer:
        """The answer to a task of any other kind; `truth` as the tile shows it, tile pixels."""

    def says_yes(self, truly: bool, rng: random.Random) -> bool:  # noqa: FBT001
        """The answer to a question that has but two, by which of them is right."""

    def seconds(self, rng: random.Random) -> float:
        """How long this person takes for one task."""


@dataclass(frozen=True)
class Honest:
    """Tries, and errs a little: `miss` and `wrong` are per object, `false` is per tile.

    Attributes:
        jitter: Standard deviation of an edge as a share of the box's side, at least 1 px. An
            edge where the tile cuts the object stays there: dragging further is clamped.
    """

    miss: float
    jitter: float
    wrong: float
    false: float
    pace: tuple[float, float]
    honest: bool = True

    def answer_boxes(
        self,
        truth: Sequence[Labelled],
        tile_w: int,
        tile_h: int,
        class_ids: Sequence[int],
        rng: random.Random,
    ) -> Answer:
        drawn = []
        for thing in truth:
            if rng.random() < self.miss:
                continue
            left, right = self._edges(thing.box[0], thing.box[2], tile_w, rng)
            top, bottom = self._edges(thing.box[1], thing.box[3], tile_h, rng)
            name = self._named(thing.class_id, class_ids, rng)
            drawn.append(Labelled(name, (left, top, right, bottom)))
        if rng.random() < self.false:
            drawn.append(_guess(tile_w, tile_h, class_ids, rng))
        return _boxes(drawn)

    def answer_classes(
        self, true_classes: Sequence[int], class_ids: Sequence[int], rng: random.Random
    ) -> Answer:
        return {"classes": sorted({self._named(c, class_ids, rng) for c in true_classes})}

    def answer_drawn(
        self,
        truth: Sequence[Thing],
        tile: Tile,
        class_ids: Sequence[int],
        drawing: tuple[Hand, Say],
        rng: random.Random,
    ) -> Answer:
        hand, say = drawing
        drawn = []
        for thing in truth:
            if rng.random() < self.miss:
                continue
            points = self._wobbled(hand.points(thing), tile, rng)
            name = self._named(thing["class"], class_ids, rng)
            drawn.append({"class": name, **hand.moved(thing, points, tile)})
        if rng.random() < self.false:
            drawn.append(_around(_guess(*tile, class_ids, rng), hand))
        return say(drawn, tile)

    def says_yes(self, truly: bool, rng: random.Random) -> bool:  # noqa: FBT001
        return truly != (rng.random() < self.wrong)

    def seconds(self, rng: random.Random) -> float:
        return rng.uniform(*self.pace)

    def _named(self, class_id: int, class_ids: Sequence[int], rng: random.Random) -> int:
        others = [c for c in class_ids if c != class_id]
        return rng.choice(others) if others and rng.random() < self.wrong else class_id

    def _wobbled(self, points: Points, tile: Tile, rng: random.Random) -> Points:
        """All of it a little off, and each point by as much again; what is cut stays cut."""
        size = min(LARGE, float(np.ptp(points, axis=0).max()))
        spread = max(1.0, self.jitter * size) / math.sqrt(2)
        shift = rng.gauss(0, spread), rng.gauss(0, spread)
        off = np.array([(rng.gauss(dx, spread), rng.gauss(dy, spread))
                        for dx, dy in [shift] * len(points)])  # fmt: skip
        at_edge = (points == 0) | (points == np.array(tile))
        return np.where(at_edge, points, points + off)

    def _edges(
        self, low: float, high: float, limit: int, rng: random.Random
    ) -> tuple[float, float]:
        spread = max(1.0, self.jitter * (high - low))
        first = low if low <= 0 else rng.gauss(low, spread)
        last = high if high >= limit else rng.gauss(high, spread)
        return _ordered(first, last, limit)


Draw = Callable[[int, int, Sequence[int], random.Random], list[Labelled]]
Pick = Callable[[Sequence[int], random.Random], int]


@dataclass(frozen=True)
class Spammer:
    """Answers for the money, without looking at the picture."""

    draw: Draw
    pick: Pick
    pace: tuple[float, float]
    honest: bool = False

    def answer_boxes(
        self,
        truth: Sequence[Labelled],  # noqa: ARG002
        tile_w: int,
        tile_h: int,
        class_ids: Sequence[int],
        rng: random.Random,
    ) -> Answer:
        return _boxes(self.draw(tile_w, tile_h, class_ids, rng))

    def answer_classes(
        self,
        true_classes: Sequence[int],  # noqa: ARG002
        class_ids: Sequence[int],
        rng: random.Random,
    ) -> Answer:
        return {"classes": [self.pick(class_ids, rng)]}

    def answer_drawn(
        self,
        truth: Sequence[Thing],  # noqa: ARG002
        tile: Tile,
        class_ids: Sequence[int],
        drawing: tuple[Hand, Say],
        rng: random.Random,
    ) -> Answer:
        hand, say = drawing
        return say([_around(each, hand) for each in self.draw(*tile, class_ids, rng)], tile)

    def says_yes(self, truly: bool, rng: random.Random) -> bool:  # noqa: ARG002, FBT001
        """Whatever it is: there is nothing to be done then."""
        return True

    def seconds(self, rng: random.Random) -> float:
        return rng.uniform(*self.pace)


def _boxes(drawn: Sequence[Labelled]) -> Answer:
    return {"objects": [{"class": d.class_id, "box": list(d.box), "attributes": {}} for d in drawn]}


def _around(drawn: Labelled, hand: Hand) -> Thing:
    left, top, right, bottom = drawn.box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return {"class": drawn.class_id, **hand.form(corners)}


def _guess(tile_w: int, tile_h: int, class_ids: Sequence[int], rng: random.Random) -> Labelled:
    left, right = _ordered(rng.uniform(0, tile_w), rng.uniform(0, tile_w), tile_w)
    top, bottom = _ordered(rng.uniform(0, tile_h), rng.uniform(0, tile_h), tile_h)
    return Labelled(rng.choice(class_ids), (left, top, right, bottom))


def _one_to_three_guesses(
    tile_w: int, tile_h: int, class_ids: Sequence[int], rng: random.Random
) -> list[Labelled]:
    return [_guess(tile_w, tile_h, class_ids, rng) for _ in range(rng.randint(1, 3))]


def _nothing_or_a_guess(
    tile_w: int, tile_h: int, class_ids: Sequence[int], rng: random.Random
) -> list[Labelled]:
    return [_guess(tile_w, tile_h, class_ids, rng) for _ in range(rng.randint(0, 1))]


def _whole_tile_or_quarters(
    tile_w: int, tile_h: int, class_ids: Sequence[int], rng: random.Random
) -> list[Labelled]:
    parts = rng.choice((1, 2))
    w, h = tile_w / parts, tile_h / parts
    corners = [(x * w, y * h) for y in range(parts) for x in range(parts)]
    return [Labelled(class_ids[0], (x, y, x + w, y + h)) for x, y in corners]


def _any_class(class_ids: Sequence[int], rng: random.Random) -> int:
    return rng.choice(class_ids)


def _first_class(class_ids: Sequence[int], _: random.Random) -> int:
    return class_ids[0]


def _ordered(first: float, last: float, limit: int) -> tuple[float, float]:
    """The two in order, inside [0, limit], at least 1 px apart, to a tenth of a pixel."""
    low, high = sorted((first, last))
    low = min(max(low, 0.0), limit - 1.0)
    high = min(max(high, low + 1.0), float(limit))
    return round(low, 1), round(high, 1)


def _common(a: Box, b: Box) -> Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _shifted(box: Box, dx: float, dy: float) -> Box:
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


EARNERS: Mapping[str, Earner] = MappingProxyType(
    {
        "careful": Honest(miss=0.01, jitter=0.02, wrong=0.005, false=0.0, pace=(8, 25)),
        "average": Honest(miss=0.04, jitter=0.04, wrong=0.02, false=0.01, pace=(5, 15)),
        "sloppy": Honest(miss=0.15, jitter=0.10, wrong=0.08, false=0.0, pace=(3, 8)),
        "random_clicker": Spammer(_one_to_three_guesses, _any_class, pace=(2, 6)),
        "box_everything": Spammer(_whole_tile_or_quarters, _first_class, pace=(2, 5)),
        "too_fast": Spammer(_nothing_or_a_guess, _any_class, pace=(0.3, 0.8)),
    }
)
