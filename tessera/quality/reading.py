"""Reads a file of annotations, as a process of its own: `python -m tessera.quality.reading`.

It keeps what a hostile file makes a reader do (all the memory, endless work, a crash) from the
worker, and the worker's other jobs from waiting for it. The request is the one line of stdin,
JSON; when stdin ends, the parent is gone, and so is this process. What the file says goes to
`known`, one image to a line, what was refused to `refused`, and what was not asked for of an image
to `left_out`; the one line of stdout counts them.
"""

import os
import resource
import sys
from collections.abc import Container, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import orjson

from tessera.formats import FORMATS
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Refused, Source, Wanted
from tessera.kinds import LabelSchema, Size
from tessera.quality.from_coco import without_confidence
from tessera.quality.unpacking import opened
from tessera.shapes.georeference import Georeference

MOST_REFUSALS = 10_000
"""That are told one by one."""
MEMORY_BYTES = 4 * 2**30
"""Of data. JSON that has to be read as a whole takes five times its size."""
LONGEST = 1_000
"""Letters of a place, or of a reason: a file may have names of any length."""
OUTPUT_BYTES = 32 * 2**30
CPU_SECONDS = 3_600
_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True)
class Request:
    path: str
    """Of the file."""
    format: str
    kind: str
    """Of the objects; and so the label schema."""
    label_schema: dict[str, Any]
    images: str
    """Path of a file with the images of the project: a line with name, width, height and
    georeference each."""
    known: str
    refused: str
    left_out: str
    """Paths to write to."""


def source_of(format_name: str) -> Source | None:
    """How files of a format are read; None if they are only written."""
    found = FORMATS.get(format_name)
    return found if hasattr(found, "read") else None  # type: ignore[return-value]


def alone(format_name: str, kind: str, schema: LabelSchema) -> str | None:
    """What the only file of a format is called; None if it comes as an archive of many."""
    names = FORMATS[format_name].files(Described("", "", kind, schema))
    files = [name for name in names if not name.endswith(".tar")]
    return files[0] if len(files) == 1 else None


def read(request: Request) -> dict[str, Any]:
    """Write what a file says and what of it was refused.

    Returns:
        Counts: `known` and `refused`; `short`, images of the project of which something was
        refused; and `bad`, with `code`, `at` and `why`, if the file could not be read, or not to
        its end.
    """
    schema, source = LabelSchema.parse(request.label_schema), source_of(request.format)
    if source is None:
        raise ValueError(f"{request.format!r} is only written")
    images, georeferences = dict[str, Size](), dict[str, Georeference]()
    with Path(request.images).open("rb") as lines:
        for name, width, height, there in map(orjson.loads, lines):
            images[name] = Size(width, height)
            if there is not None:
                georeferences[name] = Georeference.of(there)
    wanted = Wanted(request.kind, schema, images, georeferences=georeferences)
    with ExitStack() as files_:
        paths = request.known, request.refused, request.left_out
        opened_ = (files_.enter_context(Path(each).open("wb")) for each in paths)
        noting = _Noting(images, *opened_)
        try:
            lone = alone(request.format, request.kind, schema)
            with opened(Path(request.path), alone=lone) as files:
                for each in source.read(files, wanted):
                    noting.note(each)
        except BadFile as error:
            noting.stop("bad-file", str(error.facts["at"]), str(error.facts["why"]))
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours: they shall know how far it came
            noting.stop("reader-crashed", f"after {noting.at}", f"{type(error).__name__}: {error}")
    return noting.told()


class _Noting:
    def __init__(
        self, images: Container[str], known: BinaryIO, refused: BinaryIO, left_out: BinaryIO
    ) -> None:
        self._images = images
        self._known, self._refused, self._left_out = known, refused, left_out
        self._counts = {"known": 0, "refused": 0}
        self._told_left_out = 0
        self._short: set[str] = set()
        """Of the images of the project: a file may name any number of others."""
        self._bad: dict[str, Any] | None = None
        self.at = "its beginning"

    def note(self, each: Known | Refused) -> None:
        self.at = each.at
        if isinstance(each, Known):
            self._counts["known"] += 1
            bare = without_confidence(each)
            line = {"at": each.at, "name": each.name, "objects": bare.objects}
            self._known.write(orjson.dumps(line, option=_LINE))
            if each.left_out:
                self._leave_out(each)
            return
        if each.image in self._images:
            self._short.add(each.image)
        self._counts["refused"] += 1
        if self._counts["refused"] <= MOST_REFUSALS:
            self._refused.write(orjson.dumps(_line(each, each.image), option=_LINE))

    def _leave_out(self, each: Known) -> None:
        """A line with their number, and of the first of the file each."""
        told = each.left_out[: MOST_REFUSALS - self._told_left_out]
        self._told_left_out += len(told)
        lines = [_line(attribute, each.name) for attribute in told]
        line = {"image": each.name, "count": len(each.left_out), "lines": lines}
        self._left_out.write(orjson.dumps(line, option=_LINE))

    def stop(self, code: str, at: str, why: str) -> None:
        self._bad = {"code": code, "at": plain(at), "why": plain(why)}

    def told(self) -> dict[str, Any]:
        return {**self._counts, "short": sorted(self._short), "bad": self._bad}


def _line(each: Refused, image: str) -> dict[str, Any]:
    """Of the report."""
    return {
        "at": plain(each.at),
        "image": plain(image) or None,
        "code": each.code,
        "reason": plain(each.why),
    }


def plain(text: str) -> str:
    """As JSON and the database take it: not too long, and without what is no letter."""
    letters = text[:LONGEST].encode(errors="replace").decode()
    return letters.replace("\0", "\N{REPLACEMENT CHARACTER}")


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """What was written to one of the files."""
    with path.open("rb") as lines:
        yield from map(orjson.loads, lines)


def _go_with_the_parent() -> None:
    # os.read, not sys.stdin: its lock would block the interpreter's own exit
    while os.read(0, 1 << 16):
        pass
    os._exit(75)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    with suppress(ValueError):  # the parent's own limit is lower
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    line = sys.stdin.buffer.readline()
    Thread(target=_go_with_the_parent, daemon=True).start()
    asked = orjson.loads(line)
    told = read(Request(**{each.name: asked[each.name] for each in fields(Request)}))
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
