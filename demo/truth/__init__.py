"""What the demo's photographs show, drawn and checked by eye: boxes (COCO), classes, outlines.

Boxes hug the visible object to about 2 px; the note of a category says what belongs to it. An
image of boxes.json without annotations was looked at too and shows no object of these classes.
Outlines and lines are to about 1 px; of coins and joints they were traced, and then looked at.
"""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

Box = tuple[float, float, float, float]
Coco = dict[str, Any]


class Labelled(NamedTuple):
    """One object: `box` is left, top, right, bottom in pixels of its image, half-open."""

    class_id: int
    box: Box


class Stroke(NamedTuple):
    """One outline, without the first point again, or one line."""

    name: str
    points: list[list[float]]


class Sketch(NamedTuple):
    """What was drawn on one photograph, in its pixels."""

    size: tuple[int, int]
    """Width, height."""
    strokes: list[Stroke]


class Subject(NamedTuple):
    """What one photograph mainly shows, and the part of it that any crop must keep."""

    photo: str
    class_id: int
    box: tuple[int, int, int, int]


@cache
def boxes() -> Coco:
    """The boxes as a COCO document; categories also have `colour` and `note`."""
    return _read("boxes.json")


@cache
def classes() -> dict[str, Any]:
    """The classify project's `question`, its `classes` (id, name, colour) and its `photos`."""
    return _read("classes.json")


def drawn(what: str) -> dict[str, Sketch]:
    """By the name of the photograph, its `outlines` or its `lines`."""
    return {
        photo: Sketch(
            tuple(known["size"]),
            [Stroke(each["name"], each["points"]) for each in known["objects"]],
        )
        for photo, known in _outlines()[what].items()
    }


@cache
def _outlines() -> dict[str, Any]:
    return _read("outlines.json")


def subjects() -> list[Subject]:
    return [Subject(p["file_name"], p["class"], tuple(p["subject"])) for p in classes()["photos"]]


def objects_by_image(coco: Coco) -> dict[str, list[Labelled]]:
    """Every image's objects by file name, an empty list where there are none."""
    by_id = defaultdict(list)
    for annotation in coco["annotations"]:
        left, top, width, height = annotation["bbox"]
        box = (left, top, left + width, top + height)
        by_id[annotation["image_id"]].append(Labelled(annotation["category_id"], box))
    return {image["file_name"]: by_id[image["id"]] for image in coco["images"]}


def coco_of(images: list[tuple[str, int, int, list[Labelled]]]) -> Coco:
    """A COCO document of images given as (file name, width, height, objects)."""
    document: Coco = {"categories": boxes()["categories"], "images": [], "annotations": []}
    for image_id, (name, width, height, objects) in enumerate(images, start=1):
        document["images"].append(
            {"id": image_id, "file_name": name, "width": width, "height": height}
        )
        for thing in objects:
            left, top, right, bottom = thing.box
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": thing.class_id,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    return document


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (Path(__file__).parent / name).read_text(encoding="utf-8")
    )
    return document
