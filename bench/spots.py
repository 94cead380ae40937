"""Recorded clicks on spots with known truth: 192 people, of whom 20 to 30 saw each picture.

A click becomes a box around it, a picture nine tiles, so that several of them are gold. Who clicked
beyond the picture's edge, as some have, said nothing there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.artists import Scene
from bench.drawings import beside_quorums, with_gold
from tessera.kinds import KINDS, Answer, LabelSchema, Objects, Question, Size, TileFrame, Window
from tessera.quality.replay_drawings import Drawings
from tessera.truth.stopping import Stopping

TILE = 100
"""Pixels across; pictures are as large as a few of them."""
ACROSS = 16.0
"""Pixels of the box around a click: two overlap by half if they are four pixels apart."""
NAME = "B_fish_spots"
GOLD = 1 / 12
QUORUMS = (3, 5, 7, 11, 20)
MOST = (6, 10, 20)
TARGET = 0.95
SCHEMA = LabelSchema.parse({"classes": [{"id": 1, "name": "spot", "colour": "#e6194b"}]})
QUESTION = Question(
    SCHEMA,
    TileFrame(Window(0, 0, TILE, TILE), Window(0, 0, TILE, TILE), Size(TILE, TILE)),
)


def compared(folder: Path, seeds: int) -> dict[str, Any]:
    """F1 and answers of quorums, and of ours until sure of at most so many; as in `drawings`."""
    kind = KINDS["box"]
    assert isinstance(kind, Objects)
    draws = []
    for seed in range(seeds):
        dice = np.random.default_rng(seed)
        draws.append(with_gold(list(recorded(folder, kind, dice)), GOLD, dice))
    ours: dict[float, Stopping] = {most: Stopping(1, most, TARGET) for most in MOST}
    return beside_quorums(kind, draws, QUORUMS, "most", ours)


def recorded(folder: Path, kind: Objects, dice: np.random.Generator) -> Iterator[Scene]:
    """All tiles, whose answers come in an order by chance.

    Args:
        folder: With `submissions.csv`, `points.csv` and `truth_points.csv`.
    """
    tables = ("submissions", "points", "truth_points")
    given, clicks, truth = (pd.read_csv(folder / f"{each}.csv") for each in tables)
    for image, theirs in given[given["image"].isin(truth["image"])].groupby("image", sort=True):
        spots = truth[truth["image"] == image][["x", "y"]].to_numpy()
        width, height = theirs[["width", "height"]].to_numpy()[0]
        first = theirs.drop_duplicates("worker").sample(frac=1, random_state=dice)
        by = {
            of.worker: clicks[clicks["submission"] == of.submission][["x", "y"]].to_numpy()
            for of in first.itertuples()
        }
        for left in range(0, int(width), TILE):
            for top in range(0, int(height), TILE):
                answers = [(name, _answer(kind, each, left, top)) for name, each in by.items()]
                yield Scene(Drawings(QUESTION, answers), _answer(kind, spots, left, top))


def _answer(kind: Objects, points: NDArray[np.float64], left: int, top: int) -> Answer:
    inside = points - (left, top)
    inside = inside[((inside >= 0) & (inside < TILE)).all(axis=1)]
    boxes = np.clip(np.hstack((inside - ACROSS / 2, inside + ACROSS / 2)), 0, TILE)
    objects = [{"class": 1, "box": box} for box in boxes.tolist()]
    return kind.validate({"objects": objects}, QUESTION)
