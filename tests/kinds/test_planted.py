"""Mistakes that are planted: wrong, plausible, and like everything else."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from tessera.kinds import KINDS, LabelSchema, Question, Size
from tessera.kinds.planted import planted
from tessera.kinds.subjects import as_answer
from tessera.kinds.verify import RIGHT_ENOUGH
from tests.kinds.samples import a_box, a_schema, boxes, tiles_of, whole
from tests.stories.real_coins import WAYS, kind_of, photographs, schema_of

OUTLINED = sorted({*WAYS} - {"classify", "several classes"})
TILE = Size(200, 160)


@cache
def truths(way: str) -> list[tuple[dict[str, Any], Question]]:
    """What tiles of real photographs show, and the question about each."""
    kind = kind_of(way)
    schema = LabelSchema.parse({**schema_of(way), "of": kind})
    under = LabelSchema.parse(schema_of(way))
    found = []
    for photograph in photographs()[:2]:
        known = photograph.known(way)
        for frame in tiles_of(photograph.size, tile=160, margin=16)[:4]:
            label = KINDS[kind].to_tile(known, Question(under, frame))
            assert label is not None
            found.append((label, Question(schema, frame)))
    return found


@cache
def tries(way: str) -> list[tuple[dict[str, Any], dict[str, Any] | None, Question]]:
    """Truth, mistake and question, each a few times."""
    return list(_tries(way))


def _tries(way: str) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, Question]]:
    dice = np.random.default_rng(1)
    there = truths(way)
    plain = [as_answer(label) for label, _ in there]
    for number, (label, question) in enumerate(there):
        others = plain[:number] + plain[number + 1 :]
        for _ in range(4):
            yield label, planted(plain[number], label, question, others, dice), question


def under(question: Question) -> Question:
    schema = {**question.schema.as_json()}
    schema.pop("of")
    return Question(LabelSchema.parse(schema), question.frame)


@pytest.mark.parametrize("way", OUTLINED)
def test_of_every_kind_a_mistake_is_an_answer_in_canonical_form_and_wrong(way: str) -> None:
    kind, seen = kind_of(way), set()
    for label, wrong, question in tries(way):
        assert wrong is not None
        canonical = KINDS[kind].validate(wrong, under(question))
        assert json.dumps(canonical) == json.dumps(wrong)
        assert KINDS[kind].score(wrong, label, under(question)) < RIGHT_ENOUGH
        seen.add(json.dumps(wrong))
    assert len(seen) > 15, "chance makes each another one"


@pytest.mark.parametrize("way", OUTLINED)
def test_neither_fields_nor_numbers_tell_a_mistake_from_the_truth(way: str) -> None:
    of_truth, of_mistakes, kind = set(), set(), kind_of(way)
    for label, wrong, question in tries(way):
        of_truth |= traits(KINDS[kind].validate(as_answer(label), under(question)))
        of_mistakes |= traits(wrong)
    assert of_mistakes <= of_truth


def traits(value: Any, at: str = "") -> set[tuple[str, str]]:
    """Names of fields, and types and fractions of numbers."""
    if isinstance(value, dict):
        return {trait for name, each in value.items() for trait in traits(each, f"{at}.{name}")}
    if isinstance(value, list):
        return {trait for each in value for trait in traits(each, at)}
    digits = len(repr(value).partition(".")[2]) if isinstance(value, float) else 0
    return {(at, f"{type(value).__name__} {min(digits, 3)}")}


def asked(of: str, **schema: Any) -> Question:
    return Question(LabelSchema.parse({**a_schema().as_json(), **schema, "of": of}), whole(TILE))


def some(truth: dict[str, Any], question: Question, *others: dict[str, Any]) -> list[Any]:
    dice = np.random.default_rng(2)
    return [planted(truth, truth, question, others, dice) for _ in range(40)]


def test_all_ways_of_being_wrong_come_up() -> None:
    truth = boxes(a_box(20.25, 20, 60.5, 60), a_box(100, 90, 180, 140, label=2))
    other = boxes(a_box(150, 10, 190, 40, label=3))
    found = some(truth, asked("box"), other)
    counts = {len(each["objects"]) for each in found}
    assert counts >= {1, 2, 3}, "left out, changed, added"
    changed = [each["objects"] for each in found if len(each["objects"]) == 2]
    assert any([o["class"] for o in each] != [1, 2] for each in changed)
    moved = [o["box"] for each in changed for o in each if o["class"] == 1]
    assert any(box[0] not in {20.25, 100.0} for box in moved)
    assert all((box[0] % 1, box[2] % 1) in {(0.25, 0.5), (0, 0)} for box in moved)


def test_where_nothing_is_only_another_tile_tells_what_might_be() -> None:
    assert set(map(str, some(boxes(), asked("box")))) == {"None"}
    assert set(map(str, some(boxes(), asked("box"), boxes()))) == {"None"}
    other = boxes(a_box(150, 10, 190, 40, label=3))
    for wrong in some(boxes(), asked("box"), other):
        (each,) = wrong["objects"]
        left, top, right, bottom = each["box"]
        assert (each["class"], right - left, bottom - top) == (3, 40, 30)
        assert each["box"] != [150, 10, 190, 40], "who has seen the other tile must not know it"
    too_far = boxes(a_box(500, 10, 590, 40, label=3))
    assert some(boxes(), asked("box"), too_far)[0] is None, "it would not fit into the tile"


def test_of_many_objects_so_many_are_wrong_that_it_counts() -> None:
    rows = [a_box(x, y, x + 9, y + 9) for x in range(0, 190, 14) for y in range(0, 150, 14)]
    truth = boxes(*rows)
    for wrong in some(truth, asked("box"), boxes(a_box(1, 1, 9, 9))):
        assert wrong is not None
        assert KINDS["box"].score(wrong, truth, under(asked("box"))) < RIGHT_ENOUGH


def test_another_class_says_only_what_it_can() -> None:
    truth = boxes(a_box(20, 20, 60, 60, attributes={"occluded": "yes"}))
    for wrong in some(truth, asked("box")):
        assert all(not o["attributes"] for o in wrong["objects"] if o["class"] != 1)


def test_of_pictures_another_class_is_said_with_what_another_tile_says_of_it() -> None:
    truth = {"classes": [2]}
    other = {"classes": [1], "attributes": {"1": {"occluded": "yes"}}}
    found = some(truth, asked("classify"), other, truth)
    assert other in found
    assert {"classes": [3]} in found
    assert truth not in found


def test_of_several_classes_enough_are_changed() -> None:
    question = asked("classify", multiple=True, classes=a_schema(12).as_json()["classes"])
    truth = {"classes": list(range(1, 11))}
    for wrong in some(truth, question):
        assert KINDS["classify"].score(wrong, truth, under(question)) < RIGHT_ENOUGH
