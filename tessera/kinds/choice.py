"""Kinds whose answer is one of a few: what each earner confuses can be learnt of those."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tessera.kinds import classify, join, verify
from tessera.kinds.protocol import Answer, Label, Opinion, Question
from tessera.kinds.schema import LabelSchema


class Choice(Protocol):
    def choices(self, schema: LabelSchema) -> Sequence[int] | None:
        """What one of is said, ascending; None where a schema allows several."""

    def choice(self, label: Label) -> int:
        """Which one an answer, or a label, says."""

    def label_of(
        self, probable: Mapping[int, float], opinions: Sequence[Opinion], question: Question
    ) -> Answer:
        """The label, given how probable each choice is; ties go to the lowest.

        Args:
            opinions: Whose they are, for all that is said besides.
        """


CHOICES: Mapping[str, Choice] = {"classify": classify, "join": join, "verify": verify}
"""By the name of the kind."""


def choice_of(kind_name: str, schema: LabelSchema) -> Choice | None:
    found = CHOICES.get(kind_name)
    return None if found is None or found.choices(schema) is None else found
