"""The label schema: which classes, with which attributes and skeletons, an answer may use.

Options belong to kinds: `multiple` and `of_tiles` to classify, `rotated` to box, `camera` to
cuboid, `of` to verify and join, `reasons` to verify. Each kind refuses those of others
(`check_schema`).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson

from tessera.kinds import fields
from tessera.kinds.attributes import Attribute
from tessera.kinds.errors import InvalidLabelSchema
from tessera.kinds.skeleton import Skeleton

MOST_CLASSES = 1_000
MOST_ATTRIBUTES = 50
MOST_REASONS = 20
MOST_CHARACTERS = 250_000
"""Of all classes as JSON: a thousand of them take half of that, and every offer carries them."""
MOST_CLASS_ID = 2**31 - 1
"""Dataset readers keep category ids in 32 bits."""

Camera = tuple[tuple[float, ...], ...]
"""Three rows of four: from metres in the camera's frame to image pixels, times depth."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


class OfTiles(StrEnum):
    """How an image is answered of its tiles' answers; see `classify.merge`."""

    ANY = "any"
    MAJORITY = "majority"


@dataclass(frozen=True, slots=True)
class LabelClass:
    id: int
    """Positive, and fixed for ever: datasets refer to it."""
    name: str
    colour: str
    attributes: tuple[Attribute, ...] = ()
    parent: int | None = None
    """Id of the class that this one is a sort of: a taxonomy."""
    skeleton: Skeleton | None = None

    def attribute(self, name: str) -> Attribute | None:
        return next((each for each in self.attributes if each.name == name), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "colour": self.colour,
            "attributes": [asked.as_json() for asked in self.attributes],
            **({} if self.parent is None else {"parent": self.parent}),
            **({} if self.skeleton is None else {"skeleton": self.skeleton.as_json()}),
        }


@dataclass(frozen=True, slots=True)
class LabelSchema:
    classes: tuple[LabelClass, ...]
    """In the operator's order."""
    multiple: bool = False
    """Whether an image may have several classes, or none."""
    of_tiles: OfTiles | None = None
    """None: any with `multiple`, and the majority without."""
    rotated: bool = False
    """Whether boxes may stand at an angle."""
    camera: Camera | None = None
    """With which cuboids are given in metres."""
    of: str | None = None
    """The kind of what is looked at; a key of `kinds.KINDS`."""
    reasons: tuple[str, ...] = ()
    """Why something may be found wrong; none stand for all that there are."""
    _by_id: dict[int, LabelClass] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {each.id: each for each in self.classes})

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._by_id))

    @property
    def options(self) -> frozenset[str]:
        """Names of the options that are set."""
        return frozenset(name for name in _OPTIONS if getattr(self, name))

    def refuse_options(self, *, but: Iterable[str] = ()) -> None:
        """Refuse the options that have no meaning for a kind.

        Raises:
            InvalidLabelSchema: Names the first.
        """
        if foreign := sorted(self.options - frozenset(but)):
            raise InvalidLabelSchema(foreign[0], "has no meaning for this kind")

    def find(self, class_id: int) -> LabelClass | None:
        return self._by_id.get(class_id)

    def lineage(self, class_id: int) -> list[int]:
        """A class and what it is a sort of, up to the top."""
        line, each = [], self._by_id.get(class_id)
        while each is not None:
            line.append(each.id)
            each = None if each.parent is None else self._by_id.get(each.parent)
        return line

    @classmethod
    def parse(cls, data: object) -> "LabelSchema":
        """Read a label schema from decoded JSON.

        Raises:
            InvalidLabelSchema: Says where and why.
        """
        found = fields.record(data, "", InvalidLabelSchema, required={"classes"}, optional=_OPTIONS)
        classes = tuple(_within_measure(_classes(found["classes"])))
        if not classes:
            raise InvalidLabelSchema("classes", "must have at least one class")
        fields.distinct((each.id for each in classes), "classes", "id", InvalidLabelSchema)
        fields.distinct((each.name for each in classes), "classes", "name", InvalidLabelSchema)
        camera, of, of_tiles = (found.get(name) for name in ("camera", "of", "of_tiles"))
        schema = cls(
            classes,
            multiple=fields.truth(found.get("multiple", False), "multiple", InvalidLabelSchema),
            of_tiles=None if of_tiles is None else _of_tiles(of_tiles, "of_tiles"),
            rotated=fields.truth(found.get("rotated", False), "rotated", InvalidLabelSchema),
            camera=None if camera is None else _camera(camera, "camera"),
            of=None if of is None else fields.text(of, "of", InvalidLabelSchema),
            reasons=_reasons(found.get("reasons", []), "reasons"),
        )
        _tree(schema)
        return schema

    def as_json(self) -> dict[str, Any]:
        """Canonical JSON; `parse` of it is this schema."""
        return {
            "classes": [each.as_json() for each in self.classes],
            "multiple": self.multiple,
            **({} if self.of_tiles is None else {"of_tiles": self.of_tiles.value}),
            **({"rotated": True} if self.rotated else {}),
            **({} if self.camera is None else {"camera": [list(row) for row in self.camera]}),
            **({} if self.of is None else {"of": self.of}),
            **({"reasons": list(self.reasons)} if self.reasons else {}),
        }


