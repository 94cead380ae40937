"""How far people agree beyond what chance would do."""

from collections import Counter
from collections.abc import Hashable, Sequence


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """1 if all agree, 0 if they do as chance would have it, below if less; for names, no order.

    Units with fewer than two opinions say nothing. None if nothing is said twice, or all of it is
    the same: then chance would agree as well.

    Args:
        units: Of each thing what its people said, in any order.

    Source:
        Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", nominal data with any
        number of observers.
    """
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    total = sum(unit.total() for unit in paired)
    values: Counter[Hashable] = Counter()
    for unit in paired:
        values.update(unit)
    expected = total**2 - sum(count**2 for count in values.values())
    if expected == 0:
        return None
    differing = sum(
        (unit.total() ** 2 - sum(count**2 for count in unit.values())) / (unit.total() - 1)
        for unit in paired
    )
    return 1 - (total - 1) * differing / expected
