"""A folder of tiles: `tiles.json`, the tiles below `tiles/`, and a file of their labels.

`tiles.json` has the `version` of all this, how it was cut (`slicing`), what is asked (`kind`,
`label_schema`) and the format of the labels (`tiles_as`), each null if there are none; and of each
of the `images` its `name`, upright `width` and `height`, `sha256`, `georeference` (null, or as
datasets have it) and `tiles`: the path and `sha256` of the `file`, its `window` and `core` as left,
top, right, bottom in image pixels, half-open.

In the labels a tile is an image, called by its path.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from tessera.cli.errors import BadUsage, OutExists
from tessera.cli.labels import ASKED, SOURCES
from tessera.formats.errors import BadFile
from tessera.kinds import LabelSchema, Size, TileFrame, Window, fields
from tessera.shapes.georeference import Georeference

VERSION = 1
INDEX = "tiles.json"
TILES = "tiles"
_MOST_TILES = 10_000_000
_EDGES = 4
_LONGEST = 2**31 - 1
"""Side of an image, pixels: what formats have numbers for."""


@dataclass(frozen=True, slots=True)
class Tile:
    file: str
    """Its path below the folder."""
    window: Window
    core: Window
    sha256: str


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    width: int
    """Upright, pixels; likewise height."""
    height: int
    sha256: str
    """Of the file that was cut."""
    tiles: tuple[Tile, ...]
    """In reading order."""
    georeference: dict[str, Any] | None = None
    """Where on a map its pixels are, if its file says so: `Georeference.as_json`."""

    def frame(self, tile: Tile) -> TileFrame:
        return TileFrame(tile.window, tile.core, Size(self.width, self.height))

    @property
    def is_on_earth(self) -> bool:
        there = self.georeference
        return there is not None and Georeference.of(there).is_on_earth(self.width, self.height)


@dataclass(frozen=True)
class Index:
    """What is in a folder of tiles."""

    slicing: Mapping[str, Any]
    images: tuple[Image, ...]
    """In the byte order of names."""
    kind: str | None = None
    label_schema: LabelSchema | None = None
    tiles_as: str | None = None

    def write(self, folder: Path) -> None:
        schema = None if self.label_schema is None else self.label_schema.as_json()
        document = {"version": VERSION, **vars(self), "label_schema": schema}
        written = orjson.dumps(document, default=list, option=orjson.OPT_APPEND_NEWLINE)
        (folder / INDEX).write_bytes(written)

    @classmethod
    def read(cls, folder: Path) -> "Index":
        """Of a folder that anybody may have changed since.

        Raises:
            BadUsage: It is no folder of tiles.
            BadFile: Its `tiles.json` makes no sense; says where.
            InvalidLabelSchema: The label schema in it does not.
        """
        if not (folder / INDEX).is_file():
            raise BadUsage(f"{folder} is no folder of tiles: it has no {INDEX}.")
        try:
            found = orjson.loads((folder / INDEX).read_bytes())
        except orjson.JSONDecodeError as error:
            raise BadFile(INDEX, f"is not JSON: {error}") from error
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise BadFile(INDEX, f"is not of version {VERSION}")
        listed = [*fields.items(found.get("images"), "images", BadFile, most=_MOST_TILES)]
        if not listed:
            raise BadFile(f"{INDEX}: images", "must be at least one")
        schema, kind, tiles_as = (found.get(of) for of in ("label_schema", "kind", "tiles_as"))
        if kind not in [None, *ASKED] or tiles_as not in [None, *SOURCES]:
            raise BadFile(INDEX, "is of a kind or format that is not known here")
        return cls(
            found.get("slicing", {}),
            tuple(_image(each, at) for at, each in listed),
            kind,
            None if schema is None else LabelSchema.parse(schema),
            tiles_as,
        )


def _image(value: object, at: str) -> Image:
    asked = {"name", "width", "height", "sha256", "tiles"}
    found = fields.record(value, at, BadFile, required=asked, optional=frozenset({"georeference"}))
    width, height = (fields.whole(found[side], at, BadFile) for side in ("width", "height"))
    if not (0 < width <= _LONGEST and 0 < height <= _LONGEST):
        raise BadFile(at, f"must have a width and a height between 1 and {_LONGEST}")
    whole = Window(0, 0, width, height)
    listed = fields.items(found["tiles"], f"{at}.tiles", BadFile, most=_MOST_TILES)
    tiles = tuple(_tile(each, here, whole) for here, each in listed)
    if not tiles:
        raise BadFile(f"{at}.tiles", "must be at least one")
    name, there = _name(found["name"], at), found.get("georeference")
    if there is not None:
        try:
            there = Georeference.of(there).as_json()
        except ValueError as error:
            raise BadFile(f"{at}.georeference", str(error)) from error
    return Image(name, width, height, str(found["sha256"]), tiles, there)


def _tile(value: object, at: str, image: Window) -> Tile:
    found = fields.record(value, at, BadFile, required={"file", "window", "core", "sha256"})
    window = _window(found["window"], f"{at}.window", image)
    core = _window(found["core"], f"{at}.core", window)
    return Tile(_name(found["file"], at), window, core, str(found["sha256"]))


def _name(value: object, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadFile(at, "has no name")
    return value


def _window(value: object, at: str, around: Window) -> Window:
    edges = [
        fields.whole(edge, here, BadFile)
        for here, edge in fields.items(value, at, BadFile, most=_EDGES)
    ]
    if len(edges) < _EDGES:
        raise BadFile(at, "must be left, top, right, bottom")
    left, top, right, bottom = edges
    if not (around.left <= left < right <= around.right):
        raise BadFile(at, f"must lie between {around.left} and {around.right} from left to right")
    if not (around.top <= top < bottom <= around.bottom):
        raise BadFile(at, f"must lie between {around.top} and {around.bottom} from top to bottom")
    return Window(left, top, right, bottom)


@contextmanager
def beside(out: Path, *, folder: bool) -> Iterator[Path]:
    """A folder on the same file system as `out`, to make there what is renamed to it in the end.

    Args:
        folder: Whether `out` is one, which may be there if it is empty.

    Raises:
        OutExists: There is something already.
        BadUsage: There is no place for it.
    """
    place = Path(os.path.realpath(out))
    if place.exists() and not (folder and place.is_dir() and not any(place.iterdir())):
        raise OutExists(f"{out} exists, and is left as it is.")
    if not place.parent.is_dir():
        raise BadUsage(f"{out} has no place to go: there is no folder {place.parent}.")
    with TemporaryDirectory(prefix=".tessera-", dir=place.parent) as scratch:
        yield Path(scratch)
