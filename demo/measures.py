"""What is measured of a dataset, kind by kind, in the files that an operator takes away."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from demo import hands, score
from demo.pictures import Picture, Points, Thing
from demo.score import Classes, Floats, Tally
from demo.subjects import nearest
from demo.truth import Labelled


class Pair(NamedTuple):
    """Two pieces of which people were asked whether they are one."""

    picture: str
    first: Points
    """In pixels of the picture."""
    second: Points


class Outcome(NamedTuple):
    """What a project came to."""

    files: Mapping[str, bytes]
    """Of its dataset, by name: `coco.json` and `labels.jsonl`."""
    pairs: Sequence[Pair] = ()


Alike = Callable[[Picture, Sequence[Thing], Sequence[Thing]], Floats]
"""Of the things of the truth and those found in a picture, (truth, found)."""
WITHIN = 2.0
"""Pixels that a line may be off: a quarter of the width of the joints that it runs along."""
SIGMA = 0.05
"""Of points and corners; what the product takes where the label schema does not say."""


@dataclass(frozen=True)
class Measured:
    value: float
    objects: int
    """Of the truth."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More to be reported."""


def classes(pictures: Sequence[Picture], outcome: Outcome) -> Measured:
    found = json.loads(outcome.files["coco.json"])
    names = {image["id"]: image["file_name"] for image in found["images"]}
    labels: dict[str, list[int]] = {}
    for each in found["image_labels"]:
        labels.setdefault(names[each["image_id"]], []).append(each["category_id"])
    truth = {each.name: each.truth[0]["class"] for each in pictures}
    value = round(score.accuracy(truth, labels), 4)
    return Measured(value, len(truth), {"label_accuracy": value})


def boxes(pictures: Sequence[Picture], outcome: Outcome) -> Measured:
    (picture,) = pictures
    found = json.loads(outcome.files["coco.json"])
    by_name = {image["file_name"]: image["id"] for image in found["images"]}
    drawn = [
        Labelled(each["category_id"], _corners(each["bbox"]))
        for each in found["annotations"]
        if each["image_id"] == by_name[picture.name]
    ]
    truth = [Labelled(each["class"], each["box"]) for each in picture.truth]
    result = score.boxes(truth, drawn)
    both = result.precision + result.recall
    facts = {
        "objects": len(truth),
        "box_precision": round(result.precision, 4),
        "box_recall": round(result.recall, 4),
        "box_mean_iou": round(result.mean_iou, 4),
    }
    return Measured(2 * result.precision * result.recall / both if both else 0, len(truth), facts)


def quality(alike: Alike) -> Callable[[Sequence[Picture], Outcome], Measured]:
    """Of all things together, each as good as it is alike; misses and false ones are worth none."""

    def measure(pictures: Sequence[Picture], outcome: Outcome) -> Measured:
        found, total = _by_name(outcome), Tally()
        for picture in pictures:
            said = [{"class": e["class_id"], **e["place"]} for e in found.get(picture.name, [])]
            likeness = alike(picture, picture.truth, said)
            total += score.tally(
                [e["class"] for e in picture.truth], [e["class"] for e in said], likeness
            )
        return Measured(total.quality, total.there)

    return measure


def polygons(_: Picture, truth: Sequence[Thing], found: Sequence[Thing]) -> Floats:
    return score.area_ious(score.areas(truth), score.areas(found))


def masks(picture: Picture, truth: Sequence[Thing], found: Sequence[Thing]) -> Floats:
    size = picture.width, picture.height
    empty = np.zeros((0, picture.height, picture.width), dtype=np.bool_)
    true = [hands.pixels(each, size) for each in truth]
    said = [score.decoded(each["mask"], size) for each in found]
    return score.mask_ious(*(np.array(some) if some else empty for some in (true, said)))


def lines(_: Picture, truth: Sequence[Thing], found: Sequence[Thing]) -> Floats:
    return score.line_f1(score.lines(truth), score.lines(found), WITHIN)


def keypoints(_: Picture, truth: Sequence[Thing], found: Sequence[Thing]) -> Floats:
    true, said = (
        np.array(
            [[(x, y) if v else (np.nan, np.nan) for x, y, v in e["points"]] for e in some]
        ).reshape(-1, 4, 2)
        for some in (truth, found)
    )
    return score.point_similarity(true, said, SIGMA)


def cuboids(_: Picture, truth: Sequence[Thing], found: Sequence[Thing]) -> Floats:
    true, said = (
        np.array([each["cuboid"] for each in some]).reshape(-1, 8, 2) for some in (truth, found)
    )
    return score.point_similarity(true, said, SIGMA)


def joins(pictures: Sequence[Picture], outcome: Outcome) -> Measured:
    """Of pairs that are in the dataset as they truly are: two pieces of one line, or of two."""
    found, true = _by_name(outcome), {each.name: each.truth for each in pictures}
    right = 0
    for name, *pieces in outcome.pairs:
        places = [each["place"] for each in found[name]]
        said, really = (
            len({nearest(piece, [np.array(each["line"]) for each in some]) for piece in pieces})
            for some in (places, true[name])
        )
        right += said == really
    count = len(outcome.pairs)
    return Measured(right / count if count else 0.0, count)


def regions(
    ground: int,
) -> Callable[[Sequence[Picture], Outcome], Measured]:
    """Of pixels; what nothing lies on is ground."""

    def measure(pictures: Sequence[Picture], outcome: Outcome) -> Measured:
        found = _by_name(outcome)
        true = [_painted(each, ground) for each in pictures]
        said = [_said(each, found.get(each.name, [])) for each in pictures]
        return Measured(score.mean_iou(true, said), sum(len(each.truth) for each in pictures))

    return measure


def _painted(picture: Picture, ground: int) -> Classes:
    size = picture.width, picture.height
    canvas = np.full(size[::-1], ground)
    for each in picture.truth:
        canvas[hands.pixels(each, size)] = each["class"]
    return canvas


def _said(picture: Picture, objects: Sequence[Mapping[str, Any]]) -> Classes:
    size = picture.width, picture.height
    canvas = np.full(size[::-1], score.VOID)
    for each in objects:
        canvas[score.decoded(each["place"]["mask"], size)] = each["class_id"]
    return canvas


def _by_name(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    lines = (json.loads(line) for line in outcome.files["labels.jsonl"].splitlines())
    return {each["name"]: each["objects"] for each in lines}


def _corners(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, width, height = bbox
    return left, top, left + width, top + height
