"""Trust: what gold tells of an earner's reliability in one project.

A Beta posterior over the share of an earner's work that is right; pure. A gold score of s in
[0, 1] counts as s of a success and 1 - s of a failure, which is cautious: scores vary less than
coins do.
"""

from dataclasses import dataclass
from enum import StrEnum

from scipy.special import betainc

MINIMUM_TRUST = 0.6
ENOUGH_GOLD = 4
"""Check tasks before anyone is judged."""
SURE = 0.92
"""How certain it must be that trust is below the project's minimum. Simulated with the default
minimum over 60 gold (see the tests): who scores 0 to 0.15 is stopped within six, who is right nine
times in ten less than once in a thousand."""
MEMORY = 0.94
"""What one more gold leaves of the weight of earlier ones: about the last 16 count, so that who
earned trust cannot live on it for ever."""
MISSED_BELOW = 0.5
BELOW_THE_BETTER, BETTER, ENOUGH_EARNERS = 0.2, 0.75, 8
"""So far below the better ones, of so many, nobody is stopped: a difference, and a quantile."""

_PRIOR_ALPHA, _PRIOR_BETA = 1.6, 0.4


class Rating(StrEnum):
    OK = "ok"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Trust:
    """Beta(alpha, beta) over the share of an earner's work that is right."""

    alpha: float = _PRIOR_ALPHA
    beta: float = _PRIOR_BETA
    seen: int = 0
    """Gold answered."""
    missed: int = 0
    """Gold answered with a score below one half."""
    unsure: int = 0
    """Gold to which nothing was said."""

    @property
    def mean(self) -> float:
        """Probability that the earner's next answer is right; inside (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    def updated(self, score: float, *, said: bool = True) -> "Trust":
        """With one more gold score, in [0, 1].

        Args:
            said: Whether it is that of an answer, and not of *not sure* or a report.
        """
        if not 0 <= score <= 1:
            raise ValueError(f"a score lies in [0, 1], not {score}")
        return Trust(
            _PRIOR_ALPHA + MEMORY * (self.alpha - _PRIOR_ALPHA) + score,
            _PRIOR_BETA + MEMORY * (self.beta - _PRIOR_BETA) + 1 - score,
            self.seen + 1,
            self.missed + (said and score < MISSED_BELOW),
            self.unsure + (not said),
        )

    @property
    def probability_idle(self) -> float:
        """That they say nothing more often than something; from a uniform prior."""
        return 1 - float(betainc(1 + self.unsure, 1 + self.seen - self.unsure, 0.5))

    def probability_below(self, minimum: float) -> float:
        return float(betainc(self.alpha, self.beta, minimum))


NEWCOMER = Trust()


def unsure_score(minimum_trust: float, *, chance: float) -> float:
    """What *not sure* scores on gold, between what blind guesses score and what a project asks.

    It is the cost of rejection of Chow (1970): to say what one sees scores more if one is surer
    than this, and *not sure* if one is not. So to guess never scores more than to say so.

    Args:
        chance: How often a blind guess is right.
    """
    return (chance + max(minimum_trust, chance)) / 2


def rating(trust: Trust, *, minimum_trust: float = MINIMUM_TRUST) -> Rating:
    """Blocked once enough gold makes it as good as certain that trust is below the minimum.

    Or that they say nothing more often than something: doubt is no offence, but no work either.
    """
    if trust.seen < ENOUGH_GOLD:
        return Rating.OK
    unreliable = trust.probability_below(minimum_trust) >= SURE
    return Rating.BLOCKED if unreliable or trust.probability_idle >= SURE else Rating.OK


def bar(minimum_trust: float, *, better: float | None) -> float:
    """The least trust with which somebody goes on: the project's minimum, unless it is hard.

    Nobody is stopped for missing what most people miss: no more is asked of anybody than lies below
    what a quarter of the people manage.

    Args:
        better: Third quartile of the trust of earners who can be judged and were not stopped; None
            if they are too few.
    """
    return minimum_trust if better is None else min(minimum_trust, better - BELOW_THE_BETTER)


def explain(trust: Trust, *, minimum_trust: float = MINIMUM_TRUST) -> str:
    """Why an earner gets no more tasks, in a sentence they can read."""
    if trust.probability_idle >= SURE:
        return f"You said nothing of what you saw in {trust.unsure} of {trust.seen} check tasks."
    asked = f"this project asks for {minimum_trust:.0%}".replace("%", " %")
    if trust.missed * 2 > trust.seen:
        return f"You missed {trust.missed} of {trust.seen} check tasks; {asked}."
    share = f"{trust.mean:.0%}".replace("%", " %")
    return f"Your last check tasks were about {share} right; {asked}."
