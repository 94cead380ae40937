"""Writing Parquet; see `parquet`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import kind_of
from tessera.kinds.attributes import Value

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
        pa.field("soft", pa.map_(pa.string(), pa.float64())),
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
            None if image.soft is None else self._by_name(image.soft),
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

    def _by_name(self, soft: Mapping[str, float]) -> list[tuple[str, float]]:
        return [(self._names[int(class_id)], p) for class_id, p in soft.items()]

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
