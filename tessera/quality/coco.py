"""Reading known answers from COCO JSON: pure, and suspicious of every value.

Source: https://cocodataset.org/#format-data; a detection file, or for classify annotations
without `bbox`, which then say what the whole image shows.
"""

import math
from collections.abc import Mapping
from typing import Any

from tessera.kinds import LabelSchema
from tessera.quality.errors import BadCoco, UnknownClass

MOST_ANNOTATIONS = 1_000_000


def objects_by_image(coco: object, schema: LabelSchema) -> dict[str, list[dict[str, Any]]]:
    """Known objects by `file_name`, in image pixels, classes translated by name to the schema's.

    Images without annotations are there too: nothing in them is a known answer as well.

    Raises:
        BadCoco: A value is missing or makes no sense; `at` names it.
        UnknownClass: A category used is no class of the schema.
    """
    root = _dict(coco, "file")
    names = _file_names(_list(root, "images"))
    classes = _classes(_list(root, "categories"), schema)
    annotations = _list(root, "annotations")
    if len(annotations) > MOST_ANNOTATIONS:
        raise BadCoco(f"More than {MOST_ANNOTATIONS:,} annotations.", at="annotations")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in names.values()}
    for number, entry in enumerate(annotations):
        at = f"annotations[{number}]"
        annotation = _dict(entry, at)
        image = names.get(_id(annotation, "image_id", at))
        if image is None:
            raise BadCoco("There is no image with this id.", at=f"{at}.image_id")
        category = _id(annotation, "category_id", at)
        if category not in classes:
            raise BadCoco("There is no category with this id.", at=f"{at}.category_id")
        class_id = classes[category]
        if class_id is None:
            raise UnknownClass("This category is no class of the label schema.", at=at)
        name, size = image
        known: dict[str, Any] = {"class": class_id, "attributes": {}}
        if "bbox" in annotation:
            known["box"] = _box(annotation["bbox"], size, f"{at}.bbox")
        found[name].append(known)
    return found


def _file_names(images: list[Any]) -> dict[int, tuple[str, tuple[float, float]]]:
    names: dict[int, tuple[str, tuple[float, float]]] = {}
    for number, entry in enumerate(images):
        at = f"images[{number}]"
        image = _dict(entry, at)
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise BadCoco("An image needs a file name.", at=f"{at}.file_name")
        id_ = _id(image, "id", at)
        if id_ in names:
            raise BadCoco("Two images have this id.", at=f"{at}.id")
        names[id_] = (name, (_number(image, "width", at), _number(image, "height", at)))
    if len({name for name, _ in names.values()}) < len(names):
        raise BadCoco("Two images have the same file name.", at="images")
    return names


def _classes(categories: list[Any], schema: LabelSchema) -> dict[int, int | None]:
    by_name = {each.name: each.id for each in schema.classes}
    classes: dict[int, int | None] = {}
    for number, entry in enumerate(categories):
        at = f"categories[{number}]"
        category = _dict(entry, at)
        classes[_id(category, "id", at)] = by_name.get(str(category.get("name")))
    return classes


def _box(value: Any, size: tuple[float, float], at: str) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:  # noqa: PLR2004 - x, y, width, height
        raise BadCoco("A box is [x, y, width, height].", at=at)
    left, top, width, height = (_finite(side, at) for side in value)
    if width <= 0 or height <= 0:
        raise BadCoco("A box has a width and a height above zero.", at=at)
    right, bottom = left + width, top + height
    if left < -1 or top < -1 or right > size[0] + 1 or bottom > size[1] + 1:
        raise BadCoco("The box lies outside its image.", at=at)
    return [max(left, 0.0), max(top, 0.0), min(right, size[0]), min(bottom, size[1])]


def _dict(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadCoco("An object is expected here.", at=at)
    return value


def _list(root: Mapping[str, Any], name: str) -> list[Any]:
    value = root.get(name)
    if not isinstance(value, list):
        raise BadCoco("A list is expected here.", at=name)
    return value


def _id(entry: Mapping[str, Any], name: str, at: str) -> int:
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadCoco("A whole number is expected here.", at=f"{at}.{name}")
    return value


def _number(entry: Mapping[str, Any], name: str, at: str) -> float:
    return _finite(entry.get(name), f"{at}.{name}")


def _finite(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadCoco("A finite number is expected here.", at=at)
    return float(value)
