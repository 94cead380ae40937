"""Kinds of annotation: one module each, all of one shape (`protocol.Kind`), pure functions."""

from tessera.kinds import (
    box,
    classify,
    cuboid,
    instance_mask,
    join,
    keypoints,
    polygon,
    polyline,
    semantic_mask,
    verify,
)
from tessera.kinds.attributes import Attribute
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema, UnknownKind
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import (
    Answer,
    Decided,
    Doubt,
    ImageObject,
    Kind,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
    Skill,
    Tally,
)
from tessera.kinds.schema import LabelClass, LabelSchema, parsed
from tessera.kinds.subjects import NOT_ABOUT, shown
from tessera.shapes.frames import Size, TileFrame, Window

__all__ = [
    "KINDS",
    "NOT_ABOUT",
    "Answer",
    "Attribute",
    "Decided",
    "Doubt",
    "ImageObject",
    "InvalidAnswer",
    "InvalidLabelSchema",
    "Kind",
    "Label",
    "LabelClass",
    "LabelSchema",
    "Objects",
    "Opinion",
    "Outcome",
    "Piece",
    "Question",
    "Size",
    "Skill",
    "Tally",
    "TileFrame",
    "UnknownKind",
    "Window",
    "kind_of",
    "parsed",
    "shown",
]

KINDS: dict[str, Kind] = {
    "box": Objects(box),
    "classify": classify,
    "cuboid": Objects(cuboid),
    "instance_mask": Objects(instance_mask),
    "join": join,
    "keypoints": Objects(keypoints),
    "polygon": Objects(polygon),
    "polyline": Objects(polyline),
    "semantic_mask": semantic_mask,
    "verify": verify,
}


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UnknownKind: There is none.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise UnknownKind(f"There is no task kind {name[:50]!r}.", known=sorted(KINDS))
    return kind
