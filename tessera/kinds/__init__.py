"""Kinds of annotation: one module each, all of one shape (`protocol.Kind`), pure functions."""

from tessera.kinds import box, classify
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema, UnknownKind
from tessera.kinds.protocol import (
    Answer,
    ImageObject,
    Kind,
    Label,
    Opinion,
    Outcome,
    Piece,
    Size,
    TileFrame,
    Window,
)
from tessera.kinds.schema import Attribute, LabelClass, LabelSchema

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
    "Size",
    "TileFrame",
    "UnknownKind",
    "Window",
    "kind_of",
]

KINDS: dict[str, Kind] = {"box": box, "classify": classify}


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UnknownKind: There is none.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise UnknownKind(f"There is no task kind {name[:50]!r}.", known=sorted(KINDS))
    return kind
