"""What the kind of an object adds to `objects.Objects`: where it is, and how two compare.

A shape is a module, and so is an array of shapes its own business: rows of numbers, or an object
array of anything. All that is asked of it is that its first axis counts objects and that it takes
an array of indices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.shapes.boxes import Boxes, Indices, owned
from tessera.shapes.frames import TileFrame, Window

Shapes = NDArray[Any]
"""First axis N, the number of objects."""
Measures = NDArray[np.float64]
Origin = tuple[int, int]
"""Where in the image the pixels that an object is given in have their (0, 0)."""
IN_IMAGE: Origin = (0, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """All objects of all tiles of one image, in image pixels. Shape (N,) each, but for bounds."""

    shapes: Shapes
    bounds: Boxes
    """Shape (N, 4)."""
    classes: Indices
    confidence: Measures
    cut: NDArray[np.bool_]
    """Whether the window ends before the object does."""
    firm: NDArray[np.bool_]
    """Not optional."""
    tiles: Indices
    """Index into frames."""
    cores: Boxes
    """Shape (N, 4). What the tile of each owns."""
    frames: Sequence[TileFrame]

    def owned(self, bounds: Boxes) -> NDArray[np.bool_]:
        """Which have the centre of what the image shows of them in the core of their tile.

        Args:
            bounds: Shape (N, 4), around each, or around the whole object that it is part of.
        """
        return owned(bounds, self.cores, self.frames[0].image)


class Clipped(NamedTuple):
    """What a window shows; first axis P."""

    shapes: Shapes
    source: Indices
    """Which shape each of them is part of."""
    share: Measures
    """How much of what the window could show of it."""


class Shape(Protocol):
    FIELDS: frozenset[str]
    """Of an object's JSON, those that say where it is."""
    SAME: float
    """`likeness` from which two drawings of one tile may be of one object."""
    ALIKE: float
    """`alike` from which what two tiles show may be one object, if its class is the same."""
    ALIKE_OF_TWO_CLASSES: float
    """The same where the classes differ: it must be plain that only the class is in doubt."""
    LEAST_VISIBLE: float
    """Share of an object below which a tile may leave it out."""
    IN_PIECES: bool
    """Whether a window may cut one object into several."""

    def check_schema(self, schema: LabelSchema) -> None:
        """See `Kind.check_schema`."""

    def read(
        self, found: Mapping[str, object], at: str, named: LabelClass, question: Question
    ) -> dict[str, Any]:
        """The canonical `FIELDS` of one object of an answer; doing it again changes nothing.

        Args:
            found: Has no unknown fields; which of `FIELDS` it has is the shape's to check.

        Raises:
            InvalidAnswer: Says where and why.
        """

    def cost(self, place: Mapping[str, Any], question: Question) -> float:
        """Of what one answer may take to be compared with others, the share of this object."""

    def load(
        self, objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin
    ) -> Shapes:
        """Shapes from canonical JSON, in the same pixels."""

    def dump(self, shapes: Shapes) -> list[dict[str, Any]]:
        """Canonical `FIELDS` of each, to 1/100 px."""

    def bounds(self, shapes: Shapes) -> Boxes:
        """The upright box around each."""

    def moved(self, shapes: Shapes, right: float, down: float) -> Shapes: ...

    def clipped(self, shapes: Shapes, window: Window) -> Clipped:
        """What a window shows of shapes in image pixels; nothing of what shows less than a pixel.

        Shapes that cannot be cut stay whole if any of them shows.
        """

    def likeness(self, first: Shapes, second: Shapes) -> Measures:
        """How alike two drawings are, row by row, in [0, 1]."""

    def credit(self, first: Shapes, second: Shapes) -> Measures:
        """How right a drawing is that was matched with the truth, row by row, in [0, 1]."""

    def fuse(self, shapes: Shapes, trust: Measures) -> Shapes:
        """One shape of several drawings of one object, of length 1; the order does not matter.

        Args:
            trust: Shape (N,), in (0, 1).
        """

    def view(self, shapes: Shapes, zones: Boxes) -> Shapes:
        """What a zone shows of a shape, row by row, made ready to compare with `alike`."""

    def alike(self, first: Shapes, second: Shapes) -> Measures:
        """How alike two views of one zone are, row by row, in [0, 1]."""

    def together(self, seen: Seen, groups: Indices) -> Shapes:
        """One shape per group of what different tiles saw of it; length G, inside the image."""
