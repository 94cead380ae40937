"""What the others say of what an earner was asked: each answer beside a belief it had no part in.

An earner who is compared with a label that their own answer helped to decide agrees too often,
the more so the fewer answers there are. The crowd is far too sure of itself: so beliefs are
tempered, by as much as tells best what earners say, for which no gold is needed. Then they are
turned into what an earner as the crowd is would say.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from tessera.truth.calibration import SATURATED
from tessera.truth.confusion import MOST_CELLS, PERSONAL, Crowd, Estimate, normalise
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes, sums

_AT_ONCE = 2_000_000
"""Numbers in a table of some answers by class: bounds memory, whatever the number of answers."""
_LIKE_THE_CROWD = 4.0
"""Answers for which it counts that an earner says each class as often as the crowd would."""
_LEAST = 1e-6
_TEMPERATURES = (0.15, 0.22, 0.31, 0.45, 0.65, 1.0)
_TRIED_ON = 20_000
"""Answers, in equal steps through them all; the temperature is one number."""


@dataclass(frozen=True)
class Others:
    """Of N answers by earners, what the others think. All but `offers` have shape (N,)."""

    votes: Votes
    gold: Flags
    informed: Flags
    """Whether anybody else has said anything of the item, or its truth is known."""
    agree: Floats
    """How probable the label that was given is, by the others."""
    agree_usual: Floats
    """The same of an answer by an earner as the crowd is, expected."""
    usual: Floats
    """How probable it is that an earner as the crowd is says what was said."""
    leaning: Floats
    """The same of an earner who says each class as often as this one does."""
    favourite: Floats
    """How probable it is that an earner as the crowd is says what this one says most."""
    top: Indices
    """The most probable class, by the others."""
    offers: Floats
    """Shape (n_earners, K, K), or (n_earners, 1, K) where that is too much: how many of the items
    of an earner that are most probably t an earner as the crowd is would call l, expected."""

    @property
    def open(self) -> Flags:
        """The answers that may be told of: the others say something of it, and it is no gold."""
        return self.informed & ~self.gold


def others(
    votes: Votes,
    found: Estimate,
    *,
    known: Indices,
    heard: Flags | None = None,
) -> Others:
    """Compare everybody with the others; a second and a half for a million answers of four classes.

    Args:
        found: By these answers.
        known: Shape (n_items,), the class of items that are gold, else `UNKNOWN`.
        heard: Shape (N,), the answers that `found` was learnt from; all.
    """
    taken = np.ones(len(votes), dtype=bool) if heard is None else heard
    classes, size = votes.n_classes, (votes.n_earners, votes.n_classes)
    table = _table(found.crowd, classes)
    gold = known[votes.items] != UNKNOWN
    count = sums(votes.items, taken.astype(np.float64), votes.n_items)
    informed = gold | (count[votes.items] > taken)
    said = sums(votes.earners * classes + votes.labels, None, size[0] * size[1]).reshape(size)
    most = np.argmax(said, axis=1)
    rows = classes if size[0] * classes**2 <= MOST_CELLS else 1
    flat = np.zeros((size[0] * rows, classes))
    columns = [np.zeros(len(votes)) for _ in range(5)]
    agree, agree_usual, usual, leaning, favourite = columns
    top = np.zeros(len(votes), dtype=np.int64)
    temperature = _best(votes, found, table, known, taken, informed & ~gold)
    step = max(_AT_ONCE // classes, 1)
    parts = [
        np.arange(start, min(start + step, len(votes))) for start in range(0, len(votes), step)
    ]
    for part in parts:
        belief = _belief(votes, found, table, known, part, taken, temperature)
        says = belief @ found.crowd.common
        item_top = np.argmax(belief, axis=1)
        label, earner = votes.labels[part], votes.earners[part]
        at = np.arange(len(part))
        agree[part], usual[part] = belief[at, label], says[at, label]
        agree_usual[part] = (belief * says).sum(1)
        favourite[part] = says[at, most[earner]]
        top[part] = item_top
        row = earner * rows + (item_top if rows > 1 else 0)
        for each in range(classes):
            flat[:, each] += sums(row, says[:, each], size[0] * rows)
    offers = flat.reshape(size[0], rows, classes)
    expected = offers.sum(1) + _LEAST
    share = expected / expected.sum(1, keepdims=True)
    tilt = (said + _LIKE_THE_CROWD * share) / (expected + _LIKE_THE_CROWD * share)
    for part in parts:
        belief = _belief(votes, found, table, known, part, taken, temperature)
        says = (belief @ found.crowd.common) * tilt[votes.earners[part]]
        leaning[part] = says[np.arange(len(part)), votes.labels[part]] / says.sum(1)
    return Others(votes, gold, informed, agree, agree_usual, usual, leaning, favourite, top, offers)


def _best(
    votes: Votes, found: Estimate, table: Floats, known: Indices, heard: Flags, which: Flags
) -> float:
    """The temperature of beliefs that tell best what is said."""
    part = np.flatnonzero(which)
    part = part[:: len(part) // _TRIED_ON + 1]
    told = []
    for temperature in _TEMPERATURES:
        belief = _belief(votes, found, table, known, part, heard, temperature)
        says = (belief @ found.crowd.common)[np.arange(len(part)), votes.labels[part]]
        told.append(float(np.log(says).sum()))
    return _TEMPERATURES[int(np.argmax(told))]


def _table(crowd: Crowd, classes: int) -> Floats:
    """Shape (n_earners, K label, K truth), what an answer adds to log-odds; or one for all."""
    if crowd.counts is None:
        usual = float(crowd.common[0, 0])
        wrong = (1 - usual) / max(classes - 1, 1)
        weight = float(np.log(max(usual, _LEAST) / max(wrong, _LEAST)))
        return np.asarray(np.eye(classes)[None] * weight)
    weights = crowd.weights(PERSONAL)
    table = digamma(weights) - digamma(weights.sum(2, keepdims=True))
    return np.ascontiguousarray(table.transpose(0, 2, 1))


def _belief(
    votes: Votes,
    found: Estimate,
    table: Floats,
    known: Indices,
    part: Indices,
    heard: Flags,
    temperature: float,
) -> Floats:
    """Shape (len(part), K): what the others believe of the items of some answers."""
    item = votes.items[part]
    earner = votes.earners[part] if len(table) > 1 else np.zeros(len(part), dtype=np.int64)
    odds: Floats = found.log_posterior[item]
    odds = odds - table[earner, votes.labels[part]] * heard[part, None]
    odds -= odds.max(1, keepdims=True)
    odds = temperature * np.maximum(odds, SATURATED)
    belief = normalise(odds)
    told = np.flatnonzero(known[item] != UNKNOWN)
    belief[told] = 0.0
    belief[told, known[item[told]]] = 1.0
    return belief
