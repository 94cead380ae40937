"""Parquet, for DuckDB, Spark and pandas: one row per object.

An image on which nothing is has one row with no object in it, so that it is not forgotten:
`WHERE object_id IS NOT NULL` leaves the objects, and `WHERE NOT crowd` those to train on.
`image_id` is the one of the COCO file, and `object_id` that of its annotation or image label. All
classes, used or not, are in the schema's metadata under `tessera`. `left` to `bottom` are an
upright box around the object, and `place` is its whole geometry as JSON. Where images are
classified, `soft` has how probable each class is, in every row of the image.

To be read a file needs `image_name`, `class` and, but for classes of whole images, `place`; the
rows of an image have to stand together. Classes go by their names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tessera.formats.archive import Files
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted, Writer
from tessera.kinds import KINDS as _ALL

MEDIA_TYPE = "application/vnd.apache.parquet"
FILE = "labels.parquet"
KINDS = frozenset(_ALL)


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return []


# Arrow takes 40 MB, and most processes know this format without ever using it


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator[Writer]:
    from tessera.formats.parquet_writing import ParquetWriter  # noqa: PLC0415

    yield ParquetWriter(folder / FILE, dataset)


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`."""
    from tessera.formats.parquet_reading import read  # noqa: PLC0415

    yield from read(files, wanted)
