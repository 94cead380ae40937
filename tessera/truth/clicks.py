"""Answers that nobody looked for: by chance, or one class whatever is shown.

Both are ratios of likelihoods of all that an earner has said. So a threshold of ten to the k is
passed by an honest earner once in ten to the k times at most (Wald 1945), however many answers
there are; where the others know nothing, as on a hard set, nothing can be said of anybody.
"""

import numpy as np

from tessera.truth.others import Others
from tessera.truth.signals import LN10, Finding, Kind, mean_of, percent
from tessera.truth.votes import Flags, Floats, Indices, sums

ATTENTION = 0.7
"""How far an honest earner looks: so much of what the crowd's answers depend on the item. With it,
of clickers nine in ten are told from two choices after 170 answers; with 0.5 a quarter, after 110.
Who looks half as much is nearer to this than to nothing: weak ones are hardly ever told of."""
LEAN = 0.5
"""So much of what is something else an honest earner with a leaning may call their favourite."""
CONSTANT = 0.95
"""Who always says the same says it so often."""
_FEW = 2.0
"""Answers for which the crowd's frequencies count, in an earner's own."""


def frequencies(seen: Others) -> Floats:
    """Shape (N,): how often the earner of each answer says what they said there."""
    votes = seen.votes
    shape = (votes.n_earners, votes.n_classes)
    said = sums(votes.earners * shape[1] + votes.labels, None, shape[0] * shape[1]).reshape(shape)
    crowd = (said.sum(0) + 1) / (said.sum() + shape[1])
    share = (said + _FEW * crowd) / (said.sum(1, keepdims=True) + _FEW)
    found: Floats = share[votes.earners, votes.labels]
    return found


def by_chance(seen: Others) -> Finding:
    """Whose answers do not depend on what is shown."""
    often = frequencies(seen)
    looking = ATTENTION * seen.leaning + (1 - ATTENTION) * often
    return _finding(
        Kind.RANDOM,
        seen,
        np.log(often / looking),
        "Your answers agree with those of others about as often as answers given without looking:"
        " {own}, where {usual} is usual for the same tasks.",
    )


def always_the_same(seen: Others) -> Finding:
    """Who says one class, where the others see another."""
    votes = seen.votes
    mine = favourites(seen)[votes.earners] == votes.labels
    rest = (1 - CONSTANT) / max(votes.n_classes - 1, 1)
    constant = np.where(mine, CONSTANT, rest)
    leaning = np.where(
        mine,
        seen.favourite + LEAN * (1 - seen.favourite),
        (1 - LEAN) * seen.usual,
    )
    return _finding(
        Kind.CONSTANT,
        seen,
        np.log(constant / leaning) * (votes.n_classes > 1),
        "You give the same answer nearly always: {same} of the time, where {favourite} is usual for"
        " the same tasks.",
    )


def favourites(seen: Others) -> Indices:
    """Shape (n_earners,): the class that each says most."""
    votes = seen.votes
    shape = (votes.n_earners, votes.n_classes)
    said = sums(votes.earners * shape[1] + votes.labels, None, shape[0] * shape[1]).reshape(shape)
    found: Indices = np.argmax(said, axis=1)
    return found


def _finding(kind: Kind, seen: Others, ratios: Floats, sentence: str) -> Finding:
    votes = seen.votes
    total = sums(votes.earners, ratios * seen.informed, votes.n_earners)
    mine = (favourites(seen)[votes.earners] == votes.labels).astype(np.float64)
    shares = {
        "own": _share(seen, seen.agree, seen.open),
        "usual": _share(seen, seen.agree_usual, seen.open),
        "same": _share(seen, mine, seen.open),
        "favourite": _share(seen, seen.favourite, seen.open),
    }
    return Finding(
        kind,
        np.maximum(total, 0.0) / LN10,
        lambda earner: sentence.format(
            **{name: percent(float(share[earner])) for name, share in shares.items()}
        ),
    )


def _share(seen: Others, values: Floats, which: Flags) -> Floats:
    """Shape (n_earners,): the mean over some of their answers."""
    size, earners = seen.votes.n_earners, seen.votes.earners[which]
    return mean_of(sums(earners, values[which], size), sums(earners, None, size))
