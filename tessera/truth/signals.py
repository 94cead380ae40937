"""What a detector hands on: of each earner a number, and what was seen in words."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tessera.truth.votes import Flags, Floats

TOLD = 2.5
"""Strength from which anything is told: by it alone, three honest earners in a thousand would be.
Calibrated on simulated honest crowds, see `python -m bench.cheating`."""
LN10 = float(np.log(10))


class Kind(StrEnum):
    """What may be seen; none of it is a verdict."""

    RANDOM = "random"
    """Answers that have nothing to do with what is shown."""
    CONSTANT = "constant"
    """One class, whatever is shown."""
    FAST = "fast"
    """Too fast to look, and worse for it."""
    MECHANICAL = "mechanical"
    """Times as no person has them."""
    RING = "ring"
    """Errors that others make in the same place, in the same way."""
    LINKED = "linked"
    """One payout destination or device for several accounts."""
    FALLING = "falling"
    """Good until there was less gold."""


@dataclass(frozen=True)
class Finding:
    """What one detector saw of everybody."""

    kind: Kind
    strength: Floats
    """Shape (n_earners,): weight of evidence, in powers of ten (Good 1950): 3 is what an honest
    earner comes to once in a thousand times, or less often. 0 is nothing."""
    words: Callable[[int], str]
    """A sentence to the earner of that number. It counts answers that are no gold, and names no
    task, no time and no account."""

    @property
    def told(self) -> Flags:
        """Shape (n_earners,): of whom it is worth telling."""
        return self.strength >= TOLD


def percent(share: float) -> str:
    """As in `85 %`; to whole percents."""
    return f"{100 * share:.0f} %"


def mean_of(values: Floats, of: Floats) -> Floats:
    """Sums over how many they are of; 0 where there are none."""
    return np.asarray(values / np.maximum(of, 1.0), dtype=np.float64)
