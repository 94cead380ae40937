"""Reading Parquet; see `parquet`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, groupby
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tessera.formats import checking
from tessera.formats.archive import Files
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, Size, fields

_ROWS_AT_ONCE = 1_024
_BUFFER = 2**20
"""Bytes of each column."""
_UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, LookupError)
"""The last two of days that no calendar has, and of zones of time that nobody knows."""
_SIDES = ("image_width", "image_height")
_OF_OBJECTS = ("class", "place", "attributes", "confidence", "crowd")
_READ = {"image_name", *_SIDES, *_OF_OBJECTS}
_Row = Mapping[str, Any]


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; every Parquet file there is, some rows at a time."""
    names = [name for name in files.names() if name.endswith(".parquet")]
    if not names:
        raise BadFile("", "has no Parquet file")
    reader = _Reader(wanted)
    needed = {"image_name", "class"} | ({"place"} if wanted.kind != "classify" else set())
    for name in names:
        with files.open(name) as member, _on_disk(member) as file:
            rows = _rows(name, file, needed)
            for _, numbered in groupby(enumerate(rows), lambda each: repr(each[1]["image_name"])):
                yield from reader.image(name, numbered)


@contextmanager
def _on_disk(file: BinaryIO) -> Iterator[BinaryIO]:
    """A member of a zip would be unpacked from its beginning whenever a column is read on."""
    try:
        file.fileno()
    except OSError:
        with TemporaryFile() as copy:
            copyfileobj(file, copy)
            yield cast("BinaryIO", copy)
    else:
        yield file


def _rows(name: str, file: BinaryIO, needed: set[str]) -> Iterator[_Row]:
    """Rows by column.

    Raises:
        BadFile: It is no Parquet, has too few columns, or is damaged.
    """
    number = 0
    try:
        # else it reads a column of a row group at once, and a file may be one row group
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        there = set(table.schema_arrow.names)
        if missing := needed - there:
            raise BadFile(name, f"has no column {min(missing)!r}")
        # each thread keeps some memory, and how many there are is another question every time
        some = {"columns": sorted(_READ & there), "use_threads": False}
        for batch in table.iter_batches(_ROWS_AT_ONCE, **some):
            for row in batch.to_pylist():
                yield row
                number += 1
    except _UNREADABLE as error:
        raise BadFile(f"{name}: row {number}", f"cannot be read: {error}") from error


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._checking = Checking(wanted)

    def image(self, path: str, numbered: Iterator[tuple[int, _Row]]) -> Iterator[Known | Refused]:
        """One, of rows that all name it."""
        begin, first = next(numbered)
        at, name = f"{path}: row {begin}", first["image_name"]
        try:
            size = _size(first)
        except InvalidAnswer as error:
            yield checking.refused(at, error, name)
            return
        other: list[Refused] = []

        def said() -> Iterator[tuple[str, _Row]]:
            for number, row in chain([(begin, first)], numbered):
                there = f"{path}: row {number}"
                try:
                    _refuse_other_size(row, size, begin)
                except InvalidAnswer as error:
                    other.append(checking.refused(there, error, name))
                if any(row.get(column) is not None for column in _OF_OBJECTS):
                    yield there, row

        for each in self._checking.image(at, name, size, said(), self._object):
            yield other[0] if other and isinstance(each, Known) else each

    def _object(self, row: _Row) -> dict[str, Any]:
        named = self._checking.named(row["class"])
        attributes, sure = row.get("attributes") or {}, row.get("confidence")
        return {
            **_place(row.get("place")),
            "class": named.id,
            "attributes": checking.typed(_attributes(attributes), named),
            **({"optional": True} if checking.flag(row, "crowd") else {}),
            **({} if sure is None else {"confidence": sure}),
        }


def _size(row: _Row) -> Size | None:
    sides = [row.get(side) for side in _SIDES]
    if sides == [None, None]:
        return None
    return Size(*(fields.whole(row.get(side), side, InvalidAnswer) for side in _SIDES))


def _refuse_other_size(row: _Row, size: Size | None, begin: int) -> None:
    if _size(row) not in {None, size}:
        raise Unfit("", f"says another size of its image than row {begin}", Code.OTHER_SIZE)


def _place(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    try:
        return checking.place_of(orjson.loads(value if isinstance(value, str) else b""))
    except orjson.JSONDecodeError as error:
        raise InvalidAnswer("place", "is not JSON") from error


def _attributes(value: object) -> Mapping[str, Any]:
    """Of a map, or of a struct as other tools make of one."""
    try:
        return {str(name): each for name, each in dict(value).items() if each is not None}  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise InvalidAnswer("attributes", "must be a map") from error
