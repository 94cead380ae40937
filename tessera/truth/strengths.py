"""Who is strong in what: they are asked first about what others do not agree on."""

from collections.abc import Sequence

import numpy as np
from scipy.special import betainc

from tessera.truth.votes import Flags, Floats

EVERYTHING = -1
"""Instead of a choice: all that is asked, where it is not known between what it is."""
STRONG, LEAST = 0.85, 0.5
"""Who is right so often is strong, even where all others are, too; and nobody who is right less
often, even where all others are right still less."""
CERTAIN = 0.9
RIVALS, FEWEST_RIVALS, MOST_RIVALS = 0.95, 2, 3
"""The most probable choices that have so much of the probability: so many at least, and at most.
Who says one thing always is strong in that; to tell it from another takes both."""


def strong(right: Floats, seen: Floats, usual: Floats | float) -> Flags:
    """Whether somebody is certainly right more often than the crowd, within `LEAST` and `STRONG`.

    From a uniform prior: nobody is strong who has shown nothing.

    Args:
        right: Any shape: answers that were right, expected; of as many as `seen` has.
        usual: How often the crowd is right.
    """
    bar = np.clip(usual, LEAST, STRONG)
    surely: Flags = betainc(1 + right, 1 + np.maximum(seen - right, 0), bar) <= 1 - CERTAIN
    return surely


def strong_choices(counts: Floats, common: Floats) -> Flags:
    """In which choices earners are strong, shape (n_earners, K).

    Args:
        counts: Shape (n_earners, K, K): answers by truth and choice, expected.
        common: Shape (K, K): the crowd's shares.
    """
    return strong(np.einsum("ekk->ek", counts), counts.sum(axis=2), np.diag(common))


def rivals(posterior: Floats) -> Sequence[int]:
    """The choices between which it is, ascending; of a posterior of shape (K,)."""
    order = np.argsort(-posterior, kind="stable")
    many = int(np.searchsorted(np.cumsum(posterior[order]), RIVALS)) + 1
    return sorted(order[: max(FEWEST_RIVALS, min(many, MOST_RIVALS))].tolist())


def gain(posterior: Floats, common: Floats) -> float:
    """By how much one more answer of the crowd is expected to lower the risk of a wrong label.

    The expected value of sample information under 0-1 loss (Raiffa & Schlaifer 1961).

    Args:
        posterior: Shape (K,).
        common: Shape (K, K): of what is t (row), the share that is called l (column).
    """
    joint = posterior[:, None] * common
    return max(float(joint.max(axis=0).sum() - posterior.max()), 0.0)
