"""Who goes on in a replay, by what gold tells of them: pure."""

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from tessera.quality.trust import (
    BETTER,
    ENOUGH_EARNERS,
    ENOUGH_GOLD,
    NEWCOMER,
    Rating,
    Trust,
    bar,
    rating,
)

Earner = TypeVar("Earner", bound=Hashable)


class Stopped(NamedTuple):
    trust: Trust
    """As it was then."""
    minimum: float
    """That it was below."""


class Gate(Generic[Earner]):
    """Trust of everybody, as `judge` keeps it in a project."""

    def __init__(self, minimum_trust: float, *, is_lowered: bool = True) -> None:
        """Nobody has answered any gold yet.

        Args:
            is_lowered: Whether less is asked for where even the better ones manage little; see
                `trust.bar`.
        """
        self._minimum_trust, self._is_lowered = minimum_trust, is_lowered
        self._trust: dict[Earner, Trust] = {}
        self.stopped: dict[Earner, Stopped] = {}

    def trust(self, earner: Earner) -> Trust:
        return self._trust.get(earner, NEWCOMER)

    def score(self, earner: Earner, score: float) -> bool:
        """Note a gold score, in [0, 1], of who goes on so far; returns whether it stops them."""
        trust = self._trust[earner] = self.trust(earner).updated(score)
        if rating(trust, minimum_trust=self._minimum_trust) is Rating.OK:
            return False
        minimum = self._minimum()  # seldom: then what the others can is looked at, too
        if rating(trust, minimum_trust=minimum) is Rating.OK:
            return False
        self.stopped[earner] = Stopped(trust, minimum)
        return True

    def _minimum(self) -> float:
        judged = [
            each.mean
            for earner, each in self._trust.items()
            if each.seen >= ENOUGH_GOLD and earner not in self.stopped
        ]
        tells = self._is_lowered and len(judged) >= ENOUGH_EARNERS
        better = float(np.quantile(judged, BETTER)) if tells else None
        return bar(self._minimum_trust, better=better)
