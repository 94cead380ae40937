"""Kinds that ask about an existing annotation: of which kind it is, and what it is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tessera.kinds.errors import InvalidLabelSchema
from tessera.kinds.protocol import Answer, Kind, Label, Question
from tessera.kinds.schema import LabelSchema

NOT_ABOUT = frozenset({"verify", "join"})
"""Kinds that ask about another one, and are not asked about themselves."""
_OF_LABELS = frozenset({"confidence", "optional", "soft"})
"""What labels have, and what is in them, and answers have not."""


def kind_under(schema: LabelSchema) -> Kind:
    """The kind of what is looked at.

    Raises:
        InvalidLabelSchema: There is no such kind, or it is about another one itself.
    """
    from tessera.kinds import KINDS  # noqa: PLC0415 - which has those that call this, too

    if schema.of not in KINDS or schema.of in NOT_ABOUT:
        raise InvalidLabelSchema("of", f"must be one of {', '.join(sorted({*KINDS} - NOT_ABOUT))}")
    return KINDS[schema.of]


def shown(kind: str, schema: LabelSchema) -> tuple[str, LabelSchema]:
    """Of what kind the objects are that the labels of a kind come to, and by which schema."""
    if kind not in NOT_ABOUT or schema.of is None:
        return kind, schema
    return schema.of, replace(schema, of=None, reasons=())


def as_answer(label: Label) -> Answer:
    """What an earner would have sent to say this: without how certain it is."""
    return {
        name: [_plain(each) if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else value
        for name, value in _plain(label).items()
    }


def _plain(part: Label) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in _OF_LABELS}


def subject_of(question: Question) -> Mapping[str, Any]:
    if question.subject is None:
        raise ValueError("this question is about an annotation, and has none")
    return question.subject
