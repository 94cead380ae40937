"""When nobody else need be asked.

An answer costs its price; what it can at most remove is the risk that is left: the probability that
the label is wrong, times what a wrong label costs. While the first is more than the second, asking
does not pay. So a price of a wrong label is a target confidence in other words.
"""

from dataclasses import dataclass

USUAL_TARGET = 0.98
USUAL_MOST = 24
"""So 55 % of the answers of seven public sets are as good as all, within half a point: what
so many people cannot tell, more cannot."""
MOST_CERTAIN = 0.9999
LEAST_CERTAIN = 0.5


@dataclass(frozen=True, slots=True)
class Stopping:
    min_overlap: int = 2
    max_overlap: int | None = USUAL_MOST
    """None: as many as there are."""
    target_confidence: float = USUAL_TARGET

    def __post_init__(self) -> None:
        if self.max_overlap is not None and self.min_overlap > self.max_overlap:
            raise ValueError("min_overlap is above max_overlap")


USUAL = Stopping()


def target_of(*, price: float, wrong_label: float) -> float:
    """Confidence from which another answer, at its price, costs more than the risk that is left.

    Raises:
        ValueError: A price is not positive.
    """
    if price <= 0 or wrong_label <= 0:
        raise ValueError("prices are positive")
    return min(max(1 - price / wrong_label, LEAST_CERTAIN), MOST_CERTAIN)
