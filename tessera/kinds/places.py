"""Points of a tile, read from hostile JSON."""

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.shapes.boxes import tidy
from tessera.shapes.frames import Size

SLACK = 1.0
"""Pixels that a point may lie beyond its tile, as pointers do; it is moved to the edge."""


def point(value: object, at: str, tile: Size) -> list[float]:
    """X and y inside a tile, to 1/100 px.

    Raises:
        InvalidAnswer: It is something else, or lies outside.
    """
    listed = list(fields.items(value, at, InvalidAnswer, most=2))
    if len(listed) < 2:  # noqa: PLR2004
        raise InvalidAnswer(at, "must be x, y")
    return [coordinate(each, place, end) for (place, each), end in zip(listed, tile, strict=True)]


def coordinate(value: object, at: str, end: int) -> float:
    """A number between 0 and the end of a tile's side, to 1/100 px.

    Raises:
        InvalidAnswer: It is something else, or lies outside.
    """
    number = fields.number(value, at, InvalidAnswer)
    if not -SLACK <= number <= end + SLACK:
        raise InvalidAnswer(at, f"lies outside the tile, which ends at {end}")
    return tidy(min(max(number, 0.0), end))
