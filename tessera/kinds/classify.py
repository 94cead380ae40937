"""Classify: which class, or which classes, does the picture show?

Answer: `{"classes": [3], "attributes": {"3": {"weather": "rain"}}}`; several ids, or none, if the
schema says `multiple`; `attributes` only of those that have some. Classes may be sorts of other
classes (`parent`); any may be the answer, and one that is close to the truth is partly right.
Label: also `confidence`. Image objects have a class and no geometry.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from tessera.kinds import attributes, fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.opinions import each_once, posterior, probability, weight
from tessera.kinds.protocol import (
    UNDECIDED,
    Answer,
    Decided,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
)
from tessera.kinds.schema import LabelSchema, OfTiles
from tessera.shapes.boxes import Boxes, Indices, as_boxes, clip, visible

HARDLY_PROBABLE = 0.001
"""A class that is less probable is no part of a soft label."""
BARELY_VISIBLE = 0.25
"""Share of an object below which a tile may be said not to show it."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options(but={"multiple", "of_tiles"})
    if not schema.multiple and len(schema.classes) < 2:  # noqa: PLR2004
        raise InvalidLabelSchema("classes", "a choice needs at least two classes")


def validate(answer: object, question: Question) -> Answer:
    schema = question.schema
    found = fields.record(
        answer, "", InvalidAnswer, required={"classes"}, optional=frozenset({"attributes"})
    )
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
    said = _said(found.get("attributes", {}), sorted(ids), schema)
    return {"classes": sorted(ids), **({"attributes": said} if said else {})}


def _said(value: object, ids: Sequence[int], schema: LabelSchema) -> dict[str, Any]:
    """Attributes by the id of their class, as text: keys of JSON are."""
    if not isinstance(value, dict):
        raise InvalidAnswer("attributes", "must be an object")
    if unknown := sorted(str(key)[:50] for key in value if key not in map(str, ids)):
        raise InvalidAnswer("attributes", f"{unknown[0]!r} is not a class of this answer")
    said = {}
    for class_id in ids:
        named, key = schema.find(class_id), str(class_id)
        if named is not None and key in value:
            at = f"attributes.{key}"
            said[key] = attributes.read(value[key], at, named.attributes, named.name)
    return {key: each for key, each in said.items() if each}


def score(answer: Label, gold: Label, question: Question) -> float:
    """F1 between the two sets of classes, in which related classes are partly the same.

    One class of many without a tree: right or wrong. In a tree two classes are as alike as Wu &
    Palmer 1994 have it: twice the depth of what they have in common over the sum of their depths.
    """
    said, true = answer["classes"], gold["classes"]
    if not said and not true:
        return 1.0
    lines = {each: question.schema.lineage(each) for each in {*said, *true}}
    alike = np.array([[_kinship(lines[a], lines[b]) for b in true] for a in said])
    alike = alike.reshape(len(said), len(true))
    row, column = linear_sum_assignment(alike, maximize=True)
    return float(2 * alike[row, column].sum() / (len(said) + len(true)))


def _kinship(first: Sequence[int], second: Sequence[int]) -> float:
    """Of two lineages, each from the class itself to the top."""
    shared = len(set(first) & set(second))
    return 2 * shared / (len(first) + len(second))


def aggregate(
    opinions: Sequence[Opinion], question: Question, *, target_confidence: float
) -> Outcome:
    """Naive Bayes over the classes; with `multiple`, over each class on its own.

    With `multiple` the confidence is that of the least certain class; a class at even odds stays
    out. `soft` has, by the id of each class as text, how probable it is.
    """
    ordered, schema = each_once(opinions), question.schema
    probable = (_several if schema.multiple else _one)(ordered, schema)
    label = label_of(probable, ordered, question)
    least = min(max(p, 1 - p) for p in probable.values())
    confidence = least if schema.multiple else max(probable.values())
    return Outcome(label, confidence, confidence >= target_confidence)


def says(answers: Sequence[Label], question: Question, *, first_is_true: bool = False) -> Indices:
    """See `parts.InParts`: a part is a class that anybody named."""
    del question, first_is_true  # all classes are told, or none
    named = sorted({class_id for answer in answers for class_id in answer["classes"]})
    said = [[c in answer["classes"] for c in named] for answer in answers]
    return np.array(said, dtype=np.int64).reshape(len(answers), len(named))


def choices(schema: LabelSchema) -> Sequence[int] | None:
    """See `Choice`: the classes, of which one is said."""
    return None if schema.multiple else schema.ids


def choice(label: Label) -> int:
    said: int = label["classes"][0]
    return said


