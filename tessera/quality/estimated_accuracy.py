"""How many labels are right, by the best that is known: a sample, or gold. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor

from tessera.truth.audit import LEVEL, Sampled, Shares, accuracy, others
from tessera.truth.gold_panels import ByGold

_DIGITS = 10**4


class Method(StrEnum):
    AUDIT = "audit"
    """Reviewers have looked at a random sample of the labels; what was settled later counts as
    wrong where the interval is low, and as right where it is high."""
    GOLD = "gold"
    """By what answers to gold come to. It holds as far as gold is like all other tasks."""


@dataclass(frozen=True)
class Sample:
    size: int
    right: int
    labels: int
    """That the accuracy is of: those that answers came to, but for what was corrected."""
    later: int | None
    """Of these, settled since the sample was drawn; None of gold."""


@dataclass(frozen=True)
class EstimatedAccuracy:
    value: float
    low: float
    high: float
    level: float
    """How often such intervals hold the real one, at least."""
    method: Method
    sample: Sample


def by_audit(sample: Sampled, *, corrected: int, later: int) -> EstimatedAccuracy | None:
    shares = accuracy(sample, corrected=corrected, later=later)
    if shares is None:
        return None
    labels = sample.population - corrected + later
    return _of(shares, Method.AUDIT, Sample(sample.size, sample.right, labels, later))


def of_sample(sample: Sampled) -> EstimatedAccuracy | None:
    """Of the labels as they stood when it was drawn."""
    return by_audit(sample, corrected=0, later=0)


def by_gold(found: ByGold, *, labels: int) -> EstimatedAccuracy | None:
    """As if gold were drawn by chance from all tasks, and answers to it had come to labels, too."""
    shares = others(Sampled(found.right, found.items, found.items + labels))
    sample = Sample(found.items, found.right, labels, None)
    return None if shares is None else _of(shares, Method.GOLD, sample)


def _of(shares: Shares, method: Method, sample: Sample) -> EstimatedAccuracy:
    return EstimatedAccuracy(
        round(shares.value, 4),
        # outwards, so that the interval holds what it held
        max(floor(shares.low * _DIGITS) / _DIGITS, 0.0),
        min(ceil(shares.high * _DIGITS) / _DIGITS, 1.0),
        LEVEL,
        method,
        sample,
    )
