"""Semantic mask: the class of each pixel.

Answer: `{"regions": [{"class": 3, "mask": {...}, "attributes": {}}]}`, each mask as of
`instance_mask`, one region to a class, no two of which overlap. What no region covers is void: it
is not said what is there. Label: regions have a `confidence` too. Image objects are regions with
their mask in image pixels.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from tessera.kinds import attributes, fields
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.instance_mask import read_mask
from tessera.kinds.opinions import each_once, weight
from tessera.kinds.protocol import (
    OPEN,
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
from tessera.kinds.schema import LabelSchema
from tessera.kinds.shape import Measures
from tessera.shapes import rasters
from tessera.shapes.boxes import Boxes, Indices, as_boxes
from tessera.shapes.frames import Size, TileFrame
from tessera.shapes.rasters import Sections, Strokes, Values
from tessera.shapes.seams import cut_edges

VOID = 0
"""No class has this id."""
SPECK = 9
"""Pixels. Smaller islands are slips of a hand, or what is left where two hands cross."""
GRID = 4
"""Of so many pixels across and down it is compared who says what of them."""
BORDER = 5
"""Pixels across a strip along an outline in which good people differ: it is no doubt."""
LEAST_PATCH = 0.001
"""Share of the core that must be in doubt in one place for the doubt to count."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def validate(answer: object, question: Question) -> Answer:
    found = fields.record(answer, "", InvalidAnswer, required={"regions"})
    listed = fields.items(
        found["regions"], "regions", InvalidAnswer, most=len(question.schema.classes)
    )
    regions: dict[int, dict[str, Any]] = {}
    drawn: list[Strokes] = []
    for at, element in listed:
        region, strokes = _region(element, at, question)
        if region["class"] in regions:
            raise InvalidAnswer(f"{at}.class", "has a region already")
        regions[region["class"]] = region
        drawn.append(strokes)
    _refuse_overlaps(drawn)
    return {"regions": [regions[each] for each in sorted(regions)]}


def _region(value: object, at: str, question: Question) -> tuple[dict[str, Any], Strokes]:
    found = fields.record(
        value,
        at,
        InvalidAnswer,
        required={"class", "mask"},
        optional=frozenset({"attributes"}),
    )
    named = question.schema.find(fields.whole(found["class"], f"{at}.class", InvalidAnswer))
    if named is None:
        raise InvalidAnswer(f"{at}.class", "is not a class of this project")
    strokes = read_mask(found["mask"], f"{at}.mask", question.tile)
    said = attributes.read(
        found.get("attributes", {}), f"{at}.attributes", named.attributes, named.name
    )
    return {"class": named.id, "mask": strokes.as_json(), "attributes": said}, strokes


def _refuse_overlaps(drawn: Sequence[Strokes]) -> None:
    if not drawn:
        return
    strokes = rasters.joined(drawn)
    region = np.repeat(np.arange(len(drawn)), [len(each.tops) for each in drawn])
    order = np.lexsort((strokes.tops, strokes.columns))
    columns, tops, bottoms = (
        each[order] for each in (strokes.columns, strokes.tops, strokes.bottoms)
    )
    over = np.flatnonzero((columns[1:] == columns[:-1]) & (tops[1:] < bottoms[:-1]))
    if len(over):
        where = int(over[0])
        first, second = sorted(region[order[where : where + 2]].tolist())
        raise InvalidAnswer(
            f"regions[{second}].mask",
            f"overlaps regions[{first}] at pixel ({columns[where]}, {tops[where + 1]})",
        )


def score(answer: Label, gold: Label, question: Question) -> float:
    """Mean IoU over the classes that gold or answer has; gold's void pixels count for nothing.

    Source: Cordts et al. 2016 (Cityscapes). Where gold is void all over, any answer is right.
    """
    sections, (said, true) = _compared([answer, gold], question.tile)
    known = true != VOID
    classes, places = np.unique(np.stack((said[known], true[known])), return_inverse=True)
    here, there = places.reshape(2, -1)
    area, size = sections.lengths[known], len(classes)
    shared = np.bincount(here[here == there], area[here == there], size)
    either = np.bincount(here, area, size) + np.bincount(there, area, size) - shared
    named = classes != VOID
    return float((shared[named] / either[named]).mean()) if named.any() else 1.0


