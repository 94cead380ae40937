"""COCO panoptic: a picture of segment ids for each image, and what each of them is.

`annotations/panoptic_<split>.json`, beside it a folder of that name with a PNG for each image, in
which the id of a pixel is R + 256 G + 65,536 B, and `images/<split>`; without splits it is
`default`. Ids count from 1 in each image, and 0 is void. Beyond the standard segments have
`attributes`, `score` and `source`. A pixel is of one segment: of masks that overlap the later one
has it, and one of which nothing is left is left out.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from tessera.formats import archive, checking, coco, painting
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import MOST_NUMBERS, Checking, mapping
from tessera.formats.coco_reading import Document, Said, documents, referred
from tessera.formats.errors import Code, Unfit
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields
from tessera.shapes import rasters

FILE = "coco_panoptic.tar"
KINDS = frozenset({"instance_mask", "semantic_mask"})
WHOLE = "default"


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    """Where instances overlap, the shape of those below."""
    return [Loses.TILES, *([Loses.OVERLAPS] if dataset.kind == "instance_mask" else [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["PanopticWriter"]:
    with ExitStack() as undo:
        spools = {
            split: (
                undo.enter_context(NamedTemporaryFile(dir=folder)),
                undo.enter_context(TemporaryFile(dir=folder)),
            )
            for split in dataset.splits or (WHOLE,)
        }
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        yield PanopticWriter(tar, dataset, spools)


class PanopticWriter:
    """Pictures go straight into the archive; what is said of them waits on disk until the end."""

    def __init__(
        self, tar: TarWriter, dataset: Described, spools: Mapping[str, tuple[IO[bytes], IO[bytes]]]
    ) -> None:
        """Begin the documents.

        Args:
            spools: Two empty files for each split, the first of which has a name; the caller's to
                remove.
        """
        self._tar, self._spools, self._stems = tar, spools, Stems()
        self._images = {split: coco.Elements(first) for split, (first, _) in spools.items()}
        self._annotations = {split: coco.Elements(last) for split, (_, last) in spools.items()}
        thing = int(dataset.kind == "instance_mask")
        schema = dataset.schema
        categories = [
            coco.category_of(each, schema) | {"isthing": thing} for each in schema.classes
        ]
        info = {"description": dataset.name, "project": dataset.project_id}
        head = orjson.dumps({"info": info, "licenses": [], "categories": categories})
        for first, _ in spools.values():
            first.write(head.removesuffix(b"}") + b',\n"images":[')

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split, name = image.split or WHOLE, f"{self._stems.of(image.name)}.png"
        size = Size(image.width, image.height)
        drawn = [rasters.from_json(each.place["mask"]) for each in image.objects]
        made, seen = painting.Png(size), painting.Seen(len(drawn))
        for strip in painting.strips(drawn, size):
            seen.add(strip)
            made.add(np.stack([strip >> s & 255 for s in (0, 8, 16)], axis=2).astype(np.uint8))
        self._tar.add(f"annotations/panoptic_{split}/{name}", made.whole())
        if picture is not None:
            self._tar.add_file(f"images/{split}/{image.name}", picture)
        about = {"file_name": image.name, "width": image.width, "height": image.height}
        own = {"uuid": image.uuid, "sha256": image.sha256}
        self._images[split].add({"id": image.id, **about, **own})
        segments = [_segment(number, image.objects[number - 1], seen) for number in seen.numbers()]
        self._annotations[split].add(
            {"image_id": image.id, "file_name": name, "segments_info": segments}
        )

    def finish(self) -> None:
        for split, (first, last) in self._spools.items():
            first.write(b'],\n"annotations":[')
            last.seek(0)
            shutil.copyfileobj(last, first)
            first.write(b"]}\n")
            first.flush()
            self._tar.add_file(f"annotations/panoptic_{split}.json", Path(first.name))
        self._tar.close()


def _segment(number: int, found: LabelledObject, seen: painting.Seen) -> dict[str, Any]:
    return {
        "id": number,
        "category_id": found.class_id,
        "iscrowd": int(found.crowd),
        "bbox": seen.box(number),
        "area": int(seen.area[number]),
        "score": found.confidence,
        "attributes": found.attributes,
        "source": found.source,
    }


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`. Segments of one class are one region, if regions are asked for."""
    checked = Checking(wanted)
    for document in documents(files):
        reader = _Reader(document, files, checked, wanted)
        for each in document.images():
            if isinstance(each, Refused):
                yield each
            else:
                yield from reader.image(each)


