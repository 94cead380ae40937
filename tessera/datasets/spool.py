"""Assembled images on disk, between reading the database and writing the files.

So no transaction is open while files are written and pictures are fetched, however long that takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import orjson

from tessera.datasets.assemble import ImageTiles, labelled
from tessera.datasets.manifest import Labelled
from tessera.datasets.options import Options
from tessera.datasets.splits import Splitter
from tessera.datasets.tally import Tally
from tessera.formats.records import LabelledImage, LabelledObject, LabelledTile
from tessera.kinds import kind_of, parsed


class Spool:
    """Memory is bounded by the largest image, not by their number."""

    def __init__(self, out: BinaryIO, project: Labelled, options: Options) -> None:
        self._out = out
        self._kind = kind_of(project.drawn_in.kind)
        self._schema = parsed(project.drawn_in.label_schema)
        self._splitter = None if options.splits is None else Splitter(options.splits)
        self.tally = Tally()

    def add(self, images: Sequence[ImageTiles]) -> None:
        """Put together and keep the images that have no gap; count the others."""
        for each in images:
            if each.gap is not None:
                self.tally.left_out[each.gap] += 1
                continue
            image = labelled(self.tally.images + 1, each, self._kind, self._schema)
            if self._splitter is not None:
                image = replace(image, split=self._splitter.of(image).value)
            self.tally.add(image)
            self._out.write(orjson.dumps(image, option=orjson.OPT_APPEND_NEWLINE))


def spooled(path: Path) -> Iterator[LabelledImage]:
    """The images again, in their order."""
    with path.open("rb") as lines:
        for line in lines:
            image = LabelledImage(**orjson.loads(line))
            yield replace(
                image,
                objects=[LabelledObject(**each) for each in image.objects],  # type: ignore[arg-type]
                tiles=[LabelledTile(**each) for each in image.tiles],  # type: ignore[arg-type]
            )
