"""Boxes, at an angle or not, as the four corners that formats have that know no angles."""

from collections.abc import Sequence

import numpy as np

from tessera.kinds import InvalidAnswer
from tessera.shapes import turned

_CORNERS = 4
_DIGITS = 2
_OFF = 0.02
"""Pixels that a corner may be away from where a rectangle has it."""


def corners_of(box: Sequence[float]) -> list[list[float]]:
    """Of a box, at an angle or not; clockwise from what was left top before turning."""
    if len(box) == _CORNERS:
        left, top, right, bottom = box
        return [[left, top], [right, top], [right, bottom], [left, bottom]]
    corners: list[list[float]] = turned.corners(np.array([box]))[0].tolist()
    return corners


def box_of(corners: Sequence[Sequence[float]], at: str) -> list[float]:
    """The box of four corners, one after the other; upright, without an angle, in any order.

    Raises:
        InvalidAnswer: They are not those of a rectangle.
    """
    if len(corners) != _CORNERS:
        raise InvalidAnswer(at, "must be the four corners of a rectangle")
    across, down = (
        sorted({round(each, _DIGITS) for each in axis}) for axis in zip(*corners, strict=True)
    )
    if len(across) == len(down) == 2:  # noqa: PLR2004
        return [across[0], down[0], across[1], down[1]]
    first, second, third, last = points = np.array(corners)
    (a, b), (c, d) = second - first, third - second
    if a * d < b * c:  # counter-clockwise
        second, last = last, second
        points = np.array([first, second, third, last])
    middle, along, aside = points.mean(axis=0), second - first, last - first
    half = np.array([np.hypot(*along), np.hypot(*aside)]) / 2
    x, y = along if half[0] >= half[1] else (aside[1], -aside[0])  # the longer one tells more
    box = np.array([*(middle - half), *(middle + half), np.degrees(np.arctan2(y, x))])
    if np.abs(turned.corners(box[None])[0] - points).max() > _OFF:
        raise InvalidAnswer(at, "are not the corners of a rectangle, one after the other")
    return [round(float(each), _DIGITS) for each in box]
