import json
import random
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import (
    ImageObject,
    InvalidAnswer,
    LabelSchema,
    Opinion,
    Piece,
    Size,
    TileFrame,
    Window,
)
from tests.kinds.samples import CLASSIFY, a_box, a_schema, about, asked, opinions, whole

TILE = Size(100, 80)
WHOLE = whole(TILE)
trusts = st.floats(0.34, 0.99)


def softly(parts: Sequence[int]) -> dict[str, Any]:
    """A label of one class; `parts` is how probable each is to the others."""
    probable = {class_id: part / sum(parts) for class_id, part in enumerate(parts, 1)}
    best = max(probable, key=lambda class_id: probable[class_id])
    soft = {str(class_id): p for class_id, p in probable.items() if p > 0}
    return {"classes": [best], "confidence": probable[best], "soft": soft}


def said(*classes: int) -> dict[str, list[int]]:
    return {"classes": list(classes)}


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (None, ""),
        ([1], ""),
        ({}, ""),
        ({"classes": 1}, "classes"),
        ({"classes": []}, "classes"),
        ({"classes": [1, 2]}, "classes"),
        ({"classes": [1, 2, 3, 1]}, "classes"),
        ({"classes": [4]}, "classes[0]"),
        ({"classes": [True]}, "classes[0]"),
        ({"classes": [1.0]}, "classes[0]"),
        ({"classes": ["1"]}, "classes[0]"),
        ({"classes": [[1]]}, "classes[0]"),
        ({"classes": [1], "confidence": 1.0}, ""),
    ],
)
def test_an_answer_that_is_no_single_choice_is_refused_with_the_place(answer: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        CLASSIFY.validate(answer, about(TILE))
    assert refusal.value.code == "invalid-answer"
    assert refusal.value.facts["at"] == at


def test_of_several_classes_any_may_be_chosen_once_in_any_order() -> None:
    schema = a_schema(multiple=True)
    assert CLASSIFY.validate(said(3, 1), about(TILE, schema)) == said(1, 3)
    assert CLASSIFY.validate(said(), about(TILE, schema)) == said()
    with pytest.raises(InvalidAnswer):
        CLASSIFY.validate(said(2, 2), about(TILE, schema))


def test_a_single_choice_is_right_or_wrong_and_several_are_partly_right() -> None:
    assert CLASSIFY.score(said(2), said(2), about(TILE)) == 1.0
    assert CLASSIFY.score(said(2), said(1), about(TILE)) == 0.0
    assert CLASSIFY.score(said(1, 2), said(2, 3), about(TILE)) == 0.5
    assert CLASSIFY.score(said(), said(), about(TILE)) == 1.0
    assert CLASSIFY.score(said(), said(1), about(TILE)) == 0.0


@given(st.lists(st.tuples(st.integers(1, 3), trusts), min_size=1, max_size=6))
def test_the_confidence_is_bayes_rule_written_out(votes: list[tuple[int, float]]) -> None:
    given_truth = {
        truth: prod(trust if vote == truth else (1 - trust) / 2 for vote, trust in votes)
        for truth in (1, 2, 3)
    }
    expected = max(given_truth.values()) / sum(given_truth.values())
    cast = [Opinion(str(i), said(vote), trust) for i, (vote, trust) in enumerate(votes)]
    outcome = CLASSIFY.aggregate(cast, asked(WHOLE, a_schema()), target_confidence=0.9)
    assert outcome.confidence == pytest.approx(expected)
    assert given_truth[outcome.label["classes"][0]] == pytest.approx(max(given_truth.values()))
    assert outcome.decided == (outcome.confidence >= 0.9)
    for class_id, each in given_truth.items():
        probable = outcome.label["soft"].get(str(class_id), 0)
        assert probable == pytest.approx(each / sum(given_truth.values()), abs=0.001)


@given(
    st.lists(st.tuples(st.sets(st.integers(1, 3)), st.floats(0.5, 0.99)), min_size=1, max_size=6)
)
def test_several_classes_are_decided_each_on_its_own(votes: list[tuple[set[int], float]]) -> None:
    cast = [Opinion(str(i), said(*sorted(v)), trust) for i, (v, trust) in enumerate(votes)]
    outcome = CLASSIFY.aggregate(cast, asked(WHOLE, a_schema(multiple=True)), target_confidence=0.9)
    least = 1.0
    for class_id in (1, 2, 3):
        yes = prod(trust if class_id in vote else 1 - trust for vote, trust in votes)
        no = prod(1 - trust if class_id in vote else trust for vote, trust in votes)
        least = min(least, max(yes, no) / (yes + no))
        if abs(yes - no) > 1e-9:
            assert (class_id in outcome.label["classes"]) == (yes > no)
        probable = outcome.label["soft"].get(str(class_id), 0)
        assert probable == pytest.approx(yes / (yes + no), abs=0.001)
    assert outcome.confidence == pytest.approx(least)


def test_each_of_several_classes_is_as_certain_as_it_is_itself() -> None:
    label = {"classes": [1, 3], "confidence": 0.6, "soft": {"1": 0.9, "2": 0.4, "3": 0.8}}
    found = CLASSIFY.to_image(label, about(TILE, a_schema(multiple=True)))
    assert [(each["class"], each["confidence"]) for each in found] == [(1, 0.9), (3, 0.8)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("any", {1: 0.9, 2: 0.1}), ("majority", {1: 0.3333, 2: 0.6657, 3: 0.001})],
)
def test_soft_labels_of_tiles_are_put_together_by_the_rule(
    rule: str, expected: dict[int, float]
) -> None:
    unsure = {"classes": [1], "confidence": 0.9, "soft": {"1": 0.9, "2": 0.097, "3": 0.003}}
    mostly = {"classes": [2], "confidence": 0.9, "soft": {"1": 0.1, "2": 0.9}}
    reviewed = {"classes": [2]}
    schema = LabelSchema.parse({**a_schema().as_json(), "of_tiles": rule})
    assert CLASSIFY.soft([unsure, mostly, reviewed], schema) == expected
    assert CLASSIFY.soft([{"classes": [3], "confidence": 0.7}], schema) == {3: 0.7}


