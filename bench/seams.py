"""Seams: objects cut into tiles, each piece drawn by a hand of its own, and put together again.

    python -m bench.seams [--coco FILE] [--objects 2400] [--out FILE]

Real outlines, as photographs of scikit-image or a COCO file show them, are cut by windows of 512 px
with a margin of 32. Every piece is drawn anew: off by 1.5 or 3 px, or 3 % of them missed and 2 % of
the wrong class. Merged by us, by who knows which pieces belong together (the ceiling), and by
SAHI's GREEDYNMM on the same pieces.

Both are timed from JSON objects in memory to such objects, each in the form that is its own: SAHI's
outlines stay flat lists, and what it takes to measure their quality does not count. CPU seconds, in
turns, without the garbage collector, as `timeit` does it; the median of so many rounds, and of the
rounds' ratios.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from timeit import Timer
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sahi.postprocess.combine import GreedyNMMPostprocess
from sahi.prediction import ObjectPrediction

from bench import outlines
from bench.results import Aim, conclude
from tessera.images.tiling import grid
from tessera.kinds import KINDS, LabelSchema, Piece, Question, Size, TileFrame, Window, box, polygon
from tessera.kinds.merging import merged
from tessera.kinds.shape import Shape

OUT = Path("var/bench/seams.json")
TILE, MARGIN = 512, 32
ROUNDS = 5
SCHEMA = LabelSchema.parse(
    {"classes": [{"id": i, "name": f"class {i}", "colour": "#e6194b"} for i in (1, 2, 3)]}
)
SHAPES: dict[str, Shape] = {"polygon": polygon, "box": box}
LEAST_PQ, TIMES_FASTER = 0.995, {"polygon": 3.0, "box": 10.0}


@dataclass(frozen=True)
class Hand:
    """How pieces are drawn."""

    name: str
    jitter: float
    """Standard deviation, pixels."""
    misses: float = 0.0
    wrong_class: float = 0.0


HANDS = (Hand("1.5 px", 1.5), Hand("3 px", 3.0), Hand("3 % missed, 2 % wrong", 1.5, 0.03, 0.02))


@dataclass(frozen=True)
class Drawn:
    pieces: list[Piece]
    truth: NDArray[np.int64]
    """Which object each drawing shows, numbered 0, 1, ..., in the order of pieces."""


def cut(
    shape: str,
    objects: Sequence[dict[str, Any]],
    frames: Sequence[TileFrame],
    hand: Hand,
) -> Drawn:
    """What each tile's own hand draws of the objects that it shows."""
    rng, kind = np.random.default_rng(1), KINDS[shape]
    reach = kind.reach(objects, SCHEMA)
    pieces, truth = [], []
    for frame in frames:
        question = Question(SCHEMA, frame)
        window = np.array(frame.window)
        near = (reach[:, :2] < window[2:]).all(axis=1) & (reach[:, 2:] > window[:2]).all(axis=1)
        label = []
        for index in np.flatnonzero(near).tolist():
            known = kind.to_tile([objects[index]], question)
            for each in [] if known is None else known["objects"]:
                if rng.random() < hand.misses:
                    continue
                drawn = JITTERED[shape](rng, each, frame.window.size, hand.jitter)
                if drawn is None:
                    continue
                if rng.random() < hand.wrong_class:
                    drawn["class"] = drawn["class"] % len(SCHEMA.classes) + 1
                label.append(drawn)
                truth.append(index)
        pieces.append(Piece(frame, kind.to_image({"objects": label}, question)))
    return Drawn(pieces, np.unique(truth, return_inverse=True)[1])


def _jittered_polygon(
    rng: np.random.Generator, drawn: dict[str, Any], size: Size, jitter: float
) -> dict[str, Any] | None:
    """Each corner off on its own; what crosses itself then is mended, as a person would."""
    rings = [
        [np.add(ring, rng.normal(0, jitter, (len(ring), 2))) for ring in part]
        for part in drawn["polygon"]
    ]
    moved = [shapely.make_valid(shapely.Polygon(outer, holes)) for outer, *holes in rings]
    inside = shapely.intersection(shapely.union_all(moved), shapely.box(0, 0, *size))
    parts = [each for each in shapely.get_parts(inside) if each.geom_type == "Polygon"]
    parts = [each for each in parts if each.area >= outlines.LEAST_AREA / 4]
    if not parts:
        return None
    largest = shapely.MultiPolygon([max(parts, key=shapely.area)])
    return {**drawn, **polygon.dump(np.array([largest]))[0]}


def _jittered_box(
    rng: np.random.Generator, drawn: dict[str, Any], size: Size, jitter: float
) -> dict[str, Any] | None:
    edges = np.clip(drawn["box"] + rng.normal(0, jitter, 4), 0, np.tile(size, 2))
    return {**drawn, "box": edges.tolist()} if (edges[2:] - edges[:2]).min() >= 1 else None


JITTERED = {"polygon": _jittered_polygon, "box": _jittered_box}


def quality(
    objects: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]], shape: Shape
) -> float:
    """Panoptic quality, Kirillov et al. 2019: matched where class and IoU > 0.5 agree."""
    there, drawn = (shape.load(some, SCHEMA, (0, 0)) for some in (objects, found))
    tree = shapely.STRtree(np.asarray(shapely.box(*shape.bounds(there).T)))
    second, first = tree.query(shapely.box(*shape.bounds(drawn).T))
    alike = shape.likeness(drawn[second], there[first])
    classes = [np.array([each["class"] for each in some]) for some in (objects, found)]
    matched = (alike > 0.5) & (classes[0][first] == classes[1][second])
    return float(2 * alike[matched].sum() / (len(objects) + len(found)))


