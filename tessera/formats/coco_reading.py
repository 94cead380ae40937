"""Reading COCO: detection, instances, keypoints, stuff, and what our writer adds to them.

Every JSON file there is, each with `images`, `categories` and `annotations`, and our `image_labels`
if there are any. Classes go by the names of categories, and points by the names of their
`keypoints`, if the file has them. Outlines are filled where masks are asked for, and run lengths
outlined along the edges of their pixels where outlines are; our `polygon` and `rotated` go first.

In a project that asks for the class of images, annotations without a box are of the whole image.
Those with one are kept as they are: a part of the image shows what lies there.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tessera.formats import checking, painting
from tessera.formats.archive import Files
from tessera.formats.checking import MOST_NUMBERS, Checking, mapping, numbers, points
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields
from tessera.kinds.instance_mask import read_mask
from tessera.shapes import rasters

_LONGEST_RUNS = 4 * MOST_NUMBERS
"""Letters of the string of a mask."""
_X_Y_V = 3
_OURS = ("line", "cuboid", "solid")
_WITHOUT_CROWDS = frozenset({"classify", "semantic_mask"})


class Said(NamedTuple):
    """An image, and all annotations of it with their places."""

    at: str
    name: str
    size: Size
    annotations: list[tuple[str, Mapping[str, Any]]]


class Category(NamedTuple):
    name: str
    points: object
    """Names of its keypoints, or None."""


_Record = Mapping[str, Any]
_Found = TypeVar("_Found")


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`. A file larger than `checking.MOST_BYTES` has to be divided."""
    for document in documents(files):
        reader = _Reader(document, wanted)
        for each in document.images():
            if isinstance(each, Refused):
                yield each
            else:
                yield from reader.image(each)


def documents(files: Files) -> Iterator["Document"]:
    """All there are.

    Raises:
        BadFile: There is none, or one that is something else.
    """
    names = [name for name in files.names() if name.endswith(".json")]
    if not names:
        raise BadFile("", "has no JSON file")
    for name in names:
        yield Document(name, checking.loaded(files, name))


class Document:
    """What all files of COCO have in common."""

    def __init__(self, path: str, root: object) -> None:
        if not isinstance(root, dict):
            raise BadFile(path, "must be an object; a list of results tells nothing of its images")
        self.path, self._root = path, root
        self.categories = self._categories()

    def images(self) -> Iterator[Said | Refused]:
        """Every image with all that is said of it; nothing, too, is a known answer."""
        images: dict[int, Said] = {}
        names: set[str] = set()
        for at, entry in self._listed("images"):
            try:
                id_, image = _image(at, entry)
                _refuse_second(id_, images, "id")
                _refuse_second(image.name, names, "file_name")
            except InvalidAnswer as error:
                yield checking.refused(at, error)
                continue
            images[id_] = image
            names.add(image.name)
        for at, entry in self._annotations():
            try:
                annotation = mapping(entry, "")
                referred(annotation, "image_id", images).annotations.append((at, annotation))
            except InvalidAnswer as error:
                yield checking.refused(at, error)
        yield from images.values()

    def _listed(self, name: str) -> Iterator[tuple[str, object]]:
        value = self._root.get(name)
        if not isinstance(value, list):
            raise BadFile(f"{self.path}: {name}", "must be a list")
        return ((f"{self.path}: {name}[{i}]", each) for i, each in enumerate(value))

    def _annotations(self) -> Iterator[tuple[str, object]]:
        yield from self._listed("annotations")
        if "image_labels" in self._root:
            yield from self._listed("image_labels")

    def _categories(self) -> dict[int, Category]:
        """Those that make no sense are bad files: whatever refers to them would be a guess."""
        categories: dict[int, Category] = {}
        for at, entry in self._listed("categories"):
            try:
                category = mapping(entry, "")
                id_ = fields.whole(category.get("id"), "id", InvalidAnswer)
                _refuse_second(id_, categories, "id")
                categories[id_] = Category(_text(category, "name"), category.get("keypoints"))
            except InvalidAnswer as error:
                bad = checking.refused(at, error)
                raise BadFile(bad.at, bad.why) from error
        return categories


