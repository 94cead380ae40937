"""How likely an earner's next task is gold: often at first, seldom once trust is certain."""

from tessera.quality.trust import ENOUGH_GOLD, MINIMUM_TRUST, Trust

AT_FIRST = 0.5
LEAST = 1 / 3
"""Part of the project's share that remains for those whose trust is certain."""


def gold_share(trust: Trust, *, base_share: float, minimum_trust: float = MINIMUM_TRUST) -> float:
    """Probability that an earner's next task should be gold.

    One half until they can be judged. Then it falls with the square of the gold seen: down to the
    project's share for those who may well be below its minimum trust, and down to a third of that
    for those who are certainly above.

    Args:
        base_share: The project's gold share, in (0, 1].

    Returns:
        In [base_share / 3, max(base_share, 0.5)].
    """
    if not 0 < base_share <= 1:
        raise ValueError(f"a gold share lies in (0, 1], not {base_share}")
    doubt = min(1.0, 2 * trust.probability_below(minimum_trust))
    in_the_end = base_share * (LEAST + (1 - LEAST) * doubt)
    novelty = (ENOUGH_GOLD / max(trust.seen, ENOUGH_GOLD)) ** 2
    return in_the_end + (max(base_share, AT_FIRST) - in_the_end) * novelty
