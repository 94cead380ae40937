"""All files of a version, written side by side in one pass over the images."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Protocol

from tessera.datasets import coco, json_lines, parquet
from tessera.datasets.assemble import ImageTiles, labelled
from tessera.datasets.manifest import Described, File
from tessera.datasets.records import LabelledImage
from tessera.datasets.tally import Tally
from tessera.kinds import LabelSchema, kind_of
from tessera.storage.keys import DatasetFile


class Writer(Protocol):
    def add(self, image: LabelledImage) -> None: ...
    def finish(self) -> None: ...


class Export:
    """Memory is bounded by the largest image, not by their number."""

    def __init__(self, project: Described, writers: Sequence[Writer]) -> None:
        self._kind = kind_of(project.kind)
        self._schema = LabelSchema.parse(project.label_schema)
        self._writers = writers
        self.tally = Tally()

    def add(self, images: Sequence[ImageTiles]) -> None:
        for each in images:
            if each.gap is not None:
                self.tally.left_out[each.gap] += 1
                continue
            image = labelled(self.tally.images + 1, each, self._kind, self._schema)
            self.tally.add(image)
            for writer in self._writers:
                writer.add(image)

    def finish(self) -> None:
        for writer in self._writers:
            writer.finish()


@contextmanager
def exporting(folder: Path, project: Described) -> Iterator[Export]:
    """Begin all files in an empty folder; they are complete after `finish` and this block."""
    schema = LabelSchema.parse(project.label_schema)
    with ExitStack() as undo:
        spools = [undo.enter_context(TemporaryFile(dir=folder)) for _ in range(2)]
        yield Export(
            project,
            [
                coco.CocoWriter(
                    undo.enter_context((folder / DatasetFile.COCO).open("wb")),
                    spools=(spools[0], spools[1]),
                    info={"description": project.name, "project": project.id},
                    schema=schema,
                ),
                json_lines.JsonLinesWriter(
                    undo.enter_context((folder / DatasetFile.JSON_LINES).open("wb"))
                ),
                parquet.ParquetWriter(folder / DatasetFile.PARQUET, schema=schema),
            ],
        )


def files(folder: Path) -> list[File]:
    """What `exporting` has left there."""
    return [_file(folder / name, kind) for name, kind in _MEDIA_TYPES.items()]


_MEDIA_TYPES = {
    DatasetFile.COCO: coco.MEDIA_TYPE,
    DatasetFile.JSON_LINES: json_lines.MEDIA_TYPE,
    DatasetFile.PARQUET: parquet.MEDIA_TYPE,
}


def _file(path: Path, media_type: str) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(path.name, sha256, path.stat().st_size, media_type)
