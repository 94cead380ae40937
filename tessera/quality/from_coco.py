"""Known answers in COCO, in the body of a call: read as files of COCO are."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO

from tessera.formats import coco, coco_reading
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import LabelSchema, Size, shown
from tessera.quality.errors import BadCoco, UnknownClass

_NAME = "coco.json"


class _Body:
    """The only file there is."""

    def __init__(self, file: object) -> None:
        self._bytes = json.dumps(file).encode()

    def names(self) -> Iterator[str]:
        return iter([_NAME])

    def has(self, name: str) -> bool:
        return name == _NAME

    def open(self, name: str) -> BinaryIO:
        if name != _NAME:
            raise FileNotFoundError(name)
        return io.BytesIO(self._bytes)


def read(file: object, kind_name: str, schema: LabelSchema) -> list[Known]:
    """What is known, image by image; nothing on one is a known answer as well.

    Raises:
        BadCoco: A value is missing or makes no sense; `at` names it.
        UnknownClass: A category used is no class of the schema.
    """
    of, under = shown(kind_name, schema)
    if of not in coco.KINDS:
        raise BadCoco(f"Of {of}, known objects are given as `images`.", at="")
    known = []
    try:
        for each in coco_reading.read(_Body(file), Wanted(of, under)):
            if isinstance(each, Refused):
                raise _refusal(each.at, each.why, each.code)
            known.append(without_confidence(each))
    except BadFile as error:
        raise _refusal(str(error.facts["at"]), str(error.facts["why"])) from error
    return known


def without_confidence(known: Known) -> Known:
    """How certain somebody was is neither known to be right nor shown to anybody."""
    objects = [
        {name: value for name, value in each.items() if name != "confidence"}
        for each in known.objects
    ]
    return replace(known, objects=objects)


def _refusal(at: str, why: str, code: Code = Code.BAD_FILE) -> BadCoco | UnknownClass:
    place = _in_body(at)
    refuse = UnknownClass if code is Code.UNKNOWN_CLASS else BadCoco
    return refuse(f"{place}: {why}" if place else why, at=place)


def check_sizes(known: Sequence[Known], sizes: Mapping[str, Size]) -> None:
    """Refuse what was drawn on images of another size.

    Raises:
        BadCoco: Something was.
    """
    for each in known:
        width, height = sizes[each.name]
        if each.size != (width, height):
            raise BadCoco(
                f"“{each.name}” is {width} x {height} pixels, seen upright. What was drawn on "
                "another size would be wrong.",
                at=_in_body(each.at),
            )


def _in_body(at: str) -> str:
    return at.removeprefix(_NAME).removeprefix(": ")
