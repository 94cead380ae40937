"""Reading COCO: detection, instances, keypoints, stuff, and what our writer adds to them.

Every JSON file there is, each with `images`, `categories` and `annotations`, and our `image_labels`
if there are any. Classes go by the names of categories, and points by the names of their
`keypoints`, if the file has them. Outlines are filled where masks are asked for, and run lengths
outlined along the edges of their pixels where outlines are; our `polygon` and `rotated` go first.

In a project that asks for the class of images, annotations without a box are of the whole image.
Those with one are kept as they are: a part of the image shows what lies there.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson

from tessera.formats import checking, json_stream, painting
from tessera.formats.archive import Files
from tessera.formats.checking import MOST_NUMBERS, Checking, mapping, numbers, points
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields
from tessera.kinds.instance_mask import read_mask
from tessera.shapes import rasters

_LONGEST_RUNS = 4 * MOST_NUMBERS
"""Letters of the string of a mask."""
_LARGEST = 2**53
"""Of an id, or a side of an image."""
_X_Y_V = 3
_SIDES = ("width", "height")
_OURS = ("line", "cuboid", "solid")
_WITHOUT_CROWDS = frozenset({"classify", "semantic_mask"})
_NEEDED, _LABELS = ("images", "categories", "annotations"), "image_labels"
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE refused (at TEXT, why TEXT, code TEXT, image INTEGER, name TEXT);
CREATE TABLE images (
    number INTEGER PRIMARY KEY, id INTEGER UNIQUE, name TEXT UNIQUE, width INTEGER, height INTEGER
);
CREATE TABLE said (image INTEGER, part TEXT, number INTEGER, id, value BLOB, UNIQUE (part, id));
"""
_GROUP = "CREATE INDEX of_image ON said (image, part, number)"
_REFUSED = """
SELECT at, why, code, coalesce(images.name, refused.name, '')
FROM refused LEFT JOIN images ON images.id = refused.image ORDER BY refused.rowid
"""
_ORPHANS = "SELECT part, number FROM said WHERE image NOT IN (SELECT id FROM images)"
_OF_IMAGE = "SELECT part, number, value FROM said WHERE image = ? ORDER BY part, number"


class Said(NamedTuple):
    """An image, and all annotations of it with their places."""

    at: str
    name: str
    size: Size | None
    """If the file tells it."""
    annotations: list[tuple[str, Mapping[str, Any]]]


class Category(NamedTuple):
    name: str
    points: object
    """Names of its keypoints, or None."""


