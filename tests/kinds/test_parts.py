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


def said(kind: str, answers: Sequence[Label], **options: Any) -> list[tuple[int, ...]]:
    """Of each part what all say, ascending."""
    asked = question(**options)
    parts = parts_of(kind, asked.schema)
    assert parts is not None
    table = parts.says(answers, asked)
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
    assert said("box", [boxes((9, CUP), optional=True), boxes((9, CUP))]) == [(-1, 2)]


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
    assert found == [(0, 1, 0)] * 32 + [(2, 1, 0)] * 32


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
