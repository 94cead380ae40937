"""What follows from what was seen: more gold, slower, a person looks. Never more than that.

Nobody is shut out here, and nothing is taken back. That is for trust, which gold alone decides, and
for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tessera.truth.signals import TOLD, Finding, Kind

OVERWHELMING = 6.0
"""Once in a million: with so much, one signal alone is for a person to look at."""
FAMILY = {
    Kind.RANDOM: "answers",
    Kind.CONSTANT: "answers",
    Kind.FALLING: "answers",
    Kind.FAST: "times",
    Kind.MECHANICAL: "times",
    Kind.RING: "company",
    Kind.LINKED: "accounts",
}
"""Signals of one family see the same thing, and count as one."""
GRAVE = 4.0
"""Twice that which is told, roughly: two of which one is so strong are for a person."""


class Step(IntEnum):
    NONE = 0
    MORE_GOLD = 1
    SLOWER = 2
    REVIEW = 3


@dataclass(frozen=True)
class Response:
    earner: int
    step: Step
    kinds: tuple[Kind, ...]
    """What is told of, strongest first."""
    strengths: tuple[float, ...]
    evidence: tuple[str, ...]
    """A sentence for each, for the earner and for who reviews."""


def respond(findings: Sequence[Finding]) -> list[Response]:
    """Of each earner of whom anything is told, what to do; the gravest first."""
    earners = {int(earner) for each in findings for earner in each.told.nonzero()[0]}
    responses = [_of(earner, findings) for earner in sorted(earners)]
    return sorted(responses, key=lambda response: -response.step)


def _of(earner: int, findings: Sequence[Finding]) -> Response:
    told = sorted(
        (each for each in findings if each.strength[earner] >= TOLD),
        key=lambda each: -each.strength[earner],
    )
    strengths = {each.kind: float(each.strength[earner]) for each in told}
    return Response(
        earner,
        step(strengths),
        tuple(each.kind for each in told),
        tuple(round(float(each.strength[earner]), 2) for each in told),
        tuple(each.words(earner) for each in told),
    )


def step(strengths: dict[Kind, float]) -> Step:
    """What signals of such strengths come to."""
    told = {kind: strength for kind, strength in strengths.items() if strength >= TOLD}
    if not told:
        return Step.NONE
    strongest = max(told.values())
    families = len({FAMILY[kind] for kind in told})
    if strongest >= OVERWHELMING or families > 2 or (families > 1 and strongest >= GRAVE):  # noqa: PLR2004
        return Step.REVIEW
    return Step.SLOWER if families > 1 else Step.MORE_GOLD


def reached(strength: float) -> float:
    """The highest of the bounds that decide which a strength of at least `TOLD` has reached.

    Exact strengths come of gold, too: of them an earner could read which answers were to gold.
    """
    return max(bound for bound in (TOLD, GRAVE, OVERWHELMING) if strength >= bound)
