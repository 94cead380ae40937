"""What a format is: how records become files, and files records."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from tessera.formats.archive import Files
from tessera.formats.records import LabelledImage
from tessera.kinds import LabelSchema, Size


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Loses(StrEnum):
    """What of a record a format may have no place for; the manifest lists it."""

    ATTRIBUTES = "attributes"
    CONFIDENCE = "confidence"
    CROWD = "crowd"
    """That a region of gold is a crowd; such objects are left out."""
    HOLES = "holes"
    """Outer rings only."""
    SHAPE = "shape"
    """An upright box stands for it."""
    SOURCE = "source"
    """What settled it."""
    TILES = "tiles"
    VISIBILITY = "visibility"
    """Whether a point is seen or hidden."""
    PARTS = "parts"
    """Each part of an object is an object of its own."""
    OVERLAPS = "overlaps"
    """A pixel is of one object: of those that overlap, the later one has it."""
    CLASS_IDS = "class-ids"
    """Classes have their names, and numbers from 0 in the order of the schema."""
    EMPTY_IMAGES = "empty-images"
    """Images on which nothing is do not appear."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the records of a dataset are."""

    project_id: str
    name: str
    kind: str
    """A key of `tessera.kinds.KINDS`."""
    schema: LabelSchema
    splits: tuple[Split, ...] = ()
    """Empty: one dataset, which is not divided."""
    pictures: bool = False
    """Whether files of images come with the records."""


class Writer(Protocol):
    def add(self, image: LabelledImage, picture: Path | None) -> None:
        """Write one image, in the order of ids.

        Args:
            picture: The operator's file, if the dataset has `pictures`.
        """

    def finish(self) -> None:
        """Nothing comes any more."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a file says of one image, for gold or as predictions."""

    at: str
    """Where it says so: path and line, or path and record."""
    name: str
    """Of the image."""
    objects: Sequence[Mapping[str, Any]]
    """Image objects, as `Kind.to_tile` takes them: image pixels; `optional` for crowds, and
    `confidence` if the file has it."""
    size: Size | None = None
    """If the file tells it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was not taken, and why. The others are."""

    at: str
    why: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader needs to know of the project that it reads for."""

    kind: str
    schema: LabelSchema
    images: Mapping[str, Size] = field(default_factory=dict)
    """By name."""


class Format(Protocol):
    KINDS: frozenset[str]
    """Whose objects it can hold, if perhaps not all of them (see `losses`)."""

    def files(self, dataset: Described) -> dict[str, str]:
        """Media types by name of the files that a writer leaves; no two formats share a name."""

    def losses(self, dataset: Described) -> list[Loses]:
        """What it cannot carry of such a dataset."""

    def writer(self, folder: Path, dataset: Described) -> AbstractContextManager[Writer]:
        """Begin all `files` in a folder; they are complete after `finish` and the block.

        Memory does not grow with the number of images. The same records are the same bytes.
        """


class Source(Protocol):
    """A format that known annotations can be read from."""

    def read(self, files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
        """Every image that the files know, as far as it can be used, and what cannot be.

        Raises:
            BadFile: The files are not of this format at all; says where and why.
        """
