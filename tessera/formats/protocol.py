"""What a format is: how records become files, and files records."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from tessera.formats.archive import Files
from tessera.formats.errors import Code
from tessera.formats.records import LabelledImage
from tessera.kinds import LabelSchema, Size, TileFrame
from tessera.shapes.georeference import Georeference


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
    SOFT = "soft"
    """How probable each class of an image is; the one or those that it has are there."""
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
    GEOREFERENCE = "georeference"
    """Where on a map an image is."""
    EMPTY_IMAGES = "empty-images"
    """Images on which nothing is do not appear."""
    IMAGE_LABELS = "image-labels"
    """What is said of whole images: it stands where other tools do not look for it."""
    CLASS_NAMES = "class-names"
    """Classes have their ids only."""
    TAXONOMY = "taxonomy"
    """Which class is a kind of which."""
    SKELETON = "skeleton"
    """Edges, flips or sigmas of its points, or all of them."""
    PICTURES = "pictures"
    """Files of images, though they were asked for."""


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
    georeferenced: bool = False
    """Whether of any image it is known where on a map it is."""
    on_earth: bool = False
    """Whether every image has its longitudes and latitudes."""


class Writer(Protocol):
    def add(self, image: LabelledImage, picture: Path | None) -> None:
        """Write one image, in the order of ids.

        Args:
            picture: The operator's file, if the dataset has `pictures`.
        """

    def finish(self) -> None:
        """Nothing comes any more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was not taken, and why. Whatever stands beside it is taken all the same."""

    at: str
    """Where it is: path and line, or path and record, and in that the value."""
    why: str
    """For people."""
    code: Code = Code.BAD_RECORD
    """For programs."""
    image: str = field(default="", compare=False)
    """Name of the image that something was said of, if that much is known."""

    @property
    def foreign(self) -> bool:
        """Whether all that is wrong is that the image is not among those that were `Wanted`."""
        return self.code is Code.FOREIGN_IMAGE


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
    places: Sequence[str] = ()
    """Where the file says each of `objects`; readers give as many as there are objects."""
    left_out: Sequence[Refused] = ()
    """What was said of objects that were taken and had to be left out: attributes that the label
    schema does not have, once for each class and attribute."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader needs to know of the project that it reads for."""

    kind: str
    schema: LabelSchema
    images: Mapping[str, Size] = field(default_factory=dict)
    """By name."""
    frames: Mapping[str, TileFrame] = field(default_factory=dict)
    """Of those that are tiles of others: where they lie, which decides where cuboids may."""
    georeferences: Mapping[str, Georeference] = field(default_factory=dict)
    """Of those of which it is known where on a map they are."""


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

        One pass makes the whole report. Each record of the files is either one of the `objects` of
        a `Known`, with its place in `places`, or is refused by itself and the others go on. What is
        refused as an image stands for all that is said of it; so does, where each image has a file
        of its own, what is refused as a file (`Code.BAD_FILE`). An image without objects is known,
        to show nothing. No two that are `Known` have the same name: a second is refused as
        `Code.REPEATED`, the first holds. Records come as they stand in the files, but what is
        refused of an image before the image.

        It is a generator, and keeps nothing of what it has yielded but names and, of an image, what
        is said of it until all of it is known, on disk where that can be much.

        Raises:
            BadFile: While iterating, the files are not of this format at all, or cannot be read any
                further; says where and why. What was yielded until then holds, but nothing is known
                of the rest: whoever takes all or nothing begins to take after the last. Nothing
                else is raised, whatever the files contain.
        """
