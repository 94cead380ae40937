"""The label schema: which classes, with which attributes, an answer may use."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tessera.kinds import fields
from tessera.kinds.errors import InvalidLabelSchema

MOST_CLASSES = 1_000
MOST_ATTRIBUTES = 50
MOST_VALUES = 200
MOST_CHARACTERS = 250_000
"""Of all classes as JSON: a thousand of them take half of that, and every offer carries them."""
MOST_CLASS_ID = 2**31 - 1
"""Dataset readers keep category ids in 32 bits."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A closed question about one object of a class; an answer may leave it open."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelClass:
    id: int
    """Positive, and fixed for ever: datasets refer to it."""
    name: str
    colour: str
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        return next((each for each in self.attributes if each.name == name), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "colour": self.colour,
            "attributes": [
                {"name": asked.name, "values": list(asked.values)} for asked in self.attributes
            ],
        }


@dataclass(frozen=True, slots=True)
class LabelSchema:
    classes: tuple[LabelClass, ...]
    """In the operator's order."""
    multiple: bool = False
    """For classify: whether an image may have several classes, or none."""
    _by_id: dict[int, LabelClass] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {each.id: each for each in self.classes})

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._by_id))

    def find(self, class_id: int) -> LabelClass | None:
        return self._by_id.get(class_id)

    @classmethod
    def parse(cls, data: object) -> "LabelSchema":
        """Read a label schema from decoded JSON.

        Raises:
            InvalidLabelSchema: Says where and why.
        """
        found = fields.record(
            data, "", InvalidLabelSchema, required={"classes"}, optional=frozenset({"multiple"})
        )
        classes = tuple(_within_measure(_classes(found["classes"])))
        if not classes:
            raise InvalidLabelSchema("classes", "must have at least one class")
        _distinct("classes", "id", [each.id for each in classes])
        _distinct("classes", "name", [each.name for each in classes])
        multiple = fields.truth(found.get("multiple", False), "multiple", InvalidLabelSchema)
        return cls(classes, multiple)

    def as_json(self) -> dict[str, Any]:
        """Canonical JSON; `parse` of it is this schema."""
        return {"classes": [each.as_json() for each in self.classes], "multiple": self.multiple}


def _classes(value: object) -> Iterator[LabelClass]:
    for at, element in fields.items(value, "classes", InvalidLabelSchema, most=MOST_CLASSES):
        found = fields.record(
            element,
            at,
            InvalidLabelSchema,
            required={"id", "name", "colour"},
            optional=frozenset({"attributes"}),
        )
        class_id = fields.whole(found["id"], f"{at}.id", InvalidLabelSchema)
        if not 0 < class_id <= MOST_CLASS_ID:
            raise InvalidLabelSchema(f"{at}.id", f"must lie between 1 and {MOST_CLASS_ID}")
        yield LabelClass(
            class_id,
            fields.text(found["name"], f"{at}.name", InvalidLabelSchema),
            _colour(found["colour"], f"{at}.colour"),
            tuple(_attributes(found.get("attributes", []), f"{at}.attributes")),
        )


def _within_measure(classes: Iterator[LabelClass]) -> Iterator[LabelClass]:
    """The classes one by one: what is too much is not even read to its end."""
    characters = 0
    for each in classes:
        characters += len(json.dumps(each.as_json(), ensure_ascii=False))
        if characters > MOST_CHARACTERS:
            raise InvalidLabelSchema(
                "classes", f"are more than {MOST_CHARACTERS:,} characters of JSON together"
            )
        yield each


def _colour(value: object, at: str) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise InvalidLabelSchema(at, "must be a colour such as #e6194b")
    return value.lower()


def _attributes(value: object, at: str) -> Iterator[Attribute]:
    seen = []
    for here, element in fields.items(value, at, InvalidLabelSchema, most=MOST_ATTRIBUTES):
        found = fields.record(element, here, InvalidLabelSchema, required={"name", "values"})
        values = [
            fields.text(each, place, InvalidLabelSchema)
            for place, each in fields.items(
                found["values"], f"{here}.values", InvalidLabelSchema, most=MOST_VALUES
            )
        ]
        if not values:
            raise InvalidLabelSchema(f"{here}.values", "must have at least one value")
        _distinct(f"{here}.values", "value", values)
        name = fields.text(found["name"], f"{here}.name", InvalidLabelSchema)
        seen.append(name)
        yield Attribute(name, tuple(values))
    _distinct(at, "name", seen)


def _distinct(at: str, what: str, values: list[Any]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InvalidLabelSchema(at, f"{what} {value!r} is there twice")
        seen.add(value)
