"""What an audit tells of the tiles that are in a version. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from tessera.datasets.assemble import ImageTiles
from tessera.truth.audit import Sampled

CONSENSUS = "consensus"


class Row(Protocol):
    """A task, and what was found of it if it was in the sample."""

    settled_by: str | None
    settled_at: datetime | None
    is_gold: bool
    is_right: bool | None
    is_corrected: bool | None


@dataclass
class _Counts:
    there: int = 0
    """Labels that answers came to, and came to before the audit was drawn."""
    later: int = 0
    size: int = 0
    """Of the first, in the sample; and those that were corrected."""
    right: int = 0
    corrected: int = 0

    def add(self, other: "_Counts") -> None:
        self.there += other.there
        self.later += other.later
        self.size += other.size
        self.right += other.right
        self.corrected += other.corrected


@dataclass
class Audited:
    """Counts tile by tile; only whole images come to count."""

    audit_id: UUID | None
    drawn_at: datetime | None
    _all: _Counts = field(default_factory=_Counts)
    _image: _Counts = field(default_factory=_Counts)

    def add(self, row: Row) -> None:
        by_answers = row.settled_by == CONSENSUS and not row.is_gold
        corrected = bool(row.is_corrected)
        counts = self._image
        counts.corrected += corrected
        before = by_answers and (
            self.drawn_at is not None
            and row.settled_at is not None
            and row.settled_at <= self.drawn_at
        )
        counts.there += before
        counts.later += by_answers and not before
        if row.is_right is not None and (before or corrected):
            counts.size += 1
            counts.right += row.is_right

    def next_image(self, last: ImageTiles | None) -> None:
        """The image that was counted is complete; its tiles are in the version if it has no gap."""
        if last is not None and last.gap is None:
            self._all.add(self._image)
        self._image = _Counts()

    @property
    def labels(self) -> int:
        """That answers came to."""
        return self._all.there + self._all.later

    @property
    def sample(self) -> Sampled:
        counts = self._all
        return Sampled(counts.right, counts.size, counts.there + counts.corrected)

    @property
    def corrected(self) -> int:
        return self._all.corrected

    @property
    def later(self) -> int:
        return self._all.later
