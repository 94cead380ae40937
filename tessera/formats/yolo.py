"""YOLO, as Ultralytics trains on it: `data.yaml`, `images/<split>` and `labels/<split>/*.txt`.

A line is an object: its class, then numbers as shares of the image's width and height.

    box            class, middle x and y, width, height
    box, rotated   class, four corners
    areas, masks   class, the points of one outline, around pixels if it is a mask
    keypoints      class, box, and x, y, v of each point (`kpt_shape`; shorter skeletons are filled
                   up with points that are not labelled)

Classes are numbered from 0 in the order of the schema; `class_ids` has our ids in that order. An
image without objects has an empty file. Without splits all is `train`; a reader needs `val` too,
which then is the first split there is. `path` is left out: it is the folder of the file.

Classes of whole images are folders: `<split>/<class>/<image>`, where readers number the classes in
the order of the folders' names. `<split>.txt` lists where each image belongs, for those who have
the pictures elsewhere, and `classes.txt` has the id, folder and name of each class.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from tessera.formats import archive, outlines, painting
from tessera.formats.archive import TarWriter
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Loses, Split, Writer
from tessera.formats.records import LabelledImage
from tessera.formats.yolo_reading import folders, read
from tessera.formats.yolo_settings import label_path
from tessera.kinds import LabelSchema, kind_of
from tessera.kinds.skeleton import Skeleton
from tessera.shapes import rasters

__all__ = ["FILE", "KINDS", "files", "losses", "read", "writer"]

FILE = "yolo.tar"
KINDS = frozenset({"box", "classify", "instance_mask", "keypoints", "polygon"})


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    of_kind = {
        "classify": [Loses.EMPTY_IMAGES],
        "instance_mask": [Loses.HOLES, Loses.PARTS],
        "polygon": [Loses.HOLES, Loses.PARTS],
    }
    asked = any(each.attributes for each in dataset.schema.classes)
    lost = [Loses.CONFIDENCE, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS]
    crowd = [] if dataset.kind == "classify" else [Loses.CROWD]
    attributes = [Loses.ATTRIBUTES] if asked else []
    return [*lost, *crowd, *attributes, *of_kind.get(dataset.kind, [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator[Writer]:
    with ExitStack() as undo:
        tar = TarWriter(undo.enter_context((folder / FILE).open("wb")))
        if dataset.kind == "classify":
            spools = {
                split: undo.enter_context(NamedTemporaryFile(dir=folder))
                for split in _splits(dataset)
            }
            yield FoldersWriter(tar, dataset.schema, spools)
        else:
            yield YoloWriter(tar, dataset)


def _splits(dataset: Described) -> Sequence[str]:
    return dataset.splits or (Split.TRAIN,)


class YoloWriter:
    def __init__(self, tar: TarWriter, dataset: Described) -> None:
        self._tar, self._dataset, self._stems = tar, dataset, Stems()
        self._classes = {each.id: i for i, each in enumerate(dataset.schema.classes)}
        self._most = max(
            (len(each.skeleton.points) for each in dataset.schema.classes if each.skeleton),
            default=0,
        )
        tar.add("data.yaml", _settings(dataset, self._most).encode())

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        # readers look for labels by the image's own path, so two must not differ by the ending only
        path = f"images/{image.split or Split.TRAIN}/{self._stems.of(image.name)}"
        kept = [each for each in image.objects if not each.crowd]
        size = np.array([image.width, image.height])
        lines = "".join(
            f"{self._classes[each.class_id]} {' '.join([f'{n:.9g}' for n in numbers])}\n"
            for each in kept
            for numbers in self._numbers(each.class_id, each.place, size)
        )
        self._tar.add(label_path(path), lines.encode())
        if picture is not None:
            self._tar.add_file(f"{path}{PurePosixPath(image.name).suffix}", picture)

    def finish(self) -> None:
        self._tar.close()

    def _numbers(
        self, class_id: int, place: Mapping[str, Any], size: np.ndarray[Any, Any]
    ) -> Iterator[list[float]]:
        """Of each line of an object: several if it has parts."""
        match place:
            case {"box": box} if self._dataset.schema.rotated:
                yield (np.array(outlines.corners_of(box)) / size).ravel().tolist()
            case {"box": box}:
                yield _middle(box, size)
            case {"polygon": parts}:
                yield from ((np.array(outer) / size).ravel().tolist() for outer, *_ in parts)
            case {"mask": mask}:
                parts = painting.outlined(rasters.from_json(mask))
                yield from ((np.array(outer) / size).ravel().tolist() for outer, *_ in parts)
            case {"points": points}:
                reach = kind_of("keypoints").reach(
                    [{"class": class_id, **place}], self._dataset.schema
                )
                missing = [[0.0, 0.0, 0.0]] * (self._most - len(points))
                shares = np.array([*points, *missing]) / [*size, 1]
                yield [*_middle(reach[0].tolist(), size), *shares.ravel().tolist()]


def _middle(box: Sequence[float], size: np.ndarray[Any, Any]) -> list[float]:
    left, top, right, bottom = box
    width, height = size.tolist()
    across, down = (left + right) / 2, (top + bottom) / 2
    return [across / width, down / height, (right - left) / width, (bottom - top) / height]


def _settings(dataset: Described, points: int) -> str:
    splits = _splits(dataset)
    where = {split: split if split in splits else splits[0] for split in ("train", "val")}
    lines = [f"{split}: images/{folder}" for split, folder in where.items()]
    lines += ["test: images/test"] if Split.TEST in splits else []
    lines.append("names:")
    lines += [f"  {i}: {_quoted(each.name)}" for i, each in enumerate(dataset.schema.classes)]
    lines.append(f"class_ids: [{', '.join(str(each.id) for each in dataset.schema.classes)}]")
    if points:
        lines.append(f"kpt_shape: [{points}, 3]")
        mirrored = {_mirrored(each.skeleton, points) for each in dataset.schema.classes}
        # readers have one for all classes; without any they do not mirror pictures
        lines += [f"flip_idx: {list(each)}" for each in mirrored if len(mirrored) == 1]
    return "\n".join([*lines, ""])


def _quoted(name: str) -> str:
    """YAML, of which JSON's strings are part."""
    return orjson.dumps(name).decode()


def _mirrored(skeleton: Skeleton | None, points: int) -> tuple[int, ...]:
    """Which point each is in a mirror."""
    pairs = () if skeleton is None else skeleton.flips
    other = {one: two for pair in pairs for one, two in (pair, pair[::-1])}
    return tuple(other.get(i, i) for i in range(points))


class FoldersWriter:
    """Of classes of whole images. Lists wait on disk until the end."""

    def __init__(
        self, tar: TarWriter, schema: LabelSchema, spools: Mapping[str, IO[bytes]]
    ) -> None:
        """Begin the archive.

        Args:
            spools: An empty file for each split, which has a name; the caller's to remove.
        """
        self._tar, self._spools, self._folders = tar, spools, folders(schema)
        named = ((each.id, self._folders[each.id], each.name) for each in schema.classes)
        lines = "".join(f"{id_}\t{folder}\t{name}\n" for id_, folder, name in named)
        tar.add("classes.txt", lines.encode())

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        split = image.split or Split.TRAIN
        for each in image.objects:
            path = f"{split}/{self._folders[each.class_id]}/{image.name}"
            self._spools[split].write(f"{path}\n".encode())
            if picture is not None:
                self._tar.add_file(path, picture)

    def finish(self) -> None:
        for split, spool in self._spools.items():
            spool.flush()
            self._tar.add_file(f"{split}.txt", Path(spool.name))
        self._tar.close()
