"""COCO, as its own API and everything that trains on it reads it; a file for each split.

Annotations have ids from 1, boxes as [left, top, width, height] and, beyond the standard,
`score`, `attributes` and `source`. Areas are outlines in image pixels; those with holes, which
COCO's outlines cannot have, and crowds are run lengths, and have their outlines in `polygon`.
Boxes at an angle are outlines of four corners, and `rotated` has their own five numbers. What COCO
has no place for at all, a `line`, `cuboid` or `solid`, stands beside the box around it as in our
answers. What is said of whole images has no box that would not be a lie, so it stands in
`image_labels`, an extension, and `annotations` is empty; how probable each category is, by its id,
is in `soft` of the image.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, pairwise, starmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from tessera.formats import painting
from tessera.formats.coco_reading import read
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import LabelClass, LabelSchema, Size, Window, kind_of
from tessera.shapes import nested, rasters, rle, turned
from tessera.shapes.boxes import Boxes, hundredths

__all__ = [
    "KINDS",
    "MEDIA_TYPE",
    "CocoWriter",
    "Elements",
    "category_of",
    "files",
    "losses",
    "read",
    "writer",
]

MEDIA_TYPE = "application/json"
KINDS = frozenset(_ALL) - {"join"}
Areas = NDArray[np.float64]
"""Shape (N,), square pixels."""
TOGETHER = 400
"""Objects that are measured at once: arrays are quick only if they are long."""
Placed = Sequence[tuple[LabelledImage, LabelledObject]]
"""Objects that are somewhere in their image."""
_BUFFER = 2**16
"""Bytes. With Python's own 8 KiB, writing lines takes twice as long."""
_DUMPS = partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY)


def files(dataset: Described) -> dict[str, str]:
    return dict.fromkeys(_names(dataset).values(), MEDIA_TYPE)


