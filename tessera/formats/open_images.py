"""Open Images' CSV files of boxes or of image labels, and `images/<split>/...`.

Splits are `train`, `validation` and `test`; without any it is `train`. Boxes are shares of the
image's width and height, all at 0 degrees: those at an angle become upright. `LabelName` is the
class's id, `Source` what settled the object; `IsGroupOf` is a crowd. The other columns of boxes are
flags of that name, if a class has them (`occluded` for `IsOccluded`), and -1 where nobody said.
There are no other attributes. `ImageID` is the image's name without its ending, `Title` the name.

Open Images tells no sizes; `images.meta` has them for Datumaro. A label of confidence 0 says that
the image does not show the class.
"""

import csv
import io
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from tessera.formats import archive, checking
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile
from tessera.formats.names import Stems
from tessera.formats.pile import a_pile
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import InvalidAnswer, Size, kind_of
from tessera.kinds.attributes import Type

FILE = "open_images.tar"
KINDS = frozenset({"box", "classify"})
WHOLE = "train"
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_FLAGS = {
    "IsOccluded": "occluded",
    "IsTruncated": "truncated",
    "IsDepiction": "depiction",
    "IsInside": "inside",
}
_EDGES = ("XMin", "YMin", "XMax", "YMax")
_OF_LABELS = ("ImageID", "Source", "LabelName", "Confidence")
_OF_BOXES = (
    *_OF_LABELS,
    *("XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
)
_LONGEST = 1_000_000
"""Letters of a line; a table may have any number of them."""
_ENDINGS = {"box": "annotations-bbox.csv", "classify": "annotations-human-imagelabels.csv"}
_IMAGES = "images-with-rotation.csv"
_OF_IMAGES = (
    *("ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL"),
    *("Author", "Title", "OriginalSize", "OriginalMD5", "Thumbnail300KURL", "Rotation"),
)


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    shape = [Loses.SHAPE] if dataset.schema.rotated else []
    kept = _FLAGS.values() if dataset.kind == "box" else ()
    asked = [each for known in dataset.schema.classes for each in known.attributes]
    lost = any(each.type is not Type.FLAG or each.name not in kept for each in asked)
    return [Loses.TILES, *([Loses.ATTRIBUTES] if lost else []), *shape]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["OpenImagesWriter"]:
    with ExitStack() as undo:
        named = [
            f"{_SPLITS[split]}-{ending}"
            for split in dataset.splits or (WHOLE,)
            for ending in (_IMAGES, _ENDINGS[dataset.kind])
        ]
        spools = {
            name: undo.enter_context(NamedTemporaryFile(dir=folder))
            for name in [*named, "images.meta"]
        }
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        yield OpenImagesWriter(tar, dataset, spools)


class OpenImagesWriter:
    """Pictures go straight into the archive; what is said of them waits on disk until the end."""

    def __init__(self, tar: TarWriter, dataset: Described, spools: Mapping[str, IO[bytes]]) -> None:
        """Begin the tables.

        Args:
            spools: An empty file for each table, which has a name; the caller's to remove.
        """
        self._tar, self._dataset, self._spools = tar, dataset, spools
        self._stems = Stems()
        heads = {_IMAGES: _OF_IMAGES, _ENDINGS["box"]: _OF_BOXES, _ENDINGS["classify"]: _OF_LABELS}
        for name, spool in spools.items():
            for ending, head in heads.items():
                if name.endswith(ending):
                    spool.write(_rows([head]))

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split, id_ = _SPLITS[image.split or WHOLE], self._stems.of(image.name)
        about = dict.fromkeys(_OF_IMAGES, "") | {
            "ImageID": id_,
            "Subset": split,
            "Title": image.name,
        }
        self._spools[f"{split}-{_IMAGES}"].write(_rows([about.values()]))
        size = f"{shlex.quote(id_)} {image.height} {image.width}\n"
        self._spools["images.meta"].write(size.encode())
        rows = [self._row(id_, image, each) for each in image.objects]
        self._spools[f"{split}-{_ENDINGS[self._dataset.kind]}"].write(_rows(rows))
        if picture is not None:
            self._tar.add_file(f"images/{split}/{image.name}", picture)

    def finish(self) -> None:
        classes = [(str(each.id), each.name) for each in self._dataset.schema.classes]
        self._tar.add("annotations/class-descriptions.csv", _rows(classes))
        for name, spool in self._spools.items():
            spool.flush()
            self._tar.add_file(f"annotations/{name}", Path(spool.name))
        self._tar.close()

    def _row(self, id_: str, image: LabelledImage, found: LabelledObject) -> list[object]:
        begin = [id_, found.source, found.class_id, found.confidence]
        if self._dataset.kind == "classify":
            return begin
        objects = [{"class": found.class_id, **found.place}]
        around = kind_of("box").reach(objects, self._dataset.schema)[0]
        size = np.array([image.width, image.height])
        (left, top), (right, bottom) = np.clip(around.reshape(2, 2) / size, 0, 1).tolist()
        said = {column: found.attributes.get(name) for column, name in _FLAGS.items()}
        flags = {c: int(value) if isinstance(value, bool) else -1 for c, value in said.items()}
        flags["IsGroupOf"] = int(found.crowd)
        return [*begin, left, right, top, bottom, *(flags[column] for column in _OF_BOXES[8:])]


def _rows(rows: Iterable[Iterable[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; classes are known by the name that the file says they have."""
    tables = [name for name in files.names() if name.endswith(f"-{_ENDINGS[wanted.kind]}")]
    if not tables:
        raise BadFile("annotations", f"has no ...-{_ENDINGS[wanted.kind]}")
    names = checking.by_stem(wanted.images)
    ids = dict[str, str]()
    """And where each is first."""
    for table in files.names():
        if table.endswith((_IMAGES, "image_ids_and_rotation.csv")):
            for at, row in _table(files, table, {"ImageID"}):
                ids.setdefault(row["ImageID"], at)
                title = row.get("Title") or row["ImageID"]
                if title in wanted.images or not wanted.images:
                    names[row["ImageID"]] = title
    needed = {*_OF_LABELS, *(_EDGES if wanted.kind == "box" else ())} - {"Source"}
    with a_pile() as said:
        for table in tables:
            for at, row in _table(files, table, needed):
                ids.setdefault(row["ImageID"], at)
                said.add(row["ImageID"], at, orjson.dumps(row))
        said.index()
        reader = _Reader(_classes(files), wanted)
        for id_, at in ids.items():
            yield from reader.image(at, names.get(id_, id_), said.of(id_))


def _classes(files: Files) -> dict[str, str]:
    """What labels are called, by what they are in other tables; the file often has no head."""
    found: dict[str, str] = {}
    for name in files.names():
        if "class-descriptions" in name and name.endswith(".csv"):
            found |= {row[0]: row[1] for _, row in _lines(files, name) if len(row) > 1}
    return found


def _table(files: Files, name: str, needed: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table that begins with the names of its columns, and where each is."""
    lines = _lines(files, name)
    _, head = next(lines, (0, []))
    if missing := needed - set(head):
        raise BadFile(name, f"has no column {min(missing)!r}")
    for number, row in lines:
        if row:
            yield f"{name}:{number}", dict(zip(head, [*row, *[""] * len(head)], strict=False))


def _lines(files: Files, name: str) -> Iterator[tuple[int, list[str]]]:
    with files.open(name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        lines = csv.reader(_each_line(text, name))
        try:
            for row in lines:
                yield lines.line_num, row
        except csv.Error as error:
            raise BadFile(f"{name}:{lines.line_num}", f"is not CSV: {error}") from error


def _each_line(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    while line := text.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise BadFile(name, f"has a line of {_LONGEST:,} letters or more")
        yield line


class _Reader:
    def __init__(self, classes: Mapping[str, str], wanted: Wanted) -> None:
        self._wanted, self._checking, self._classes = wanted, Checking(wanted), classes

    def image(
        self, at: str, name: str, rows: Sequence[tuple[str, dict[str, str]]]
    ) -> Iterator[Known | Refused]:
        size = self._wanted.images.get(name, Size(0, 0))  # nothing is read of what is not there
        shown = [
            (there, row)
            for there, row in rows
            if self._wanted.kind == "box" or row["Confidence"] not in {"0", "0.0"}
        ]
        yield from self._checking.image(at, name, None, shown, partial(self._object, size))

    def _object(self, size: Size, row: Mapping[str, str]) -> Mapping[str, Any]:
        label = row["LabelName"]
        named = self._checking.named(self._classes.get(label, label))
        found: dict[str, Any] = {"class": named.id, "confidence": _number(row, "Confidence")}
        if self._wanted.kind == "classify":
            return found
        shares = [_number(row, column) for column in _EDGES]
        found["box"] = [share * side for share, side in zip(shares, (*size, *size), strict=True)]
        flags = {each.name for each in named.attributes if each.type is Type.FLAG}
        found["attributes"] = {
            name: row[column] == "1"
            for column, name in _FLAGS.items()
            if name in flags and row.get(column) in {"0", "1"}
        }
        return found | ({"optional": True} if row.get("IsGroupOf") == "1" else {})


def _number(row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError as error:
        raise InvalidAnswer(column, "must be a number") from error
