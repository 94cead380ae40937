"""What a kind of annotation is: the questions the rest of Tessera may ask of it.

A kind is one module of pure functions; `tessera.kinds.KINDS` names them all. Nothing outside
`tessera.kinds` looks inside an answer.

Values:
    answer: What an earner sent, JSON, in tile pixels. `validate` brings it into canonical form:
        equal answers are equal bytes.
    label: An answer that was decided upon. Each object may also carry `confidence` in [0, 1]
        (absent means 1) and `optional`: true (neither a miss nor a false alarm).
    image object: One object in image pixels: `class`, `attributes`, `confidence`, the kind's
        geometry under the kind's own key (none for classify), and either `cut` (one tile's view:
        names of the window edges, not image edges, that it touches) or `sources` (merged). It is
        `optional`: true where the label says so; merged, where all labels that have it do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tessera.kinds.schema import LabelSchema
from tessera.shapes.boxes import Boxes
from tessera.shapes.frames import Size, TileFrame

Answer = dict[str, Any]
Label = Mapping[str, Any]
ImageObject = dict[str, Any]
OPEN = -1
"""In place of the number of a class, where a label leaves open what is there."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one task asks, as far as it decides what its answers mean."""

    schema: LabelSchema
    frame: TileFrame
    subject: Mapping[str, Any] | None = None
    """The existing annotation that the task is about, if it is about one; tile pixels."""

    @property
    def tile(self) -> Size:
        return self.frame.window.size


@dataclass(frozen=True, slots=True)
class Skill:
    """How somebody draws objects; each in (0, 1)."""

    finds: float
    """Share of the objects that are there which they draw."""
    right: float
    """Share of what they draw that is there."""
    exact: float
    """How well what they draw rightly lies, as a mean credit of 0 to 1."""

    @property
    def precision(self) -> float:
        """How much a drawing counts for where something lies: one over its usual error squared."""
        return 1 / (1 - min(self.exact, _MOST_EXACT)) ** 2

    def __post_init__(self) -> None:
        if not all(0 < each < 1 for each in (self.finds, self.right, self.exact)):
            raise ValueError(f"shares must lie in (0, 1): {self}")


class Tally(NamedTuple):
    """What an answer tells of who gave it, beside what is there; they add up."""

    there: float
    """Objects that are not optional."""
    found: float
    """Of these."""
    drawn: float
    """Objects of the answer that are not excused."""
    credit: float
    """For those found."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """One earner's valid answer and how far the earner is believed."""

    earner: str
    answer: Answer
    trust: float
    """Probability in (0, 1) that what this earner says is right."""
    skill: Skill | None = None
    """How they draw, if that is known; else trust says it all."""

    def __post_init__(self) -> None:
        if not 0 < self.trust < 1:
            raise ValueError(f"trust must lie in (0, 1), not {self.trust}")

    @property
    def drawing(self) -> Skill:
        return self.skill or Skill(self.trust, self.trust, self.trust)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What some opinions about one task come to."""

    label: Answer
    confidence: float
    """Probability that the least certain decision in the label is right."""
    decided: bool
    """Whether confidence reaches the target, so that nobody else need be asked."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one settled task says of an image: `to_image` of its label."""

    frame: TileFrame
    objects: Sequence[ImageObject]


Doubt = tuple[tuple[int, int], tuple[int, int]]
"""Two drawings that may be one object: of each the number of its piece, and its own in there."""
Decided = Mapping[Doubt, bool]
"""Whether such two are one object, as people have said."""
UNDECIDED: Decided = {}

_MOST_EXACT = 0.98


class Kind(Protocol):
    def check_schema(self, schema: LabelSchema) -> None:
        """Refuse a label schema that this kind cannot ask about.

        Raises:
            InvalidLabelSchema: Says where and why.
        """

    def validate(self, answer: object, question: Question) -> Answer:
        """Bring what an earner sent into canonical form; doing it again changes nothing.

        Args:
            answer: Decoded JSON, as hostile as it may be.

        Raises:
            InvalidAnswer: Says where and why.
        """

    def score(self, answer: Label, gold: Label, question: Question) -> float:
        """How right an answer is, in [0, 1], given the truth. 1 for the truth itself."""

    def aggregate(
        self, opinions: Sequence[Opinion], question: Question, *, target_confidence: float
    ) -> Outcome:
        """Decide a label from valid answers; the order of opinions does not matter.

        Raises:
            ValueError: No opinions, or two by one earner.
        """

    def to_image(self, label: Label, question: Question) -> list[ImageObject]:
        """A tile's label in image pixels, each object with the edges it is `cut` by."""

    def to_tile(self, objects: Sequence[Mapping[str, Any]], question: Question) -> Answer | None:
        """Known objects in image pixels as the gold of one tile; what is `optional` stays so.

        Returns:
            Canonical label with `optional` on what is barely visible, and with `confidence` if
            the objects have it; None where the objects do not tell this tile's answer.
        """

    def known(self, value: object, at: str, question: Question) -> ImageObject:
        """One object that is known of an image, such as gold, in canonical form.

        Args:
            value: Decoded JSON, as hostile as it may be; in the pixels of the question's tile,
                which is the whole image.

        Raises:
            InvalidAnswer: Says where, beginning with `at`, and why.
        """

    def reach(self, objects: Sequence[Mapping[str, Any]], schema: LabelSchema) -> Boxes:
        """The upright box, in the pixels of the objects, outside which none can be seen.

        Shape (N, 4); infinite where an object says something of the whole image.
        """

    def merge(
        self, pieces: Sequence[Piece], schema: LabelSchema, decided: Decided = UNDECIDED
    ) -> list[ImageObject]:
        """All tiles of one image together: every object once, in image pixels.

        What people have decided about two drawings holds, whatever geometry says.

        What is optional to all tiles that have it, and outside the core of each, is left out: the
        tile that it belongs to was asked, and has nothing there.

        The order of pieces does not matter, but for `sources`: indices into `pieces`, the one
        whose core holds the object first.
        """

    def soft(self, labels: Sequence[Label], schema: LabelSchema) -> dict[int, float] | None:
        """How probable each class is to be said of a whole image, by the labels of all its tiles.

        Returns:
            Ascending ids; classes that are hardly probable are left out. None: this kind says
            nothing of whole images.
        """
