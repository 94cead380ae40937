"""How well somebody draws, from what they drew of what is known, and beside others: pure."""

from collections.abc import Sequence

from tessera.kinds import Skill, Tally

STRENGTH = 4.0
"""Objects for which an earner's trust stands in, until they have drawn more."""
OTHERS = 0.3
"""What a thing counts that only others tell of, beside one that is known: they err alike."""
MOST_OF_OTHERS = 40.0
"""And what all of those count together, less what is known: where gold has told, others do not. Who
agrees on what is not there is not believed the more for it than gold says."""
_LEAST, _MOST = 0.02, 0.98
_NONE = (0.0,) * len(Tally._fields)


def added(counts: Sequence[float] | None, tally: Tally) -> list[float]:
    """An earner's tallies together, with one more; in the order of `Tally`."""
    return [old + new for old, new in zip(counts or _NONE, tally, strict=True)]


def skill_of(
    gold: Sequence[float] | None, trust: float, others: Sequence[float] | None = None
) -> Skill:
    """By tallies that were added up, and by trust as far as those are few.

    Posterior means of Beta distributions around trust.

    Args:
        gold: Tallies beside what is known.
        others: Tallies beside what others drew.
    """
    known, told = gold or _NONE, others or _NONE
    room = max(MOST_OF_OTHERS - max(known), 0.0)
    weight = OTHERS * min(1.0, room / max(OTHERS * max(told), _LEAST))
    there, found, drawn, credit = (
        each + weight * more for each, more in zip(known, told, strict=True)
    )
    return Skill(
        _share(found, there, trust), _share(found, drawn, trust), _share(credit, found, trust)
    )


def _share(part: float, of: float, usual: float) -> float:
    share = (part + STRENGTH * usual) / (of + STRENGTH)
    return min(max(share, _LEAST), _MOST)