def sahi_merge(shape: str, drawn: Drawn, size: Size) -> list[dict[str, Any]]:
    """GREEDYNMM as SAHI's sliced prediction does it by default."""
    merge = GreedyNMMPostprocess(match_threshold=0.5, match_metric="IOS", class_agnostic=False)
    ready = [_prediction(shape, each, size) for piece in drawn.pieces for each in piece.objects]
    return [_object(shape, each) for each in merge(ready)]


def seconds(*works: Callable[[], object]) -> NDArray[np.float64]:
    """CPU seconds that each takes, in turns. Shape (rounds, works)."""
    timers = [Timer(each, timer=time.process_time) for each in works]
    rounds = [[each.autorange() for each in timers] for _ in range(ROUNDS)]
    return np.array([[taken / times for times, taken in of_round] for of_round in rounds])


def _prediction(shape: str, each: dict[str, Any], size: Size) -> ObjectPrediction:
    box_, segmentation = each.get("box"), None
    if shape == "polygon":
        segmentation = [[value for point in part[0] for value in point] for part in each["polygon"]]
    return ObjectPrediction(
        bbox=box_,
        segmentation=segmentation,
        category_id=each["class"],
        category_name=str(each["class"]),
        score=1.0,
        full_shape=[size.height, size.width],
    )


def _object(shape: str, found: ObjectPrediction) -> dict[str, Any]:
    if shape == "box":
        return {"class": found.category.id, "box": list(found.bbox.to_xyxy())}
    return {
        "class": found.category.id,
        "flat": [] if found.mask is None else found.mask.segmentation,
    }


def _as_ours(found: dict[str, Any]) -> dict[str, Any]:
    if "flat" not in found:
        return found
    rings = [np.reshape(ring, (-1, 2)) for ring in found["flat"]]
    whole = shapely.union_all([shapely.make_valid(shapely.Polygon(r)) for r in rings if len(r) > 2])
    parts = [each for each in shapely.get_parts(whole) if each.geom_type == "Polygon"]
    place = polygon.dump(np.array([shapely.MultiPolygon(parts)]))[0]
    return {"class": found["class"], **place}


def compare(shape: str, objects: list[dict[str, Any]], size: Size) -> list[dict[str, Any]]:
    frames = [
        TileFrame(Window(*each.window), Window(*each.core), size)
        for each in grid(*size, tile=TILE, margin=MARGIN)
    ]
    frames.sort(key=lambda frame: frame.window)  # as they are merged
    rows = []
    for hand in HANDS:
        drawn = cut(shape, objects, frames, hand)
        ours = partial(merged, SHAPES[shape], drawn.pieces, SCHEMA)
        theirs = partial(sahi_merge, shape, drawn, size)
        ceiling = merged(SHAPES[shape], drawn.pieces, SCHEMA, lambda *_, known=drawn.truth: known)
        taken = seconds(ours, theirs)
        by_sahi = [_as_ours(each) for each in theirs()]
        best = quality(objects, ceiling, SHAPES[shape])
        row = {
            "shape": shape,
            "hand": hand.name,
            "objects": len(objects),
            "pieces": len(drawn.truth),
            "pq_of_ceiling": round(best, 4),
            "pq": round(quality(objects, ours(), SHAPES[shape]) / best, 4),
            "pq_sahi": round(quality(objects, by_sahi, SHAPES[shape]) / best, 4),
            "pieces_per_second": round(len(drawn.truth) / float(np.median(taken[:, 0]))),
            "times_sahi": round(float(np.median(taken[:, 1] / taken[:, 0])), 1),
        }
        print(row)
        rows.append(row)
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--coco", type=Path, help="outlines of a COCO file, not of photographs")
    options.add_argument("--objects", type=int, default=2_400)
    options.add_argument("--out", type=Path, default=OUT)
    asked = options.parse_args()
    images = list(outlines.of_photographs() if asked.coco is None else outlines.of_coco(asked.coco))
    areas, size = outlines.mosaic(images, asked.objects)
    rng = np.random.default_rng(0)
    classes = rng.integers(1, 4, len(areas)).tolist()
    solid = np.array([shapely.MultiPolygon([each]) for each in areas])
    inputs = {
        "polygon": [
            {"class": label, **place}
            for label, place in zip(classes, polygon.dump(solid), strict=True)
        ],
        "box": [
            {"class": label, "box": edges}
            for label, edges in zip(classes, shapely.bounds(solid).tolist(), strict=True)
        ],
    }
    rows = [
        row for shape, objects in inputs.items() for row in compare(shape, objects, Size(*size))
    ]
    aims = [
        aim
        for shape, times in TIMES_FASTER.items()
        for of_shape in [[row for row in rows if row["shape"] == shape]]
        for aim in _aims(shape, of_shape, times)
    ]
    conclude({"rows": rows}, aims, asked.out)


def _aims(shape: str, rows: Sequence[dict[str, Any]], times: float) -> list[Aim]:
    worst, slowest = min(row["pq"] for row in rows), min(row["times_sahi"] for row in rows)
    return [
        Aim(f"PQ of {shape}, to the ceiling", worst, f">= {LEAST_PQ}", worst >= LEAST_PQ),
        Aim(f"{shape} pieces/s, to SAHI's", slowest, f">= {times:g}", slowest >= times),
    ]


if __name__ == "__main__":
    main()
