"""Pascal VOC: `Annotations/*.xml`, `ImageSets/*/<split>.txt`, `JPEGImages/*` and pictures of masks.

Pixels are counted from 1, and both ends of a box belong to it, as in VOC's own tools: a box from
the left edge of the image to the right one of its fourth pixel is `xmin` 1, `xmax` 4. So our left
and top are less by 1, and right and bottom as they are; there may be two decimals. Of what is
narrower than a pixel `xmin` is above `xmax`, which some readers do not take. Without splits the
list is `trainval.txt`.

Areas and masks are also `SegmentationClass/*.png`, whose numbers are classes, 1 and up in the order
of `labelmap.txt`, and `SegmentationObject/*.png`, whose numbers are the objects of the XML file, 1
and up. 0 is background. In a picture of regions what nobody spoke of is void, 255. With more than
254 numbers they are grey pictures of 16 bits, and void is 65,535. A pixel is of one object: of
those that overlap the later one has it, and a mask of which nothing is left is left out.

Beyond the standard objects have `occluded`, `attributes` as Datumaro and CVAT write them, and
outlines a `polygon`, counted from 1 as well, as supervision reads it. A crowd is `difficult`.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import compress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any
from xml.sax.saxutils import escape

import numpy as np

from tessera.formats import archive, painting
from tessera.formats.archive import TarWriter
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.formats.voc_reading import EDGES, FIRST, FLAGS, labels_of, read
from tessera.kinds import Size, kind_of
from tessera.kinds.attributes import Value
from tessera.shapes import rasters
from tessera.shapes.rasters import Strokes

__all__ = ["FILE", "KINDS", "files", "losses", "read", "writer"]

FILE = "voc.tar"
KINDS = frozenset({"box", "instance_mask", "polygon", "semantic_mask"})
WHOLE = "trainval"
BACKGROUND, VOID = (0, 0, 0), (224, 224, 192)
_FEW = 254


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {
        "box": [Loses.SHAPE] if dataset.schema.rotated else [],
        "instance_mask": [Loses.OVERLAPS],
        "polygon": [Loses.HOLES, Loses.PARTS],
    }
    asked = any(each.attributes for each in dataset.schema.classes)
    attributes = [Loses.ATTRIBUTES] if asked and dataset.kind == "semantic_mask" else []
    lost = [Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS]
    return [*lost, *attributes, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["VocWriter"]:
    with ExitStack() as undo:
        spools = {
            split: undo.enter_context(NamedTemporaryFile(dir=folder))
            for split in dataset.splits or (WHOLE,)
        }
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        yield VocWriter(tar, dataset, spools)


class VocWriter:
    def __init__(self, tar: TarWriter, dataset: Described, spools: Mapping[str, IO[bytes]]) -> None:
        """Begin the archive.

        Args:
            spools: An empty file for each split, which has a name; the caller's to remove.
        """
        self._tar, self._dataset, self._spools, self._stems = tar, dataset, spools, Stems()
        schema = dataset.schema
        colours = painting.colours(schema, taken=(BACKGROUND, VOID))
        self._numbers = {each.id: i for i, each in enumerate(schema.classes, 1)}
        self._names = {each.id: each.name for each in schema.classes}
        self._colours = {0: BACKGROUND, **{self._numbers[id_]: c for id_, c in colours.items()}}
        every = [BACKGROUND, *colours.values(), VOID]
        lines = (
            f"{label}:{','.join(map(str, colour))}::\n"
            for label, colour in zip(labels_of(schema), every, strict=True)
        )
        tar.add("labelmap.txt", "".join(lines).encode())

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        stem = self._stems.of(image.name)
        self._spools[image.split or WHOLE].write(f"{stem}\n".encode())
        listed = [part for each in image.objects for part in self._parts(each)]
        if self._dataset.kind != "box":
            listed = self._paint(stem, image, listed)
        if self._dataset.kind == "semantic_mask":
            listed = []
        objects = "".join(self._object(image, *each) for each in listed)
        self._tar.add(f"Annotations/{stem}.xml", _document(image, objects, self._dataset).encode())
        if picture is not None:
            self._tar.add_file(f"JPEGImages/{image.name}", picture)

    def finish(self) -> None:
        sets = ["Main"] if self._dataset.kind == "box" else ["Main", "Segmentation"]
        for split, spool in self._spools.items():
            spool.flush()
            for each in sets:
                self._tar.add_file(f"ImageSets/{each}/{split}.txt", Path(spool.name))
        self._tar.close()

    def _parts(self, found: LabelledObject) -> list[tuple[LabelledObject, dict[str, Any]]]:
        """An object and its place, for each part of it."""
        if "polygon" not in found.place:
            return [(found, found.place)]
        return [(found, {"polygon": [part]}) for part in found.place["polygon"]]

    def _paint(
        self, stem: str, image: LabelledImage, listed: list[tuple[LabelledObject, dict[str, Any]]]
    ) -> list[tuple[LabelledObject, dict[str, Any]]]:
        """Pictures of what is there; what is left of the list."""
        size = Size(image.width, image.height)
        strokes = [_strokes(place, size) for _, place in listed]
        if self._dataset.kind == "instance_mask":
            shown = np.zeros(len(listed) + 1, dtype=np.bool_)
            for strip in painting.strips(strokes, size):
                shown[np.unique(strip)] = True
            listed = [*compress(listed, shown[1:])]
            strokes = [*compress(strokes, shown[1:])]
        most = len(self._numbers)
        semantic = self._dataset.kind == "semantic_mask"
        void = np.iinfo(_type(most)).max
        numbers = [void if semantic else 0, *(self._numbers[found.class_id] for found, _ in listed)]
        of_number = np.array(numbers, dtype=_type(most))
        classes = _png(size, most, {**self._colours, void: VOID} if semantic else self._colours)
        objects = _png(size, len(listed), {i: _colour(i) for i in range(len(listed) + 1)})
        for strip in painting.strips(strokes, size):
            classes.add(of_number[strip])
            if not semantic:
                objects.add(strip.astype(_type(len(listed))))
        if not semantic:
            self._tar.add(f"SegmentationObject/{stem}.png", objects.whole())
        self._tar.add(f"SegmentationClass/{stem}.png", classes.whole())
        return listed

    def _object(self, image: LabelledImage, found: LabelledObject, place: Mapping[str, Any]) -> str:
        known = [{"class": found.class_id, **place}]
        reach = kind_of(self._dataset.kind).reach(known, self._dataset.schema)[0]
        edges = np.clip(reach, 0, [image.width, image.height] * 2)
        edges[:2] += FIRST
        box = "".join(
            f"<{name}>{_written(edge)}</{name}>" for name, edge in zip(EDGES, edges, strict=True)
        )
        flags = "".join(
            f"<{name}>{int(found.attributes.get(name) is True)}</{name}>" for name in FLAGS
        )
        outline = "".join(
            f"<x{i}>{_written(x + FIRST)}</x{i}><y{i}>{_written(y + FIRST)}</y{i}>"
            for part in place.get("polygon", [])
            for i, (x, y) in enumerate(part[0], 1)
        )
        said = "".join(
            f"<attribute><name>{escape(name)}</name><value>{escape(_text(value))}</value></attribute>"
            for name, value in found.attributes.items()
        )
        return (
            f"<object><name>{escape(self._names[found.class_id])}</name><pose>Unspecified</pose>"
            f"{flags}<difficult>{int(found.crowd)}</difficult><bndbox>{box}</bndbox>"
            + (f"<polygon>{outline}</polygon>" if outline else "")
            + (f"<attributes>{said}</attributes>" if said else "")
            + "</object>\n"
        )


def _strokes(place: Mapping[str, Any], size: Size) -> Strokes:
    if "mask" in place:
        return rasters.from_json(place["mask"])
    return painting.filled(place["polygon"], size)


def _type(most: int) -> type[np.uint8 | np.uint16]:
    """What holds so many numbers, background and void."""
    return np.uint8 if most <= _FEW else np.uint16


def _png(size: Size, most: int, colours: Mapping[int, painting.Colour]) -> painting.Png:
    return painting.Png(size, colours if _type(most) is np.uint8 else None)


def _colour(number: int) -> painting.Colour:
    """VOC's own: its lowest three bits are the highest of red, green and blue, and so on."""
    bits = [[number >> 3 * place + channel & 1 for place in range(8)] for channel in range(3)]
    red, green, blue = (sum(bit << 7 - i for i, bit in enumerate(each)) for each in bits)
    return red, green, blue


def _document(image: LabelledImage, objects: str, dataset: Described) -> str:
    return (
        f"<annotation>\n<folder>JPEGImages</folder><filename>{escape(image.name)}</filename>"
        f"<source><database>{escape(dataset.name)}</database></source>"
        f"<size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>"
        f"<segmented>{int(dataset.kind != 'box')}</segmented>\n{objects}</annotation>\n"
    )


def _written(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
