"""Every object's key, from ids and hashes only: no key ever contains what a user typed.

An object is written under its key once. What its key names by hash can be written again, with the
same bytes. No key is the beginning of another key's path: a store on a file system could not hold
both.
"""

import re
from enum import StrEnum
from uuid import UUID

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[a-z0-9_-]{1,40}\.[a-z]{1,10}")


class Extension(StrEnum):
    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"


def upload(project_id: UUID, image_id: UUID) -> str:
    """Where a browser puts a file: unchecked, and not ours until it is."""
    return f"uploads/{_id(project_id)}/{_id(image_id)}"


def originals(project_id: UUID, image_id: UUID) -> str:
    """The beginning of the key of an image's original."""
    return f"originals/{_id(project_id)}/{_id(image_id)}/"


def original(project_id: UUID, image_id: UUID, sha256: str) -> str:
    """A checked upload, as it came; named by its own hash."""
    return originals(project_id, image_id) + _hash(sha256)


def tiles(project_id: UUID) -> str:
    """The beginning of the keys of a project's tiles."""
    return f"tiles/{_id(project_id)}/"


def tile(project_id: UUID, sha256: str, extension: str) -> str:
    """Says nothing of the image: earners see it, and might learn which tiles belong together."""
    return f"{tiles(project_id)}{_hash(sha256)}.{Extension(extension)}"


def thumbnails(project_id: UUID, image_id: UUID) -> str:
    """The beginning of the key of an image's thumbnail."""
    return f"thumbnails/{_id(project_id)}/{_id(image_id)}/"


def thumbnail(project_id: UUID, image_id: UUID, sha256: str, extension: str) -> str:
    return f"{thumbnails(project_id, image_id)}{_hash(sha256)}.{Extension(extension)}"


def dataset(project_id: UUID, sha256: str, file: str) -> str:
    """A file of a dataset version; named by its own hash, so versions share equal files.

    Args:
        file: As its format calls it.
    """
    if not _FILE.fullmatch(file):
        raise ValueError(f"Not a file of a dataset: {file!r}")
    return f"datasets/{_id(project_id)}/{_hash(sha256)}/{file}"


def import_file(project_id: UUID, import_id: UUID) -> str:
    """Where an operator puts one archive, or one file of known answers."""
    return f"imports/{_id(project_id)}/{_id(import_id)}"


def _id(value: UUID) -> str:
    if not isinstance(value, UUID):
        raise ValueError(f"Not an id: {value!r}")  # noqa: TRY004 - mypy has said it already
    return str(UUID(int=value.int))


def _hash(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(f"Not a SHA-256 in lower-case hex: {value!r}")
    return value
