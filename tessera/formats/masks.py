"""Masks as PNG, in the layout of Cityscapes, without cities: `gtFine/<split>/<image>_gtFine_*`.

    labelIds.png     the class of each pixel, with the colours of the schema as palette; 0 is void
    instanceIds.png  1,000 times the class plus the number of the object of its class, from 0; the
                     class alone where objects are not told apart: regions, crowds, and whatever
                     comes after 1,000 objects of a class
    polygons.json    of outlines: class and points of each, in pixels; a crowd is of class `…group`

Pictures are `leftImg8bit/<split>/<image>_leftImg8bit.*`; without splits it is `train`. Numbers of
classes are our ids if they fit: into 8 bits, or 16 without a palette, or if objects are told apart
below 65, so that their numbers fit into 16. If not, classes count from 1 in the order of the
schema, and if there are more than 64 `instanceIds` count objects from 1 whatever their class is,
without crowds. `classes.txt` has number, id and name of each class, and `label_colors.txt` is for
Datumaro, which takes the line for the number. A pixel is of one object: of those that overlap the
later one has it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import orjson

from tessera.formats import archive, painting
from tessera.formats.archive import TarWriter
from tessera.formats.masks_reading import CLASSES, TOGETHER, numbers_of, read
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Loses, Split
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelSchema, Size
from tessera.shapes import rasters

__all__ = ["FILE", "KINDS", "files", "losses", "read", "writer"]

FILE = "masks.tar"
KINDS = frozenset({"instance_mask", "polygon", "semantic_mask"})
_BYTE, _UNUSED = 254, (0, 0, 0)


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {
        "instance_mask": [Loses.OVERLAPS],
        "polygon": [Loses.HOLES, Loses.PARTS],
    }
    numbers = numbers_of(dataset.schema, dataset.kind)
    asked = any(each.attributes for each in dataset.schema.classes)
    crowds = dataset.kind == "instance_mask" and not numbers.told_by_class
    return [
        *(Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES),
        *([] if numbers.are_ids else [Loses.CLASS_IDS]),
        *([Loses.ATTRIBUTES] if asked else []),
        *([Loses.CROWD] if crowds else []),
        *of_kind.get(dataset.kind, []),
    ]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["MasksWriter"]:
    with (folder / FILE).open("wb") as out:
        yield MasksWriter(TarWriter(out), dataset)


class MasksWriter:
    def __init__(self, tar: TarWriter, dataset: Described) -> None:
        self._tar, self._dataset, self._stems = tar, dataset, Stems()
        self._numbers = numbers_of(dataset.schema, dataset.kind)
        of = self._numbers.by_id
        self._names = {each.id: each.name for each in dataset.schema.classes}
        colours = painting.colours(dataset.schema, taken=[_UNUSED])
        self._palette = {0: _UNUSED, **{of[id_]: colour for id_, colour in colours.items()}}
        named = "".join(f"{of[id_]}\t{id_}\t{name}\n" for id_, name in self._names.items())
        tar.add(CLASSES, named.encode())
        tar.add("label_colors.txt", _lines(dataset.schema, of, self._palette).encode())

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split, stem = image.split or Split.TRAIN, self._stems.of(image.name)
        top, size = f"gtFine/{split}/{stem}_gtFine", Size(image.width, image.height)
        objects = image.objects
        if self._dataset.kind == "instance_mask" and not self._numbers.told_by_class:
            objects = [each for each in objects if not each.crowd]
        strokes = [_strokes(each, size) for each in objects]
        classes = [self._numbers.by_id[each.class_id] for each in objects]
        few = max(self._palette) <= _BYTE
        labels = np.array([0, *classes], dtype=np.uint8 if few else np.uint16)
        instances = np.array([0, *self._instances(objects, classes)], dtype=np.uint16)
        of_labels = painting.Png(size, self._palette if few else None)
        of_instances = painting.Png(size)
        for strip in painting.strips(strokes, size):
            of_labels.add(labels[strip])
            of_instances.add(instances[strip])
        self._tar.add(f"{top}_labelIds.png", of_labels.whole())
        self._tar.add(f"{top}_instanceIds.png", of_instances.whole())
        if self._dataset.kind == "polygon":
            self._tar.add(f"{top}_polygons.json", self._outlines(image))
        if picture is not None:
            ending = PurePosixPath(image.name).suffix
            self._tar.add_file(f"leftImg8bit/{split}/{stem}_leftImg8bit{ending}", picture)

    def finish(self) -> None:
        self._tar.close()

    def _instances(
        self, objects: Sequence[LabelledObject], classes: Sequence[int]
    ) -> Iterator[int]:
        if self._dataset.kind == "semantic_mask":
            yield from classes
        elif not self._numbers.told_by_class:
            yield from range(1, len(objects) + 1)
        else:
            there: Counter[int] = Counter()
            for each, number in zip(objects, classes, strict=True):
                apart = not each.crowd and there[number] < TOGETHER
                yield number * TOGETHER + there[number] if apart else number
                there[number] += apart

    def _outlines(self, image: LabelledImage) -> bytes:
        objects = [
            {
                "label": self._names[each.class_id] + ("group" if each.crowd else ""),
                "polygon": outer,
            }
            for each in image.objects
            for outer, *_ in each.place["polygon"]
        ]
        size = {"imgHeight": image.height, "imgWidth": image.width}
        return orjson.dumps({**size, "objects": objects})


def _strokes(found: LabelledObject, size: Size) -> rasters.Strokes:
    if "mask" in found.place:
        return rasters.from_json(found.place["mask"])
    return painting.filled(found.place["polygon"], size)


def _lines(
    schema: LabelSchema, numbers: Mapping[int, int], palette: Mapping[int, painting.Colour]
) -> str:
    """A line for each number from 0; names are single words there."""
    words: dict[int, str] = {0: "unlabeled"}
    for each in schema.classes:
        word = "_".join(each.name.split())
        words[numbers[each.id]] = f"{word}_{each.id}" if word in words.values() else word
    return "".join(
        f"{' '.join(map(str, palette.get(i, _UNUSED)))} {words.get(i, f'unused_{i}')}\n"
        for i in range(max(words) + 1)
    )