soft_labels = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any).map(softly)


@given(st.lists(soft_labels, min_size=1, max_size=6), st.sampled_from(["any", "majority"]))
def test_of_a_choice_the_classes_are_no_more_probable_than_one(
    labels: list[dict[str, Any]], rule: str
) -> None:
    schema = LabelSchema.parse({**a_schema().as_json(), "of_tiles": rule})
    found = CLASSIFY.soft(labels, schema)
    assert found is not None
    assert 0 < sum(found.values()) <= 1.001


@given(soft_labels, st.integers(1, 4))
def test_tiles_that_say_the_same_say_it_of_the_image(label: dict[str, Any], tiles: int) -> None:
    schema = LabelSchema.parse({**a_schema().as_json(), "of_tiles": "any"})
    found = CLASSIFY.soft([label] * tiles, schema)
    said = {int(each): p for each, p in label["soft"].items()}
    assert found == pytest.approx(said, abs=1e-4)


@given(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=6))
def test_where_tiles_are_sure_the_most_probable_class_is_that_of_the_image(said: list[int]) -> None:
    schema = LabelSchema.parse({**a_schema().as_json(), "of_tiles": "any"})
    labels = [softly([1 + 97 * (class_id == each) for class_id in (1, 2, 3)]) for each in said]
    frame = whole(TILE)
    pieces = [Piece(frame, CLASSIFY.to_image(each, asked(frame, schema))) for each in labels]
    ((of_image,), soft) = CLASSIFY.merge(pieces, schema), CLASSIFY.soft(labels, schema)
    assert soft is not None
    assert max(soft, key=lambda class_id: soft[class_id]) == of_image["class"]


@given(st.lists(st.tuples(st.integers(1, 3), trusts), min_size=1, max_size=6), st.randoms())
def test_the_order_of_opinions_does_not_matter(
    votes: list[tuple[int, float]], chance: random.Random
) -> None:
    cast = [Opinion(str(i), said(vote), trust) for i, (vote, trust) in enumerate(votes)]
    shuffled = chance.sample(cast, len(cast))
    one, other = (
        CLASSIFY.aggregate(each, asked(WHOLE, a_schema()), target_confidence=0.9)
        for each in (cast, shuffled)
    )
    assert json.dumps(one.label) == json.dumps(other.label)
    assert one.confidence == other.confidence


