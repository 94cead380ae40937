"""JSON Lines: one image to a line, with all that is known of it; `records` says what that is."""

from typing import BinaryIO

import orjson

from tessera.datasets.records import LabelledImage

MEDIA_TYPE = "application/x-ndjson"


class JsonLinesWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def add(self, image: LabelledImage) -> None:
        self._out.write(orjson.dumps(image, option=orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        """Nothing is held back."""
