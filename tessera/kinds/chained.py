"""What a settled label means to the other stages of a chain. Pure.

Su, Deng, Fei-Fei, "Crowdsourcing Annotations for Visual Object Detection", 2012: one person draws,
another says whether it is right, and a third whether anything is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tessera.kinds import KINDS, verify
from tessera.kinds.objects import Objects
from tessera.kinds.protocol import Answer, Doubt, Label, Piece, Question
from tessera.kinds.schema import LabelSchema, parsed
from tessera.kinds.subjects import as_answer, shown, subject_of
from tessera.shapes.frames import TileFrame

__all__ = ["Doubt", "as_answer", "classes_in", "doubts", "found_wrong", "joins", "left", "nothing"]


def found_wrong(kind: str, label: Label) -> str | None:
    """Why what the task is about has to be made anew; None if that was not found."""
    if kind != "verify" or label["verdict"] != verify.Verdict.NO:
        return None
    reason: str = label.get("reason", verify.Reason.OTHER.value)
    return reason


def left(kind: str, label: Label, question: Question) -> Answer:
    """The annotation that a settled label leaves, as an earner would have sent it."""
    if kind != "verify":
        return as_answer(label)
    fixed = label["verdict"] == verify.Verdict.FIX
    return as_answer(label["label"] if fixed else subject_of(question)["label"])


def classes_in(kind: str, label: Label, question: Question) -> set[int]:
    """What a settled label shows; not what is optional in it."""
    objects = KINDS[kind].to_image(label, question)
    return {each["class"] for each in objects if not each.get("optional")}


def nothing(kind: str, label_schema: Mapping[str, Any], frame: TileFrame) -> Answer | None:
    """The label that says that nothing is here; None if the kind cannot say so."""
    return KINDS[kind].to_tile([], Question(parsed(label_schema), frame))


def doubts(kind: str, pieces: Sequence[Piece], schema: LabelSchema) -> list[Doubt]:
    """Pairs of drawings of which geometry cannot tell whether they are one object."""
    drawn, of = shown(kind, schema)
    objects = KINDS[drawn]
    return objects.doubts(pieces, of) if isinstance(objects, Objects) else []


def joins(kind: str, schema: LabelSchema) -> bool:
    """Whether seams can leave a doubt about what is of this kind."""
    return isinstance(KINDS[shown(kind, schema)[0]], Objects)
