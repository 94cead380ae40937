"""Reading Pascal VOC: boxes and outlines of `Annotations/*.xml`, and pictures of numbers.

Pixels are counted from 1 (see `voc`). Masks of objects are those of `SegmentationObject`, by their
place in the XML file; regions those of `SegmentationClass`, whose numbers are lines of
`labelmap.txt`, the first of which is 0, or without it the classes of the project from 1. Pictures
of colours without a palette are not read. Datasets of VOC have them of some of their images only:
of the others it is not known what they show.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from tessera.formats import checking, painting
from tessera.formats.archive import Files
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size
from tessera.kinds.attributes import Type

EDGES, FIRST = ("xmin", "ymin", "xmax", "ymax"), 1
FLAGS = ("truncated", "occluded")
"""VOC has these of every object; they are taken for flags of these names, if a class has them."""
_MAP = "labelmap.txt"
_FOLDERS = {"instance_mask": "SegmentationObject", "semantic_mask": "SegmentationClass"}

_Masks = Mapping[int, dict[str, Any]]
_Placed = tuple[str, tuple[int, ET.Element | None]]


def labels_of(schema: LabelSchema) -> list[str]:
    """Background, the classes and void, as `labelmap.txt` can have them; no two are the same."""
    labels: list[str] = []
    for each in schema.classes:
        label = each.name.replace(":", "_").replace("#", "_")
        labels.append(f"{label}_{each.id}" if label in labels else label)
    ours = [f"{name}_" if name in labels else name for name in ("background", "void")]
    return [ours[0], *labels, ours[1]]


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; an image is known by its name, or else by its file's path."""
    documents = [name for name in files.names() if name.endswith(".xml")]
    if not documents:
        raise BadFile("", "has no XML file")
    reader = _Reader(files, wanted)
    for path in documents:
        try:
            root = _root(files, path)
        except BadFile as error:
            yield checking.unreadable(error)
        else:
            yield from reader.image(path, root)


def _root(files: Files, path: str) -> ET.Element:
    with files.open(path) as file:
        checking.refuse_large(file, path)
        checking.refuse_doctype(file, path)
        try:
            root = ET.parse(file).getroot()  # noqa: S314 - it has no entities
        except (ET.ParseError, *checking.NOT_XML) as error:
            raise BadFile(path, f"is not XML: {error}") from error
    if root.tag != "annotation":
        raise BadFile(path, f"begins with {root.tag[:50]!r}, not 'annotation'")
    return root


