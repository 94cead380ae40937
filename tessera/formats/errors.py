from enum import StrEnum
from typing import ClassVar

from tessera.kernel.errors import Invalid
from tessera.kinds import InvalidAnswer


class Code(StrEnum):
    """Why something of a file was not taken, for programs; the values never change."""

    FOREIGN_IMAGE = "foreign-image"
    """All that is wrong is that the image is not among those that were `Wanted`."""
    BAD_NAME = "bad-name"
    """Of an image: none that a project can have."""
    OTHER_SIZE = "other-size"
    """The image has another size than the file says, none, or far too many pixels."""
    OTHER_CAMERA = "other-camera"
    """Cuboids in space are of another camera than the label schema has."""
    REPEATED = "repeated"
    """An image or an id is there again; the first holds."""
    MISSING = "missing"
    """It refers to what the files do not have: an image, a category, a picture of masks."""
    UNKNOWN_CLASS = "unknown-class"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    UNKNOWN_POINT = "unknown-point"
    """A keypoint that the skeleton of its class does not have."""
    UNLABELLED = "unlabelled"
    """Whoever labelled it said nothing: no point of its keypoints, or that they skip the image."""
    BAD_RECORD = "bad-record"
    """Not what the format has there."""
    BAD_OBJECT = "bad-object"
    """Read, but nothing that can be in this image of this project: it crosses itself, lies outside,
    is nothing, has a value of an attribute that is none, ..."""
    BAD_FILE = "bad-file"
    """Not what it is said to be, a file or a member of an archive."""


class BadFile(Invalid):
    """Files that cannot be read as what they are said to be."""

    code: ClassVar[str] = Code.BAD_FILE

    def __init__(self, at: str, why: str) -> None:
        """Say what is wrong and where.

        Args:
            at: Path, and line or record.
            why: What is wrong with it, for people.
        """
        super().__init__(f"{at}: {why}" if at else why, at=at, why=why)


class Unfit(InvalidAnswer):
    """A value of a record, for a reason of its own; what is merely invalid is a bad record."""

    def __init__(self, at: str, why: str, reason: Code) -> None:
        super().__init__(at, why)
        self.reason = reason


class UnknownFormat(Invalid):
    code: ClassVar[str] = "unknown-format"