_OPTIONS = frozenset({"multiple", "of_tiles", "rotated", "camera", "of", "reasons"})


def parsed(data: object) -> LabelSchema:
    """`LabelSchema.parse` of what was checked before, once for all who read the same one.

    A thousand classes take 20 ms to parse, and each answer needs its project's.
    """
    return _parsed(orjson.dumps(data))


@lru_cache(maxsize=64)
def _parsed(data: bytes) -> LabelSchema:
    return LabelSchema.parse(orjson.loads(data))


def _classes(value: object) -> Iterator[LabelClass]:
    for at, element in fields.items(value, "classes", InvalidLabelSchema, most=MOST_CLASSES):
        found = fields.record(
            element,
            at,
            InvalidLabelSchema,
            required={"id", "name", "colour"},
            optional=frozenset({"attributes", "parent", "skeleton"}),
        )
        parent, skeleton = found.get("parent"), found.get("skeleton")
        yield LabelClass(
            _id(found["id"], f"{at}.id"),
            fields.text(found["name"], f"{at}.name", InvalidLabelSchema),
            _colour(found["colour"], f"{at}.colour"),
            _attributes(found.get("attributes", []), f"{at}.attributes"),
            None if parent is None else _id(parent, f"{at}.parent"),
            None if skeleton is None else Skeleton.parse(skeleton, f"{at}.skeleton"),
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


def _id(value: object, at: str) -> int:
    class_id = fields.whole(value, at, InvalidLabelSchema)
    if not 0 < class_id <= MOST_CLASS_ID:
        raise InvalidLabelSchema(at, f"must lie between 1 and {MOST_CLASS_ID}")
    return class_id


def _colour(value: object, at: str) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise InvalidLabelSchema(at, "must be a colour such as #e6194b")
    return value.lower()


def _attributes(value: object, at: str) -> tuple[Attribute, ...]:
    asked = tuple(
        Attribute.parse(each, here)
        for here, each in fields.items(value, at, InvalidLabelSchema, most=MOST_ATTRIBUTES)
    )
    fields.distinct((each.name for each in asked), at, "name", InvalidLabelSchema)
    return asked


def _of_tiles(value: object, at: str) -> OfTiles:
    if not isinstance(value, str) or value not in list(OfTiles):
        raise InvalidLabelSchema(at, f"must be one of {', '.join(OfTiles)}")
    return OfTiles(value)


def _camera(value: object, at: str) -> Camera:
    rows = tuple(
        tuple(
            fields.number(each, place, InvalidLabelSchema)
            for place, each in fields.items(row, here, InvalidLabelSchema, most=4)
        )
        for here, row in fields.items(value, at, InvalidLabelSchema, most=3)
    )
    if [len(row) for row in rows] != [4, 4, 4]:
        raise InvalidLabelSchema(at, "must be three rows of four numbers")
    return rows


def _reasons(value: object, at: str) -> tuple[str, ...]:
    found = fields.items(value, at, InvalidLabelSchema, most=MOST_REASONS)
    reasons = tuple(fields.text(each, here, InvalidLabelSchema) for here, each in found)
    if len(set(reasons)) < len(reasons):
        raise InvalidLabelSchema(at, "must be different")
    return reasons


def _tree(schema: LabelSchema) -> None:
    """Refuse parents that are no classes, and circles."""
    for number, each in enumerate(schema.classes):
        at, seen, above = f"classes[{number}].parent", {each.id}, each.parent
        while above is not None:
            parent = schema.find(above)
            if parent is None:
                raise InvalidLabelSchema(at, f"{above} is no class of this schema")
            if above in seen:
                raise InvalidLabelSchema(at, "goes in a circle")
            seen.add(above)
            above = parent.parent
