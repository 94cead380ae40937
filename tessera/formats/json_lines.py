"""JSON Lines: one image to a line, with all that is known of it; `records` says what that is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage
from tessera.kinds import KINDS as _ALL

MEDIA_TYPE = "application/x-ndjson"
FILE = "labels.jsonl"
KINDS = frozenset(_ALL)


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return []


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
