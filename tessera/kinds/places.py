"""Points of a tile, read from hostile JSON."""

from itertools import chain
from typing import Any

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.shapes.boxes import hundredths, tidy
from tessera.shapes.frames import Size

SLACK = 1.0
"""Pixels that a point may lie beyond its tile, as pointers do; it is moved to the edge."""


def points(value: object, at: str, tile: Size, *, most: int) -> list[list[float]]:
    """A list of them, each as `point` reads it.

    Raises:
        InvalidAnswer: It is something else, or there are too many.
    """
    found = _all_at_once(value, tile) if isinstance(value, list) and len(value) <= most else None
    if found is not None:
        return found
    return [
        point(each, place, tile)
        for place, each in fields.items(value, at, InvalidAnswer, most=most)
    ]


def _all_at_once(value: list[Any], tile: Size) -> list[list[float]] | None:
    """The same, ten times as fast, if nothing is wrong: files have outlines of many points."""
    if {*map(type, value)} != {list} or {*map(len, value)} != {2}:
        return None
    flat = [*chain.from_iterable(value)]
    if not {*map(type, flat)} <= {int, float}:
        return None
    try:
        places = np.array(flat, dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        return None
    inside = (places >= -SLACK) & (places <= np.add(tile, SLACK))  # nor is what is no number
    if not inside.all():
        return None
    found: list[list[float]] = hundredths(np.clip(places, 0, tile)).tolist()
    return found


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
