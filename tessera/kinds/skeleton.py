"""Skeletons: which points an object of a class has, how they are joined, how exact each is."""

from dataclasses import dataclass
from typing import Any

from tessera.kinds import fields
from tessera.kinds.errors import InvalidLabelSchema

MOST_POINTS = 200
USUAL_SIGMA = 0.05
"""About the mean of COCO's 17; per point from 0.025 (eyes) to 0.107 (hips)."""


@dataclass(frozen=True, slots=True)
class Point:
    name: str
    sigma: float = USUAL_SIGMA
    """Spread of what good people say, as a share of the object's size; COCO's per-point sigma."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    points: tuple[Point, ...]
    """In the order in which answers name them."""
    edges: tuple[tuple[int, int], ...] = ()
    """Pairs of points that are drawn connected; positions in `points`, as in `flips`."""
    flips: tuple[tuple[int, int], ...] = ()
    """Pairs that change places in a mirror, as left and right eye."""

    @classmethod
    def parse(cls, data: object, at: str) -> "Skeleton":
        """Read one from a label schema.

        Raises:
            InvalidLabelSchema: Says where and why.
        """
        found = fields.record(
            data,
            at,
            InvalidLabelSchema,
            required={"points"},
            optional=frozenset({"edges", "flips"}),
        )
        points = tuple(
            _point(each, place)
            for place, each in fields.items(
                found["points"], f"{at}.points", InvalidLabelSchema, most=MOST_POINTS
            )
        )
        if not points:
            raise InvalidLabelSchema(f"{at}.points", "must have at least one point")
        names = [each.name for each in points]
        fields.distinct(names, f"{at}.points", "name", InvalidLabelSchema)
        edges = _pairs(found.get("edges", []), f"{at}.edges", len(points))
        flips = _pairs(found.get("flips", []), f"{at}.flips", len(points))
        mirrored = [end for pair in flips for end in pair]
        fields.distinct(mirrored, f"{at}.flips", "point", InvalidLabelSchema)
        return cls(points, edges, flips)

    def as_json(self) -> dict[str, Any]:
        return {
            "points": [{"name": each.name, "sigma": each.sigma} for each in self.points],
            "edges": [list(pair) for pair in self.edges],
            "flips": [list(pair) for pair in self.flips],
        }


def _point(value: object, at: str) -> Point:
    found = fields.record(
        value, at, InvalidLabelSchema, required={"name"}, optional=frozenset({"sigma"})
    )
    sigma = fields.number(found.get("sigma", USUAL_SIGMA), f"{at}.sigma", InvalidLabelSchema)
    if not 0 < sigma <= 1:
        raise InvalidLabelSchema(f"{at}.sigma", "must lie above 0, and be 1 at most")
    return Point(fields.text(found["name"], f"{at}.name", InvalidLabelSchema), sigma)


def _pairs(value: object, at: str, count: int) -> tuple[tuple[int, int], ...]:
    pairs = []
    for place, each in fields.items(value, at, InvalidLabelSchema, most=10 * MOST_POINTS):
        ends = [
            fields.whole(end, here, InvalidLabelSchema)
            for here, end in fields.items(each, place, InvalidLabelSchema, most=2)
        ]
        if len(set(ends)) != 2:  # noqa: PLR2004
            raise InvalidLabelSchema(place, "must be two different points")
        if not all(0 <= end < count for end in ends):
            raise InvalidLabelSchema(place, f"names no point; they are numbered 0 to {count - 1}")
        pairs.append((ends[0], ends[1]))
    return tuple(pairs)
