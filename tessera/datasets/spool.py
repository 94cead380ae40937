"""Assembled images on disk, between reading the database and writing the files.

So no transaction is open while files are written and pictures are fetched, however long that takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import orjson

from tessera.datasets.assemble import ImageTiles, labelled, of_tiles
from tessera.datasets.manifest import Labelled
from tessera.datasets.options import Options
from tessera.datasets.splits import Splitter
from tessera.datasets.tally import Tally
from tessera.formats.records import LabelledImage, LabelledObject, LabelledTile
from tessera.kinds import kind_of, parsed
from tessera.storage import keys


class Spool:
    """Memory is bounded by the largest image, not by their number."""

    def __init__(self, out: BinaryIO, project: Labelled, options: Options) -> None:
        self._out = out
        self._kind = kind_of(project.drawn_in.kind)
        self._schema = parsed(project.drawn_in.label_schema)
        self._splitter = None if options.splits is None else Splitter(options.splits)
        self._tiles, self._images_of = options.tiles, project.images_of
        self.tally = Tally()

    def add(self, images: Sequence[ImageTiles]) -> None:
        """Put together and keep the images that have no gap; count the others."""
        for each in images:
            if each.gap is not None:
                self.tally.left_out[each.gap] += 1
                continue
            first_id = self.tally.images + 1
            image = labelled(first_id, each, self._kind, self._schema)
            split = None if self._splitter is None else self._splitter.of(image).value
            if self._tiles:
                some = of_tiles(first_id, each, self._kind, self._schema)
                for one, tile in zip(some, each.tiles, strict=True):
                    self._keep(replace(one, split=split), tile.picture)
            else:
                key = keys.original(self._images_of, UUID(image.uuid), image.sha256)
                self._keep(replace(image, split=split), key)

    def _keep(self, image: LabelledImage, picture: str) -> None:
        self.tally.add(image)
        self._out.write(orjson.dumps([picture, image], option=orjson.OPT_APPEND_NEWLINE))


def spooled(path: Path) -> Iterator[tuple[str, LabelledImage]]:
    """The images again, in their order, each with the key of its picture."""
    with path.open("rb") as lines:
        for picture, line in map(orjson.loads, lines):
            image = LabelledImage(**line)
            yield (
                picture,
                replace(
                    image,
                    objects=[LabelledObject(**each) for each in image.objects],  # type: ignore[arg-type]
                    tiles=[LabelledTile(**each) for each in image.tiles],  # type: ignore[arg-type]
                ),
            )
