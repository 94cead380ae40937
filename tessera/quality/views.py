"""Which objects of an image its tiles may show: pure, and quick for thousands of both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tessera.formats.protocol import Known
from tessera.kinds import LabelSchema, TileFrame, Window, kind_of, shown
from tessera.kinds.objects import MOST_OBJECTS
from tessera.quality.errors import TooMuch
from tessera.shapes.boxes import Boxes

MOST_SEEN = 250_000
"""Objects of one call, each counted for every tile that shows it; they take some seconds."""
MOST_LOOKED_AT = 25_000
"""The same of a project that verifies, where each is cut, checked, compared and perhaps spoilt."""

Picks = NDArray[np.int64]
"""Indices of objects, ascending; shape (P,)."""


class Place(NamedTuple):
    """A tile, and the task that asks about it or is to."""

    tile_id: UUID
    task_id: UUID
    """Of a new task, the one that it will have."""
    is_new: bool
    waits: bool
    is_gold: bool
    frame: TileFrame
    subject: Mapping[str, Any] | None


class Seen(NamedTuple):
    """What is known of the image of a place, as far as the tile may show it."""

    name: str
    place: Place
    objects: Sequence[Mapping[str, Any]]


def views(reach: Boxes, windows: Sequence[Window]) -> Iterator[tuple[int, Picks]]:
    """For each window the objects that may show in it.

    Windows that cover the same columns, as tiles above one another do, look for what lies in
    those only once, and then at nothing else.

    Args:
        reach: Shape (N, 4), around each object; see `Kind.reach`.

    Yields:
        Index into windows, and indices into objects. Column by column; one at a time, because
        all together may not fit into memory.
    """
    left, top, right, bottom = reach.T.copy()

    def columns(number: int) -> tuple[int, int]:
        return windows[number].left, windows[number].right

    for (start, end), numbers in groupby(sorted(range(len(windows)), key=columns), key=columns):
        here = np.flatnonzero((left <= end) & (right >= start))
        above, below = top[here], bottom[here]
        for number in numbers:
            window = windows[number]
            yield number, here[(above <= window.bottom) & (below >= window.top)]


def most_of(kind_name: str) -> int:
    """Objects of one call."""
    return MOST_LOOKED_AT if kind_name == "verify" else MOST_SEEN


def seen_on_tiles(
    kind_name: str,
    schema: LabelSchema,
    known: Iterable[Known],
    there: Mapping[str, Sequence[Place]],
    *,
    most: int,
) -> list[Seen]:
    """What each tile whose task waits may show; all at once, for too much is found before the rest.

    Args:
        most: Objects, each counted for every tile that shows it.

    Raises:
        TooMuch: More, or more on one tile than an answer can have.
    """
    found: list[Seen] = []
    kind, total = kind_of(kind_name), 0
    most_on_a_tile = MOST_SEEN if shown(kind_name, schema)[0] == "classify" else MOST_OBJECTS
    for each in known:
        waiting = [place for place in there[each.name] if place.waits]
        reach = kind.reach(each.objects, schema)
        for number, picks in views(reach, [place.frame.window for place in waiting]):
            total += len(picks)
            if len(picks) > most_on_a_tile:
                raise TooMuch(
                    f"A tile of “{each.name}” would show {len(picks):,} objects; an answer has at "
                    f"most {most_on_a_tile:,}.",
                    most_objects=most_on_a_tile,
                )
            if total > most:
                raise TooMuch(
                    f"One import has at most {most:,} objects, each counted for every tile "
                    "that shows it: bring in a part of the images at a time.",
                    most_objects=most,
                )
            found.append(Seen(each.name, waiting[number], [each.objects[i] for i in picks]))
    return found
