"""Many files in one: tar, written as a stream, so that memory does not grow with their number.

(A zip ends in a list of all its files, which has to be kept until then.) Bytes depend on names and
contents only. Zips are read as well. Nothing is ever extracted, so no path can lead anywhere;
whoever sends one that tries is told.
"""

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, BinaryIO, Protocol, cast

from tessera.formats.errors import BadFile

MEDIA_TYPE = "application/x-tar"
MOST_GROWTH = 200
"""Of a zip whose members are unpacked; labels as text shrink to a fiftieth at most."""
_MODE, _ANY_GROWTH, _SHOWN, _AT_ONCE = 0o644, 2**24, 300, 2**20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)
"""What the standard library says of a zip that is."""
_DAMAGED_TAR = (
    tarfile.TarError,
    ValueError,
    OverflowError,
    EOFError,
    IndexError,
    RecursionError,
)
"""And of a tar: some of its headers are read without a look at what they say."""
_LITTER = frozenset({".DS_Store", "Icon\r", "Thumbs.db", "desktop.ini"})
_OF_TOOLS = frozenset({"__MACOSX", ".git", ".idea", ".ipynb_checkpoints", ".vscode"})
"""Folders."""
_UNFIT = {stat.S_IFLNK: "is a link, which is not followed"}


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
            if path.is_file() and not path.is_symlink() and not is_litter(path)
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


def is_litter(path: PurePath) -> bool:
    """Whether a file is what a Mac, Windows or a tool keeps beside others, and packs with them."""
    of_tools = not _OF_TOOLS.isdisjoint(path.parts)
    return of_tools or path.name.startswith("._") or path.name in _LITTER


@contextmanager
def unpacked(path: Path) -> Iterator[Files]:
    """The files of a tar or a zip, which are read where they lie.

    Raises:
        BadFile: It is neither; or something in it is damaged, is no plain file, is there twice, has
            a path that leads out of it, or would be far larger than the archive.
    """
    with ExitStack() as undo:
        tar = _tar(path)
        if tar is None:
            yield _Zip(path.name, undo.enter_context(_zip(path)), path.stat().st_size)
        else:
            yield _Tar(path.name, undo.enter_context(tar), path.stat().st_size)


def _tar(path: Path) -> tarfile.TarFile | None:
    """Open it and read its first header; None if that is none."""
    try:
        return tarfile.open(path, mode="r:")
    except tarfile.TarError:
        return None
    except _DAMAGED_TAR as error:
        raise BadFile(path.name, f"is damaged: {error}") from error


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (*_DAMAGED, OSError) as error:
        raise BadFile(path.name, "is neither a zip nor a plain tar archive") from error


class _Tar:
    def __init__(self, path: str, tar: tarfile.TarFile, size: int) -> None:
        self._tar, self._entries = tar, dict[str, tarfile.TarInfo]()
        try:
            for each in tar:
                if each.size < 0:  # tarfile would go back, and read the same again for ever
                    raise BadFile(path, f"is damaged at byte {each.offset:,}")
                if not each.isdir() and not is_litter(PurePosixPath(each.name)):
                    self._entries[_inside(path, each.name, self._entries)] = each
                    _refuse(path, each.name, _fault(each, size))
        except _DAMAGED_TAR as error:
            raise BadFile(path, f"is damaged: {error}") from error
        _see_to_the_end(path, tar)

    def names(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def has(self, name: str) -> bool:
        return name in self._entries

    def open(self, name: str) -> BinaryIO:
        file = self._tar.extractfile(self._entries[name]) if self.has(name) else None
        if file is None:
            raise FileNotFoundError(name)
        return cast("BinaryIO", file)


def _see_to_the_end(path: str, tar: tarfile.TarFile) -> None:
    """Refuse what tarfile takes for the end though it is none: any header that it cannot read."""
    file = cast("BinaryIO", tar.fileobj)
    file.seek(tar.offset)
    rest = file.read(tarfile.BLOCKSIZE)
    whole = len(rest) == tarfile.BLOCKSIZE
    while whole and rest:
        whole, rest = not rest.strip(b"\0"), file.read(_AT_ONCE)
    if not whole:
        last = "".join(f", after {each.name[:_SHOWN]}" for each in tar.getmembers()[-1:])
        raise BadFile(path, f"is damaged or cut off at byte {tar.offset:,}{last}")


def _fault(entry: tarfile.TarInfo, size: int) -> str | None:
    if entry.issym() or entry.islnk():
        return "is a link, which is not followed"
    if not entry.isfile() or entry.issparse():
        return "is no plain file"
    return "is cut off" if entry.offset_data + entry.size > size else None


class _Zip:
    def __init__(self, path: str, archive: zipfile.ZipFile, size: int) -> None:
        self._path, self._zip = path, archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for each in archive.infolist():
            if not each.is_dir() and not is_litter(PurePosixPath(each.filename)):
                self._entries[_inside(path, each.filename, self._entries)] = each
                type_ = stat.S_IFMT(each.external_attr >> 16)
                _refuse(path, each.filename, _UNFIT.get(type_))
                _refuse(path, each.filename, "is encrypted" if each.flag_bits & 1 else None)
        if sum(each.file_size for each in archive.infolist()) > MOST_GROWTH * size + _ANY_GROWTH:
            raise BadFile(path, f"would grow to more than {MOST_GROWTH} times its size")

    def names(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def has(self, name: str) -> bool:
        return name in self._entries

    def open(self, name: str) -> BinaryIO:
        if name not in self._entries:
            raise FileNotFoundError(name)
        at = f"{self._path}: {name}"
        with _damaged(at):
            return cast("BinaryIO", io.BufferedReader(_Inflated(at, self._zip.open(name))))


class _Inflated(io.RawIOBase):
    """A member of a zip, of which only reading shows that it is damaged."""

    def __init__(self, at: str, member: IO[bytes]) -> None:
        self._at, self._member = at, member

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _damaged(self._at), memoryview(buffer) as view:
            content = self._member.read(len(view))
            view[: len(content)] = content
            return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _damaged(self._at):
            return self._member.seek(offset, whence)

    def close(self) -> None:
        self._member.close()
        super().close()


@contextmanager
def _damaged(at: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise BadFile(at, f"is damaged: {error}") from error


def _inside(path: str, name: str, known: Container[str]) -> str:
    """The plain form of a member's path, which none of those known has."""
    plain = name.removeprefix("./")
    if name.startswith("/") or ".." in name.split("/"):
        _refuse(path, name, "leads out of the archive")
    _refuse(path, name, "has a backslash: folders are parted by /" if "\\" in name else None)
    _refuse(path, name, "is there twice" if plain in known else None)
    return plain


def _refuse(path: str, name: str, fault: str | None) -> None:
    if fault is not None:
        raise BadFile(f"{path}: {name[:_SHOWN]}", fault)