def test_one_more_agreeing_opinion_makes_a_label_more_certain() -> None:
    seen = [
        CLASSIFY.aggregate(
            opinions(*[said(2)] * n, trust=0.8), asked(WHOLE), target_confidence=0.95
        )
        for n in (1, 2, 3)
    ]
    assert [each.confidence for each in seen] == sorted({each.confidence for each in seen})
    assert [each.decided for each in seen] == [False, True, True]


def test_an_earner_worse_than_chance_is_not_believed_backwards() -> None:
    cast = [Opinion("liar", said(1), 0.05), Opinion("honest", said(1), 0.8)]
    outcome = CLASSIFY.aggregate(cast, asked(WHOLE, a_schema()), target_confidence=0.5)
    assert outcome.label["classes"] == [1]
    assert outcome.confidence == pytest.approx(0.8)


def test_no_opinions_or_two_by_one_earner_are_a_bug() -> None:
    with pytest.raises(ValueError, match="no opinions"):
        CLASSIFY.aggregate([], asked(WHOLE, a_schema()), target_confidence=0.9)
    twice = [Opinion("same", said(1), 0.9)] * 2
    with pytest.raises(ValueError, match="one opinion"):
        CLASSIFY.aggregate(twice, asked(WHOLE, a_schema()), target_confidence=0.9)


@given(st.sampled_from([0.0, 1.0, -0.5, float("nan")]))
def test_nobody_is_trusted_wholly_or_not_at_all(trust: float) -> None:
    with pytest.raises(ValueError, match="trust"):
        Opinion("earner", said(1), trust)


def a_piece(label: dict[str, Any]) -> Piece:
    return Piece(WHOLE, CLASSIFY.to_image(label, asked(WHOLE)))


def test_an_image_has_the_class_with_most_confidence_among_its_tiles() -> None:
    pieces = [
        a_piece({"classes": [1], "confidence": 0.9}),
        a_piece({"classes": [2], "confidence": 0.6}),
        a_piece({"classes": [1], "confidence": 0.8}),
    ]
    assert CLASSIFY.merge(pieces, a_schema()) == [
        {"class": 1, "attributes": {}, "confidence": 0.5667, "sources": [0, 2]}
    ]
    assert CLASSIFY.merge(pieces[:1], a_schema())[0]["confidence"] == 0.9
    assert CLASSIFY.merge([], a_schema()) == []


def test_an_image_has_every_class_that_any_of_its_tiles_has() -> None:
    pieces = [
        a_piece({"classes": [1, 3], "confidence": 0.9}),
        a_piece({"classes": []}),
        a_piece({"classes": [3]}),
    ]
    merged = CLASSIFY.merge(pieces, a_schema(multiple=True))
    assert [(each["class"], each["confidence"]) for each in merged] == [(1, 0.9), (3, 1.0)]
    assert merged[1]["sources"] == [0, 2]


NOTHING, SHIP, BUOY = 1, 2, 3


def at_sea(of_tiles: str, *, multiple: bool = False) -> LabelSchema:
    """The ship is listed first, though its id is not the lowest."""
    nothing, ship, buoy = a_schema().as_json()["classes"]
    return LabelSchema.parse(
        {"classes": [ship, buoy, nothing], "multiple": multiple, "of_tiles": of_tiles}
    )


def of_tiles(schema: LabelSchema, *tiles: tuple[Sequence[int], float]) -> list[ImageObject]:
    """What an image is, given the classes of each tile and how sure they are."""
    pieces = [a_piece({"classes": list(each), "confidence": sure}) for each, sure in tiles]
    return CLASSIFY.merge(pieces, schema)


def test_any_tile_s_choice_is_the_image_s_where_the_schema_lists_it_before_the_others() -> None:
    seen = [([NOTHING], 0.99), ([SHIP], 0.6), ([BUOY], 0.97), ([SHIP], 0.8), ([NOTHING], 0.99)]
    assert of_tiles(at_sea("any"), *seen) == [
        {"class": SHIP, "attributes": {}, "confidence": 0.8, "sources": [1, 3]}
    ]
    (empty,) = of_tiles(at_sea("any"), seen[0], seen[4])
    assert (empty["class"], empty["confidence"]) == (NOTHING, 0.99)


