"""What an earner can see of a task, as numbers, and how well these tell gold from other tasks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Seen = Mapping[str, float]
ABSENT = -1.0
TAIL = 40
"""Characters of a text that are looked at one by one: all of an id, and of a hash in a link."""
PERMUTATIONS = 400
ROUNDS, RATE, CUTS = 60, 0.5, 7
"""Of boosting: trees, how much each is believed, and places where a feature may be split."""
LIMIT = 0.55
SURE = 5.0
"""So many standard errors beyond one half are no chance: with some hundred features that do not
tell anything, one run in some thousands comes so far."""


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Everything in a JSON value: which keys, in which order, how long, how large, which digits."""
    if isinstance(value, Mapping):
        for place, (key, each) in enumerate(value.items()):
            yield f"{name}.{key} place", place
            yield from numbers(each, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        yield f"{name} length", len(value)
        for place, each in enumerate(value):
            yield from numbers(each, f"{name}[{place}]")
    elif isinstance(value, str):
        yield from _of_text(value, name)
    elif value is not None:
        yield name, float(value)


def _of_text(value: str, name: str) -> Iterator[tuple[str, float]]:
    if value.startswith("http"):
        link = urlsplit(value)
        yield from numbers({"path": link.path, "query": dict(parse_qsl(link.query))}, name)
        return
    yield f"{name} length", len(value)
    for place, letter in enumerate(value[-TAIL:]):
        yield f"{name} letter {place}", ord(letter)
    with suppress(ValueError):
        yield f"{name} number", float(value)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError):
            yield f"{name} time", read(value).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Told:
    """A feature by which gold and ordinary tasks could be told apart."""

    feature: str
    auc: float
    errors: float
    """Standard errors that this is from one half."""


class Observed:
    """What was seen, lease by lease, and which of them were gold.

    Leases of one task share what its picture shows. So what may come by chance is found by calling
    other *tasks* gold: a thing said ten times of one task is one observation and not ten.
    """

    def __init__(self, seen: Sequence[Seen], tasks: Sequence[str], gold: Sequence[bool]) -> None:
        self.names = sorted({name for each in seen for name in each})
        table = np.array([[each.get(name, ABSENT) for name in self.names] for each in seen])
        varies = np.ptp(table, axis=0) > 0
        self.names = [name for name, keep in zip(self.names, varies, strict=True) if keep]
        self.table: Floats = table[:, varies]
        _, self.tasks = np.unique(tasks, return_inverse=True)
        self.gold = np.array(gold, dtype=bool)

    def told(self, seed: int = 0) -> list[Told]:
        """Features that tell gold better than `LIMIT`, and better than chance would."""
        ranks = np.apply_along_axis(rankdata, 0, self.table)
        found = _aucs(ranks, self.gold[None])[0]
        by_chance = _aucs(ranks, self._otherwise(np.random.default_rng(seed)))
        errors = np.abs(found - 0.5) / np.maximum(by_chance.std(axis=0), 1e-9)
        tells = (np.abs(found - 0.5) > LIMIT - 0.5) & (errors > SURE)
        return [
            Told(self.names[i], float(found[i]), float(errors[i])) for i in np.flatnonzero(tells)
        ]

    def learned(self, seed: int = 0) -> tuple[float, float]:
        """AUC of a ridge classifier of all features on tasks it was not trained on, and how far
        above one half chance gets it (one standard error)."""
        rng = np.random.default_rng(seed)
        fold = rng.integers(0, 2, self.tasks.max() + 1)[self.tasks]
        by_chance = [self._trained(mask, fold) for mask in self._otherwise(rng)[:60]]
        return self._trained(self.gold, fold), float(np.std(by_chance))

    def _trained(self, gold: NDArray[np.bool_], fold: NDArray[np.int64]) -> float:
        scaled = (self.table - self.table.mean(axis=0)) / self.table.std(axis=0)
        aucs = []
        for test in (0, 1):
            known, asked = fold != test, fold == test
            # as many unknowns as leases instead of as features: the dual form of ridge regression
            inner = scaled[known] @ scaled[known].T
            inner[np.diag_indices_from(inner)] += scaled.shape[1]
            weights = np.linalg.solve(inner, gold[known] - gold[known].mean())
            score = scaled[asked] @ (scaled[known].T @ weights)
            aucs.append(_aucs(rankdata(score)[:, None], gold[None, asked])[0, 0])
        return float(np.mean(aucs))

    def ridge(self, seed: int = 0) -> float:
        """`learned`, where there are so many leases that chance need not be looked at."""
        rng = np.random.default_rng(seed)
        return self._trained(self.gold, rng.integers(0, 2, self.tasks.max() + 1)[self.tasks])

    def boosted(self, seed: int = 0) -> float:
        """The same of gradient boosting (Friedman 2001) with trees of one split, which also finds
        what is told by a threshold."""
        rng = np.random.default_rng(seed)
        fold = rng.integers(0, 2, self.tasks.max() + 1)[self.tasks]
        aucs = []
        for test in (0, 1):
            known, asked = fold != test, fold == test
            score = _boosted(self.table[known], self.gold[known], self.table[asked])
            aucs.append(_aucs(rankdata(score)[:, None], self.gold[None, asked])[0, 0])
        return float(np.mean(aucs))

    def _otherwise(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        of_task = np.zeros(self.tasks.max() + 1, dtype=bool)
        of_task[self.tasks] = self.gold
        return np.array([rng.permutation(of_task)[self.tasks] for _ in range(PERMUTATIONS)])


def _aucs(ranks: Floats, gold: NDArray[np.bool_]) -> Floats:
    """Chance that a gold lease ranks above an ordinary one.

    Args:
        ranks: Shape (leases, features), from 1, ties shared.
        gold: Shape (cases, leases).

    Returns:
        Shape (cases, features).
    """
    ones = gold.sum(axis=1, keepdims=True)
    zeros = gold.shape[1] - ones
    above: Floats = (gold @ ranks - ones * (ones + 1) / 2) / (ones * zeros)
    return above


def _boosted(known: Floats, gold: NDArray[np.bool_], asked: Floats) -> Floats:
    """Scores of what is asked; each round splits one feature at one of its quantiles.

    Args:
        known: Shape (leases, features); gold says of each whether it is.
    """
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, CUTS + 2)[1:-1], axis=0), axis=0)
    over = np.concatenate([known > cut for cut in cuts], axis=1).astype(np.float32)
    over_asked = np.concatenate([asked > cut for cut in cuts], axis=1)
    count = np.maximum(over.sum(axis=0), 1), np.maximum((1 - over).sum(axis=0), 1)
    score, score_asked = np.zeros(len(known)), np.zeros(len(asked))
    for _ in range(ROUNDS):
        short = (gold - 1 / (1 + np.exp(-score))).astype(np.float32)
        above = short @ over
        below = short.sum() - above
        best = int(np.argmax(above**2 / count[0] + below**2 / count[1]))
        high, low = above[best] / count[0][best], below[best] / count[1][best]
        score += RATE * np.where(over[:, best], high, low)
        score_asked += RATE * np.where(over_asked[:, best], high, low)
    return score_asked
