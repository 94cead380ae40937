"""The files in what somebody sent: a zip, a tar, or one file alone. None is written by its name."""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from tessera.formats.archive import Files, unpacked
from tessera.formats.errors import BadFile
from tessera.images.archive import Archive, BadArchive
from tessera.images.skipping import WHY, shown

MOST_BYTES = 16 * 2**30
"""Of one file in a zip, unpacked."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
_TAR, _TAR_AT = b"ustar", 257


@contextmanager
def opened(path: Path, *, alone: str | None) -> Iterator[Files]:
    """What is in a file.

    Args:
        alone: What it is called if it is no archive; None if it has to be one.

    Raises:
        BadFile: It cannot be opened, or not be read on.
    """
    with path.open("rb") as file:
        head = file.read(_TAR_AT + len(_TAR))
    try:
        if head.startswith(_ZIP):
            with closing(Archive(path)) as archive:
                yield _Zipped(archive)
        elif head[_TAR_AT:] == _TAR:
            with unpacked(path) as files:
                yield files
        elif head.startswith(_PACKED):
            raise BadFile("", "is compressed; send a zip, a tar, or the file itself")
        elif alone is None:
            raise BadFile("", "is neither a zip nor a tar, as files of this format have to come")
        else:
            yield _Alone(path, alone)
    except BadArchive as error:
        raise BadFile("", error.detail) from error
    except tarfile.TarError as error:
        raise BadFile("", f"is a damaged tar: {error}") from error


class _Zipped:
    """Unpacks a file when it is opened, to where no name leads to it any more."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._entries, odd = archive.files()
        for name, fault in odd:  # what it says would be missing, and nobody would know
            raise BadFile(shown(name), WHY[fault])

    def names(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def has(self, name: str) -> bool:
        return name in self._entries

    def open(self, name: str) -> BinaryIO:
        if name not in self._entries:
            raise FileNotFoundError(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            try:
                self._archive.extract(self._entries[name], path, max_bytes=MOST_BYTES)
            except BadArchive as error:
                raise BadFile(name, error.detail) from error
            return path.open("rb")


class _Alone:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def names(self) -> Iterator[str]:
        return iter([self._name])

    def has(self, name: str) -> bool:
        return name == self._name

    def open(self, name: str) -> BinaryIO:
        if name != self._name:
            raise FileNotFoundError(name)
        return self._path.open("rb")