def test_of_several_classes_an_image_has_by_majority_those_of_more_than_half_its_tiles() -> None:
    seen = [([SHIP], 0.9), ([SHIP, BUOY], 0.75), ([BUOY], 0.9), ([SHIP], 0.75)]
    schema = at_sea("majority", multiple=True)
    assert of_tiles(schema, *seen) == [
        {"class": SHIP, "attributes": {}, "confidence": 0.6, "sources": [0, 1, 3]}
    ]
    nowhere: tuple[list[int], float] = ([], 0.9)
    assert of_tiles(schema, *seen, nowhere, nowhere) == [], "half of the tiles are not a majority"


@pytest.mark.parametrize(("multiple", "usual"), [(True, "any"), (False, "majority")])
@given(st.lists(st.tuples(st.sets(st.integers(1, 3), min_size=1), trusts), max_size=6))
def test_without_a_rule_it_is_any_tile_of_several_classes_and_the_majority_of_one(
    multiple: bool,  # noqa: FBT001 - pytest's
    usual: str,
    seen: list[tuple[set[int], float]],
) -> None:
    tiles = [(sorted(each) if multiple else [min(each)], sure) for each, sure in seen]
    by_rule = of_tiles(at_sea(usual, multiple=multiple), *tiles)
    assert by_rule == of_tiles(a_schema(multiple=multiple), *tiles)


@pytest.mark.parametrize("rule", ["any", "majority"])
@given(chance=st.randoms(), seen=st.lists(st.tuples(st.integers(1, 3), trusts), max_size=6))
def test_by_either_rule_the_order_of_tiles_does_not_matter(
    rule: str, chance: random.Random, seen: list[tuple[int, float]]
) -> None:
    order = chance.sample(range(len(seen)), len(seen))
    one, other = (
        of_tiles(at_sea(rule), *(([seen[i][0]], seen[i][1]) for i in each))
        for each in (range(len(seen)), order)
    )
    for each in other:
        each["sources"] = sorted(order[i] for i in each["sources"])
    assert one == other


def test_known_boxes_tell_which_classes_a_tile_shows() -> None:
    frame = TileFrame(Window(0, 0, 100, 80), Window(0, 0, 90, 80), Size(300, 80))
    known = [
        a_box(10, 10, 20, 20, label=1),
        a_box(30, 10, 80, 70, label=2),
        a_box(98, 10, 150, 70, label=3),
    ]
    assert CLASSIFY.to_tile(known, asked(frame, a_schema())) == said(2)
    assert CLASSIFY.to_tile(known[:2], asked(frame, a_schema(multiple=True))) == said(1, 2)
    assert CLASSIFY.to_tile([], asked(frame, a_schema())) is None
    assert CLASSIFY.to_tile([], asked(frame, a_schema(multiple=True))) == said()


def test_where_one_of_several_classes_barely_shows_nobody_is_tested() -> None:
    frame = TileFrame(Window(0, 0, 100, 80), Window(0, 0, 90, 80), Size(300, 80))
    barely = a_box(98, 10, 150, 70, label=3)
    assert CLASSIFY.to_tile([barely], asked(frame, a_schema(multiple=True))) is None
    both = [barely, a_box(10, 10, 60, 60, label=3)]
    assert CLASSIFY.to_tile(both, asked(frame, a_schema(multiple=True))) == said(3)


def test_what_is_only_known_of_a_whole_image_is_not_known_of_its_parts() -> None:
    known = [{"class": 1}]
    whole = Window(0, 0, *TILE)
    part = Window(0, 0, TILE.width // 2, TILE.height)
    for multiple in (False, True):
        schema = a_schema(multiple=multiple)
        assert CLASSIFY.to_tile(known, asked(TileFrame(whole, whole, TILE), schema)) == said(1)
        assert CLASSIFY.to_tile(known, asked(TileFrame(part, part, TILE), schema)) is None


@given(st.sets(st.integers(1, 3)))
def test_what_is_known_of_an_image_goes_to_its_tiles_and_comes_back(classes: set[int]) -> None:
    schema = a_schema(multiple=True)
    known = [a_box(0, 0, *TILE, label=each) for each in sorted(classes)]
    pieces = []
    for left, top in product((0, 40), (0, 40)):
        frame = TileFrame(
            Window(left, top, left + 40, top + 40), Window(left, top, left + 40, top + 40), TILE
        )
        label = CLASSIFY.to_tile(known, asked(frame, schema))
        assert label is not None
        pieces.append(Piece(frame, CLASSIFY.to_image(label, asked(frame))))
    assert [each["class"] for each in CLASSIFY.merge(pieces, schema)] == sorted(classes)
