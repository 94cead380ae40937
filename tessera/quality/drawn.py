"""How well somebody draws, from what they drew of what is known: pure."""

from collections.abc import Sequence

from tessera.kinds import Skill, Tally

STRENGTH = 4.0
"""Objects for which an earner's trust stands in, until they have drawn more."""
_LEAST, _MOST = 0.02, 0.98


def added(counts: Sequence[float] | None, tally: Tally) -> list[float]:
    """An earner's tallies together, with one more; in the order of `Tally`."""
    return [old + new for old, new in zip(counts or (0.0,) * len(tally), tally, strict=True)]


def skill_of(counts: Sequence[float] | None, trust: float) -> Skill:
    """By tallies that were added up, and by trust as far as those are few.

    Posterior means of Beta distributions around trust.
    """
    there, found, drawn, credit = counts or (0.0,) * len(Tally._fields)
    return Skill(
        _share(found, there, trust), _share(found, drawn, trust), _share(credit, found, trust)
    )


def _share(part: float, of: float, usual: float) -> float:
    share = (part + STRENGTH * usual) / (of + STRENGTH)
    return min(max(share, _LEAST), _MOST)