class _Reader:
    def __init__(self, document: Document, wanted: Wanted) -> None:
        self._categories, self._wanted = document.categories, wanted
        self._checking = Checking(wanted)
        self._boxes = Checking(replace(wanted, kind="box"))

    def image(self, said: Said) -> Iterator[Known | Refused]:
        at, name, size, annotations = said
        boxed = self._wanted.kind == "classify" and any("bbox" in each for _, each in annotations)
        checked, kind = (self._boxes, "box") if boxed else (self._checking, self._wanted.kind)
        yield from checked.image(at, name, size, annotations, partial(self._object, kind, size))

    def _object(self, kind: str, size: Size, annotation: _Record) -> dict[str, Any]:
        category = referred(annotation, "category_id", self._categories)
        named = self._checking.named(category.name)
        crowd = annotation.get("iscrowd") and self._wanted.kind not in _WITHOUT_CROWDS
        return {
            "class": named.id,
            **self._place(kind, annotation, size, category, named),
            "attributes": mapping(annotation.get("attributes", {}), "attributes"),
            **({"optional": True} if crowd else {}),
            **({"confidence": annotation["score"]} if "score" in annotation else {}),
        }

    def _place(
        self, kind: str, annotation: _Record, size: Size, category: Category, named: LabelClass
    ) -> dict[str, Any]:
        place: dict[str, Any] = {}
        match kind:
            case "box" if self._wanted.schema.rotated and "rotated" in annotation:
                place = {"box": annotation["rotated"]}
            case "box":
                left, top, width, height = numbers(annotation.get("bbox"), "bbox", 4)
                place = {"box": [left, top, left + width, top + height]}
            case "polygon" if "polygon" in annotation:
                place = {"polygon": annotation["polygon"]}
            case "polygon":
                place = {"polygon": _outlines(annotation.get("segmentation"), size)}
            case "instance_mask" | "semantic_mask":
                place = {"mask": _mask(annotation.get("segmentation"), size)}
            case "keypoints":
                place = {"points": _seen(annotation.get("keypoints"), category, named)}
            case "polyline" | "cuboid":
                place = {name: annotation[name] for name in _OURS if name in annotation}
        return place


def referred(annotation: _Record, field: str, there: Mapping[int, _Found]) -> _Found:
    """What an annotation refers to by its id.

    Raises:
        InvalidAnswer: It is not there.
    """
    id_ = fields.whole(annotation.get(field), field, InvalidAnswer)
    if id_ not in there:
        raise InvalidAnswer(field, "is the id of nothing in this file")
    return there[id_]


def _refuse_second(value: int | str, seen: Container[int | str], at: str) -> None:
    if value in seen:
        raise InvalidAnswer(at, "is there twice")


def _text(entry: _Record, field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidAnswer(field, "must be text")
    return value


def _image(at: str, entry: object) -> tuple[int, Said]:
    image = mapping(entry, "")
    id_ = fields.whole(image.get("id"), "id", InvalidAnswer)
    width, height = (
        fields.whole(image.get(side), side, InvalidAnswer) for side in ("width", "height")
    )
    return id_, Said(at, _text(image, "file_name"), Size(width, height), [])


def _outlines(segmentation: object, size: Size) -> Sequence[Any]:
    if isinstance(segmentation, dict):
        return painting.outlined(_strokes(segmentation, size))
    return [[ring] for ring in _rings(segmentation)]


def _rings(segmentation: object) -> list[list[list[float]]]:
    listed = fields.items(segmentation, "segmentation", InvalidAnswer, most=MOST_NUMBERS)
    rings = [points(ring, at) for at, ring in listed]
    if not rings or not all(rings):
        raise InvalidAnswer("segmentation", "must have at least one outline, of some points")
    return rings


def _mask(segmentation: object, size: Size) -> dict[str, Any]:
    if isinstance(segmentation, dict):
        return _strokes(segmentation, size).as_json()
    drawn = [painting.filled([[ring]], size) for ring in _rings(segmentation)]
    whole = painting.together(drawn, size.height)
    if not whole.pixels:
        raise InvalidAnswer("segmentation", "has no pixel")
    return whole.as_json()


def _strokes(segmentation: _Record, size: Size) -> rasters.Strokes:
    if segmentation.get("size") != [size.height, size.width]:
        raise InvalidAnswer("segmentation.size", "is not the height and width of the image")
    counts = segmentation.get("counts")
    if isinstance(counts, str) and len(counts) > _LONGEST_RUNS:
        raise InvalidAnswer("segmentation.counts", "is far too long")
    return read_mask(segmentation, "segmentation", size)


def _seen(value: object, category: Category, named: LabelClass) -> list[list[float]]:
    """In the order of the class, if the file tells which point is which; else as they come."""
    flat = numbers(value, "keypoints")
    if len(flat) % _X_Y_V:
        raise InvalidAnswer("keypoints", "must be x, y and v of each point")
    rows = np.reshape(flat, (-1, _X_Y_V)).tolist()
    seen = [[x, y, int(v) if v.is_integer() else v] for x, y, v in rows]
    if category.points is None or named.skeleton is None:
        return seen
    asked = [each.name for each in named.skeleton.points]
    there = category.points if isinstance(category.points, list) else []
    if len(there) != len(asked) or any(name not in there for name in asked):
        raise InvalidAnswer("keypoints", "are not those of the class, by the names of the category")
    if len(seen) != len(there):
        raise InvalidAnswer("keypoints", f"must be {len(there)} points")
    return [seen[there.index(name)] for name in asked]