def label_of(
    probable: Mapping[int, float], opinions: Sequence[Opinion], question: Question
) -> Answer:
    """The label, given how probable each class is; ascending by class."""
    schema = question.schema
    if schema.multiple:
        classes = [class_id for class_id, p in probable.items() if p > 0.5]  # noqa: PLR2004
        confidence = min(max(p, 1 - p) for p in probable.values())
    else:
        classes = [min(probable, key=lambda class_id: (-probable[class_id], class_id))]
        confidence = probable[classes[0]]
    label: Answer = {
        "classes": classes,
        "confidence": round(confidence, 4),
        "soft": {str(class_id): p for class_id, p in _soft(probable).items()},
    }
    agreed = {str(each): _agreed(opinions, each, schema) for each in classes}
    if any(agreed.values()):
        label["attributes"] = {key: each for key, each in agreed.items() if each}
    return label


def _agreed(
    opinions: Sequence[Opinion], class_id: int, schema: LabelSchema
) -> dict[str, attributes.Value]:
    named = schema.find(class_id)
    said = [
        (each.answer.get("attributes", {}).get(str(class_id), {}), weight(each.trust, 2))
        for each in opinions
    ]
    return {} if named is None else attributes.agreed(said, named.attributes)


def _one(opinions: list[Opinion], schema: LabelSchema) -> dict[int, float]:
    behind = defaultdict(list)
    for each in opinions:
        behind[each.answer["classes"][0]].append(weight(each.trust, len(schema.classes)))
    votes = {class_id: math.fsum(weights) for class_id, weights in behind.items()}
    best, confidence = posterior(votes, len(schema.classes))
    return {
        class_id: confidence * math.exp(votes.get(class_id, 0.0) - votes[best])
        for class_id in schema.ids
    }


def _several(opinions: list[Opinion], schema: LabelSchema) -> dict[int, float]:
    return {
        class_id: probability(
            math.fsum(
                math.copysign(1, (class_id in each.answer["classes"]) - 0.5) * weight(each.trust, 2)
                for each in opinions
            )
        )
        for class_id in schema.ids
    }


def _soft(probable: Mapping[int, float]) -> dict[int, float]:
    return {
        class_id: round(probable[class_id], 4)
        for class_id in sorted(probable)
        if probable[class_id] >= HARDLY_PROBABLE
    }


def soft(labels: Sequence[Label], schema: LabelSchema) -> dict[int, float]:
    """See `Kind.soft`, by the rule of `merge`.

    Any tile shows a class as probably as the tile does where it is most probable, the majority as
    tiles do in the mean. Of a choice by what any tile shows, a class must be there and none that
    the label schema lists before it. What a person decided, or knows, is certain.

    Where tiles are in doubt another class can be more probable than the one that `merge` has,
    which counts what each tile has decided for.
    """
    of_tiles = [_probable(label) for label in labels]
    told: dict[int, list[float]] = defaultdict(list)
    for of_tile in of_tiles:
        for class_id, p in of_tile.items():
            told[class_id].append(p)
    if _rule(schema) is OfTiles.MAJORITY:
        return _soft({class_id: math.fsum(of) / len(labels) for class_id, of in told.items()})
    if schema.multiple:
        return _soft({class_id: max(of) for class_id, of in told.items()})
    return _soft(_first(of_tiles, schema))


def _first(of_tiles: Sequence[Mapping[int, float]], schema: LabelSchema) -> dict[int, float]:
    """That some tile shows it or a class before it, less that some tile shows one before it."""
    found, before, so_far = dict[int, float](), 0.0, [0.0] * len(of_tiles)
    for each in schema.classes:
        so_far = [p + tile.get(each.id, 0.0) for p, tile in zip(so_far, of_tiles, strict=True)]
        found[each.id] = max(so_far) - before
        before = max(so_far)
    return found


def _probable(label: Label) -> dict[int, float]:
    sure = label.get("confidence", 1.0)
    known = dict.fromkeys(map(str, label["classes"]), sure)
    return {int(class_id): p for class_id, p in label.get("soft", known).items()}


def _rule(schema: LabelSchema) -> OfTiles:
    return schema.of_tiles or (OfTiles.ANY if schema.multiple else OfTiles.MAJORITY)


def to_image(label: Label, question: Question) -> list[ImageObject]:
    """One object per class; none of them is cut, as none has an outline."""
    del question
    confidence, probable = label.get("confidence", 1.0), label.get("soft", {})
    said = label.get("attributes", {})
    return [
        {
            "class": class_id,
            "attributes": said.get(str(class_id), {}),
            "confidence": probable.get(str(class_id), confidence),
            "cut": [],
        }
        for class_id in label["classes"]
    ]


