"""Reading YOLO: label files of any task by `data.yaml`, and folders of classes.

Labels have no size, so images must be known; two that differ by nothing but their endings are told
apart as our writer does. A number too many at the end of a line is a confidence, and so are a
model's third numbers of points: from a half on it has seen them. Outlines are filled where masks
are asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import shapely

from tessera.formats import painting
from tessera.formats.archive import Files
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Split, Wanted
from tessera.formats.yolo_settings import Settings
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size
from tessera.shapes import turned

_UNFIT = re.compile(r'[/\\:*?"<>|]|^\.+$')
_LARGEST = 2**53
_BOX, _CORNERS, _X_Y, _X_Y_V = 4, 8, 2, 3
_SEEN = 0.5


def folders(schema: LabelSchema) -> dict[int, str]:
    """A folder for each class by its id; no two are the same, to any system."""
    found: dict[int, str] = {}
    for each in schema.classes:
        folder = _UNFIT.sub("_", each.name)
        taken = folder.casefold() in {other.casefold() for other in found.values()}
        found[each.id] = f"{folder}_{each.id}" if taken else folder
    return found


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`."""
    if wanted.kind == "classify":
        yield from _of_folders(files, wanted)
        return
    settings = Settings(files)
    reader = _Reader(settings, files, wanted)
    taken: set[str | None] = set()
    for each in settings.placed(list(wanted.images)):
        if each.image is None:
            yield Refused(each.at, "is of no image of this project", Code.FOREIGN_IMAGE)
        elif each.labels in taken:
            why = f"has the labels of another line: {each.labels}"
            yield Refused(each.at, why, Code.REPEATED, each.image)
        else:
            taken |= {each.labels} - {None}
            yield from reader.image(each.labels or each.at, each.image, each.labels)


def _of_folders(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """Files, or the lines of lists of them: of some folder, of a class, and the image's name."""
    lists = [name for name in (f"{split}.txt" for split in Split) if files.has(name)]
    paths = [(path, path) for path in files.names() if "/" in path] if not lists else []
    for name in lists:
        with files.open(name) as file:
            lines = file.read().decode(errors="replace").splitlines()
        paths += [(f"{name}:{number}", line) for number, line in enumerate(lines, 1)]
    if not paths and not lists:
        raise BadFile("", "has no folders of classes, nor a list of files in them")
    checked = Checking(wanted)
    by_folder = {folder: wanted.schema.find(id_) for id_, folder in folders(wanted.schema).items()}
    said: dict[str, list[tuple[str, str]]] = {}
    for at, path in paths:
        _, _, rest = path.partition("/")
        folder, _, name = rest.partition("/")
        if not name:
            yield Refused(at, "must be a path: a folder, a class and the name of an image")
        else:
            said.setdefault(name, []).append((at, folder))

    def one(folder: str) -> dict[str, Any]:
        return {"class": (by_folder.get(folder) or checked.named(folder)).id}

    for name, records in said.items():
        yield from checked.image(records[0][0], name, None, records, one)


class _Reader:
    def __init__(self, settings: Settings, files: Files, wanted: Wanted) -> None:
        self._files, self._wanted, self._checking = files, wanted, Checking(wanted)
        self._names = settings.names
        self._of_point = _X_Y_V if settings.points_are_seen else _X_Y

    def image(self, at: str, name: str, path: str | None) -> Iterator[Known | Refused]:
        read_ = partial(self._object, self._wanted.images[name])
        yield from self._checking.image(at, name, None, self._lines(path), read_)

    def _lines(self, path: str | None) -> list[tuple[str, str]]:
        if path is None:
            return []
        with self._files.open(path) as file:
            lines = file.read().decode(errors="replace").splitlines()
        return [(f"{path}:{i}", line) for i, line in enumerate(lines, 1) if line.strip()]

    def _object(self, size: Size, line: str) -> Mapping[str, Any]:
        number, *rest = line.split()
        if number not in self._names:
            why = f"{number[:50]!r} is not the number of a class"
            raise Unfit("", why, Code.UNKNOWN_CLASS)
        named = self._checking.named(self._names[number])
        try:
            shares = [float(each) for each in rest]
        except ValueError as error:
            raise InvalidAnswer("", "must be numbers") from error
        if not all(abs(each) <= _LARGEST for each in shares):
            raise InvalidAnswer("", "must be finite numbers, and not far too large")
        count = self._count(len(shares))
        sure = {"confidence": shares[count]} if len(shares) == count + 1 else {}
        return {"class": named.id, **self._place(shares[:count], size, named), **sure}

    def _count(self, there: int) -> int:
        """How many of so many numbers say where an object is; one more may be a confidence."""
        kind = self._wanted.kind
        if kind == "keypoints":
            count = _BOX + (there - _BOX) // self._of_point * self._of_point
        elif kind == "box":
            turned_ = self._wanted.schema.rotated and there >= _CORNERS
            count = _CORNERS if turned_ else _BOX
        else:
            count = there // 2 * 2
        if there not in {count, count + 1} or count < _BOX:
            raise InvalidAnswer("", f"has {there} numbers after its class")
        return count

    def _place(self, shares: Sequence[float], size: Size, named: LabelClass) -> dict[str, Any]:
        if self._wanted.kind == "keypoints":
            return {"points": self._points(shares[_BOX:], size, named)}
        at = np.reshape(shares, (-1, 2)) * np.array(size)
        if self._wanted.kind == "polygon":
            return {"polygon": [[at.tolist()]]}
        if self._wanted.kind == "instance_mask":
            strokes = painting.filled([[at.tolist()]], size)
            if not strokes.pixels:
                raise InvalidAnswer("", "has no pixel")
            return {"mask": strokes.as_json()}
        if len(shares) == _CORNERS:
            return {"box": _around(at)}
        return {"box": [*(at[0] - at[1] / 2).tolist(), *(at[0] + at[1] / 2).tolist()]}

    def _points(self, shares: Sequence[float], size: Size, named: LabelClass) -> list[list[float]]:
        """Without those that only longer skeletons have."""
        at = np.reshape(shares, (-1, self._of_point))
        seen = at[:, 2] if self._of_point == _X_Y_V else np.where(at.any(axis=1), 2.0, 0.0)
        if (seen % 1).any() and (seen >= 0).all() and (seen <= 1).all():
            seen = np.where(seen < _SEEN, 0.0, 2.0)  # a model's, of how certain it is
        found = [
            [x * size.width, y * size.height, int(v) if v.is_integer() else v]
            for x, y, v in np.column_stack([at[:, :2], seen]).tolist()
        ]
        asked = 0 if named.skeleton is None else len(named.skeleton.points)
        if any(v for *_, v in found[asked:]):
            why = f"has more than the {asked} points of its class"
            raise Unfit("", why, Code.UNKNOWN_POINT)
        return found[:asked]


def _around(corners: np.ndarray[Any, Any]) -> list[float]:
    """The smallest rectangle: four corners of others' need not be those of one."""
    around = shapely.oriented_envelope(shapely.MultiPoint(corners))
    at = shapely.get_coordinates(around)
    if len(at) <= _BOX:
        raise InvalidAnswer("", "has corners that enclose nothing")
    along, across = at[1] - at[0], at[2] - at[1]
    middle = (at[0] + at[2]) / 2
    half = np.hypot(*along) / 2, np.hypot(*across) / 2
    angle = round(float(np.degrees(np.arctan2(along[1], along[0]))), 2)
    row = turned.normal(np.array([[*(middle - half), *(middle + half), angle]]))
    return [float(each) for each in np.round(row[0], 2)]
