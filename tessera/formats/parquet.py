"""Parquet, for DuckDB, Spark and pandas: one row per object.

An image on which nothing is has one row with no object in it, so that it is not forgotten:
`WHERE object_id IS NOT NULL` leaves the objects, and `WHERE NOT crowd` those to train on.
`image_id` is the one of the COCO file, and `object_id` that of its annotation or image label. All
classes, used or not, are in the schema's metadata under `tessera`. `left` to `bottom` are an
upright box around the object, and `place` is its whole geometry as JSON.

To be read a file needs `image_name`, `class` and, but for classes of whole images, `place`; the
rows of an image have to stand together. Classes go by their names.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tessera.formats import checking
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import InvalidAnswer, Size, fields, kind_of
from tessera.kinds.attributes import Value

MEDIA_TYPE = "application/vnd.apache.parquet"
FILE = "labels.parquet"
KINDS = frozenset(_ALL)
ROWS_AS_OBJECTS = 1_024
"""Rows held as Python objects, several times as large as the same in columns."""
ROWS_IN_GROUP = 8 * ROWS_AS_OBJECTS
"""Memory grows with it, by 12 MB if eight times as many; the file hardly shrinks."""

pa.set_memory_pool(pa.system_memory_pool())  # the usual one keeps 10 MB more for itself

_COLUMNS = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("image_uuid", pa.string(), nullable=False),
        pa.field("image_name", pa.string(), nullable=False),
        pa.field("image_width", pa.int32(), nullable=False),
        pa.field("image_height", pa.int32(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("object_id", pa.int64()),
        pa.field("class_id", pa.int32()),
        pa.field("class", pa.string()),
        pa.field("left", pa.float64()),
        pa.field("top", pa.float64()),
        pa.field("right", pa.float64()),
        pa.field("bottom", pa.float64()),
        pa.field("place", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("confidence", pa.float64()),
        pa.field("source", pa.string()),
        pa.field("tiles", pa.list_(pa.int32())),
        pa.field("crowd", pa.bool_()),
    ]
)
# Of numbers that hardly repeat, a dictionary is larger than they are: in the file and in memory
_REPEATING = [
    *(
        "image_id",
        "image_uuid",
        "image_name",
        "image_width",
        "image_height",
        "image_sha256",
        "split",
    ),
    *("class_id", "class", "source"),
]
_NOWHERE = (None, None, None, None)
_NOTHING = (None, None, None, *_NOWHERE, None, None, None, None, None, None)
_SIDES = ("image_width", "image_height")
_OF_OBJECTS = ("class", "place", "attributes", "confidence", "crowd")
_READ = {"image_name", *_SIDES, *_OF_OBJECTS}
_Row = Mapping[str, Any]


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return []


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["ParquetWriter"]:
    yield ParquetWriter(folder / FILE, dataset)


class ParquetWriter:
    def __init__(self, path: Path, dataset: Described) -> None:
        schema = dataset.schema
        self._kind, self._schema = kind_of(dataset.kind), schema
        self._names = {each.id: each.name for each in schema.classes}
        described = _COLUMNS.with_metadata({"tessera": orjson.dumps(schema.as_json())})
        self._file = pq.ParquetWriter(
            path, described, compression="zstd", use_dictionary=_REPEATING
        )
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[pa.RecordBatch] = []
        self._objects = 0

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        of = (
            image.id,
            image.uuid,
            image.name,
            image.width,
            image.height,
            image.sha256,
            image.split,
        )
        self._rows += [(*of, *self._object(each)) for each in image.objects] or [(*of, *_NOTHING)]
        if len(self._rows) >= ROWS_AS_OBJECTS:
            self._to_columns()
        if sum(batch.num_rows for batch in self._batches) >= ROWS_IN_GROUP:
            self._flush()

    def finish(self) -> None:
        self._to_columns()
        self._flush()
        self._file.close()
        pa.default_memory_pool().release_unused()  # 8 MB that it would keep for the next time

    def _object(self, found: LabelledObject) -> tuple[Any, ...]:
        self._objects += 1
        return (
            self._objects,
            found.class_id,
            self._names[found.class_id],
            *(self._around(found) if found.place else _NOWHERE),
            orjson.dumps(found.place).decode() if found.place else None,
            [(name, _as_text(value)) for name, value in found.attributes.items()],
            found.confidence,
            found.source,
            found.tiles,
            found.crowd,
        )

    def _around(self, found: LabelledObject) -> list[float]:
        if "box" in found.place and len(found.place["box"]) == len(_NOWHERE):
            edges: list[float] = found.place["box"]
            return edges
        reach = self._kind.reach([{"class": found.class_id, **found.place}], self._schema)
        return [round(edge, 2) for edge in reach[0].tolist()]

    def _to_columns(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(c, each.type) for c, each in zip(columns, _COLUMNS, strict=True)]
            self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=_COLUMNS))
            self._rows = []

    def _flush(self) -> None:
        if self._batches:
            group = pa.Table.from_batches(self._batches, _COLUMNS)
            self._file.write_table(group, row_group_size=group.num_rows)
            self._batches = []


def _as_text(value: Value) -> str:
    """Text as it is; numbers and flags as JSON. The class's schema tells which it is."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; every Parquet file there is, some rows at a time."""
    names = [name for name in files.names() if name.endswith(".parquet")]
    if not names:
        raise BadFile("", "has no Parquet file")
    reader = _Reader(wanted)
    needed = {"image_name", "class"} | ({"place"} if wanted.kind != "classify" else set())
    for name in names:
        with files.open(name) as file:
            rows = _rows(name, file, needed)
            for _, numbered in groupby(enumerate(rows), lambda each: repr(each[1]["image_name"])):
                yield from reader.image(name, numbered)


