import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import KINDS, NOT_ABOUT, InvalidLabelSchema, LabelSchema, UnknownKind, kind_of
from tests.kinds.samples import BOX, CLASSIFY, a_schema

COIN: dict[str, Any] = {"id": 1, "name": "coin", "colour": "#E6194B"}


def with_attribute(**attribute: Any) -> dict[str, Any]:
    return {"classes": [{**COIN, "attributes": [attribute]}]}


def test_a_schema_reads_back_as_it_was_written() -> None:
    schema = a_schema(4, multiple=True)
    assert LabelSchema.parse(schema.as_json()) == schema
    assert schema.ids == (1, 2, 3, 4)
    assert schema.find(5) is None


def test_colours_are_lower_case_and_attributes_may_be_left_out() -> None:
    schema = LabelSchema.parse({"classes": [COIN]})
    assert schema.as_json()["classes"][0] == {
        "id": 1,
        "name": "coin",
        "colour": "#e6194b",
        "attributes": [],
    }


def test_names_may_be_of_any_script() -> None:
    persian = "\u0646\u06cc\u0645\u200c\u0641\u0627"
    names = ("münze", "硬币", persian)
    classes = [{"id": i, "name": name, "colour": "#000000"} for i, name in enumerate(names, 1)]
    assert [each.name for each in LabelSchema.parse({"classes": classes}).classes] == list(names)


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"classes": []}, "classes"),
        ({"classes": {}}, "classes"),
        ({"classes": [COIN] * 1_001}, "classes"),
        ({"classes": [COIN], "colour": "red"}, ""),
        ({"classes": [COIN], "multiple": 1}, "multiple"),
        ({"classes": [COIN], "of_tiles": "most"}, "of_tiles"),
        ({"classes": [COIN], "of_tiles": "ANY"}, "of_tiles"),
        ({"classes": [COIN], "of_tiles": ""}, "of_tiles"),
        ({"classes": [COIN], "of_tiles": True}, "of_tiles"),
        ({"classes": [COIN], "of_tiles": ["any"]}, "of_tiles"),
        ({"classes": [COIN, COIN]}, "classes"),
        ({"classes": [COIN, {**COIN, "id": 2}]}, "classes"),
        ({"classes": [COIN, {**COIN, "name": "cat"}]}, "classes"),
        ({"classes": [{**COIN, "id": 0}]}, "classes[0].id"),
        ({"classes": [{**COIN, "id": -3}]}, "classes[0].id"),
        ({"classes": [{**COIN, "id": 2**31}]}, "classes[0].id"),
        ({"classes": [{**COIN, "id": True}]}, "classes[0].id"),
        ({"classes": [{**COIN, "id": 1.0}]}, "classes[0].id"),
        ({"classes": [{**COIN, "name": ""}]}, "classes[0].name"),
        ({"classes": [{**COIN, "name": " coin"}]}, "classes[0].name"),
        ({"classes": [{**COIN, "name": "co\nin"}]}, "classes[0].name"),
        ({"classes": [{**COIN, "name": "x" * 101}]}, "classes[0].name"),
        ({"classes": [{**COIN, "name": 7}]}, "classes[0].name"),
        ({"classes": [{**COIN, "colour": "red"}]}, "classes[0].colour"),
        ({"classes": [{**COIN, "colour": None}]}, "classes[0].colour"),
        (with_attribute(name="worn"), "classes[0].attributes[0]"),
        (with_attribute(name="worn", values=[]), "classes[0].attributes[0].values"),
        (with_attribute(name="worn", values=["a", "a"]), "classes[0].attributes[0].values"),
        (with_attribute(name="worn", values=[1]), "classes[0].attributes[0].values[0]"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused_with_the_place(data: Any, at: str) -> None:
    with pytest.raises(InvalidLabelSchema) as refusal:
        LabelSchema.parse(data)
    assert refusal.value.code == "invalid-label-schema"
    assert refusal.value.facts["at"] == at
    assert refusal.value.facts["why"]


def test_a_thousand_classes_with_an_attribute_each_are_fine() -> None:
    asked = [{"name": "occluded", "values": ["yes", "no", "in part"]}]
    classes = [
        {"id": i, "name": f"species number {i}", "colour": "#000000", "attributes": asked}
        for i in range(1, 1_001)
    ]
    assert len(LabelSchema.parse({"classes": classes}).classes) == 1_000


@pytest.mark.parametrize(
    ("classes", "attributes", "values", "length"),
    [(30, 50, 200, 1), (1_000, 5, 4, 10), (3, 50, 200, 20), (10, 10, 100, 30)],
)
def test_a_schema_is_bounded_as_a_whole(
    classes: int, attributes: int, values: int, length: int
) -> None:
    def name(number: int) -> str:
        return chr(0x4E00 + number) * length

    asked = [
        {"name": name(i), "values": [name(j) for j in range(values)]} for i in range(attributes)
    ]
    data = [
        {"id": i + 1, "name": name(i), "colour": "#000000", "attributes": asked}
        for i in range(classes)
    ]
    assert len(json.dumps({"classes": data}, ensure_ascii=False)) < 8 * 2**20, "fits into a body"
    with pytest.raises(InvalidLabelSchema) as refusal:
        LabelSchema.parse({"classes": data})
    assert refusal.value.facts["at"] == "classes"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["classes", "id", "name", "colour"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_the_reading_of_schemas(data: Any) -> None:
    try:
        schema = LabelSchema.parse(data)
    except InvalidLabelSchema:
        return
    assert LabelSchema.parse(schema.as_json()) == schema


def test_a_single_choice_needs_two_classes_and_a_box_has_one_class() -> None:
    with pytest.raises(InvalidLabelSchema):
        CLASSIFY.check_schema(a_schema(1))
    with pytest.raises(InvalidLabelSchema):
        BOX.check_schema(a_schema(2, multiple=True))
    CLASSIFY.check_schema(a_schema(1, multiple=True))
    CLASSIFY.check_schema(a_schema(2))
    BOX.check_schema(a_schema(1))


@pytest.mark.parametrize("multiple", [True, False])
def test_a_rule_for_images_of_tiles_is_kept_and_none_is_written_where_none_was_given(
    *, multiple: bool
) -> None:
    plain = a_schema(multiple=multiple)
    assert "of_tiles" not in plain.as_json()
    for rule in ("any", "majority"):
        schema = LabelSchema.parse({**plain.as_json(), "of_tiles": rule})
        assert json.loads(json.dumps(schema.as_json()))["of_tiles"] == rule
        assert LabelSchema.parse(schema.as_json()) == schema != plain
        CLASSIFY.check_schema(schema)
        KINDS["verify"].check_schema(replace(schema, of="classify"))


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        *((kind, {}) for kind in sorted({*KINDS} - NOT_ABOUT - {"classify"})),
        *((kind, {"of": "polygon"}) for kind in sorted(NOT_ABOUT)),
    ],
)
def test_only_classes_of_tiles_are_put_together_by_a_rule(kind: str, of: dict[str, str]) -> None:
    with pytest.raises(InvalidLabelSchema) as refusal:
        KINDS[kind].check_schema(LabelSchema.parse({"classes": [COIN], "of_tiles": "any", **of}))
    assert refusal.value.facts["at"] == "of_tiles"


def test_kinds_are_found_by_name_and_others_are_refused() -> None:
    assert kind_of("box") is BOX
    assert kind_of("classify") is CLASSIFY
    with pytest.raises(UnknownKind) as refusal:
        kind_of("hologram")
    assert refusal.value.facts == {"known": sorted(KINDS)}