def to_tile(objects: Sequence[Mapping[str, Any]], question: Question) -> Answer | None:
    """Objects with a `box` count where they can be seen; those without one in the whole image.

    A single choice is the class that shows the largest area; ties go to the lowest id. Nothing is
    known of a tile where one of several classes shows barely, or of a part of an image that is only
    known as a whole.
    """
    frame, schema = question.frame, question.schema
    if frame.core.size != frame.image and not all("box" in each for each in objects):
        return None
    whole = reach(objects, schema)
    shown = clip(whole, frame.window)
    seen, share = visible(whole, shown, frame.window)
    area = (shown[:, 2:] - shown[:, :2]).prod(axis=1)
    areas: dict[int, float] = defaultdict(float)
    barely: set[int] = set()
    for i in np.flatnonzero(seen & (area > 0)).tolist():
        if share[i] < BARELY_VISIBLE:
            barely.add(objects[i]["class"])
        else:
            areas[objects[i]["class"]] += area[i]
    if schema.multiple:
        chosen = None if barely - areas.keys() else sorted(areas)
    else:
        chosen = [min(areas, key=lambda c: (-areas[c], c))] if areas else None
    if chosen is None:
        return None
    said = {
        str(each["class"]): dict(sorted(each["attributes"].items()))
        for each in reversed(objects)
        if each["class"] in chosen and each.get("attributes")
    }
    sure = [
        each["confidence"] for each in objects if each["class"] in chosen and "confidence" in each
    ]
    return {
        "classes": chosen,
        **({"attributes": dict(sorted(said.items()))} if said else {}),
        **({"confidence": min(sure)} if sure else {}),
    }


def known(value: object, at: str, question: Question) -> ImageObject:
    """A class that the whole image shows."""
    found = fields.record(
        value, at, InvalidAnswer, required={"class"}, optional=frozenset({"attributes"})
    )
    class_id = fields.whole(found["class"], f"{at}.class", InvalidAnswer)
    named = question.schema.find(class_id)
    if named is None:
        raise InvalidAnswer(f"{at}.class", "is not a class of this project")
    said = attributes.read(
        found.get("attributes", {}), f"{at}.attributes", named.attributes, named.name
    )
    return {"class": class_id, "attributes": said}


def reach(objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
    """The `box`, if there is one; else everywhere."""
    del schema
    return as_boxes([each.get("box", _EVERYWHERE) for each in objects])


_EVERYWHERE = (-math.inf, -math.inf, math.inf, math.inf)


def merge(
    pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
) -> list[ImageObject]:
    """What the tiles say of their image, by the rule that the label schema names in `of_tiles`.

    Any: all classes that some tile has or, where one is asked for, which of them the label schema
    lists first, so that *ship* before *nothing* asks for a ship anywhere. Each is as certain as
    the most certain tile that has it.

    Majority: each class that more than half of the tiles have or, where one is asked for, the one
    with most confidence behind it. The confidence is what is behind it over the number of tiles.
    """
    del decided  # no seam leaves a doubt about this kind
    behind: dict[int, list[tuple[float, int]]] = defaultdict(list)
    said: dict[int, list[tuple[dict[str, attributes.Value], float]]] = defaultdict(list)
    for source, piece in enumerate(pieces):
        for each in piece.objects:
            behind[each["class"]].append((each["confidence"], source))
            said[each["class"]].append((each["attributes"], each["confidence"]))
    if _rule(schema) is OfTiles.ANY:
        listed = [each.id for each in schema.classes if each.id in behind]
        chosen = listed if schema.multiple else listed[:1]
        confidence = {c: max(behind[c])[0] for c in chosen}
    else:
        totals = {c: math.fsum(sure for sure, _ in of) for c, of in behind.items()}
        ranked = sorted(totals, key=lambda c: (-totals[c], c))
        # by number, as a tile that has none of several classes does not say how sure it is
        most = [c for c in ranked if 2 * len(behind[c]) > len(pieces)]
        chosen = most if schema.multiple else ranked[:1]
        confidence = {c: totals[c] / len(pieces) for c in chosen}
    return [
        {
            "class": class_id,
            "attributes": _together(said[class_id], class_id, schema),
            "confidence": round(confidence[class_id], 4),
            "sources": [source for _, source in behind[class_id]],
        }
        for class_id in sorted(confidence)
    ]


def _together(
    said: Sequence[tuple[dict[str, attributes.Value], float]], class_id: int, schema: LabelSchema
) -> dict[str, attributes.Value]:
    named = schema.find(class_id)
    return {} if named is None else attributes.agreed(said, named.attributes)
