"""What a dataset says of one image. Pure; all lengths are image pixels."""

from dataclasses import dataclass
from typing import Any

from tessera.kinds.attributes import Value

DIGITS = 4
"""Decimals of a confidence; more would be noise, and make the files longer."""


@dataclass(frozen=True, slots=True)
class LabelledObject:
    class_id: int
    place: dict[str, Any]
    """Where it is: the kind's own fields, as in a label; none where the class is said of the whole
    image."""
    attributes: dict[str, Value]
    confidence: float
    source: str
    """What settled the tile that owns it: `consensus`, `review` or `gold`."""
    tiles: list[int]
    """Numbers of the tiles that show it, the owner first."""
    crowd: bool
    """A region of gold in which objects are not told apart: to find one there is neither right nor
    wrong."""


@dataclass(frozen=True, slots=True)
class LabelledTile:
    number: int
    core: list[int]
    window: list[int]
    source: str
    confidence: float
    classes: list[int]
    """Ids of all classes that it shows, but for what is optional."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    id: int
    """1, 2, ... in the order of names; the same in all files of a version."""
    uuid: str
    name: str
    width: int
    height: int
    sha256: str
    """Of the operator's file, also where a tile of it is the image; so is `uuid`."""
    objects: list[LabelledObject]
    tiles: list[LabelledTile]
    split: str | None = None
    """Of `protocol.Split`, if the dataset is divided."""
    soft: dict[str, float] | None = None
    """How probable each class is to be said of all of it, by id as text; those that are hardly
    probable are left out. None where nothing is said of whole images."""
    georeference: dict[str, Any] | None = None
    """Where on a map its pixels are, if that is known: `Georeference.as_json`."""
