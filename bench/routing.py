"""What asking strong people about what is hard saves, in simulated crowds of specialists.

Everybody tells cats from cars; which cat it is, a half knows well and the other half hardly, and of
cars it is the other way round. Each item is asked of two, by chance. While one is not sure,
somebody else is asked: anybody, or who is strong in the classes between which it is
(`truth.strengths`).
"""

import numpy as np

from tessera.truth.confusion import estimate
from tessera.truth.strengths import rivals, strong_choices
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes

CLASSES, EARNERS, ITEMS, GOLD = 4, 40, 1_500, 0.1
FIRST, MOST, TARGET = 2, 8, 0.95
KNOWS, KNOWS_NOT, PAIR = 0.95, 0.6, 0.98
"""How often who knows a pair names it rightly, and who does not; how often it is that pair."""
OF_GOLD = 0.5
"""Who has met it, of everybody."""


def compared(seeds: int) -> dict[str, dict[str, float]]:
    """Accuracy in percent, and answers per item, asking anybody and asking strong people."""
    rows: dict[str, list[tuple[float, float]]] = {"anybody": [], "strong": []}
    for seed in range(seeds):
        for name, all_ in rows.items():
            all_.append(_asked(np.random.default_rng(seed), routed=name == "strong"))
    return {
        name: {"accuracy": float(np.mean(all_, 0)[0]), "answers": float(np.mean(all_, 0)[1])}
        for name, all_ in rows.items()
    }


def saved(found: dict[str, dict[str, float]]) -> float:
    """Share of the answers beyond the first ones that need not be asked for."""
    more = {name: each["answers"] - FIRST for name, each in found.items()}
    return 1 - more["strong"] / more["anybody"]


def _asked(dice: np.random.Generator, *, routed: bool) -> tuple[float, float]:
    truth = dice.integers(0, CLASSES, ITEMS)
    would = _would_say(truth, dice)
    gold = np.where(dice.random(ITEMS) < GOLD, truth, UNKNOWN)
    order = np.argsort(dice.random((ITEMS, EARNERS)), axis=1)
    asked = np.zeros((ITEMS, EARNERS), dtype=bool)
    np.put_along_axis(asked, order[:, :FIRST], values=True, axis=1)
    ordinary = gold == UNKNOWN
    asked[~ordinary] = dice.random(((~ordinary).sum(), EARNERS)) < OF_GOLD
    while True:
        votes = _votes(asked, would)
        found = estimate(votes, known=gold)
        lacks = ordinary & (found.sure < TARGET) & (asked.sum(axis=1) < MOST)
        if not lacks.any():
            break
        assert found.crowd.counts is not None
        strong = strong_choices(found.crowd.counts, found.crowd.common)
        for item in np.flatnonzero(lacks):
            free = order[item][~asked[item, order[item]]]
            if routed:
                free = _strong_first(free, strong, np.exp(found.log_posterior[item]))
            asked[item, free[0]] = True
    right = found.labels[ordinary] == truth[ordinary]
    return 100 * float(right.mean()), float(asked[ordinary].sum(axis=1).mean())


def _strong_first(free: Indices, strong: Flags, posterior: Floats) -> Indices:
    knows = strong[free][:, rivals(posterior)].all(axis=1)
    return free[np.argsort(~knows, kind="stable")]


def _would_say(truth: Indices, dice: np.random.Generator) -> Indices:
    """Shape (ITEMS, EARNERS): what everybody would say of everything."""
    shape = (ITEMS, EARNERS)
    pair = np.broadcast_to(truth[:, None] // 2, shape)
    pair = np.where(dice.random(shape) < PAIR, pair, 1 - pair)
    knows = pair == np.arange(EARNERS)[None, :] % 2
    right = dice.random(shape) < np.where(knows, KNOWS, KNOWS_NOT)
    which = np.broadcast_to(truth[:, None] % 2, shape)
    return 2 * pair + np.where(right, which, 1 - which)


def _votes(asked: Flags, would: Indices) -> Votes:
    item, earner = np.nonzero(asked)
    return Votes(item, earner, would[item, earner], ITEMS, EARNERS, CLASSES)


def table(found: dict[str, dict[str, float]]) -> None:
    for name, each in found.items():
        print(f"asking {name}: {each['accuracy']:.2f} % with {each['answers']:.2f} answers")
