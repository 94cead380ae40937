from collections.abc import Iterable
from functools import reduce

from tessera.quality.trust import NEWCOMER, Trust


def trust_after(scores: Iterable[float]) -> Trust:
    """Trust in somebody with these scores on gold, oldest first."""
    return reduce(Trust.updated, scores, NEWCOMER)
