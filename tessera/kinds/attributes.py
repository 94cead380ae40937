"""Attributes: closed and open questions about one object of a class; an answer may leave them open.

`choice` has `values`, of which one is the answer; `text` is printable; `number` lies between
`least` and `most`, if they are given; `flag` is true or false, as `occluded` and `truncated` are.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema

MOST_VALUES = 200
LONGEST_TEXT = 500
Value = str | float | bool


class Type(StrEnum):
    CHOICE = "choice"
    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"


_OPTIONS = {
    Type.CHOICE: {"values"},
    Type.TEXT: set(),
    Type.NUMBER: {"least", "most"},
    Type.FLAG: set(),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    type: Type = Type.CHOICE
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    @classmethod
    def parse(cls, data: object, at: str) -> "Attribute":
        """Read one from a label schema.

        Raises:
            InvalidLabelSchema: Says where and why.
        """
        found = fields.record(
            data,
            at,
            InvalidLabelSchema,
            required={"name"},
            optional=frozenset({"type", "values", "least", "most"}),
        )
        name = fields.text(found["name"], f"{at}.name", InvalidLabelSchema)
        type_ = _type(found.get("type", Type.CHOICE), f"{at}.type")
        if foreign := sorted(found.keys() - {"name", "type"} - _OPTIONS[type_]):
            raise InvalidLabelSchema(
                f"{at}.{foreign[0]}", f"has no meaning for type {type_.value!r}"
            )
        if type_ is Type.CHOICE:
            if "values" not in found:
                raise InvalidLabelSchema(at, "field 'values' is missing")
            return cls(name, type_, _values(found["values"], f"{at}.values"))
        least, most = (
            fields.number(found[end], f"{at}.{end}", InvalidLabelSchema) if end in found else None
            for end in ("least", "most")
        )
        if least is not None and most is not None and least > most:
            raise InvalidLabelSchema(at, "`least` is above `most`")
        return cls(name, type_, least=least, most=most)

    def as_json(self) -> dict[str, Any]:
        """Canonical JSON; `parse` of it is this attribute."""
        ends = {"least": self.least, "most": self.most}
        return {
            "name": self.name,
            "type": self.type.value,
            **({"values": list(self.values)} if self.type is Type.CHOICE else {}),
            **{end: value for end, value in ends.items() if value is not None},
        }

    def read(self, value: object, at: str) -> Value:
        """What an earner said, in canonical form.

        Raises:
            InvalidAnswer: Says where and why.
        """
        match self.type:
            case Type.CHOICE:
                if not isinstance(value, str) or value not in self.values:
                    raise InvalidAnswer(at, "is not one of the attribute's values")
                return value
            case Type.TEXT:
                return fields.text(value, at, InvalidAnswer, most=LONGEST_TEXT)
            case Type.FLAG:
                return fields.truth(value, at, InvalidAnswer)
            case Type.NUMBER:
                number = fields.number(value, at, InvalidAnswer) + 0.0  # never -0.0
                if self.least is not None and number < self.least:
                    raise InvalidAnswer(at, f"is below {self.least:g}")
                if self.most is not None and number > self.most:
                    raise InvalidAnswer(at, f"is above {self.most:g}")
                return number

    def agreed(self, said: Sequence[tuple[Value, float]]) -> Value:
        """One value of several, each with the weight behind it; does not depend on their order.

        Numbers come to their weighted median (the lower one of two), all else to the value with
        most weight; ties go to the first in order.
        """
        behind: dict[Value, list[float]] = defaultdict(list)
        for value, weight in said:
            behind[value].append(weight)
        totals = {value: math.fsum(weights) for value, weights in behind.items()}
        if self.type is not Type.NUMBER:
            return min(totals, key=lambda value: (-totals[value], value))
        half, below = math.fsum(totals.values()) / 2, 0.0
        for value in sorted(totals):
            below += totals[value]
            if below >= half - 1e-9:
                return value
        raise AssertionError("no value was said")


def read(value: object, at: str, asked: Sequence[Attribute], of: str) -> dict[str, Value]:
    """The attributes of one object, sorted by name.

    Args:
        asked: What its class has.
        of: The class's name, for whoever reads the error.

    Raises:
        InvalidAnswer: Says where and why.
    """
    if not isinstance(value, dict):
        raise InvalidAnswer(at, "must be an object")
    by_name = {each.name: each for each in asked}
    for name in value:
        if name not in by_name:
            raise InvalidAnswer(at, f"class {of!r} has no attribute {str(name)[:50]!r}")
    return {name: by_name[name].read(value[name], f"{at}.{name}") for name in sorted(value)}


def agreed(
    said: Sequence[tuple[Mapping[str, Value], float]], asked: Sequence[Attribute]
) -> dict[str, Value]:
    """Of each attribute what those come to who say anything, sorted by name.

    Args:
        said: What each says, and the weight behind it.
        asked: What the class has.
    """
    found = {}
    for each in sorted(asked, key=lambda attribute: attribute.name):
        of = [(values[each.name], weight) for values, weight in said if each.name in values]
        if of:
            found[each.name] = each.agreed(of)
    return found


def _type(value: object, at: str) -> Type:
    if not isinstance(value, str) or value not in list(Type):
        raise InvalidLabelSchema(at, f"must be one of {', '.join(Type)}")
    return Type(value)


def _values(value: object, at: str) -> tuple[str, ...]:
    values = tuple(
        fields.text(each, place, InvalidLabelSchema)
        for place, each in fields.items(value, at, InvalidLabelSchema, most=MOST_VALUES)
    )
    if not values:
        raise InvalidLabelSchema(at, "must have at least one value")
    fields.distinct(values, at, "value", InvalidLabelSchema)
    return values
