"""How many labels of a whole are right, by a random sample of them."""

from collections.abc import Callable
from dataclasses import dataclass

from scipy.stats import hypergeom

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Sampled:
    """A simple random sample without replacement.

    Raises:
        ValueError: There cannot be such a sample.
    """

    right: int
    size: int
    population: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.size <= self.population:
            raise ValueError(f"no such sample: {self}")


@dataclass(frozen=True, slots=True)
class Shares:
    """A share with its interval, each in [0, 1]."""

    value: float
    low: float
    high: float


def right_interval(sample: Sampled, *, level: float = LEVEL) -> tuple[int, int]:
    """Least and most of the population that may be right: those that the sample does not refute.

    Each end is refuted at half of what is left of the level, by the exact distribution of what
    a sample finds; so it holds the real number at least as often as the level says, however small
    sample and population are, and is one number when all were looked at. Nothing of a sample says
    nothing.

    Source:
        Buonaccorsi 1987, "A Note on Confidence Intervals for Proportions in Finite Populations";
        Clopper & Pearson 1934 in a finite population.
    """
    found, size, whole = sample.right, sample.size, sample.population
    tail = (1 - level) / 2
    fewest, most = found, whole - (size - found)

    def too_few(right: int) -> bool:
        """Whether a sample would hardly find so many."""
        return float(hypergeom.sf(found - 1, whole, right, size)) <= tail

    def too_many(right: int) -> bool:
        return float(hypergeom.cdf(found, whole, right, size)) <= tail

    low = _first(fewest, most, lambda right: not too_few(right))
    high = _first(low, most + 1, too_many) - 1
    return low, max(high, low)


def accuracy(
    sample: Sampled, *, corrected: int = 0, later: int = 0, level: float = LEVEL
) -> Shares | None:
    """The share of labels that is right now, some time after a sample of them was looked at.

    Nothing is known of what was settled since then: where the interval is low all of that is wrong,
    and where it is high all is right. None if nothing of what there is was sampled, or nothing is
    left.

    Args:
        sample: Of those that were there when it was drawn, and still are, or were corrected.
        corrected: Of its wrong ones: they are no longer among the labels that this is about.
        later: Labels that were settled since.

    Raises:
        ValueError: More were corrected than were wrong.
    """
    if not 0 <= corrected <= sample.size - sample.right or later < 0:
        raise ValueError(f"{corrected} corrected, {later} later: {sample}")
    total = sample.population - corrected + later
    if sample.size == 0 or total == 0:
        return None
    low, high = right_interval(sample, level=level)
    share = sample.right / sample.size
    return Shares(share * (sample.population + later) / total, low / total, (high + later) / total)


def others(sample: Sampled, *, level: float = LEVEL) -> Shares | None:
    """The share that is right of what was not sampled; None if that is all, or nothing."""
    left = sample.population - sample.size
    if sample.size == 0 or left == 0:
        return None
    low, high = (each - sample.right for each in right_interval(sample, level=level))
    return Shares(sample.right / sample.size, low / left, high / left)


def _first(start: int, end: int, holds: Callable[[int], bool]) -> int:
    """The least number in start .. end - 1 that it holds for, and for all above; else `end`."""
    while start < end:
        middle = (start + end) // 2
        if holds(middle):
            end = middle
        else:
            start = middle + 1
    return start
