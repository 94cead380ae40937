"""JSON Lines: one image to a line, with all that is known of it; `records` says what that is."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from tessera.formats.archive import Files
from tessera.formats.checking import MOST_NUMBERS, Checking, mapping, place_of, refused
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage
from tessera.kinds import KINDS as _ALL
from tessera.kinds import InvalidAnswer, Size, fields

MEDIA_TYPE = "application/x-ndjson"
FILE = "labels.jsonl"
KINDS = frozenset(_ALL)


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return [Loses.CLASS_NAMES]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["JsonLinesWriter"]:
    del dataset
    with (folder / FILE).open("wb") as out:
        yield JsonLinesWriter(out)


class JsonLinesWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        self._out.write(orjson.dumps(image, option=orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        """Nothing is held back."""


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`. A line at a time: a file may be of any length."""
    if not files.has(FILE):
        raise BadFile(FILE, "is missing")
    checked, classes = Checking(wanted), {each.id: each.name for each in wanted.schema.classes}
    with files.open(FILE) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue  # as editors leave one at the end
            at = f"{FILE}: line {number}"
            image: Mapping[str, Any] = {}
            try:
                image = mapping(_decoded(line.removeprefix(BOM_UTF8)), "")
                width, height = (
                    fields.whole(image.get(side), side, InvalidAnswer)
                    for side in ("width", "height")
                )
                objects = fields.items(
                    image.get("objects"), "objects", InvalidAnswer, most=MOST_NUMBERS
                )
            except InvalidAnswer as error:
                yield refused(at, error, image.get("name"))
                continue
            records = ((f"{at}: {place}", each) for place, each in objects)
            yield from checked.image(
                at, image.get("name"), Size(width, height), records, partial(_object, classes)
            )


def _decoded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidAnswer("", f"is not JSON: {error}") from error


def _object(classes: Mapping[int, str], value: object) -> dict[str, Any]:
    found = mapping(value, "")
    class_id = fields.whole(found.get("class_id"), "class_id", InvalidAnswer)
    if class_id not in classes:
        raise Unfit("class_id", "is not a class of this project", Code.UNKNOWN_CLASS)
    crowd = fields.truth(found.get("crowd", False), "crowd", InvalidAnswer)
    return {
        "class": class_id,
        **place_of(found.get("place", {})),
        "attributes": mapping(found.get("attributes", {}), "attributes"),
        "confidence": found.get("confidence", 1.0),
        **({"optional": True} if crowd else {}),
    }
