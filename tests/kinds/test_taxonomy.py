"""Classes that are sorts of other classes, and what is said of them."""

from typing import Any

import pytest

from tessera.kinds import InvalidAnswer, InvalidLabelSchema, LabelSchema, Piece, Size
from tests.kinds.samples import CLASSIFY, about, asked, gold_of, opinions, whole

TILE = Size(100, 80)
NAMES = {1: "animal", 2: "dog", 3: "cat", 4: "poodle", 5: "terrier", 6: "car"}
PARENTS = {2: 1, 3: 1, 4: 2, 5: 2}


def schema(*, multiple: bool = False, **changes: Any) -> dict[str, Any]:
    classes = [
        {"id": i, "name": name, "colour": "#000000"}
        | ({"parent": PARENTS[i]} if i in PARENTS else {})
        | ({"attributes": [{"name": "age", "type": "number"}]} if i == 4 else {})
        for i, name in NAMES.items()
    ]
    return {"classes": classes, "multiple": multiple, **changes}


TREE = LabelSchema.parse(schema())
QUESTION = about(TILE, TREE)
SEVERAL = about(TILE, LabelSchema.parse(schema(multiple=True)))


def said(*classes: int, **more: Any) -> dict[str, Any]:
    return {"classes": list(classes), **more}


def test_a_taxonomy_is_written_as_it_was_read() -> None:
    assert LabelSchema.parse(TREE.as_json()) == TREE
    assert TREE.lineage(4) == [4, 2, 1]


@pytest.mark.parametrize(
    ("parents", "at"),
    [
        ({1: 9}, "classes[0].parent"),
        ({1: 1}, "classes[0].parent"),
        ({1: 2, 2: 1}, "classes[0].parent"),
        ({3: "1"}, "classes[2].parent"),
    ],
)
def test_a_tree_with_a_circle_or_a_stranger_is_refused(parents: dict[int, Any], at: str) -> None:
    data = {
        "classes": [
            {"id": i, "name": str(i), "colour": "#000000"}
            | ({"parent": parents[i]} if i in parents else {})
            for i in (1, 2, 3)
        ]
    }
    with pytest.raises(InvalidLabelSchema) as refusal:
        LabelSchema.parse(data)
    assert refusal.value.facts["at"] == at


def test_the_closer_in_the_tree_the_more_an_answer_is_right() -> None:
    scores = [CLASSIFY.score(said(each), said(4), QUESTION) for each in (4, 5, 2, 3, 6)]
    assert scores == pytest.approx([1, 2 / 3, 4 / 5, 2 / 5, 0])


def test_of_several_classes_each_is_compared_with_the_closest() -> None:
    assert CLASSIFY.score(said(4, 6), said(4, 6), SEVERAL) == 1.0
    assert CLASSIFY.score(said(5, 6), said(4, 6), SEVERAL) == pytest.approx(2 * (2 / 3 + 1) / 4)
    assert CLASSIFY.score(said(4, 5), said(4), SEVERAL) == pytest.approx(2 / 3)


def test_classes_have_attributes_which_most_weight_decides() -> None:
    answer = CLASSIFY.validate(said(4, attributes={"4": {"age": 3}}), QUESTION)
    assert answer == said(4, attributes={"4": {"age": 3.0}})
    assert CLASSIFY.validate(said(4, attributes={"4": {}}), QUESTION) == said(4)
    votes = [said(4, attributes={"4": {"age": age}}) for age in (3.0, 4.0, 90.0)]
    outcome = CLASSIFY.aggregate(opinions(*votes), QUESTION, target_confidence=0.9)
    assert outcome.label["attributes"] == {"4": {"age": 4.0}}
    (found,) = CLASSIFY.to_image(outcome.label, QUESTION)
    assert found["attributes"] == {"age": 4.0}
    frame = whole(TILE)
    (merged,) = CLASSIFY.merge([Piece(frame, [found])], TREE)
    assert merged["attributes"] == {"age": 4.0}
    assert gold_of(CLASSIFY, [found], asked(frame, TREE))["attributes"] == {"4": {"age": 4.0}}


@pytest.mark.parametrize(
    ("attributes", "at"),
    [
        ([], "attributes"),
        ({"2": {}}, "attributes"),
        ({"x": {}}, "attributes"),
        ({"4": []}, "attributes.4"),
        ({"4": {"colour": "red"}}, "attributes.4"),
        ({"4": {"age": "old"}}, "attributes.4.age"),
    ],
)
def test_attributes_of_what_was_not_said_are_refused(attributes: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        CLASSIFY.validate(said(4, attributes=attributes), QUESTION)
    assert refusal.value.facts["at"] == at


@pytest.mark.parametrize("option", [{"rotated": True}, {"of": "box"}, {"camera": [[1] * 4] * 3}])
def test_options_of_other_kinds_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidLabelSchema) as refusal:
        CLASSIFY.check_schema(LabelSchema.parse(schema(**option)))
    assert refusal.value.facts["at"] == next(iter(option))
