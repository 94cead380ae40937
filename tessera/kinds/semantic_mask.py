"""Semantic mask: the class of each pixel.

Answer: `{"regions": [{"class": 3, "mask": {...}}]}`, each mask as of `instance_mask`, one region to
a class, no two of which overlap. What no region covers is void: nothing is said of it. Label:
regions have a `confidence` too. Image objects are regions with their mask in image pixels.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tessera.kinds import attributes, fields, masks_read
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.opinions import each_once, weight
from tessera.kinds.protocol import (
    Answer,
    ImageObject,
    Label,
    Opinion,
    Outcome,
    Piece,
    Question,
)
from tessera.kinds.schema import LabelSchema
from tessera.shapes import masks
from tessera.shapes.boxes import Boxes
from tessera.shapes.frames import Size, TileFrame, Window
from tessera.shapes.masks import Crop
from tessera.shapes.seams import cut_edges

Raster = NDArray[np.uint16]
"""Shape (height, width): place of each pixel's class among the schema's ids, from 1; 0 is void."""

SPECK = 9
"""Pixels: smaller islands are slips of a hand, and go to what surrounds them."""
BORDER = 2
"""Pixels on either side of an outline in which good people differ, and nobody is asked again."""
LEAST_PATCH = 0.001
"""Share of the core that people must disagree about in one place for it to count."""
_EIGHT = np.ones((3, 3), dtype=np.bool_)


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def validate(answer: object, question: Question) -> Answer:
    found = fields.record(answer, "", InvalidAnswer, required={"regions"})
    regions: dict[int, dict[str, Any]] = {}
    taken = np.zeros(_shape(question.tile), dtype=np.bool_)
    most = len(question.schema.classes)
    for at, element in fields.items(found["regions"], "regions", InvalidAnswer, most=most):
        region, crop = _region(element, at, question)
        if region["class"] in regions:
            raise InvalidAnswer(f"{at}.class", "has a region already")
        place = masks.place_of(crop, _whole(question.tile))
        if (taken[place] & crop.pixels).any():
            raise InvalidAnswer(f"{at}.mask", "overlaps a region before it")
        taken[place] |= crop.pixels
        regions[region["class"]] = region
    return {"regions": [regions[each] for each in sorted(regions)]}


def _region(value: object, at: str, question: Question) -> tuple[dict[str, Any], Crop]:
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
    crop = masks_read.read(found["mask"], f"{at}.mask", question.tile)
    said = attributes.read(
        found.get("attributes", {}), f"{at}.attributes", named.attributes, named.name
    )
    return {"class": named.id, "mask": crop.as_json(), "attributes": said}, crop


def score(answer: Label, gold: Label, question: Question) -> float:
    """Mean IoU over the classes that gold or answer has; gold's void pixels count for nothing.

    Source: Cordts et al. 2016 (Cityscapes). Where gold is void all over, any answer is right.
    """
    said, true = (_raster(each["regions"], question) for each in (answer, gold))
    counts = true > 0
    said, true = said[counts], true[counts]
    size = len(question.schema.ids) + 1
    shared = np.bincount(said[said == true], minlength=size)
    either = np.bincount(said, minlength=size) + np.bincount(true, minlength=size) - shared
    there = np.flatnonzero(either[1:]) + 1
    return float((shared[there] / either[there]).mean()) if len(there) else 1.0


def aggregate(
    opinions: Sequence[Opinion], question: Question, *, target_confidence: float
) -> Outcome:
    """Naive Bayes for each pixel over the classes and void, without its specks.

    The confidence is that of the least certain patch: the place in the core, away from outlines,
    where the winner is least probable, if it is large enough to matter. A mean over pixels would
    hide that people disagree about a whole object; a minimum would never be reached, as each
    outline is drawn a little differently.
    """
    ordered = each_once(opinions)
    rasters = np.stack([_raster(each.answer["regions"], question) for each in ordered])
    choices = len(question.schema.ids) + 1
    weights = np.array([weight(each.trust, choices) for each in ordered])
    votes, which = _votes(rasters)
    best, sure = _decided(votes, weights, choices)
    winner, certain = best[which], sure[which]
    winner = _without_specks(winner)
    confidence = _least_certain(winner, certain, question.frame)
    regions = _regions(winner, question, ordered, certain)
    return Outcome({"regions": regions}, confidence, confidence >= target_confidence)


def _votes(rasters: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """The different ways in which people voted on a pixel, and which one each pixel has.

    There are few of them, however many pixels there are.

    Args:
        rasters: Shape (people, height, width).

    Returns:
        Shape (V, people), and (height, width).
    """
    base = int(rasters.max()) + 1
    keys = np.zeros(rasters.shape[1:], dtype=np.int64)
    for raster in rasters:
        keys = np.unique(keys * base + raster, return_inverse=True)[1].reshape(keys.shape)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return rasters.reshape(len(rasters), -1).T[first], which.reshape(keys.shape)


def _decided(
    votes: NDArray[np.uint16], weights: NDArray[np.float64], choices: int
) -> tuple[Raster, NDArray[np.float64]]:
    """The most probable class of each way to vote, and its probability; shape (V,) each."""
    best = np.zeros(len(votes), dtype=np.uint16)
    sure = np.zeros(len(votes))
    for i, row in enumerate(votes):
        behind: dict[int, float] = defaultdict(float)
        for voted, weight_ in zip(row.tolist(), weights.tolist(), strict=True):
            behind[voted] += weight_
        # at even odds a class rather than nothing
        best[i] = min(behind, key=lambda c: (-behind[c], c == 0, c))
        top = behind[int(best[i])]
        rest = math.fsum(math.exp(w - top) for c, w in behind.items() if c != best[i])
        sure[i] = 1 / (1 + rest + (choices - len(behind)) * math.exp(-top))
    return best, sure


def _without_specks(winner: Raster) -> Raster:
    """Each small island becomes what most of its border is."""
    cleaned = winner.copy()
    for value in np.unique(winner).tolist():
        islands, count = ndimage.label(winner == value, structure=_EIGHT)
        sizes = np.bincount(islands.ravel(), minlength=count + 1)
        places = ndimage.find_objects(islands)
        for number in np.flatnonzero(sizes[1:] < SPECK) + 1:
            rows, columns = places[number - 1]
            around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in (rows, columns))
            speck = islands[around] == number
            border = ndimage.binary_dilation(speck, _EIGHT) & ~speck
            if border.any():
                cleaned[around][speck] = np.bincount(winner[around][border]).argmax()
    return cleaned


def _least_certain(winner: Raster, certain: NDArray[np.float64], frame: TileFrame) -> float:
    left, top, right, bottom = frame.core
    dx, dy = frame.window[:2]
    core = np.zeros(winner.shape, dtype=np.bool_)
    core[top - dy : bottom - dy, left - dx : right - dx] = True
    least = max(SPECK, LEAST_PATCH * core.sum())
    for level in np.unique(certain[core]).tolist():
        doubtful = ndimage.binary_opening(
            core & (certain <= level), _EIGHT, iterations=BORDER, border_value=0
        )
        patches, count = ndimage.label(doubtful, structure=_EIGHT)
        if count and np.bincount(patches.ravel())[1:].max() >= least:
            return float(level)
    return float(certain[core].max(initial=0.5))


def _regions(
    winner: Raster,
    question: Question,
    opinions: Sequence[Opinion],
    certain: NDArray[np.float64],
) -> list[dict[str, Any]]:
    said: dict[int, list[tuple[Mapping[str, Any], float]]] = defaultdict(list)
    for each in opinions:
        for region in each.answer["regions"]:
            said[region["class"]].append((region["attributes"], weight(each.trust, 2)))
    regions = []
    for region in _as_regions(winner, question.schema):
        named = question.schema.find(region["class"])
        crop = masks.from_json(region["mask"])
        place = masks.place_of(crop, _whole(question.tile))
        agreed = {} if named is None else attributes.agreed(said[named.id], named.attributes)
        confidence = float(certain[place][crop.pixels].mean())
        regions.append({**region, "attributes": agreed, "confidence": round(confidence, 4)})
    return regions


def to_image(label: Label, question: Question) -> list[ImageObject]:
    left, top = question.frame.window[:2]
    crops = [masks.from_json(each["mask"]).moved(left, top) for each in label["regions"]]
    cut = cut_edges(masks.bounds(crops), question.frame)
    return [
        {
            "class": each["class"],
            "mask": crop.as_json(),
            "attributes": each.get("attributes", {}),
            "confidence": each.get("confidence", 1.0),
            "cut": edges,
        }
        for each, crop, edges in zip(label["regions"], crops, cut, strict=True)
    ]


def to_tile(objects: Sequence[Mapping[str, Any]], question: Question) -> Answer:
    """What a window shows of known regions; of those that overlap, the first."""
    left, top = question.frame.window[:2]
    raster = np.zeros(_shape(question.tile), dtype=np.uint16)
    said: dict[int, Mapping[str, Any]] = {}
    for each in objects:
        crop = masks.from_json(each["mask"]).within(question.frame.window).moved(-left, -top)
        here = raster[masks.place_of(crop, _whole(question.tile))]
        here[crop.pixels & (here == 0)] = question.schema.ids.index(each["class"]) + 1
        said.setdefault(each["class"], each.get("attributes", {}))
    return {
        "regions": [
            {**region, "attributes": dict(sorted(said[region["class"]].items()))}
            for region in _as_regions(raster, question.schema)
        ]
    }


def known(value: object, at: str, question: Question) -> ImageObject:
    return _region(value, at, question)[0]


def reach(objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
    del schema
    return masks.bounds([masks.from_json(each["mask"]) for each in objects])


def merge(pieces: Sequence[Piece], schema: LabelSchema) -> list[ImageObject]:
    """One region a class: each pixel as the tile has it whose core holds it.

    Where that tile has nothing to say, the most certain of the others that show the pixel speaks.
    """
    if not pieces:
        return []
    whole = _whole(pieces[0].frame.image)
    raster = np.zeros(_shape(pieces[0].frame.image), dtype=np.uint16)
    behind: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    said: dict[int, list[tuple[Mapping[str, Any], float]]] = defaultdict(list)
    placed = sorted(
        range(len(pieces)), key=lambda i: (pieces[i].frame.window, pieces[i].frame.core)
    )
    regions = [(i, each) for i in placed for each in pieces[i].objects]
    # owners last, so that theirs is what stays; before them the most certain
    order = sorted(regions, key=lambda pair: pair[1]["confidence"])
    for inside in (False, True):
        for source, each in order:
            frame, number = pieces[source].frame, schema.ids.index(each["class"]) + 1
            crop = masks.from_json(each["mask"])
            crop = crop.within(frame.core) if inside else crop
            raster[masks.place_of(crop, whole)][crop.pixels] = number
            if inside:
                pixels = int(np.count_nonzero(crop.pixels))
                behind[each["class"]].append((-pixels, source, each["confidence"]))
                said[each["class"]].append((each["attributes"], each["confidence"]))
    return [
        {
            **region,
            "attributes": _together(said[region["class"]], region["class"], schema),
            "confidence": _mean(behind[region["class"]]),
            "sources": [source for _, source, _ in sorted(behind[region["class"]])],
        }
        for region in _as_regions(raster, schema)
    ]


def _together(
    said: Sequence[tuple[Mapping[str, Any], float]], class_id: int, schema: LabelSchema
) -> dict[str, attributes.Value]:
    named = schema.find(class_id)
    return {} if named is None else attributes.agreed(said, named.attributes)


def _mean(behind: Sequence[tuple[int, int, float]]) -> float:
    """Of the tiles' confidences, by pixels."""
    pixels = sum(-count for count, _, _ in behind)
    total = math.fsum(-count * confidence for count, _, confidence in behind)
    return round(total / pixels, 4) if pixels else max(each for _, _, each in behind)


def _raster(regions: Iterable[Mapping[str, Any]], question: Question) -> Raster:
    raster = np.zeros(_shape(question.tile), dtype=np.uint16)
    for each in regions:
        crop = masks.from_json(each["mask"])
        here = raster[masks.place_of(crop, _whole(question.tile))]
        here[crop.pixels] = question.schema.ids.index(each["class"]) + 1
    return raster


def _as_regions(raster: Raster, schema: LabelSchema) -> list[dict[str, Any]]:
    """By class; none for what is not there."""
    found = []
    places = ndimage.find_objects(raster, max_label=len(schema.ids))
    for number, (class_id, place) in enumerate(zip(schema.ids, places, strict=True), start=1):
        if place is not None:
            crop = Crop(place[1].start, place[0].start, raster[place] == number)
            found.append({"class": class_id, "mask": crop.as_json()})
    return found


def _shape(size: Size) -> tuple[int, int]:
    return size.height, size.width


def _whole(size: Size) -> Window:
    return Window(0, 0, *size)
