"""Labels of what is known of a tile object by object, as files have it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tessera.kinds import KINDS
from tessera.kinds.protocol import Label, Question
from tessera.kinds.schema import LabelSchema
from tessera.shapes.frames import Size, TileFrame, Window


def label_of(
    kind: str, objects: Sequence[Mapping[str, Any]], schema: LabelSchema, tile: Size
) -> Label | None:
    """The label of a tile of which all objects are known.

    Args:
        kind: A key of `KINDS`, of one that is not about another.
        objects: As `Kind.known` returns them, in tile pixels; perhaps with `confidence`.

    Returns:
        None where they tell no answer, as nothing does where one class is asked for.
    """
    if kind == "classify":
        window = Window(0, 0, *tile)
        return KINDS[kind].to_tile(objects, Question(schema, TileFrame(window, window, tile)))
    return {"regions" if kind == "semantic_mask" else "objects": list(objects)}