_Record = Mapping[str, Any]
_Found = TypeVar("_Found")
_Take = Callable[[str, int, _Record, bytes], None]
"""The list, the number in it, the entry, and the same as JSON."""


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`. A file may be of any length: what it says is sorted on disk."""
    checked = Checking(wanted)
    for document in documents(files):
        reader = _Reader(document, checked, wanted)
        for each in document.images():
            if isinstance(each, Refused):
                yield each
            else:
                yield from reader.image(each)


def documents(files: Files) -> Iterator["Document"]:
    """All there are, one after another; each until the next.

    Raises:
        BadFile: There is none, or one that is something else.
    """
    names = [name for name in files.names() if name.endswith(".json")]
    if not names:
        raise BadFile("", "has no JSON file")
    for name in names:
        with closing(sqlite3.connect("")) as tables:  # a file that is gone when it is closed
            yield Document(files, name, tables)


class Document:
    """What all files of COCO have in common."""

    def __init__(self, files: Files, path: str, tables: sqlite3.Connection) -> None:
        """Read it all.

        Args:
            tables: An empty database; the caller's to close.
        """
        self.path, self._tables = path, tables
        self.categories: dict[int, Category] = {}
        tables.executescript(_TABLES)
        takes = {"images": self._image, "categories": self._category}
        missing = set(_NEEDED)
        with files.open(path) as file:
            for name, number, value in json_stream.members(file, path):
                if number is None:
                    missing.discard(name)
                    _refuse_no_list(f"{path}: {name}", name, value)
                elif name in {*_NEEDED, _LABELS}:
                    self._take(name, number, value, takes.get(name, self._annotation))
        if missing:
            raise BadFile(f"{path}: {min(missing)}", "must be a list")
        tables.execute(_GROUP)

    def images(self) -> Iterator[Said | Refused]:
        """Every image with all that is said of it; nothing, too, is a known answer."""
        for at, why, code, name in self._tables.execute(_REFUSED):
            yield Refused(f"{self.path}: {at}", why, Code(code), name)
        for part, number in self._tables.execute(_ORPHANS):
            at = f"{self.path}: {part}[{number}].image_id"
            yield Refused(at, "is the id of nothing in this file", Code.MISSING)
        for place, id_, name, *sides in self._tables.execute("SELECT * FROM images"):
            said = [
                (f"{self.path}: {part}[{number}]", orjson.loads(value))
                for part, number, value in self._tables.execute(_OF_IMAGE, (id_,))
            ]
            size = Size(*sides) if all(sides) else None
            yield Said(f"{self.path}: images[{place}]", name, size, said)

    def _take(self, part: str, number: int, value: object, take: _Take) -> None:
        try:
            take(part, number, mapping(value, ""), checking.as_json(value))
        except InvalidAnswer as error:
            bad = checking.refused(f"{part}[{number}]", error)
            if part == "categories":  # whatever refers to it would be a guess
                raise BadFile(f"{self.path}: {bad.at}", bad.why) from error
            row = (bad.at, bad.why, bad.code, *_whose(part, value))
            self._tables.execute("INSERT INTO refused VALUES (?, ?, ?, ?, ?)", row)

    def _category(self, part: str, number: int, category: _Record, plain: bytes) -> None:
        del part, number, plain
        id_ = _whole(category, "id")
        if id_ in self.categories:
            raise Unfit("id", "is there twice", Code.REPEATED)
        self.categories[id_] = Category(_text(category, "name"), category.get("keypoints"))

    def _image(self, part: str, number: int, image: _Record, plain: bytes) -> None:
        del part, plain
        id_, name = _whole(image, "id"), _text(image, "file_name")
        told = any(image.get(side) is not None for side in _SIDES)
        row = (number, id_, name, *(_whole(image, side) if told else None for side in _SIDES))
        try:
            self._tables.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            again = self._tables.execute("SELECT 1 FROM images WHERE id = ?", (id_,)).fetchone()
            raise Unfit("id" if again else "file_name", "is there twice", Code.REPEATED) from error

    def _annotation(self, part: str, number: int, said: _Record, plain: bytes) -> None:
        row = (_whole(said, "image_id"), part, number, _key(said.get("id")), plain)
        try:
            self._tables.execute("INSERT INTO said VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise Unfit("id", "is there twice", Code.REPEATED) from error


class _Reader:
    def __init__(self, document: Document, checked: Checking, wanted: Wanted) -> None:
        self._categories, self._wanted = document.categories, wanted
        self._checking, self._boxes = checked, checked.of("box")

    def image(self, said: Said) -> Iterator[Known | Refused]:
        at, name, size, annotations = said
        of = size or self._wanted.images.get(name, Size(0, 0))  # of an unknown one nothing is read
        boxed = self._wanted.kind == "classify" and any("bbox" in each for _, each in annotations)
        checked, kind = (self._boxes, "box") if boxed else (self._checking, self._wanted.kind)
        yield from checked.image(at, name, size, annotations, partial(self._object, kind, of))

    def _object(self, kind: str, size: Size, annotation: _Record) -> dict[str, Any]:
        category = referred(annotation, "category_id", self._categories)
        named = self._checking.named(category.name)
        attributes = dict(mapping(annotation.get("attributes", {}), "attributes"))
        place = self._place(kind, annotation, size, category, named)
        crowd = self._wanted.kind not in _WITHOUT_CROWDS and checking.flag(annotation, "iscrowd")
        return {
            "class": named.id,
            **checking.turned(place, attributes, named),
            "attributes": attributes,
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
        raise Unfit(field, "is the id of nothing in this file", Code.MISSING)
    return there[id_]


def _refuse_no_list(at: str, name: str, value: object) -> None:
    if name in {*_NEEDED, _LABELS} and not isinstance(value, list):
        raise BadFile(at, "must be a list")


def _whose(part: str, value: object) -> tuple[int | None, str | None]:
    """Of a record that was refused the id and the name of its image, if it says them."""
    entry = value if isinstance(value, dict) else {}
    id_, name = _key(entry.get("id" if part == "images" else "image_id")), entry.get("file_name")
    called = name.encode(errors="replace").decode() if isinstance(name, str) else None
    return id_ if isinstance(id_, int) else None, called


def _key(id_: object) -> int | str | None:
    """An id that nothing refers to: what is none is not compared."""
    if isinstance(id_, int) and not isinstance(id_, bool) and abs(id_) <= _LARGEST:
        return id_
    return id_ if isinstance(id_, str) else None


def _whole(entry: _Record, field: str) -> int:
    value = fields.whole(entry.get(field), field, InvalidAnswer)
    if abs(value) > _LARGEST:
        raise InvalidAnswer(field, "is far too large")
    return value


def _text(entry: _Record, field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidAnswer(field, "must be text")
    return value


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
        why = "are not those of the class, by the names of the category"
        raise Unfit("keypoints", why, Code.UNKNOWN_POINT)
    if len(seen) != len(there):
        raise InvalidAnswer("keypoints", f"must be {len(there)} points")
    return [seen[there.index(name)] for name in asked]
