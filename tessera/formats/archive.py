"""Many files in one: tar, written as a stream, so that memory does not grow with their number.

(A zip ends in a list of all its files, which has to be kept until then.) Bytes depend on names and
contents only.
"""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

MEDIA_TYPE = "application/x-tar"
_MODE = 0o644


class TarWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, content: bytes) -> None:
        self._add(name, len(content), io.BytesIO(content))

    def add_file(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self._add(name, path.stat().st_size, file)

    def close(self) -> None:
        self._tar.close()

    def _add(self, name: str, length: int, content: BinaryIO) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = length, _MODE
        self._tar.addfile(entry, content)
        self._tar.getmembers().clear()  # it would keep every entry


class Files(Protocol):
    """Files to read, by path with `/`; of a folder or of an archive."""

    def names(self) -> Iterator[str]:
        """All of them, in byte order."""

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> BinaryIO: ...


class Folder:
    """Files below a folder. Links are not followed: they may lead out of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names = sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        self._known = frozenset(self._names)

    def names(self) -> Iterator[str]:
        return iter(self._names)

    def has(self, name: str) -> bool:
        return name in self._known

    def open(self, name: str) -> BinaryIO:
        if name not in self._known:
            raise FileNotFoundError(name)
        return (self._root / name).open("rb")


@contextmanager
def unpacked(path: Path) -> Iterator[Files]:
    """The files of a tar archive; what are not plain files in it are not there."""
    with tarfile.open(path, mode="r:") as tar:
        yield _Tar(tar)


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._entries = {each.name: each for each in tar if each.isfile()}

    def names(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def has(self, name: str) -> bool:
        return name in self._entries

    def open(self, name: str) -> BinaryIO:
        if name not in self._entries:
            raise FileNotFoundError(name)
        file = self._tar.extractfile(self._entries[name])
        if file is None:
            raise FileNotFoundError(name)
        return io.BytesIO(file.read())
