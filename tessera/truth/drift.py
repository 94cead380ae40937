"""Earners who are good until there is less gold: a fall in agreement that comes at one point.

A cumulative sum of how much more an earner agrees with the others than the crowd does on the same
items. If the order does not matter, it is a Brownian bridge, and passes x standard deviations once
in exp(2 x²) times, wherever the point is (Page 1954; Kolmogorov's one-sided law).
"""

import numpy as np

from tessera.truth.others import Others
from tessera.truth.signals import LN10, Finding, Kind, percent
from tessera.truth.votes import Flags, Floats, Indices, sums

MATERIAL = 0.5
"""The least fall, as a share of what the crowd agrees beyond chance. People tire, and a tenth is
nothing to accuse anybody of."""
THINNER = 0.75
"""Gold is thinner if its share of the later answers is less than so much of that of the earlier."""
FEWEST = 30
"""Answers that the others know something of; the law holds for many."""


def falling(seen: Others) -> Finding:
    """Whose agreement with the others fell when their gold did. Answers in order of time.

    Nobody's, where there is no gold: recorded answers need not be in order of time.
    """
    votes, which = seen.votes, np.flatnonzero(seen.informed)
    order = which[np.argsort(votes.earners[which], kind="stable")]
    earner = votes.earners[order]
    size = votes.n_earners
    count = sums(earner, None, size)
    excess = _fitted(seen.agree[order], seen.agree_usual[order], earner, count)
    start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    gold = seen.gold[order].astype(np.float64)
    spread = np.sqrt(sums(earner, excess**2, size) / np.maximum(count - 1, 1))
    bridge = _since(np.cumsum(excess), start, earner)
    best = _highest(bridge, start, count)
    place = np.minimum(best, max(len(order) - 1, 0))
    before = np.where(count > 0, best - start + 1.0, 0.0)
    height = bridge[place] if len(order) else np.zeros(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = height / (spread * np.sqrt(count))
        evidence = np.where((spread > 0) & (count >= FEWEST), 2 * score**2 / LN10, 0.0)
    early = np.arange(len(order)) <= best[earner]
    chance = _chance(seen)
    fell = _drop(excess, early, earner, size)
    usual = _mean(seen.agree_usual[order], np.ones(len(order), dtype=bool), earner, size) - chance
    golden = (_mean(gold, early, earner, size), _mean(gold, ~early, earner, size))
    thinner = golden[1] < THINNER * golden[0]
    real = thinner & (fell >= MATERIAL * np.maximum(usual, 0.05)) & (before < count)
    told = seen.open[order]
    shares = [_mean(seen.agree[order], each & told, earner, size) for each in (early, ~early)]
    return Finding(
        Kind.FALLING,
        np.where(real, evidence, 0.0),
        lambda earner: (
            "Your later answers agree with those of others less often than your earlier ones did: "
            f"{percent(float(shares[1][earner]))} after {percent(float(shares[0][earner]))}."
        ),
    )


def _fitted(agree: Floats, usual: Floats, earner: Indices, count: Floats) -> Floats:
    """Agreement beyond the crowd's on the same item, beyond the earner's own mean."""
    excess = agree - usual
    mean = sums(earner, excess, len(count)) / np.maximum(count, 1)
    return np.asarray(excess - mean[earner], dtype=np.float64)


def _since(total: Floats, start: Indices, earner: Indices) -> Floats:
    """A running sum that begins anew with each earner."""
    before = np.concatenate([[0.0], total])[start]
    return np.asarray(total - before[earner], dtype=np.float64)


def _highest(bridge: Floats, start: Indices, count: Floats) -> Indices:
    """Shape (n_earners,): where each one's running sum is highest; the start if there is none."""
    best = start.copy()
    has = np.flatnonzero(count > 0)
    if len(has):
        highest = np.maximum.reduceat(bridge, start[has])
        owner = np.repeat(np.arange(len(has)), count[has].astype(np.int64))
        at = np.flatnonzero(bridge >= highest[owner])
        first = np.unique(owner[at], return_index=True)[1]
        best[has] = at[first]
    return best


def _mean(values: Floats, which: Floats | Flags, earner: Indices, size: int) -> Floats:
    weight = np.asarray(which, dtype=np.float64)
    total = sums(earner, values * weight, size)
    return np.asarray(total / np.maximum(sums(earner, weight, size), 1), dtype=np.float64)


def _drop(excess: Floats, early: Flags, earner: Indices, size: int) -> Floats:
    """Shape (n_earners,): how much less of it there is later."""
    return _mean(excess, early, earner, size) - _mean(excess, ~early, earner, size)


def _chance(seen: Others) -> float:
    """How much an answer agrees that is given without looking."""
    frequent = seen.offers.sum((0, 1))
    share = frequent / max(frequent.sum(), 1.0)
    return float((share**2).sum())
