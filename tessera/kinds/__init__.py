"""Kinds of annotation: one module each, all of one shape (`protocol.Kind`), pure functions."""

from tessera.kinds import box, classify
from tessera.kinds.attributes import Attribute
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema, UnknownKind
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import (
    Answer,
    ImageObject,
    Kind,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
)
from tessera.kinds.schema import LabelClass, LabelSchema, parsed
from tessera.shapes.frames import Size, TileFrame, Window

__all__ = [
    "KINDS",
    "Answer",
    "Attribute",
    "ImageObject",
    "InvalidAnswer",
    "InvalidLabelSchema",
    "Kind",
    "Label",
    "LabelClass",
    "LabelSchema",
    "Opinion",
    "Outcome",
    "Piece",
    "Question",
    "Size",
    "TileFrame",
    "UnknownKind",
    "Window",
    "kind_of",
    "parsed",
]

KINDS: dict[str, Kind] = {"box": Objects(box), "classify": classify}


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UnknownKind: There is none.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise UnknownKind(f"There is no task kind {name[:50]!r}.", known=sorted(KINDS))
    return kind
