"""Datumaro's own JSON, format version 1.0: `annotations/<split>.json` and `images/<split>/...`.

Without splits the file is `default.json`. Coordinates are pixels. Labels are numbered from 0 in the
order of the schema; `infos.class_ids` has their ids. What a label says beside its shape stands in
attributes, as Datumaro's other readers put it there: `score`, and `is_crowd` where it is true.

Parts of one object share a `group`. A polygon has no holes. A box at an angle, which Datumaro's
JSON has not, is a polygon of its four corners, with `rotated` beside it, as its box is here.
Cuboids in the picture are `cuboid_2d`, their corners in the order that Datumaro draws them in;
those in space `cuboid_3d` in metres, along and about the camera's axes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from tessera.formats import archive
from tessera.formats.archive import TarWriter
from tessera.formats.datumaro_reading import AS_DRAWN, CROWD, SCORE, read
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import LabelSchema, Window
from tessera.shapes import rasters, rle, turned

__all__ = ["KINDS", "DatumaroWriter", "files", "losses", "read", "writer"]

FILE = "datumaro.tar"
KINDS = frozenset(_ALL) - {"join", "verify"}
VERSION = "1.0"
WHOLE = "default"
"""What the only split is called of a dataset that is not divided."""


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    holes = [Loses.HOLES] if dataset.kind == "polygon" else []
    taken = {each.name for known in dataset.schema.classes for each in known.attributes}
    score = [Loses.CONFIDENCE] if SCORE in taken else []
    crowd = [Loses.CROWD] if CROWD in taken else []
    return [Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS, *holes, *score, *crowd]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["DatumaroWriter"]:
    with ExitStack() as undo:
        spools = {
            split: undo.enter_context(NamedTemporaryFile(dir=folder))
            for split in dataset.splits or (WHOLE,)
        }
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        yield DatumaroWriter(tar, dataset, spools)


class DatumaroWriter:
    """Pictures go straight into the archive; what is said of them waits on disk until the end."""

    def __init__(self, tar: TarWriter, dataset: Described, spools: Mapping[str, IO[bytes]]) -> None:
        """Begin the documents.

        Args:
            spools: An empty file for each split, which has a name; the caller's to remove.
        """
        self._tar, self._dataset, self._spools = tar, dataset, spools
        self._labels = {each.id: place for place, each in enumerate(dataset.schema.classes)}
        self._between = dict.fromkeys(spools, b"\n")
        self._stems = Stems()
        head = {
            "dm_format_version": VERSION,
            "media_type": 2,  # images
            "infos": {"class_ids": {each.name: each.id for each in dataset.schema.classes}},
            "categories": _categories(dataset.schema),
        }
        for spool in spools.values():
            spool.write(orjson.dumps(head).removesuffix(b"}") + b',"items":[')

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split = image.split or WHOLE
        said: list[dict[str, Any]] = []
        for number, each in enumerate(image.objects, 1):
            said += self._annotations(number, image, each)
        item = {
            "id": self._stems.of(image.name),
            "annotations": said,
            "image": {"path": image.name, "size": [image.height, image.width]},
        }
        self._spools[split].write(self._between[split] + orjson.dumps(item))
        self._between[split] = b",\n"
        if picture is not None:
            self._tar.add_file(f"images/{split}/{image.name}", picture)

    def finish(self) -> None:
        for split, spool in self._spools.items():
            spool.write(b"]}\n")
            spool.flush()
            self._tar.add_file(f"annotations/{split}.json", Path(spool.name))
        self._tar.close()

    def _annotations(
        self, number: int, image: LabelledImage, found: LabelledObject
    ) -> list[dict[str, Any]]:
        shapes = _shapes(image, found.place)
        common = {
            "id": number,
            "attributes": {
                SCORE: found.confidence,
                **({CROWD: True} if found.crowd else {}),
                **found.attributes,
            },
            "group": number if len(shapes) > 1 else 0,
            "label_id": self._labels[found.class_id],
            "z_order": 0,
        }
        return [common | shape for shape in shapes]


def _shapes(image: LabelledImage, place: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One, but for polygons in parts."""
    if "polygon" in place:
        return [{"type": "polygon", "points": _flat(outer)} for outer, *_ in place["polygon"]]
    return [_shape(image, place)]


def _shape(image: LabelledImage, place: Mapping[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any]
    match place:
        case {"box": [left, top, right, bottom]}:
            size = [round(right - left, 2), round(bottom - top, 2)]
            shape = {"type": "bbox", "bbox": [left, top, *size]}
        case {"box": box}:
            corners = np.round(turned.corners(np.array([box]))[0], 2)
            shape = {"type": "polygon", "points": corners.ravel().tolist(), "rotated": box}
        case {"line": line}:
            shape = {"type": "polyline", "points": _flat(line)}
        case {"points": seen}:
            flat = _flat([(x, y) for x, y, _ in seen])
            shape = {"type": "points", "points": flat, "visibility": [v for *_, v in seen]}
        case {"mask": mask}:
            counts = rasters.from_json(mask).counts(Window(0, 0, image.width, image.height))
            extent = [image.height, image.width]
            shape = {"type": "mask", "rle": {"counts": rle.to_string(counts), "size": extent}}
        case {"cuboid": corners}:
            shape = {"type": "cuboid_2d", "points": [corners[i] for i in AS_DRAWN]}
        case {"solid": {"centre": centre, "size": sides, "yaw": yaw}}:
            turn = [0.0, yaw, 0.0]
            shape = {"type": "cuboid_3d", "position": centre, "rotation": turn, "scale": sides}
        case _:
            shape = {"type": "label"}
    return shape


def _flat(line: Sequence[Sequence[float]]) -> list[float]:
    return [number for point in line for number in point]


def _categories(schema: LabelSchema) -> dict[str, Any]:
    above = {each.id: each.name for each in schema.classes}
    labels = [
        {
            "name": each.name,
            "parent": "" if each.parent is None else above[each.parent],
            "attributes": sorted(asked.name for asked in each.attributes),
        }
        for each in schema.classes
    ]
    colours = [
        {"label_id": place, **dict(zip("rgb", bytes.fromhex(each.colour[1:]), strict=True))}
        for place, each in enumerate(schema.classes)
    ]
    skeletons = [
        {
            "label_id": place,
            "labels": [point.name for point in each.skeleton.points],
            "joints": [[a + 1, b + 1] for a, b in each.skeleton.edges],
            "positions": [],
        }
        for place, each in enumerate(schema.classes)
        if each.skeleton is not None
    ]
    return {
        "label": {"labels": labels, "label_groups": [], "attributes": []},
        "mask": {"colormap": colours},
        **({"points": {"items": skeletons}} if skeletons else {}),
    }
