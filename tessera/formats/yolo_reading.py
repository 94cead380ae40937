"""Reading YOLO: label files of any task by `data.yaml`, and folders of classes.

Of `data.yaml` the keys `train`, `val`, `test`, `names` and `kpt_shape` are read, of YAML what tools
write there: lists and maps in blocks or brackets, plain or quoted. Labels have no size, so images
must be known; two that differ by nothing but their endings are told apart as our writer does. A
number too many at the end of a line is a confidence. Outlines are filled where masks are asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson
import shapely

from tessera.formats import checking, painting
from tessera.formats.archive import Files
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.protocol import Known, Refused, Split, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size
from tessera.shapes import turned

SETTINGS = (".yaml", ".yml")
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
_SCALAR = re.compile(rf"{_QUOTED}|[^\s,\[\]][^,\[\]]*")
_PAIR = re.compile(rf"(\w+)\s*:\s*({_QUOTED}|[^,{{}}]*)")
_BRACKETS = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_COMMENT = re.compile(r"\s#")
_UNFIT = re.compile(r'[/\\:*?"<>|]|^\.+$')
_LARGEST = 2**53
_BOX, _CORNERS, _X_Y, _X_Y_V = 4, 8, 2, 3


def label_path(image: str) -> str:
    """Where readers look for the labels of an image: as if the last `images` were `labels`.

    Args:
        image: Path without its ending.
    """
    before, _, name = f"/{image}".rpartition("/images/")
    return f"{before}/labels/{name}.txt".removeprefix("/")


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
    settings = [name for name in files.names() if name.endswith(SETTINGS)]
    if len(settings) != 1:
        raise BadFile("", f"must have one file data.yaml, not {len(settings)}")
    reader = _Reader(_parsed(files, settings[0]), settings[0], wanted)
    labels = reader.labels()
    for path in files.names():
        if path in labels:
            yield from reader.image(path, labels[path], files)
        elif path.endswith(".txt") and "labels" in path.split("/"):
            yield Refused(path, "is of no image of this project", Code.FOREIGN_IMAGE)


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
    def __init__(self, settings: Mapping[str, Any], path: str, wanted: Wanted) -> None:
        self._wanted, self._checking, self._settings = wanted, Checking(wanted), settings
        self._root = path.rpartition("/")[0]
        names = settings.get("names")
        if not isinstance(names, dict | list):
            raise BadFile(path, "has no names of classes")
        listed = names.items() if isinstance(names, dict) else enumerate(names)
        self._names = {str(number): name for number, name in listed}
        shape = settings.get("kpt_shape")
        flat = isinstance(shape, list) and shape[1:] == ["2"]
        self._of_point = _X_Y if flat else _X_Y_V

    def labels(self) -> dict[str, str]:
        """Names of images by where their labels must be."""
        folders_: list[str] = []
        for split in Split:
            value = self._settings.get(split)
            folders_ += value if isinstance(value, list) else [value] if value else []
        stems = checking.by_stem(self._wanted.images)
        return {
            label_path(f"{self._below(folder)}/{stem}"): name
            for folder in dict.fromkeys(folders_)
            for stem, name in stems.items()
        }

    def _below(self, folder: str) -> str:
        """Of paths that lead out of the archive, what is left if they do not."""
        parts = [part for part in folder.split("/") if part not in {"", ".", ".."}]
        return "/".join([self._root, *parts] if self._root else parts)

    def image(self, path: str, name: str, files: Files) -> Iterator[Known | Refused]:
        with files.open(path) as file:
            lines = [
                (f"{path}:{number}", line)
                for number, line in enumerate(file.read().decode(errors="replace").splitlines(), 1)
                if line.strip()
            ]
        read_ = partial(self._object, self._wanted.images[name])
        yield from self._checking.image(path, name, None, lines, read_)

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
        seen = []
        for share in np.reshape(shares, (-1, self._of_point)).tolist():
            x, y, v = [*share, 2.0 if any(share) else 0.0][:_X_Y_V]
            seen.append([x * size.width, y * size.height, int(v) if v.is_integer() else v])
        asked = 0 if named.skeleton is None else len(named.skeleton.points)
        if any(v for *_, v in seen[asked:]):
            why = f"has more than the {asked} points of its class"
            raise Unfit("", why, Code.UNKNOWN_POINT)
        return seen[:asked]


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


def _parsed(files: Files, name: str) -> dict[str, Any]:
    """Text, or lists or maps of text, by key."""
    with files.open(name) as file:
        checking.refuse_large(file, name)
        text = file.read().decode(errors="replace")
    whole = _BRACKETS.sub(lambda found: found[0].replace("\n", " "), text)
    found: dict[str, Any] = {}
    key = ""
    for line in whole.splitlines():
        bare = line.strip()
        if not bare or bare[0] == "#" or bare == "---":
            continue
        if bare[0] == "-":
            found[key] = found.get(key) or []
            if isinstance(found[key], list):
                found[key].append(_scalar(bare[1:]))
        elif line[0].isspace():
            found[key] = found.get(key) or {}
            if isinstance(found[key], dict):
                inner, _, value = bare.partition(":")
                found[key][_scalar(inner)] = _scalar(value)
        else:
            key, _, value = bare.partition(":")
            found[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if text.startswith("["):
        return [_scalar(each) for each in _SCALAR.findall(text)]
    if text.startswith("{"):
        return {key: _scalar(value) for key, value in _PAIR.findall(text)}
    return _scalar(text)


def _scalar(text: str) -> str:
    text = text.strip()
    if text.startswith("'"):
        return text[1 : text.rfind("'")].replace("''", "'")
    if text.startswith('"'):
        try:
            return str(orjson.loads(text[: text.rfind('"') + 1]))
        except orjson.JSONDecodeError:
            return text
    return _COMMENT.split(text)[0].strip()
