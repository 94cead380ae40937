"""What answers say of each part of a task."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tessera.kinds import KINDS, Label, LabelSchema, Question, Size, TileFrame, Window
from tessera.kinds.parts import PARTED, parts_of
from tessera.shapes.rasters import Strokes
from tests.seeds import seeds

SIDE = 64
COLOUR = {"colour": "#e6194b"}
CLASSES = [{"id": 9, "name": "cat", **COLOUR}, {"id": 4, "name": "dog", **COLOUR}]
CUP, GHOST = [2.0, 2.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0]


def question(**options: Any) -> Question:
    whole = Window(0, 0, SIDE, SIDE)
    schema = LabelSchema.parse({"classes": CLASSES, **options})
    return Question(schema, TileFrame(whole, whole, Size(SIDE, SIDE)))


def said(
    kind: str, answers: Sequence[Label], *, first_is_true: bool = False, **options: Any
) -> list[tuple[int, ...]]:
    """Of each part what all say, ascending."""
    asked = question(**options)
    parts = parts_of(kind, asked.schema)
    assert parts is not None
    table = parts.says(answers, asked, first_is_true=first_is_true)
    assert table.shape[0] == len(answers)
    return sorted(map(tuple, table.T.tolist()))


def boxes(*drawn: tuple[int, list[float]], **more: Any) -> Label:
    return {"objects": [{"class": c, "box": box, "attributes": {}, **more} for c, box in drawn]}


def test_of_drawings_a_part_is_what_anybody_drew_and_as_what() -> None:
    """The lowest class is the first, however the schema lists them."""
    answers = [boxes((9, CUP)), boxes(), boxes((4, CUP), (4, GHOST))]
    assert said("box", answers) == [(0, 0, 1), (2, 0, 1)]
    assert said("box", [boxes(), boxes()]) == []


def test_what_gold_leaves_open_is_neither_there_nor_missing() -> None:
    """What is drawn besides may be part of a crowd that it does not tell apart."""
    truth = boxes((9, CUP), optional=True)
    assert said("box", [truth, boxes((9, CUP), (4, GHOST))], first_is_true=True) == [
        (-1, 1),
        (-1, 2),
    ]
    both = {"objects": [*truth["objects"], *boxes((4, GHOST))["objects"]]}
    assert said("box", [both, boxes()], first_is_true=True) == [(-1, 0), (1, 0)]


def test_void_of_gold_is_open_and_that_of_an_answer_is_an_answer() -> None:
    half = {"regions": [region(9, SIDE // 2)]}
    found = said("semantic_mask", [half, {"regions": [region(9, SIDE)]}], first_is_true=True)
    assert found == [(-1, 2)] * 8 + [(2, 2)] * 8


def test_what_somebody_drew_outside_the_core_is_no_part() -> None:
    """That is another tile's; at a window's edge good people differ."""
    window, core = Window(0, 0, SIDE, SIDE), Window(0, 0, SIDE // 2, SIDE)
    schema = LabelSchema.parse({"classes": CLASSES})
    asked = Question(schema, TileFrame(window, core, Size(2 * SIDE, SIDE)))
    edge, beside = [24.0, 0.0, 38.0, 20.0], [27.0, 0.0, 41.0, 20.0]
    parts = PARTED["box"]
    answers = [boxes((9, CUP), (9, GHOST)), boxes((9, CUP), (9, edge)), boxes((9, beside))]
    assert parts.says(answers, asked).T.tolist() == [[2, 2, 0]]


def test_of_several_classes_a_part_is_each_that_anybody_named() -> None:
    answers: list[Label] = [{"classes": [9]}, {"classes": []}, {"classes": [4, 9]}]
    assert said("classify", answers, multiple=True) == [(0, 0, 1), (1, 0, 1)]
    assert said("classify", [{"classes": []}], multiple=True) == []


def region(named: int, width: int) -> dict[str, Any]:
    columns = np.arange(width)
    left = Strokes(columns, columns * 0, columns * 0 + SIDE)
    return {"class": named, "mask": left.as_json(), "attributes": {}}


def test_of_regions_a_part_is_a_pixel_of_a_grid() -> None:
    half, all_ = ({"regions": [region(c, w)]} for c, w in ((9, SIDE // 2), (4, SIDE)))
    found = said("semantic_mask", [half, all_, {"regions": []}])
    assert found == [(0, 1, 0)] * 8 + [(2, 1, 0)] * 8


def test_a_kind_that_says_one_thing_has_no_parts() -> None:
    assert parts_of("classify", question().schema) is None
    assert parts_of("classify", question(multiple=True).schema) is not None
    for kind in ("verify", "join"):
        assert parts_of(kind, question().schema) is None
    assert set(KINDS) - set(PARTED) == {"verify", "join"}


@pytest.mark.parametrize("seed", seeds(20))
def test_the_order_of_answers_changes_nothing_but_their_order(seed: int) -> None:
    dice = random.Random(seed)
    answers = [
        boxes(*((dice.choice([4, 9]), box) for box in (CUP, GHOST) if dice.random() < 0.6))
        for _ in range(4)
    ]
    order = dice.sample(range(4), 4)
    turned = said("box", [answers[each] for each in order])
    assert turned == sorted(tuple(each[i] for i in order) for each in said("box", answers))
