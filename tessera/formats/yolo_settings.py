"""`data.yaml` of YOLO: what classes are called, and where the labels of which image are.

Of its keys `path`, `train`, `val`, `test`, `names` and `kpt_shape` are read. A split is a folder of
images, or several, or a list of them: a text file with a path in each line. Paths are those of
somebody's disk, so what leads out of the files here is left away from their beginnings, as far as
no two lines then end alike (there are as many `x.jpg` as there are folders), but for `images`. An
image without a file of labels shows nothing, if there is its picture, or a line of a list.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from tessera.formats import checking
from tessera.formats.archive import Files
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Split

_ENDINGS = (".yaml", ".yml")
_MOST_BYTES = 2**20
_LIST, _IMAGES = ".txt", "images"
_OF_SPLIT = re.compile(
    r"(train(ing)?|val(id(ation)?)?|test(ing)?)[-_\d]{0,8}(dev)?[-_\d]{0,8}", re.IGNORECASE
)
"""A folder of all images of a split, in `images` or in its place: no part of their names."""
_DEEPEST = 64
"""Folders that are looked at of a path, from its end."""
_PICTURES = frozenset({".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_OUTSIDE = frozenset({"", ".", ".."})


class Placed(NamedTuple):
    at: str
    """Where the files say that there is such an image."""
    image: str | None
    """Its name; None if it is no image of the project."""
    labels: str | None
    """The path of its file; None if it has none."""


def label_path(image: str) -> str:
    """Where readers look for the labels of an image: as if the last `images` were `labels`.

    Args:
        image: Path without its ending.
    """
    before, _, name = f"/{image}".rpartition("/images/")
    return f"{before}/labels/{name}{_LIST}".removeprefix("/")


class Settings:
    def __init__(self, files: Files) -> None:
        """Read them.

        Raises:
            BadFile: There are none, or several and not exactly one called data, or they make no
                sense.
        """
        found = [name for name in files.names() if name.endswith(_ENDINGS)]
        found = [name for name in found if PurePosixPath(name).stem == "data"] or found
        if len(found) != 1:
            raise BadFile("", f"must have one file data.yaml, not {len(found)}")
        self._files, self.path = files, found[0]
        said = _loaded(files, self.path)
        self.names = self._names(said.get("names"))
        """Of classes, by what lines of labels call them."""
        shape = said.get("kpt_shape")
        self.points_are_seen = not (isinstance(shape, list) and shape[1:] == ["2"])
        """Whether each point has a third number."""
        folder, path = self.path.rpartition("/")[0], said.get("path")
        self._roots = [folder, _below(folder, path if isinstance(path, str) else "")]
        splits = [place for split in Split for place in self._texts(split, said.get(split))]
        self._lists = [each for each in splits if each.endswith(_LIST)]
        self._folders = [
            _below(root, each)
            for each in splits
            if not each.endswith(_LIST)
            for root in dict.fromkeys(self._roots)
        ]

    def placed(self, images: Sequence[str]) -> Iterator[Placed]:
        """Of every image that the files have labels or a picture of, or that they list.

        Args:
            images: The names of those of the project.

        Raises:
            BadFile: There are lists only, and none of them is there.
        """
        stems = checking.by_stem(images)
        seen: set[str | None] = set()
        for each in self._listed(stems):
            seen |= {each.labels, each.image}
            yield each
        for path in self._files.names():
            stem = _stem(path)
            if stem is None or path in seen:
                continue
            name = next((stems[each] for each in self._names_of(stem) if each in stems), None)
            if path.endswith(_LIST):
                yield Placed(path, name, path)
            elif name is not None and name not in seen and not self._files.has(label_path(stem)):
                yield Placed(path, name, None)

    def _listed(self, stems: Mapping[str, str]) -> Iterator[Placed]:
        there = [
            path
            for each in self._lists
            for path in dict.fromkeys(_below(root, each) for root in self._roots)
            if self._files.has(path)
        ]
        if self._lists and not self._folders and not there:
            raise BadFile(self.path, f"names {self._lists[0][:300]!r}, which is not there")
        names = Counter(_ends(line)[-1] for _, line in self._lines(there))
        unclear = {line for _, line in self._lines(there) if names[_ends(line)[-1]] > 1}
        alike = Counter(end for line in unclear for end in _ends(line))
        for at, line in self._lines(there):
            ends, sure = _ends(line), _sure(line)
            clear = [end for end in ends[sure:] if alike[end] < 2]  # noqa: PLR2004
            yield self._line(at, [*ends[:sure], *clear], stems)

    def _lines(self, lists: Sequence[str]) -> Iterator[tuple[str, str]]:
        for path in lists:
            with self._files.open(path) as file:
                lines = file.read().decode(errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", line.strip().replace("\\", "/")

    def _line(self, at: str, ends: Sequence[str], stems: Mapping[str, str]) -> Placed:
        """By as much of the end of a path as there is here."""
        name = next((stems[end] for end in ends if end in stems), None)
        labels = (_below(root, label_path(end)) for end in ends for root in self._roots)
        return Placed(at, name, next((path for path in labels if self._files.has(path)), None))

    def _names_of(self, stem: str) -> Iterator[str]:
        """What the image may be called: by its path below the split's folder, or one above it."""
        for folder in self._folders:
            if stem.startswith(f"{folder}/"):
                parts = folder.split("/")[-_DEEPEST:]
                rest = stem.removeprefix(f"{folder}/")
                yield from ("/".join([*parts[i:], rest]) for i in range(len(parts), -1, -1))

    def _names(self, names: object) -> dict[str, str]:
        if not isinstance(names, dict | list):
            raise BadFile(self.path, "has no names of classes")
        listed = names.items() if isinstance(names, dict) else enumerate(names)
        found = {str(number): name for number, name in listed}
        if not all(isinstance(name, str) for name in found.values()):
            raise BadFile(f"{self.path}: names", "must be text")
        return found

    def _texts(self, at: str, value: object) -> list[str]:
        listed: list[object] = value if isinstance(value, list) else [value] if value else []
        texts = [each for each in listed if isinstance(each, str)]
        if len(texts) < len(listed):
            raise BadFile(f"{self.path}: {at}", "must be a folder, a list, or several")
        return texts


