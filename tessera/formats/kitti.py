"""KITTI's object labels: `label_2/*.txt`, `image_2/*`, `calib/*.txt`, a folder for each split.

Without splits the folder is `training`. A line is an object: class, truncated (0 to 1), occluded
(0 to 3), alpha, the upright box in the picture in pixels, then in metres in the camera's frame
height, width and length, and the middle of the bottom, and rotation_y in radians. What is not known
in space is -1, -1000 and -10, as KITTI has it. Cuboids in space have all of it, and files of
`calib`, of whose matrices only P2 is the schema's camera: there is no other sensor.

Classes are single words: spaces become `_`. `dataset_meta.json` has them as Datumaro wants them,
and the id and name of each. Of attributes there are `truncated` and `occluded`, flags or numbers,
if a class has them; 0 may mean that nobody said. Crowds are `DontCare`, of no class, and are passed
over by our reader.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tessera.formats import archive, checking
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.names import Stems
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import InvalidAnswer, LabelSchema, kind_of
from tessera.kinds.attributes import Type

FILE = "kitti.tar"
KINDS = frozenset({"box", "cuboid"})
WHOLE = "training"
NOBODY = "DontCare"
_NO_SPACE = "-1 -1 -1 -1000 -1000 -1000 -10"
_MOST = {"truncated": 1, "occluded": 3}
_COLUMNS = 15
_CAMERA, _LONGEST, _SAME = "P2", 2**16, 1e-4
_IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"


def files(dataset: Described) -> dict[str, str]:
    del dataset
    return {FILE: archive.MEDIA_TYPE}


def losses(dataset: Described) -> list[Loses]:
    schema = dataset.schema
    upright = dataset.kind == "box" and not schema.rotated
    shape = [] if upright or schema.camera is not None else [Loses.SHAPE]
    asked = [Loses.ATTRIBUTES] if any(each.attributes for each in schema.classes) else []
    lost = [Loses.CONFIDENCE, Loses.CROWD, Loses.SOURCE, Loses.TILES, Loses.CLASS_IDS]
    return [*lost, *asked, *shape]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["KittiWriter"]:
    with (folder / FILE).open("wb") as out:
        yield KittiWriter(TarWriter(out), dataset)


class KittiWriter:
    def __init__(self, tar: TarWriter, dataset: Described) -> None:
        self._tar, self._dataset, self._stems = tar, dataset, Stems()
        self._words = _words(dataset.schema)
        about = [
            {"id": each.id, "word": self._words[each.id], "name": each.name}
            for each in dataset.schema.classes
        ]
        labels = [*self._words.values(), NOBODY]
        tar.add("dataset_meta.json", orjson.dumps({"labels": labels, "classes": about}))

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        folder, stem = image.split or WHOLE, self._stems.of(image.name)
        lines = "".join(f"{self._line(image, each)}\n" for each in image.objects)
        self._tar.add(f"{folder}/label_2/{stem}.txt", lines.encode())
        if self._dataset.schema.camera is not None:
            numbers = " ".join(f"{v:.12e}" for row in self._dataset.schema.camera for v in row)
            self._tar.add(f"{folder}/calib/{stem}.txt", _calibration(numbers).encode())
        if picture is not None:
            self._tar.add_file(f"{folder}/image_2/{image.name}", picture)

    def finish(self) -> None:
        self._tar.close()

    def _line(self, image: LabelledImage, found: LabelledObject) -> str:
        objects = [{"class": found.class_id, **found.place}]
        around = kind_of(self._dataset.kind).reach(objects, self._dataset.schema)[0]
        inside = np.clip(around, 0, [image.width, image.height] * 2)
        box = " ".join(f"{edge:.2f}" for edge in inside)
        if found.crowd:
            return f"{NOBODY} -1 -1 -10 {box} {_NO_SPACE}"
        cut, hidden = (_share(found, name) for name in _MOST)
        alpha, space = _in_space(found.place)
        word = self._words[found.class_id]
        return f"{word} {cut:.2f} {round(hidden)} {alpha} {box} {space}"


def _words(schema: LabelSchema) -> dict[int, str]:
    """A word for each class by its id; no two are the same."""
    words: dict[int, str] = {}
    for each in schema.classes:
        word = "_".join(each.name.split())
        taken = word == NOBODY or word in words.values()
        words[each.id] = f"{word}_{each.id}" if taken else word
    return words


def _share(found: LabelledObject, name: str) -> float:
    said = found.attributes.get(name)
    return said if isinstance(said, bool | float) and 0 <= said <= _MOST[name] else 0


def _in_space(place: Mapping[str, Any]) -> tuple[str, str]:
    """Alpha, and the last seven columns. Alpha is the yaw as seen along the line of sight."""
    if "solid" not in place:
        return "-10", _NO_SPACE
    (x, y, z), (length, height, width) = place["solid"]["centre"], place["solid"]["size"]
    yaw = place["solid"]["yaw"]
    alpha = (yaw - np.arctan2(x, z) + np.pi) % (2 * np.pi) - np.pi
    size = f"{height:.4f} {width:.4f} {length:.4f}"
    # half of a height to a tenth of a millimetre has one digit more
    return f"{alpha:.4f}", f"{size} {x:.4f} {y + height / 2:.5f} {z:.4f} {yaw:.4f}"


def _calibration(camera: str) -> str:
    cameras = "".join(f"P{number}: {camera}\n" for number in range(4))
    return (
        f"{cameras}R0_rect: 1 0 0 0 1 0 0 0 1\n"
        f"Tr_velo_to_cam: {_IDENTITY}\nTr_imu_to_velo: {_IDENTITY}\n"
    )


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; an image is known by its file's path, but for the ending."""
    images = checking.by_stem(wanted.images)
    reader, some = _Reader(wanted), False
    for path in files.names():
        _, folder, rest = f"/{path}".partition("/label_2/")
        if folder and rest.endswith(".txt"):
            some = True
            stem = rest.removesuffix(".txt")
            yield from reader.image(path, images.get(stem, stem), files)
    if not some:
        raise BadFile("label_2", "has no text file")


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._checking = wanted, Checking(wanted)
        by_id = {each.id: each for each in wanted.schema.classes}
        self._classes = {word: by_id[id_] for id_, word in _words(wanted.schema).items()}

    def image(self, path: str, name: str, files: Files) -> Iterator[Known | Refused]:
        with files.open(path) as file:
            lines = [
                (f"{path}:{number}", line.split())
                for number, line in enumerate(file.read().decode(errors="replace").splitlines(), 1)
                if line.strip() and line.split()[0] != NOBODY
            ]
        try:
            beside = f"/{path}".replace("/label_2/", "/calib/").removeprefix("/")
            self._check_camera(beside, files)
        except InvalidAnswer as error:
            yield replace(checking.refused(path, error), image=name)
        else:
            yield from self._checking.image(path, name, None, lines, self._object)

    def _check_camera(self, path: str, files: Files) -> None:
        """Refuse cuboids that another camera has seen: here all images of a project have one."""
        camera = self._wanted.schema.camera
        if camera is None or self._wanted.kind != "cuboid" or not files.has(path):
            return
        with files.open(path) as file:
            lines = file.read(_LONGEST).decode(errors="replace").splitlines()
        said = next((line.split()[1:] for line in lines if line.startswith(f"{_CAMERA}:")), [])
        try:
            theirs = np.array([float(each) for each in said]).reshape(3, 4)
        except ValueError as error:
            raise Unfit("", f"{path}: {_CAMERA} is no matrix of 3 x 4", Code.BAD_FILE) from error
        if not np.allclose(theirs, camera, rtol=_SAME, atol=_SAME):
            why = f"{path}: {_CAMERA} is not the camera of the label schema"
            raise Unfit("", why, Code.OTHER_CAMERA)

    def _object(self, line: list[str]) -> Mapping[str, Any]:
        if len(line) not in {_COLUMNS, _COLUMNS + 1}:
            raise InvalidAnswer("", f"has {len(line)} columns, not {_COLUMNS} or {_COLUMNS + 1}")
        named = self._classes.get(line[0])
        if named is None:
            why = f"{line[0][:100]!r} is not a class of this project"
            raise Unfit("", why, Code.UNKNOWN_CLASS)
        try:
            cut, hidden, _, *rest = map(float, line[1:])
        except ValueError as error:
            raise InvalidAnswer("", "must be numbers but for the class") from error
        attributes = {
            asked.name: value > 0 if asked.type is Type.FLAG else value
            for asked, value in zip(map(named.attribute, _MOST), (cut, hidden), strict=True)
            if asked is not None and asked.type in {Type.FLAG, Type.NUMBER} and value > 0
        }
        found = {"class": named.id, "attributes": attributes, **self._place(rest)}
        return found | ({"confidence": rest[11]} if len(line) > _COLUMNS else {})

    def _place(self, numbers: list[float]) -> dict[str, Any]:
        if self._wanted.kind == "box":
            return {"box": numbers[:4]}
        height, width, length, x, y, z, yaw = numbers[4:11]
        return {
            "solid": {"centre": [x, y - height / 2, z], "size": [length, height, width], "yaw": yaw}
        }