_Segment = Mapping[str, Any]
_Masks = dict[int, dict[str, Any]]
_Records = list[tuple[str, _Segment]]


class _Reader:
    def __init__(self, document: Document, files: Files, checked: Checking, wanted: Wanted) -> None:
        self._document, self._files, self._wanted = document, files, wanted
        self._folder, self._checking = document.path.removesuffix(".json"), checked

    def image(self, said: Said) -> Iterator[Known | Refused]:
        at, name, told, annotations = said
        if self._checking.is_foreign(name):
            annotations = []  # it is refused as a whole
        size = told or self._wanted.images.get(name, Size(0, 0))
        records: _Records = []
        lone: list[tuple[str, int]] = []
        masks: _Masks = {}
        for there, annotation in annotations[:1]:
            try:
                listed = fields.items(
                    annotation.get("segments_info"),
                    "segments_info",
                    InvalidAnswer,
                    most=MOST_NUMBERS,
                )
                records = [(f"{there}.{place}", mapping(each, place)) for place, each in listed]
                path, masks = self._masks(annotation, size)
                known = {_id(each) for _, each in records}
                lone = [(path, number) for number in masks if number not in known]
            except InvalidAnswer as error:
                yield checking.refused(there, error, name)
                return
        yield from [
            Refused(there, "is the second of its image", Code.REPEATED, name)
            for there, _ in annotations[1:]
        ]
        if self._wanted.kind == "semantic_mask":
            records = self._together(records, masks, size)
        every = [*records, *lone]
        yield from self._checking.image(at, name, told, every, partial(self._object, masks))

    def _masks(self, annotation: Mapping[str, Any], size: Size) -> tuple[str, _Masks]:
        path = f"{self._folder}/{annotation.get('file_name')}"
        if not self._files.has(path):
            raise Unfit("file_name", f"{path[:300]!r} is not there", Code.MISSING)
        return path, dict(painting.masks(painting.picture_in(self._files, path, size)))

    def _together(self, records: _Records, masks: _Masks, size: Size) -> _Records:
        """One segment of each class, the first, which gets the pixels of all of them.

        What is not that of any class or pixels stays by itself, to be refused.
        """
        firsts: dict[int, int] = {}
        kept: _Records = []
        for at, segment in records:
            id_ = _id(segment)
            try:
                class_id = self._class(segment).id
            except InvalidAnswer:
                class_id = None
            if class_id is None or id_ not in masks or id_ in firsts.values():
                kept.append((at, segment))
            elif class_id not in firsts:
                firsts[class_id] = id_
                kept.append((at, segment))
            else:
                drawn = [rasters.from_json(masks[firsts[class_id]])]
                drawn.append(rasters.from_json(masks.pop(id_)))
                masks[firsts[class_id]] = painting.together(drawn, size.height).as_json()
        return kept

    def _class(self, segment: _Segment) -> LabelClass:
        category = referred(segment, "category_id", self._document.categories)
        return self._checking.named(category.name)

    def _object(self, masks: _Masks, said: _Segment | int) -> dict[str, Any]:
        if isinstance(said, int):
            why = f"has a pixel of {said}, which is the id of no segment"
            raise Unfit("", why, Code.MISSING)
        named = self._class(said)
        crowd = self._wanted.kind == "instance_mask" and checking.flag(said, "iscrowd")
        id_ = fields.whole(said.get("id"), "id", InvalidAnswer)
        if id_ not in masks:
            raise Unfit("id", "is that of no pixel, or there twice", Code.MISSING)
        mask = masks.pop(id_)
        return {
            "class": named.id,
            "mask": mask,
            "attributes": mapping(said.get("attributes", {}), "attributes"),
            **({"optional": True} if crowd else {}),
            **({"confidence": said["score"]} if "score" in said else {}),
        }


def _id(segment: _Segment) -> int:
    """0, which is void, if it has none."""
    id_ = segment.get("id")
    return id_ if isinstance(id_, int) and not isinstance(id_, bool) else 0
