"""Reading known answers from COCO JSON: pure, and suspicious of every value.

Source: https://cocodataset.org/#format-data; a detection file, or for classify annotations
without `bbox`, which then say what the whole image shows. Our own datasets have these apart, in
`image_labels`, so that list is read as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tessera.kinds import LabelSchema, Size
from tessera.quality.errors import BadCoco, UnknownClass

SLACK = 1.0
"""Pixels that a box may reach beyond its image, by rounding; it is clipped."""
MOST = 2**53
"""No sane number is larger, and all up to here are exact as floats."""


@dataclass
class Known:
    """What a file knows of one image.

    Attributes:
        at: Where in the file.
        objects: In image pixels, each with `class`, `attributes`, `box` if it has one, and
            `optional` where COCO says crowd.
    """

    at: str
    size: Size
    objects: list[dict[str, Any]] = field(default_factory=list)


def read(coco: object, schema: LabelSchema, *, boxes: bool) -> dict[str, Known]:
    """What is known, by `file_name`; classes are translated by name to the schema's.

    Images without annotations are there too: nothing in them is a known answer as well.

    Args:
        boxes: Whether every annotation must have one.

    Raises:
        BadCoco: A value is missing or makes no sense; `at` names it.
        UnknownClass: A category used is no class of the schema.
    """
    root = _dict(coco, "file")
    images = _images(_list(root, "images"))
    classes = _classes(_list(root, "categories"), schema)
    annotations = [
        (f"{name}[{number}]", entry)
        for name in ("annotations", "image_labels")
        if name == "annotations" or name in root
        for number, entry in enumerate(_list(root, name))
    ]
    for at, entry in annotations:
        annotation = _dict(entry, at)
        found = images.get(_id(annotation, "image_id", at))
        if found is None:
            raise BadCoco("There is no image with this id.", at=f"{at}.image_id")
        _, image = found
        known: dict[str, Any] = {"class": _class(annotation, classes, at), "attributes": {}}
        if boxes or "bbox" in annotation:
            known["box"] = _box(annotation.get("bbox"), image.size, f"{at}.bbox")
        if annotation.get("iscrowd"):
            known["optional"] = True
        image.objects.append(known)
    return dict(images.values())


def _images(images: list[Any]) -> dict[int, tuple[str, Known]]:
    by_id: dict[int, tuple[str, Known]] = {}
    for number, entry in enumerate(images):
        at = f"images[{number}]"
        image = _dict(entry, at)
        id_ = _id(image, "id", at)
        if id_ in by_id:
            raise BadCoco("Two images have this id.", at=f"{at}.id")
        size = Size(_side(image, "width", at), _side(image, "height", at))
        by_id[id_] = (_text(image, "file_name", at), Known(at, size))
    if len(dict(by_id.values())) < len(by_id):
        raise BadCoco("Two images have the same file name.", at="images")
    return by_id


def _classes(categories: list[Any], schema: LabelSchema) -> dict[int, tuple[str, int | None]]:
    """Name and class by category; no class for what the label schema does not have."""
    by_name = {each.name: each.id for each in schema.classes}
    classes: dict[int, tuple[str, int | None]] = {}
    for number, entry in enumerate(categories):
        at = f"categories[{number}]"
        category = _dict(entry, at)
        id_, name = _id(category, "id", at), _text(category, "name", at)
        if id_ in classes:
            raise BadCoco("Two categories have this id.", at=f"{at}.id")
        classes[id_] = (name, by_name.get(name))
    return classes


def _class(
    annotation: Mapping[str, Any], classes: Mapping[int, tuple[str, int | None]], at: str
) -> int:
    category = _id(annotation, "category_id", at)
    if category not in classes:
        raise BadCoco("There is no category with this id.", at=f"{at}.category_id")
    name, class_id = classes[category]
    if class_id is None:
        raise UnknownClass(f"“{name[:100]}” is no class of the label schema.", at=at)
    return class_id


def _box(value: Any, size: Size, at: str) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:  # noqa: PLR2004 - x, y, width, height
        raise BadCoco("A box is [x, y, width, height].", at=at)
    left, top, width, height = (_number(side, at) for side in value)
    right, bottom = left + width, top + height
    if min(left, top) < -SLACK or right > size.width + SLACK or bottom > size.height + SLACK:
        raise BadCoco("The box lies outside its image.", at=at)
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, size.width), min(bottom, size.height)
    if right <= left or bottom <= top:
        raise BadCoco("The box has no area.", at=at)
    return [left, top, right, bottom]


def _dict(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadCoco("An object is expected here.", at=at)
    return value


def _list(root: Mapping[str, Any], name: str) -> list[Any]:
    value = root.get(name)
    if not isinstance(value, list):
        raise BadCoco("A list is expected here.", at=name)
    return value


def _text(entry: Mapping[str, Any], name: str, at: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise BadCoco("Text is expected here.", at=f"{at}.{name}")
    return value


def _id(entry: Mapping[str, Any], name: str, at: str) -> int:
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadCoco("A whole number is expected here.", at=f"{at}.{name}")
    return value


def _side(entry: Mapping[str, Any], name: str, at: str) -> int:
    value = _id(entry, name, at)
    if value < 1:
        raise BadCoco("An image has a size above zero.", at=f"{at}.{name}")
    return value


def _number(value: Any, at: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= MOST:  # NaN is not
        raise BadCoco("A finite number of reasonable size is expected here.", at=at)
    return float(value)
