"""One-coin naive Bayes: what independent opinions, each right with its earner's trust, come to.

Source: Dawid & Skene 1979 with one parameter per earner; the weights, Nitzan & Paroush 1982.
"""

import math
from collections.abc import Mapping, Sequence

from tessera.kinds.protocol import Opinion


def each_once(opinions: Sequence[Opinion]) -> list[Opinion]:
    """Opinions in an order of their own, so that no result depends on who came first.

    Raises:
        ValueError: No opinions, or two by one earner.
    """
    if not opinions:
        raise ValueError("there are no opinions to aggregate")
    if len({each.earner for each in opinions}) < len(opinions):
        raise ValueError("an earner has one opinion of a task")
    return sorted(opinions, key=lambda each: each.earner)


def weight(trust: float, choices: int) -> float:
    """Log-odds that one opinion adds to what it says against any one of the other choices.

    P(says c | truth c) = trust, P(says c | truth t) = (1 - trust) / (choices - 1). An earner worse
    than chance counts as chance: inverted answers would let a spoiler steer the label.
    """
    others = max(choices - 1, 1)
    return max(0.0, math.log(trust * others / (1 - trust)))


def of_two(opinions: Sequence[Opinion], said: Sequence[int]) -> dict[int, float]:
    """How probable 0 and 1 are, given which of them each opinion says; even odds are 0."""
    for_one = math.fsum(
        math.copysign(weight(each.trust, 2), choice - 0.5)
        for each, choice in zip(opinions, said, strict=True)
    )
    p = probability(for_one)
    return {0: 1 - p, 1: p}


def probability(log_odds: float) -> float:
    """The logistic function, without overflow."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    return math.exp(log_odds) / (1 + math.exp(log_odds))


def posterior(votes: Mapping[int, float], choices: int) -> tuple[int, float]:
    """The most probable choice, given the summed `weight` behind each, and its probability.

    The prior is uniform; ties go to the lowest choice.

    Args:
        votes: Not empty. Choices that nobody named may be absent.
        choices: How many there are in all.
    """
    best = min(votes, key=lambda choice: (-votes[choice], choice))
    top = votes[best]
    rest = math.fsum(math.exp(other - top) for choice, other in votes.items() if choice != best)
    return best, 1 / (1 + rest + (choices - len(votes)) * math.exp(-top))
