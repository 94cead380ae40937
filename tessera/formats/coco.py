"""COCO, as its own API and everything that trains on it reads it; a file for each split.

Annotations have ids from 1, boxes as [left, top, width, height] and, beyond the standard,
`score`, `attributes` and `source`. Areas are outlines in image pixels; those with holes, which
COCO's outlines cannot have, and crowds are run lengths, and have their outlines in `polygon`.
Boxes at an angle are outlines of four corners, and `rotated` has their own five numbers. What COCO
has no place for at all, a `line`, `cuboid` or `solid`, stands beside the box around it as in our
answers. What is said of whole images has no box that would not be a lie, so it stands in
`image_labels`, an extension, and `annotations` is empty.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

import numpy as np
import orjson
import shapely

from tessera.formats import painting
from tessera.formats.coco_reading import read
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import LabelClass, LabelSchema, Size, Window, kind_of
from tessera.shapes import rasters, rle, turned

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


def files(dataset: Described) -> dict[str, str]:
    return dict.fromkeys(_names(dataset).values(), MEDIA_TYPE)


def _names(dataset: Described) -> dict[str | None, str]:
    """Of the file of each split; of the only one, if there are none."""
    if not dataset.splits:
        return {None: "coco.json"}
    return {split: f"coco_{split}.json" for split in dataset.splits}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {"polyline": [Loses.SHAPE], "cuboid": [Loses.SHAPE]}
    return [Loses.TILES, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["SplitWriter"]:
    with ExitStack() as undo:
        writers = {}
        for split, name in _names(dataset).items():
            spools = [undo.enter_context(TemporaryFile(dir=folder)) for _ in range(2)]
            out = undo.enter_context((folder / name).open("wb"))
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
    """Images go straight out; what follows them in the file waits on disk until the end."""

    def __init__(
        self, out: BinaryIO, dataset: Described, *, spools: tuple[BinaryIO, BinaryIO]
    ) -> None:
        """Begin the document.

        Args:
            spools: Two empty files, open for reading and writing; the caller's to remove.
        """
        self._out, self._dataset = out, dataset
        # nothing in it may depend on when it is written
        info = {"description": dataset.name, "project": dataset.project_id}
        self._images = Elements(out)
        self._annotations, self._image_labels = (Elements(spool) for spool in spools)
        self._spools = spools
        categories = [category_of(each, dataset.schema) for each in dataset.schema.classes]
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
        placed = [each for each in image.objects if each.place]
        for each, edges in zip(placed, self._around(placed), strict=True):
            said = _annotation(self._annotations.length + 1, image, each)
            outline = _OUTLINES.get(self._dataset.kind, _as_it_is)(image, each)
            self._annotations.add({**said, **_place(edges, crowd=each.crowd), **outline})
        for each in image.objects:
            if not each.place:
                self._image_labels.add(_annotation(self._image_labels.length + 1, image, each))

    def _around(self, objects: Sequence[LabelledObject]) -> list[list[float]]:
        """Upright boxes around the objects of an image, all at once."""
        known = [{"class": each.class_id, **each.place} for each in objects]
        reach = kind_of(self._dataset.kind).reach(known, self._dataset.schema)
        return [[round(edge, 2) for edge in row] for row in reach.tolist()]

    def finish(self) -> None:
        for name, spool in zip((b"annotations", b"image_labels"), self._spools, strict=True):
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
        self._out.write((b",\n" if self.length else b"\n") + orjson.dumps(element))
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


def _place(edges: Sequence[float], *, crowd: bool) -> dict[str, Any]:
    left, top, right, bottom = edges
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": int(crowd),
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


def _of_polygon(image: LabelledImage, found: LabelledObject) -> dict[str, Any]:
    parts = found.place["polygon"]
    area = round(sum(shapely.Polygon(outer, holes).area for outer, *holes in parts), 2)
    if found.crowd or any(len(part) > 1 for part in parts):
        strokes = painting.filled(parts, Size(image.width, image.height))
        return {"area": area, "segmentation": _runs(image, strokes), **found.place}
    outlines = [[number for point in part[0] for number in point] for part in parts]
    return {"area": area, "segmentation": outlines}


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
    "polygon": _of_polygon,
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