class _Reader:
    def __init__(self, files: Files, wanted: Wanted) -> None:
        self._files, self._wanted, self._checking = files, wanted, Checking(wanted)
        self._stems = checking.by_stem(wanted.images)
        self._known = labels_of(wanted.schema)
        names = (each.name for each in wanted.schema.classes)
        self._ours = dict(zip(self._known[1:-1], names, strict=True))
        self._labels_below = cache(self._labels_in)

    def _labels_in(self, top: str) -> list[str]:
        """What the numbers in pictures mean, below a folder."""
        path, labels = f"{top}/{_MAP}".lstrip("/"), self._known
        if self._files.has(path):
            with self._files.open(path) as file:
                lines = file.read().decode(errors="replace").splitlines()
            labels = [line.partition(":")[0] for line in lines if line.strip() and line[0] != "#"]
        return [self._ours.get(label, label) for label in labels]

    def image(self, path: str, root: ET.Element) -> Iterator[Known | Refused]:
        top, _, stem = f"/{path.removesuffix('.xml')}".rpartition("/Annotations/")
        stem = stem.lstrip("/")  # of a file in no such folder
        name = self._name(_text(root, "filename"), stem)
        drawn = f"{top}/{_FOLDERS.get(self._wanted.kind)}/{stem}.png".lstrip("/")
        try:
            size = _size(root)
            masks = self._masks(drawn, name, size, root)
        except InvalidAnswer as error:
            yield checking.refused(path, error, name)
            return
        if self._wanted.kind == "semantic_mask":
            regions = ((path, number) for number in masks)
            read_region = partial(self._region, masks, self._labels_below(top))
            yield from self._checking.image(path, name, size, regions, read_region)
        else:
            objects: list[_Placed] = [
                (f"{path}: object[{i - 1}]", (i, each))
                for i, each in enumerate(root.iterfind("object"), 1)
            ]
            lone = (number for number in masks if number > len(objects))
            placed = [*objects, *((drawn, (number, None)) for number in lone)]
            read_object = partial(self._object, masks)
            yield from self._checking.image(path, name, size, placed, read_object)

    def _name(self, said: str, stem: str) -> str:
        """As it is said if the path of the file agrees; else that of the path, if it is one.

        Many tools say the last part only, which may be that of an image in another folder.
        """
        if said in self._wanted.images:
            path = PurePosixPath(said)
            plain = str(path.with_name(path.stem))
            another = path.stem != PurePosixPath(stem).name
            if another or f"/{plain}".endswith(f"/{stem}"):
                return said
        return self._stems.get(stem, said)

    def _masks(self, path: str, name: str, told: Size | None, root: ET.Element) -> _Masks:
        """By the numbers of the picture; void is the highest that it can have.

        Raises:
            InvalidAnswer: It cannot be read, or is not there though something should be in it.
        """
        size = told or self._wanted.images.get(name)
        if self._wanted.kind not in _FOLDERS or size is None or self._checking.is_foreign(name):
            return {}
        nothing = self._wanted.kind == "instance_mask" and root.find("object") is None
        if nothing and not self._files.has(path):
            return {}
        numbers = painting.picture_in(self._files, path, size)
        void = np.iinfo(numbers.dtype).max
        return {number: mask for number, mask in painting.masks(numbers) if number != void}

    def _region(self, masks: _Masks, labels: Sequence[str], number: int) -> dict[str, Any]:
        if number >= len(labels):
            why = f"has a pixel of {number}, which is the number of no class"
            raise Unfit("", why, Code.UNKNOWN_CLASS)
        return {"class": self._checking.named(labels[number]).id, "mask": masks[number]}

    def _object(self, masks: _Masks, said: tuple[int, ET.Element | None]) -> dict[str, Any]:
        number, element = said
        if element is None:
            why = f"has a pixel of {number}, which is the number of no object"
            raise Unfit("", why, Code.MISSING)
        named = self._checking.named(_text(element, "name"))
        place: dict[str, Any]
        match self._wanted.kind:
            case "instance_mask" if number not in masks:
                why = f"has no pixel of {number} in SegmentationObject"
                raise Unfit("", why, Code.MISSING)
            case "instance_mask":
                place = {"mask": masks[number]}
            case "polygon":
                place = {"polygon": [[_outline(element)]]}
            case _:
                low, high = (_at(element, "bndbox", EDGES[i : i + 2]) for i in (0, 2))
                place = {"box": [low[0] - FIRST, low[1] - FIRST, *high]}
        difficult = element.findtext("difficult") == "1"
        return {
            "class": named.id,
            "attributes": _attributes(element, named),
            **place,
            **({"optional": True} if difficult else {}),
        }


def _size(root: ET.Element) -> Size | None:
    """Some tools have 0 where they do not know."""
    if root.find("size") is None:
        return None
    width, height = _at(root, "size", ("width", "height"))
    if not (width.is_integer() and height.is_integer()):
        raise InvalidAnswer("size", "must be whole numbers")
    return Size(int(width), int(height)) if width and height else None


def _at(element: ET.Element, of: str, names: tuple[str, ...]) -> list[float]:
    return [_number(element.findtext(f"{of}/{name}"), f"{of}.{name}") for name in names]


def _text(element: ET.Element, of: str) -> str:
    """Without the line breaks that some tools put around it."""
    return element.findtext(of, "").strip()


def _number(text: str | None, at: str) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise InvalidAnswer(at, "must be a number") from error


def _outline(element: ET.Element) -> list[list[float]]:
    """Of x1, y1, x2, y2, ..., in whichever order they stand."""
    polygons = element.findall("polygon")
    if len(polygons) != 1:
        why = f"has {len(polygons)} polygons, not one" if polygons else "has no polygon"
        raise InvalidAnswer("", why)
    said = {each.tag: each.text for each in polygons[0]}
    count = (len(polygons[0]) + 1) // 2  # so of what is odd, or has one twice, one is missing
    names = (f"{axis}{number}" for number in range(1, count + 1) for axis in "xy")
    flat = [_number(said.get(name), f"polygon.{name}") - FIRST for name in names]
    return [flat[i : i + 2] for i in range(0, len(flat), 2)]


def _attributes(element: ET.Element, named: LabelClass) -> dict[str, object]:
    said = {
        _text(each, "name"): _text(each, "value")
        for each in element.iterfind("attributes/attribute")
    }
    found = checking.typed(said, named)
    for flag in FLAGS:
        asked = named.attribute(flag)
        if asked is not None and asked.type is Type.FLAG and element.findtext(flag) == "1":
            found[flag] = found.get(flag, True)
    return found
