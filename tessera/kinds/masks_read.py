"""Reading a mask from hostile JSON."""

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.shapes import rle
from tessera.shapes.frames import Size
from tessera.shapes.masks import Crop


def read(value: object, at: str, tile: Size) -> Crop:
    """A mask in tile pixels, as small as it can be.

    Raises:
        InvalidAnswer: It does not fit into the tile, its counts do not fit its size, or nothing
            is set.
    """
    found = fields.record(
        value,
        at,
        InvalidAnswer,
        required={"size", "counts"},
        optional=frozenset({"left", "top"}),
    )
    size = [
        fields.whole(each, place, InvalidAnswer)
        for place, each in fields.items(found["size"], f"{at}.size", InvalidAnswer, most=2)
    ]
    if len(size) < 2 or min(size) < 1:  # noqa: PLR2004
        raise InvalidAnswer(f"{at}.size", "must be height and width")
    left, top = (
        fields.whole(found.get(edge, 0), f"{at}.{edge}", InvalidAnswer) for edge in ("left", "top")
    )
    if min(left, top) < 0 or left + size[1] > tile.width or top + size[0] > tile.height:
        raise InvalidAnswer(at, f"reaches out of the tile, which is {tile.width} x {tile.height}")
    try:
        pixels = rle.decode(_counts(found["counts"], f"{at}.counts", size), *size)
    except ValueError as error:
        raise InvalidAnswer(f"{at}.counts", str(error)) from error
    tight = Crop(left, top, pixels).tight()
    if tight is None:
        raise InvalidAnswer(at, "has no pixel")
    return tight


def _counts(value: object, at: str, size: list[int]) -> rle.Counts:
    if isinstance(value, str):
        return rle.from_string(value)
    most = size[0] * size[1]
    numbers = [
        fields.whole(each, place, InvalidAnswer)
        for place, each in fields.items(value, at, InvalidAnswer, most=most + 2)
    ]
    if any(not 0 <= each <= most for each in numbers):
        raise ValueError(f"has a run that does not lie between 0 and {most}")
    return np.array(numbers, dtype=np.int64)
