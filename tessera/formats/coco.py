"""COCO, as its own API and everything that trains on it reads it.

Annotations have ids from 1, boxes as [left, top, width, height] and, beyond the standard,
`score`, `attributes` and `source`. What is said of whole images has no box that would not be a
lie, so it stands in `image_labels`, an extension, and `annotations` is empty.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import orjson

from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelSchema

MEDIA_TYPE = "application/json"
FILE = "coco.json"
KINDS = frozenset({"box", "classify"})


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return [Loses.TILES]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["CocoWriter"]:
    with ExitStack() as undo:
        spools = [undo.enter_context(TemporaryFile(dir=folder)) for _ in range(2)]
        yield CocoWriter(
            undo.enter_context((folder / FILE).open("wb")),
            spools=(spools[0], spools[1]),
            info={"description": dataset.name, "project": dataset.project_id},
            schema=dataset.schema,
        )


class CocoWriter:
    """Images go straight out; what follows them in the file waits on disk until the end."""

    def __init__(
        self, out: BinaryIO, *, spools: tuple[BinaryIO, BinaryIO], info: Any, schema: LabelSchema
    ) -> None:
        """Begin the document.

        Args:
            spools: Two empty files, open for reading and writing; the caller's to remove.
            info: JSON, for `info`: nothing in it may depend on when it is written.
        """
        self._out = out
        self._images = _List(out)
        self._annotations, self._image_labels = (_List(spool) for spool in spools)
        self._spools = spools
        categories = [
            {"id": each.id, "name": each.name, "supercategory": ""} for each in schema.classes
        ]
        head = orjson.dumps({"info": info, "licenses": [], "categories": categories})
        out.write(head.removesuffix(b"}") + b',\n"images":[')

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        self._images.add(
            {
                "id": image.id,
                "file_name": image.name,
                "width": image.width,
                "height": image.height,
                "uuid": image.uuid,
                "sha256": image.sha256,
            }
        )
        for each in image.objects:
            of = self._image_labels if not each.place else self._annotations
            of.add(_annotation(of.length + 1, image.id, each))

    def finish(self) -> None:
        for name, spool in zip((b"annotations", b"image_labels"), self._spools, strict=True):
            self._out.write(b'],\n"' + name + b'":[')
            spool.seek(0)
            shutil.copyfileobj(spool, self._out)
        self._out.write(b"]}\n")


class _List:
    """Elements of a JSON array, one to a line."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.length = 0

    def add(self, element: Any) -> None:
        self._out.write((b",\n" if self.length else b"\n") + orjson.dumps(element))
        self.length += 1


def _annotation(number: int, image_id: int, found: LabelledObject) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": found.class_id,
        **(_place(found.place["box"], crowd=found.crowd) if found.place else {}),
        "score": found.confidence,
        "attributes": found.attributes,
        "source": found.source,
    }


def _place(box: list[float], *, crowd: bool) -> dict[str, Any]:
    left, top, right, bottom = box
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": int(crowd),
    }
