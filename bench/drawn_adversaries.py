"""Projects as in `bench.adversaries`, in which boxes are drawn; always the same for a seed.

Who looks finds most of what is there, draws a little that is not, and places it by hand. Who does
not look draws somewhere, as much as others do. A constant answerer says that nothing is there, or
draws one box around everything. The outer eighth belongs to the neighbouring tiles: every tenth
person leaves out what is centred there.
"""

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bench.adversaries import Person, Project, Setting, clock, handed_out, with_gold
from bench.artists import SCHEMA, SIDE, Artist, apart, boxes_of, drawn
from tessera.kinds import KINDS, Answer, Objects, Question, Size, TileFrame, Window
from tessera.quality.answered_parts import Item, Said, item, together
from tessera.truth.cheating import Log
from tessera.truth.linkage import Key

MARGIN = SIDE // 8
CORE = Window(MARGIN, MARGIN, SIDE - MARGIN, SIDE - MARGIN)
QUESTION = Question(SCHEMA, TileFrame(Window(0, 0, SIDE, SIDE), CORE, Size(SIDE, SIDE)))
LEAVE_OUT = 10
MOST_THINGS = 6
CLASSES = len(SCHEMA.classes)
AS_MUCH = 3.0
"""Boxes that somebody draws who does not look, as a mean."""
SPEED = (3.0, 4.0)
"""Seconds of a picture, and of each box."""
UNHURT = 0.75
"""How much of a lack of skill shows in what is missed."""


@dataclass(frozen=True)
class Scene:
    boxes: NDArray[np.float64]
    """Shape (N, 4)."""
    classes: NDArray[np.int64]
    hard: NDArray[np.bool_]

    def inside(self) -> "Scene":
        """Without what belongs to neighbours."""
        centre = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        here = ((centre >= MARGIN) & (centre < SIDE - MARGIN)).all(axis=1)
        return Scene(self.boxes[here], self.classes[here], self.hard[here])


@dataclass(frozen=True)
class Drawing:
    item: int
    earner: int
    answer: Answer
    seconds: float
    at: float


@dataclass(frozen=True)
class Drawings:
    scenes: list[Scene]
    gold: NDArray[np.bool_]
    """Shape (n_items,): whose truth is known."""
    drawings: list[Drawing]
    people: list[Person]

    def truth(self, item: int) -> Answer:
        return boxes_of(self.scenes[item].boxes, self.scenes[item].classes)


def drawings(people: list[Person], seed: int, setting: Setting | None = None) -> Drawings:
    """What they draw."""
    how = setting or Setting()
    dice = np.random.default_rng([seed, 23, len(people)])
    scenes = [_scene(dice) for _ in range(how.items + how.gold)]
    given: dict[tuple[int, int], Answer] = {}
    made = list[Drawing]()
    for earner, (person, theirs) in enumerate(
        zip(people, handed_out(people, how, dice), strict=True)
    ):
        mine, early = with_gold(theirs, how, dice)
        inside = earner % LEAVE_OUT == 0
        answers = list[Answer]()
        for number, soon in zip(mine.tolist(), early.tolist(), strict=True):
            if person.ring >= 0 and dice.random() < person.copies:
                if (person.ring, number) not in given:
                    source = Person("source", skill=how.ring_skill)
                    given[person.ring, number] = _drawn(source, scenes[number], dice, soon=soon)
                answers.append(_shaken(given[person.ring, number], dice))
            else:
                scene = scenes[number].inside() if inside else scenes[number]
                answers.append(_drawn(person, scene, dice, soon=soon))
        objects = np.array([len(each["objects"]) for each in answers])
        noise = person.spread * dice.standard_t(6, len(mine)) / np.sqrt(1.5)
        usual = np.log(SPEED[0] + SPEED[1] * objects)
        seconds = np.exp(person.pace + person.moved * (usual - usual.mean()) + usual.mean() + noise)
        at = clock(person, seconds, dice)
        made += map(Drawing, mine.tolist(), [earner] * len(mine), answers, seconds, at)
    made.sort(key=lambda each: each.at)
    return Drawings(scenes, np.arange(len(scenes)) >= how.items, made, people)


def project(people: list[Person], seed: int, setting: Setting | None = None) -> Project:
    """The same as one thing of each picture, as the real engine has it."""
    made = drawings(people, seed, setting)
    kind = KINDS["box"]
    assert isinstance(kind, Objects)
    said: dict[int, list[tuple[Said, Answer]]] = {}
    for each in made.drawings:
        of = Said(UUID(int=each.earner), each.at, each.seconds)
        said.setdefault(each.item, []).append((of, each.answer))
    dice = np.random.default_rng([seed, 29])
    items = list[Item]()
    for number, answers in said.items():
        known = made.truth(number) if made.gold[number] else None
        task_id = UUID(bytes=dice.bytes(16))
        if (one := item(kind, QUESTION, task_id, answers, known)) is not None:
            items.append(one)
    found, work = together(items)
    earners = [each.int for each in found.earner_ids()]
    them = [people[each] for each in earners]
    keys: dict[Key, list[int | None]] = {
        Key.PAYOUT: [p.payout if p.payout >= 0 else -2 - n for n, p in enumerate(them)],
        Key.DEVICE: [p.device if p.device >= 0 else None for p in them],
    }
    log = Log(found.votes, found.gold, found.seconds, found.at, work, keys)
    return Project(log, found.gold, them)


def _scene(dice: np.random.Generator) -> Scene:
    boxes = apart(int(dice.integers(0, MOST_THINGS + 1)), dice)
    classes = dice.integers(1, CLASSES + 1, len(boxes))
    return Scene(boxes, classes, dice.random(len(boxes)) < 0.15)


def _drawn(person: Person, scene: Scene, dice: np.random.Generator, *, soon: bool) -> Answer:
    skill = person.skill if soon or person.later is None else person.later
    if person.kind == "constant" and dice.random() >= skill:
        around = np.array([[0.0, 0.0, SIDE, SIDE]])[person.favourite % 2 :]
        return boxes_of(around, np.full(len(around), 1))
    never_looks = person.kind in {"clicker", "fast", "slacker"} and skill < 0.5
    if never_looks and dice.random() >= skill:
        boxes = apart(int(dice.poisson(AS_MUCH)), dice)
        return boxes_of(boxes, dice.integers(1, CLASSES + 1, len(boxes)))
    lack = 1 - (0.8 if never_looks else skill)
    artist = Artist(1 - UNHURT * lack, lack, float(0.03 + 0.1 * lack))
    favourite = 1 + person.favourite % CLASSES if person.lean >= 1 else None
    return drawn(artist, scene.boxes, scene.classes, scene.hard, dice, lean=(lack, favourite))


def _shaken(answer: Answer, dice: np.random.Generator) -> Answer:
    """A copy by hand, of which none is exact."""
    boxes = np.array([each["box"] for each in answer["objects"]]).reshape(-1, 4)
    classes = np.array([each["class"] for each in answer["objects"]], dtype=np.int64)
    return boxes_of(boxes + dice.normal(0, 1.5, boxes.shape), classes)
