"""Kinds that ask about an existing annotation: of which kind it is, and what it is."""

from collections.abc import Mapping
from typing import Any

from tessera.kinds.errors import InvalidLabelSchema
from tessera.kinds.protocol import Kind, Question
from tessera.kinds.schema import LabelSchema

NOT_ABOUT = frozenset({"verify", "join"})
"""Kinds that ask about another one, and are not asked about themselves."""


def kind_under(schema: LabelSchema) -> Kind:
    """The kind of what is looked at.

    Raises:
        InvalidLabelSchema: There is no such kind, or it is about another one itself.
    """
    from tessera.kinds import KINDS  # noqa: PLC0415 - which has those that call this, too

    if schema.of not in KINDS or schema.of in NOT_ABOUT:
        raise InvalidLabelSchema("of", f"must be one of {', '.join(sorted({*KINDS} - NOT_ABOUT))}")
    return KINDS[schema.of]


def subject_of(question: Question) -> Mapping[str, Any]:
    if question.subject is None:
        raise ValueError("this question is about an annotation, and has none")
    return question.subject