def _names(dataset: Described) -> dict[str | None, str]:
    """Of the file of each split; of the only one, if there are none."""
    if not dataset.splits:
        return {None: "coco.json"}
    return {split: f"coco_{split}.json" for split in dataset.splits}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {
        "classify": [Loses.IMAGE_LABELS],
        "polyline": [Loses.SHAPE],
        "cuboid": [Loses.SHAPE],
    }
    return [Loses.TILES, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["SplitWriter"]:
    with ExitStack() as undo:
        writers = {}
        for split, name in _names(dataset).items():
            spools = [undo.enter_context(TemporaryFile(dir=folder)) for _ in range(2)]
            out = undo.enter_context((folder / name).open("wb", buffering=_BUFFER))
            writers[split] = CocoWriter(out, dataset, spools=(spools[0], spools[1]))
        yield SplitWriter(writers)


class SplitWriter:
    def __init__(self, writers: Mapping[str | None, "CocoWriter"]) -> None:
        self._writers = writers

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        self._writers[image.split].add(image, picture)

    def finish(self) -> None:
        for each in self._writers.values():
            each.finish()


class CocoWriter:
    """Annotations go straight out; what follows them in the file waits on disk until the end."""

    def __init__(
        self, out: BinaryIO, dataset: Described, *, spools: tuple[IO[bytes], IO[bytes]]
    ) -> None:
        """Begin the document.

        Args:
            spools: Two empty files, open for reading and writing; the caller's to remove.
        """
        self._out, self._dataset = out, dataset
        # nothing in it may depend on when it is written
        info = {"description": dataset.name, "project": dataset.project_id}
        self._annotations = Elements(out)
        self._images, self._image_labels = (Elements(spool) for spool in spools)
        self._spools = spools
        self._waiting: list[tuple[LabelledImage, LabelledObject]] = []
        categories = [category_of(each, dataset.schema) for each in dataset.schema.classes]
        head = orjson.dumps({"info": info, "licenses": [], "categories": categories})
        out.write(head.removesuffix(b"}") + b',\n"annotations":[')

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        element = {
            "id": image.id,
            "file_name": image.name,
            "width": image.width,
            "height": image.height,
            "uuid": image.uuid,
            "sha256": image.sha256,
        }
        self._images.add(element if image.soft is None else {**element, "soft": image.soft})
        for each in image.objects:
            if each.place:
                self._waiting.append((image, each))
            else:
                self._image_labels.add(_annotation(self._image_labels.length + 1, image, each))
        if len(self._waiting) >= TOGETHER:
            self._write()

    def _write(self) -> None:
        self._annotations.extend(self._elements(self._waiting))
        self._waiting.clear()

    def _elements(self, placed: Placed) -> Iterator[dict[str, Any]]:
        around, areas, outlines = self._measured(placed)
        around = hundredths(around)
        around[:, 2:] = hundredths(around[:, 2:] - around[:, :2])  # left, top, width, height
        areas = hundredths(around[:, 2] * around[:, 3] if areas is None else areas)
        numbers, rows = count(self._annotations.length + 1), (around.tolist(), areas.tolist())
        every = zip(numbers, placed, *rows, outlines, strict=False)
        for number, (image, each), box, area, outline in every:
            element = _annotation(number, image, each)
            element["bbox"], element["area"], element["iscrowd"] = box, area, 1 if each.crowd else 0
            if outline:
                element |= outline
            yield element

    def _measured(self, placed: Placed) -> tuple[Boxes, Areas | None, Iterator[dict[str, Any]]]:
        """Upright boxes around objects, areas if not those of the boxes, and fields of outlines."""
        if self._dataset.kind == "polygon":
            drawn = nested.ragged([each.place["polygon"] for _, each in placed])
            return *nested.measured(drawn), _of_polygons(placed, drawn)
        known = [{"class": each.class_id, **each.place} for _, each in placed]
        around = kind_of(self._dataset.kind).reach(known, self._dataset.schema)
        outline = _OUTLINES.get(self._dataset.kind, _as_it_is)
        return around, None, starmap(outline, placed)

    def finish(self) -> None:
        if self._waiting:
            self._write()
        for name, spool in zip((b"images", b"image_labels"), self._spools, strict=True):
            self._out.write(b'],\n"' + name + b'":[')
            spool.seek(0)
            shutil.copyfileobj(spool, self._out)
        self._out.write(b"]}\n")


class Elements:
    """Elements of a JSON array, one to a line."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.length = 0

    def add(self, element: Any) -> None:
        self.extend([element])

    def extend(self, elements: Iterable[Any]) -> None:
        """Add all that an iterator makes, of which none need be there at the same time."""
        # line by line: a list of them is memory that malloc gives back and asks for every time
        write, before = self._out.write, b",\n" if self.length else b"\n"
        for line in map(_DUMPS, elements):
            write(before + line)
            before = b",\n"
            self.length += 1


def _annotation(number: int, image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image.id,
        "category_id": found.class_id,
        "score": found.confidence,
        "attributes": found.attributes,
        "source": found.source,
    }


def _of_box(image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    del image
    box = found.place["box"]
    if len(box) == 4:  # noqa: PLR2004
        return {}
    corners = np.round(turned.corners(np.array([box]))[0], 2).ravel().tolist()
    (left, top, right, bottom, _) = box
    area = round((right - left) * (bottom - top), 2)
    return {"area": area, "segmentation": [corners], "rotated": box}


def _of_polygons(placed: Placed, drawn: nested.Ragged) -> Iterator[dict[str, Any]]:
    numbers = drawn.points.ravel()
    lines = [numbers[start:end] for start, end in pairwise((2 * drawn.rings).tolist())]
    offsets = drawn.parts[drawn.areas]
    holes = np.diff(offsets) > np.diff(drawn.areas)
    of_areas = zip(placed, pairwise(offsets.tolist()), holes.tolist(), strict=True)
    for (image, each), (start, end), holed in of_areas:
        if holed or each.crowd:
            strokes = painting.filled(each.place["polygon"], Size(image.width, image.height))
            yield {"segmentation": _runs(image, strokes), **each.place}
        else:
            yield {"segmentation": lines[start:end]}


def _of_mask(image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    strokes = rasters.from_json(found.place["mask"])
    return {"area": strokes.pixels, "segmentation": _runs(image, strokes)}


def _runs(image: LabelledImage, strokes: rasters.Strokes) -> dict[str, Any]:
    counts = strokes.counts(Window(0, 0, image.width, image.height))
    return {"size": [image.height, image.width], "counts": rle.to_string(counts)}


def _of_keypoints(image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    del image
    points = found.place["points"]
    return {
        "keypoints": [number for point in points for number in point],
        "num_keypoints": sum(v > 0 for *_, v in points),
    }


def _as_it_is(image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    """COCO has no field for it: the box that it has for everything, and ours beside it."""
    del image
    return dict(found.place)


_OUTLINES: dict[str, Callable[[LabelledImage, LabelledObject], dict[str, Any]]] = {
    "box": _of_box,
    "instance_mask": _of_mask,
    "semantic_mask": _of_mask,
    "keypoints": _of_keypoints,
}


def category_of(each: LabelClass, schema: LabelSchema) -> dict[str, Any]:
    parent = None if each.parent is None else schema.find(each.parent)
    category = {"id": each.id, "name": each.name, "supercategory": parent.name if parent else ""}
    if each.skeleton is None:
        return category
    return category | {
        "keypoints": [point.name for point in each.skeleton.points],
        "skeleton": [[a + 1, b + 1] for a, b in each.skeleton.edges],
        "sigmas": [point.sigma for point in each.skeleton.points],
    }
