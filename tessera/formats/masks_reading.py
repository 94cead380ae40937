"""Reading masks in the layout of Cityscapes; see `masks`.

Numbers of classes are those of `classes.txt`, if it is there, else those that our writer would
give. An image is known by the path of its file, with or without `_leftImg8bit`. To readers 255 of
8 bits is void as 0 is, as of pictures of train ids.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from tessera.formats import checking, painting
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size, fields

CLASSES = "classes.txt"
TOGETHER = 1_000
"""Numbers below it are of classes, those above of objects."""
_MOST_TOLD, _MOST = 64, 65_534
"""Numbers of classes, so that those of objects, or they themselves, fit into 16 bits."""
_GROUP = "group"
_ENDINGS = {
    "instance_mask": "_gtFine_instanceIds.png",
    "polygon": "_gtFine_polygons.json",
    "semantic_mask": "_gtFine_labelIds.png",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    by_id: Mapping[int, int]
    are_ids: bool
    told_by_class: bool
    """Whether numbers of objects begin with that of their class."""


def numbers_of(schema: LabelSchema, kind: str) -> Numbers:
    """What the classes of a schema are numbered as."""
    most = _MOST if kind == "semantic_mask" else _MOST_TOLD
    are_ids = max(schema.ids) <= most
    by_id = {each.id: each.id if are_ids else i for i, each in enumerate(schema.classes, 1)}
    return Numbers(by_id, are_ids, max(by_id.values()) <= most)


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`."""
    ending = _ENDINGS[wanted.kind]
    paths = [path for path in files.names() if path.endswith(ending)]
    if not paths:
        raise BadFile("gtFine", f"has no file *{ending}")
    reader = _Reader(files, wanted)
    for path in paths:
        top, _, below = f"/{path.removesuffix(ending)}".rpartition("/gtFine/")
        yield from reader.image(path, top, below.partition("/")[2])


class _Reader:
    def __init__(self, files: Files, wanted: Wanted) -> None:
        self._files, self._wanted, self._checking = files, wanted, Checking(wanted)
        self._stems = checking.by_stem(wanted.images)
        self._numbers = numbers_of(wanted.schema, wanted.kind)
        self._names_below = cache(self._names_in)

    def _names_in(self, top: str) -> dict[int, str]:
        """What the numbers in pictures mean, below a folder."""
        path = f"{top}/{CLASSES}".lstrip("/")
        if self._files.has(path):
            return dict(_listed(self._files, path))
        by_id = self._numbers.by_id
        return {by_id[each.id]: each.name for each in self._wanted.schema.classes}

    def image(self, path: str, top: str, stem: str) -> Iterator[Known | Refused]:
        name = self._stems.get(stem) or self._stems.get(f"{stem}_leftImg8bit", stem)
        size = self._wanted.images.get(name)
        try:
            if self._wanted.kind == "polygon":
                size, outlines = self._outlined(path)
                yield from self._checking.image(path, name, size, outlines, self._outline)
            else:
                drawn = [] if size is None else self._drawn(path, size)
                read_mask = partial(self._mask, self._names_below(top))
                yield from self._checking.image(path, name, size, drawn, read_mask)
        except InvalidAnswer as error:
            yield checking.refused(path, error, name)
        except BadFile as error:
            yield replace(checking.unreadable(error), image=name)

    def _outlined(self, path: str) -> tuple[Size, list[tuple[str, object]]]:
        document = mapping(checking.loaded(self._files, path), "")
        width, height = (
            fields.whole(document.get(side), side, InvalidAnswer)
            for side in ("imgWidth", "imgHeight")
        )
        objects = fields.items(
            document.get("objects"), "objects", InvalidAnswer, most=checking.MOST_NUMBERS
        )
        return Size(width, height), [(f"{path}: {at}", each) for at, each in objects]

    def _outline(self, value: object) -> dict[str, Any]:
        found = mapping(value, "")
        label = found.get("label")
        crowd = isinstance(label, str) and label.endswith(_GROUP) and not self._is_class(label)
        named = self._checking.named(str(label).removesuffix(_GROUP) if crowd else label)
        optional = {"optional": True} if crowd else {}
        return {"class": named.id, "polygon": [[found.get("polygon")]], **optional}

    def _is_class(self, name: str) -> bool:
        return any(each.name == name for each in self._wanted.schema.classes)

    def _drawn(self, path: str, size: Size) -> list[tuple[str, tuple[int, bool, dict[str, Any]]]]:
        """The class of each number, whether it is of a crowd, and its mask."""
        picture = self._picture(path, size)
        found = [
            (number, mask)
            for number, mask in painting.masks(picture)
            if picture.dtype != np.uint8 or number != np.iinfo(np.uint8).max
        ]
        if self._wanted.kind == "semantic_mask":
            return [(path, (number, False, mask)) for number, mask in found]
        if self._numbers.told_by_class:
            return [
                (path, (number // TOGETHER or number, number < TOGETHER, mask))
                for number, mask in found
            ]
        beside = path.replace("_instanceIds.png", "_labelIds.png")
        labels = painting.picture_in(self._files, beside, size).ravel()
        firsts = np.unique(picture, return_index=True)
        classes = {number: int(labels[first]) for number, first in zip(*firsts, strict=True)}
        return [(path, (classes[number], False, mask)) for number, mask in found]

    def _picture(self, path: str, size: Size) -> painting.Picture:
        with self._files.open(path) as file:
            return painting.numbers_of(file, size)

    def _mask(
        self, names: Mapping[int, str], said: tuple[int, bool, dict[str, Any]]
    ) -> dict[str, Any]:
        number, crowd, mask = said
        if number not in names:
            why = f"has a pixel of {number}, which is the number of no class"
            raise Unfit("", why, Code.UNKNOWN_CLASS)
        named: LabelClass = self._checking.named(names[number])
        return {"class": named.id, "mask": mask, **({"optional": True} if crowd else {})}


def _listed(files: Files, path: str) -> Iterator[tuple[int, str]]:
    with files.open(path) as file:
        lines = file.read().decode(errors="replace").splitlines()
    for line in lines:
        number, _, rest = line.partition("\t")
        if number.isdecimal() and len(number) <= len(str(_MOST)):
            yield int(number), rest.partition("\t")[2]
