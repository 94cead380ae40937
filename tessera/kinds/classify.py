"""Classify: which class, or which classes, does the picture show?

Answer: `{"classes": [3]}`; several ids, or none, if the schema says `multiple`. Label: also
`confidence`. Image objects have a class and no geometry.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tessera.kinds import fields, geometry
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.opinions import each_once, posterior, probability, weight
from tessera.kinds.protocol import (
    Answer,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Size,
    TileFrame,
)
from tessera.kinds.schema import LabelSchema


def check_schema(schema: LabelSchema) -> None:
    if not schema.multiple and len(schema.classes) < 2:  # noqa: PLR2004
        raise InvalidLabelSchema("classes", "a choice needs at least two classes")


def validate(answer: object, schema: LabelSchema, tile: Size) -> Answer:
    del tile
    found = fields.record(answer, "", InvalidAnswer, required={"classes"})
    ids: list[int] = []
    for at, element in fields.items(
        found["classes"], "classes", InvalidAnswer, most=len(schema.classes)
    ):
        class_id = fields.whole(element, at, InvalidAnswer)
        if schema.find(class_id) is None:
            raise InvalidAnswer(at, "is not a class of this project")
        if class_id in ids:
            raise InvalidAnswer(at, "is there twice")
        ids.append(class_id)
    if not schema.multiple and len(ids) != 1:
        raise InvalidAnswer("classes", "must be exactly one class")
    return {"classes": sorted(ids)}


def score(answer: Label, gold: Label) -> float:
    """F1 between the two sets of classes: exact match where there is one class."""
    said, true = set(answer["classes"]), set(gold["classes"])
    return 2 * len(said & true) / (len(said) + len(true)) if said or true else 1.0


def aggregate(
    opinions: Sequence[Opinion],
    schema: LabelSchema,
    frame: TileFrame,
    *,
    target_confidence: float,
) -> Outcome:
    """Naive Bayes over the classes; with `multiple`, over each class on its own.

    With `multiple` the confidence is that of the least certain class; a class at even odds stays
    out.
    """
    del frame
    ordered = each_once(opinions)
    classes, confidence = (_several if schema.multiple else _one)(ordered, schema)
    label: Answer = {"classes": classes, "confidence": round(confidence, 4)}
    return Outcome(label, confidence, confidence >= target_confidence)


def _one(opinions: list[Opinion], schema: LabelSchema) -> tuple[list[int], float]:
    behind = defaultdict(list)
    for each in opinions:
        behind[each.answer["classes"][0]].append(weight(each.trust, len(schema.classes)))
    votes = {class_id: math.fsum(weights) for class_id, weights in behind.items()}
    best, confidence = posterior(votes, len(schema.classes))
    return [best], confidence


def _several(opinions: list[Opinion], schema: LabelSchema) -> tuple[list[int], float]:
    probabilities = {
        class_id: probability(
            math.fsum(
                math.copysign(1, (class_id in each.answer["classes"]) - 0.5) * weight(each.trust, 2)
                for each in opinions
            )
        )
        for class_id in schema.ids
    }
    chosen = [class_id for class_id, p in probabilities.items() if p > 0.5]  # noqa: PLR2004
    return chosen, min(max(p, 1 - p) for p in probabilities.values())


def to_image(label: Label, frame: TileFrame) -> list[ImageObject]:
    """One object per class; none of them is cut, as none has an outline."""
    del frame
    confidence = label.get("confidence", 1.0)
    return [
        {"class": class_id, "attributes": {}, "confidence": confidence, "cut": []}
        for class_id in label["classes"]
    ]


def to_tile(
    objects: Sequence[Mapping[str, Any]], schema: LabelSchema, frame: TileFrame
) -> Answer | None:
    """Objects with a `box` count where they can be seen; those without one in the whole image.

    A single choice is the class that shows the largest area; ties go to the lowest id. Nothing is
    known of a tile where one of several classes shows barely, or of a part of an image that is only
    known as a whole.
    """
    seen: dict[int, float] = defaultdict(float)
    barely: set[int] = set()
    whole_window = float(frame.window.size.width * frame.window.size.height)
    for each in objects:
        if "box" not in each:
            if frame.core.size != frame.image:
                return None
            seen[each["class"]] += whole_window
            continue
        view = geometry.view_of(each["box"], frame.window)
        if view is None:
            continue
        if view.barely:
            barely.add(each["class"])
        else:
            seen[each["class"]] += view.area
    if schema.multiple:
        return None if barely - seen.keys() else {"classes": sorted(seen)}
    return {"classes": [min(seen, key=lambda c: (-seen[c], c))]} if seen else None


def merge(pieces: Sequence[Piece], schema: LabelSchema) -> list[ImageObject]:
    """What the tiles say of their image: any tile's class, or the majority of confidence.

    Several: the image has a class if any tile has it, as certain as the most certain tile. One:
    the class with most confidence behind it; its share of all tiles is the confidence.
    """
    behind: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for source, piece in enumerate(pieces):
        for each in piece.objects:
            behind[each["class"]].append((each["confidence"], source))
    totals = {c: math.fsum(confidence for confidence, _ in said) for c, said in behind.items()}
    if schema.multiple:
        confidence = {c: max(said)[0] for c, said in behind.items()}
    else:
        best = [min(totals, key=lambda c: (-totals[c], c))] if totals else []
        confidence = {c: totals[c] / len(pieces) for c in best}
    return [
        {
            "class": class_id,
            "attributes": {},
            "confidence": round(confidence[class_id], 4),
            "sources": [source for _, source in behind[class_id]],
        }
        for class_id in sorted(confidence)
    ]
