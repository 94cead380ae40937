"""Kinds whose answers say several things, of which each may be looked at by itself.

Of drawings that is everything that anybody drew, of regions the pixels of a grid, of several
classes each that anybody named. What is known of choices can be told of one such part, too.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tessera.kinds import KINDS, classify, semantic_mask
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import Label, Question
from tessera.kinds.schema import LabelSchema
from tessera.shapes.boxes import Indices


class InParts(Protocol):
    def says(
        self, answers: Sequence[Label], question: Question, *, first_is_true: bool = False
    ) -> Indices:
        """What each answer says of each part; shape (n_answers, n_parts).

        0 is that nothing is there, 1 + k the k-th class of the schema, or 1 that the class is there
        which the part is about. Which parts there are depends on the answers.

        Args:
            first_is_true: Whether the first is no answer, but what is true: -1 is what it leaves
                open.
        """


PARTED: Mapping[str, InParts] = {
    "classify": classify,
    "semantic_mask": semantic_mask,
    **{name: kind for name, kind in KINDS.items() if isinstance(kind, Objects)},
}
"""By the name of the kind."""


def parts_of(kind_name: str, schema: LabelSchema) -> InParts | None:
    """None of kinds that say but one thing."""
    is_choice = kind_name == "classify" and not schema.multiple
    return None if is_choice else PARTED.get(kind_name)
