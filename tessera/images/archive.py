"""The files in a zip that somebody sent. What the archive says of itself is not believed."""

import errno
import io
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tessera.formats.archive import is_litter
from tessera.formats.names import is_plain_name
from tessera.images.skipping import Skip
from tessera.kernel.errors import Invalid

MOST_ENTRIES = 100_000
MOST_DIRECTORY_BYTES = 20 * 2**20
"""Of the table of contents, which is read into memory as a whole."""
MOST_BYTES = 64 * 2**30
"""Of all files together, unpacked; a small zip can claim petabytes."""
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""The others are unpacked a whole block at a time, and that is a bomb."""
_ENCRYPTED = 0x1
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    ValueError,
    EOFError,
    OSError,
)
"""What zipfile raises on files that were not made to please it."""


class BadArchive(Invalid):
    """The zip, or one file in it, cannot be used; `reason` is stable and public."""

    code = "bad-archive"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail, reason=reason)
        self.reason = reason


class Archive:
    """A zip that is open until `close`."""

    def __init__(self, path: Path) -> None:
        """Read its table of contents.

        Raises:
            BadArchive: not-a-zip
        """
        self._file = _Bounded(path)
        try:
            self._zip = zipfile.ZipFile(self._file)
        except _DAMAGED as error:
            self._file.close()
            raise BadArchive("not-a-zip", "The file is no zip, or a damaged one.") from error

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def files(self) -> tuple[dict[str, zipfile.ZipInfo], list[tuple[str, Skip]]]:
        """Plain files to look at, by name; and names of the others, with what is wrong with each.

        Folders, and what a system packs with the files (`is_litter`), are neither. A name is only
        ever a label: nothing is written by it.

        Raises:
            BadArchive: too-many-entries, too-many-bytes
        """
        entries = [each for each in self._zip.infolist() if not each.filename.endswith("/")]
        if len(entries) > MOST_ENTRIES:
            raise BadArchive("too-many-entries", f"The zip has more than {MOST_ENTRIES:,} files.")
        plain, odd = dict[str, zipfile.ZipInfo](), list[tuple[str, Skip]]()
        for entry in entries:
            name = _name(entry)
            if is_litter(PurePosixPath(name)):
                continue
            fault = _fault(entry, name) or (Skip.REPEATED if name in plain else None)
            if fault is None:
                plain[name] = entry
            else:
                odd.append((name, fault))
        if sum(entry.file_size for entry in plain.values()) > MOST_BYTES:
            gigabytes = MOST_BYTES // 2**30
            raise BadArchive("too-many-bytes", f"Unpacked, it has more than {gigabytes} GiB.")
        return plain, odd

    def extract(self, entry: zipfile.ZipInfo, target: Path, *, max_bytes: int) -> None:
        """Unpack one file; no more comes out of it than it claims to have.

        Raises:
            BadArchive: encrypted, unsupported-compression, too-many-bytes, corrupt
            OSError: There is no room for it.
        """
        if entry.flag_bits & _ENCRYPTED:
            raise BadArchive("encrypted", "The file is encrypted in the zip.")
        if entry.compress_type not in _PACKED:
            raise BadArchive("unsupported-compression", "Only deflated files can be unpacked.")
        if entry.file_size > max_bytes:
            gigabytes = max_bytes / 2**30
            raise BadArchive("too-many-bytes", f"The file is larger than {gigabytes:.0f} GiB.")
        try:
            with self._zip.open(entry) as packed, target.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 20)
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise  # our disk is full; there may be room when the job runs again
            raise BadArchive("corrupt", "The file is damaged in the zip.") from error


def _name(entry: zipfile.ZipInfo) -> str:
    """Of a name with a NUL, which nothing else shows, zipfile keeps what comes before it."""
    name = entry.orig_filename if "\0" in entry.orig_filename else entry.filename
    return name.removeprefix("./")


def _fault(entry: zipfile.ZipInfo, name: str) -> Skip | None:
    if not is_plain_name(name):
        return Skip.BAD_NAME
    return Skip.LINK if stat.S_ISLNK(entry.external_attr >> 16) else None


class _Bounded(io.FileIO):
    """A file of which zipfile cannot read a table of contents of any size into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its table of contents is too large")
        return super().read(size)