def _rows(name: str, file: BinaryIO, needed: set[str]) -> Iterator[_Row]:
    """Rows by column.

    Raises:
        BadFile: It is no Parquet, has too few columns, or is damaged.
    """
    number = 0
    try:
        table = pq.ParquetFile(file)
        there = set(table.schema_arrow.names)
        if missing := needed - there:
            raise BadFile(name, f"has no column {min(missing)!r}")
        for batch in table.iter_batches(ROWS_AS_OBJECTS, columns=sorted(_READ & there)):
            for row in batch.to_pylist():
                yield row
                number += 1
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFile(f"{name}: row {number}", f"cannot be read: {error}") from error


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._checking = Checking(wanted)

    def image(self, path: str, numbered: Iterator[tuple[int, _Row]]) -> Iterator[Known | Refused]:
        """One, of rows that all name it."""
        number, first = next(numbered)
        at = f"{path}: row {number}"
        try:
            size = _size(first)
        except InvalidAnswer as error:
            yield checking.refused(at, error)
            return
        said = (
            (f"{path}: row {number}", row)
            for number, row in chain([(number, first)], numbered)
            if any(row.get(column) is not None for column in _OF_OBJECTS)
        )
        yield from self._checking.image(at, first["image_name"], size, said, self._object)

    def _object(self, row: _Row) -> dict[str, Any]:
        named = self._checking.named(row["class"])
        attributes, sure = row.get("attributes") or {}, row.get("confidence")
        return {
            **_place(row.get("place")),
            "class": named.id,
            "attributes": checking.typed(_attributes(attributes), named),
            **({"optional": True} if row.get("crowd") is True else {}),
            **({} if sure is None else {"confidence": sure}),
        }


def _size(row: _Row) -> Size | None:
    sides = [row.get(side) for side in _SIDES]
    if sides == [None, None]:
        return None
    return Size(*(fields.whole(row.get(side), side, InvalidAnswer) for side in _SIDES))


def _place(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    try:
        return mapping(orjson.loads(value if isinstance(value, str) else b""), "place")
    except orjson.JSONDecodeError as error:
        raise InvalidAnswer("place", "is not JSON") from error


def _attributes(value: object) -> Mapping[str, Any]:
    """Of a map, or of a struct as other tools make of one."""
    try:
        return {str(name): each for name, each in dict(value).items() if each is not None}  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise InvalidAnswer("attributes", "must be a map") from error