def _compared(answers: Sequence[Label], tile: Size) -> tuple[Sections, Values]:
    """A tile cut so that nobody changes class inside a section, and the classes.

    Returns:
        Sections, and class ids, of shape (answers, sections).
    """
    drawn = [
        [(each["class"], rasters.from_json(each["mask"])) for each in answer["regions"]]
        for answer in answers
    ]
    sections = Sections.of([strokes for regions in drawn for _, strokes in regions], tile)
    classes = np.full((len(answers), len(sections.starts)), VOID)
    for row, regions in zip(classes, drawn, strict=True):
        for class_id, strokes in regions:
            row[sections.covered(strokes)] = class_id
    return sections, classes


def says(answers: Sequence[Label], question: Question, *, first_is_true: bool = False) -> Indices:
    """See `parts.InParts`: a part is a pixel of a grid. What is void in truth is open."""
    sections, classes = _compared(answers, question.tile)
    width, height = question.tile
    rows = (np.arange(GRID) * height + height // 2) // GRID
    columns = (np.arange(GRID) * width + width // 2) // GRID
    number = np.searchsorted(np.array(question.schema.ids), classes) + 1
    said = np.where(classes == VOID, 0, number)
    if first_is_true:
        said[0] = np.where(said[0] == 0, OPEN, said[0])
    return np.array([sections.pixels(of)[np.ix_(rows, columns)].ravel() for of in said])


def aggregate(
    opinions: Sequence[Opinion], question: Question, *, target_confidence: float
) -> Outcome:
    """Naive Bayes for each pixel over the classes and void, without specks.

    The confidence is that of the least certain patch of the core: how probable the winner is in
    the worst place that is wider than the strip along an outline in which good people differ, and
    large enough to matter. A mean over pixels would hide that people disagree about a whole
    object; a minimum would never reach any target, as no outline is drawn twice the same.
    """
    ordered = each_once(opinions)
    sections, classes = _compared([each.answer for each in ordered], question.tile)
    choices = len(question.schema.classes) + 1
    best, sure = _voted(classes, [weight(each.trust, choices) for each in ordered], choices)
    best = sections.without_specks(best, SPECK)
    confidence = _least_certain(sections, sure, question.frame)
    regions = [
        _decided(class_id, sections, chosen, sure, ordered, question.schema)
        for class_id, chosen in _named(best)
    ]
    return Outcome({"regions": regions}, confidence, confidence >= target_confidence)


def _voted(classes: Values, weights: Sequence[float], choices: int) -> tuple[Values, Measures]:
    """The most probable class of each section, and its probability. Shape (sections,) each.

    Ties go to a class before void, then to the lowest id.

    Args:
        classes: Shape (people, sections).
        weights: Of each of the people.
    """
    alike = np.empty(classes.shape)
    behind = np.empty(classes.shape)
    for i, said in enumerate(classes):
        same = classes == said
        alike[i] = same.sum(axis=0)
        # rounded, so that the order of adding does not decide between equals
        behind[i] = np.round(np.asarray(weights) @ same, 9)
    top = behind.max(axis=0)
    last = np.iinfo(classes.dtype).max
    rank = np.where(classes == VOID, last - 1, classes)
    best = np.where(behind == top, rank, last).min(axis=0)
    named = (1 / alike).sum(axis=0)
    total = (np.exp(behind - top) / alike).sum(axis=0) + (choices - named) * np.exp(-top)
    return np.where(best == last - 1, VOID, best), 1 / total


def _least_certain(sections: Sections, sure: Measures, frame: TileFrame) -> float:
    """See `aggregate`.

    What is left of an opening is as wide as its window. A grey opening opens the places below
    every level of certainty at once (Serra 1982).
    """
    left, top, right, bottom = frame.core
    dx, dy = frame.window[:2]
    levels, rank = np.unique(sure, return_inverse=True)
    doubt = sections.pixels(len(levels) - rank)[top - dy : bottom - dy, left - dx : right - dx]
    wide = doubt
    for shrink in (ndimage.minimum_filter, ndimage.maximum_filter):
        wide = shrink(wide, size=BORDER, mode="constant", cval=0)
    least = max(SPECK, LEAST_PATCH * doubt.size)

    def counts(level: int) -> bool:
        patches, _ = ndimage.label(wide >= len(levels) - level, structure=np.ones((3, 3)))
        return bool(np.bincount(patches.ravel())[1:].max(initial=0) >= least)

    return float(levels[bisect_left(range(len(levels) - 1), True, key=counts)])  # noqa: FBT003


def _decided(
    class_id: int,
    sections: Sections,
    chosen: Indices,
    sure: Measures,
    opinions: Sequence[Opinion],
    schema: LabelSchema,
) -> dict[str, Any]:
    said = [
        (region["attributes"], weight(each.trust, 2))
        for each in opinions
        for region in each.answer["regions"]
        if region["class"] == class_id
    ]
    confidence = float(np.average(sure[chosen], weights=sections.lengths[chosen]))
    return {
        "class": class_id,
        "mask": sections.strokes(chosen).as_json(),
        "attributes": _agreed(said, class_id, schema),
        "confidence": round(confidence, 4),
    }


def _agreed(
    said: Sequence[tuple[Mapping[str, Any], float]], class_id: int, schema: LabelSchema
) -> dict[str, attributes.Value]:
    named = schema.find(class_id)
    return {} if named is None else attributes.agreed(said, named.attributes)


def to_image(label: Label, question: Question) -> list[ImageObject]:
    left, top = question.frame.window[:2]
    moved = [
        {
            **each,
            "mask": {
                **each["mask"],
                "left": each["mask"]["left"] + left,
                "top": each["mask"]["top"] + top,
            },
        }
        for each in label["regions"]
    ]
    cut = cut_edges(reach(moved, question.schema), question.frame)
    return [
        {
            "class": each["class"],
            "mask": each["mask"],
            "attributes": each.get("attributes", {}),
            "confidence": each.get("confidence", 1.0),
            "cut": edges,
        }
        for each, edges in zip(moved, cut, strict=True)
    ]


def to_tile(objects: Sequence[Mapping[str, Any]], question: Question) -> Answer:
    """What a window shows of known regions; of those that overlap, the first."""
    window = question.frame.window
    shown = [
        rasters.from_json(each["mask"]).within(window).moved(-window.left, -window.top)
        for each in objects
    ]
    sections = Sections.of(shown, question.tile)
    classes = np.full(len(sections.starts), VOID)
    said: dict[int, Mapping[str, Any]] = {}
    for each, strokes in reversed(list(zip(objects, shown, strict=True))):
        classes[sections.covered(strokes)] = each["class"]
        said[each["class"]] = each
    return {
        "regions": [
            {
                "class": class_id,
                "mask": sections.strokes(chosen).as_json(),
                "attributes": dict(sorted(of.get("attributes", {}).items())),
            }
            | ({"confidence": of["confidence"]} if "confidence" in of else {})
            for class_id, chosen in _named(classes)
            for of in [said[class_id]]
        ]
    }


def known(value: object, at: str, question: Question) -> ImageObject:
    return _region(value, at, question)[0]


def _named(classes: Values) -> Iterator[tuple[int, Indices]]:
    """Each class but void, and the sections that show it."""
    order = np.argsort(classes, kind="stable")
    found, starts = np.unique(classes[order], return_index=True)
    for class_id, chosen in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
        if class_id != VOID:
            yield class_id, chosen


def reach(objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
    del schema
    corners = np.array([(each["mask"]["left"], each["mask"]["top"]) for each in objects])
    sizes = np.array([each["mask"]["size"][::-1] for each in objects])
    return as_boxes([]) if not objects else np.hstack((corners, corners + sizes)).astype(float)


def merge(
    pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
) -> list[ImageObject]:
    """One region a class: each pixel as the tile has it whose core holds it, void or not.

    That tile was asked, and saw as far as its margins. To ask its neighbours wherever it has
    nothing would make all regions swell along the seams, by whatever outlines differ.
    """
    del decided  # no seam leaves a doubt about this kind
    inside: dict[int, list[tuple[int, Strokes, ImageObject]]] = defaultdict(list)
    for source, piece in enumerate(pieces):
        for each in piece.objects:
            strokes = rasters.from_json(each["mask"]).within(piece.frame.core)
            if strokes.pixels:
                inside[each["class"]].append((source, strokes, each))
    return [_whole(class_id, inside[class_id], pieces, schema) for class_id in sorted(inside)]


def soft(labels: Sequence[Label], schema: LabelSchema) -> None:
    """Regions have a confidence each."""


def _whole(
    class_id: int,
    parts: Sequence[tuple[int, Strokes, ImageObject]],
    pieces: Sequence[Piece],
    schema: LabelSchema,
) -> ImageObject:
    """What all tiles say of a class; those with most pixels of it first."""
    order = sorted(parts, key=lambda part: (-part[1].pixels, pieces[part[0]].frame.window))
    pixels = [strokes.pixels for _, strokes, _ in order]
    sure = math.fsum(n * each["confidence"] for n, (*_, each) in zip(pixels, order, strict=True))
    return {
        "class": class_id,
        "mask": rasters.joined([strokes for _, strokes, _ in order]).as_json(),
        "attributes": _agreed(
            [(each["attributes"], each["confidence"]) for *_, each in order], class_id, schema
        ),
        "confidence": round(sure / sum(pixels), 4),
        "sources": [source for source, *_ in order],
    }
