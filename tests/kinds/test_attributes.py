"""What may be asked and said of one object besides its class and place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import Attribute, InvalidAnswer, InvalidLabelSchema
from tessera.kinds.attributes import agreed, read

WORN = {"name": "worn", "values": ["yes", "no"]}
YEAR = {"name": "year", "type": "number", "least": 1900, "most": 2100}
TEXT = {"name": "text", "type": "text"}
TRUNCATED = {"name": "truncated", "type": "flag"}
ASKED = [Attribute.parse(each, "at") for each in (WORN, YEAR, TEXT, TRUNCATED)]


@pytest.mark.parametrize("data", [WORN, YEAR, TEXT, TRUNCATED])
def test_an_attribute_is_written_as_it_was_read(data: dict[str, Any]) -> None:
    written = Attribute.parse(data, "at").as_json()
    assert written == {"type": "choice", **data}
    assert Attribute.parse(written, "at").as_json() == written


@pytest.mark.parametrize(
    ("data", "at"),
    [
        ({}, "a"),
        ({"name": "worn"}, "a"),
        ({"name": "worn", "type": "colour"}, "a.type"),
        ({"name": "worn", "type": ["text"]}, "a.type"),
        ({"name": "worn", "type": "text", "values": ["yes"]}, "a.values"),
        ({"name": "worn", "type": "flag", "least": 0}, "a.least"),
        ({"name": "worn", "values": ["yes"], "most": 1}, "a.most"),
        ({"name": "year", "type": "number", "least": "1900"}, "a.least"),
        ({"name": "year", "type": "number", "least": 2, "most": 1}, "a"),
        ({"name": "year", "type": "number", "most": float("inf")}, "a.most"),
    ],
)
def test_an_attribute_that_makes_no_sense_is_refused(data: Any, at: str) -> None:
    with pytest.raises(InvalidLabelSchema) as refusal:
        Attribute.parse(data, "a")
    assert refusal.value.facts["at"] == at


def test_every_type_is_read_and_sorted_by_name() -> None:
    said = {"year": 1990, "truncated": True, "worn": "no", "text": "№ 12, Straße"}
    found = read(said, "at", ASKED, "coin")
    assert list(found.items()) == [
        ("text", "№ 12, Straße"),
        ("truncated", True),
        ("worn", "no"),
        ("year", 1990.0),
    ]
    assert read(found, "at", ASKED, "coin") == found
    assert read({}, "at", ASKED, "coin") == {}


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ([], "at"),
        ({"year": "1990"}, "at.year"),
        ({"year": True}, "at.year"),
        ({"year": 1899.9}, "at.year"),
        ({"year": 2101}, "at.year"),
        ({"year": float("nan")}, "at.year"),
        ({"text": ""}, "at.text"),
        ({"text": " x"}, "at.text"),
        ({"text": "a\nb"}, "at.text"),
        ({"text": "x" * 501}, "at.text"),
        ({"text": 7}, "at.text"),
        ({"truncated": "yes"}, "at.truncated"),
        ({"truncated": 1}, "at.truncated"),
        ({"worn": "maybe"}, "at.worn"),
        ({"worn": None}, "at.worn"),
        ({"colour": "red"}, "at"),
    ],
)
def test_what_was_not_asked_is_refused_with_the_place(said: Any, at: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        read(said, "at", ASKED, "coin")
    assert refusal.value.facts["at"] == at


@given(st.permutations(range(5)))
def test_most_weight_decides_and_numbers_come_to_their_median(
    order: list[int],
) -> None:
    said: list[tuple[dict[str, Any], float]] = [
        ({"worn": "yes", "year": 1990.0, "truncated": True}, 1.0),
        ({"worn": "no", "year": 1991.0}, 3.0),
        ({"worn": "yes", "year": 2100.0, "text": "EURO"}, 1.0),
        ({}, 9.0),
        ({"text": "EURO", "truncated": False}, 0.5),
    ]
    assert agreed([said[i] for i in order], ASKED) == {
        "text": "EURO",
        "truncated": True,
        "worn": "no",
        "year": 1991.0,
    }