def _ends(line: str) -> list[str]:
    """Of a path without its ending, from all of it to its last part."""
    *folders, name = _plain(line)[-_DEEPEST:] or [""]
    parts = [*folders, PurePosixPath(name).stem]
    return ["/".join(parts[i:]) for i in range(len(parts))]


def _sure(line: str) -> int:
    """How many of its ends name it, whatever others there are: down to what is below `images`.

    Or below the folder of its split in that.
    """
    folders = _plain(line)[-_DEEPEST:-1]
    below = max((i for i, each in enumerate(folders, 1) if each == _IMAGES), default=0)
    return below + (below < len(folders) and bool(_OF_SPLIT.fullmatch(folders[below]))) + 1


def _loaded(files: Files, path: str) -> Mapping[str, Any]:
    """Text, and maps and lists of it: to YAML a class that is called `no` were none."""
    with files.open(path) as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise BadFile(path, f"is larger than {_MOST_BYTES // 2**20} MB")
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but text
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        raise BadFile(path, f"is not YAML: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(found, dict):
        raise BadFile(path, "has no names of classes")
    return found


def _plain(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in _OUTSIDE]


def _below(root: str, path: str) -> str:
    """Of paths that lead out of the files here, what is left if they do not."""
    return "/".join(_plain(f"{root}/{path}"))


def _stem(path: str) -> str | None:
    """The path of an image without its ending, if this is that of its labels or its picture."""
    place = PurePosixPath(path)
    bare = str(place.with_suffix(""))
    if place.suffix == _LIST and "labels" in place.parts[:-1]:
        before, _, name = f"/{bare}".rpartition("/labels/")
        return f"{before}/images/{name}".removeprefix("/")
    return bare if place.suffix.lower() in _PICTURES else None
