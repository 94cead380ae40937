"""All files of a version, written side by side in one pass over the images."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tessera.datasets.manifest import File
from tessera.datasets.options import Options
from tessera.formats import FORMATS
from tessera.formats.protocol import Described, Writer
from tessera.formats.records import LabelledImage


class Export:
    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def add(self, images: Iterable[LabelledImage], picture: Path | None = None) -> None:
        """Write images.

        Args:
            picture: The operator's file, if the dataset has pictures; then it is one image.
        """
        for image in images:
            for writer in self._writers:
                writer.add(image, picture)

    def finish(self) -> None:
        for writer in self._writers:
            writer.finish()


@contextmanager
def exporting(folder: Path, dataset: Described, options: Options) -> Iterator[Export]:
    """Begin all files in a folder; they are complete after `finish` and this block."""
    with ExitStack() as undo:
        writers = [FORMATS[name].writer(folder, dataset) for name in options.formats]
        yield Export([undo.enter_context(each) for each in writers])


def files(folder: Path, dataset: Described, options: Options) -> list[File]:
    """What `exporting` has left there."""
    return [
        _file(folder / path, media_type)
        for name in options.formats
        for path, media_type in FORMATS[name].files(dataset).items()
    ]


def _file(path: Path, media_type: str) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(path.name, sha256, path.stat().st_size, media_type)
