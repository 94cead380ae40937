"""Gold in portions: as many answers as an ordinary item has make one."""

import numpy as np

from tessera.truth.votes import UNKNOWN, Indices, Votes

MOST_PANELS = 20
"""Of one gold item. Its answers are many; what is hard about it is the same for all."""


def panels_of(votes: Votes, gold: Indices) -> tuple[Votes, Indices]:
    """The answers to gold, divided into panels as large as those that ordinary items have.

    How sure so many people can be is not learnt from gold that hundreds have answered.

    Returns:
        The answers, where an item is a panel, and the truth of each.
    """
    chosen, number = portions(votes, gold)
    which, numbered = np.unique(number, return_inverse=True)
    panels = Votes(
        numbered,
        votes.earners[chosen],
        votes.labels[chosen],
        len(which),
        votes.n_earners,
        votes.n_classes,
    )
    return panels, gold[which // MOST_PANELS]


def portions(votes: Votes, gold: Indices) -> tuple[Indices, Indices]:
    """Which answers make panels, and of each the item times `MOST_PANELS` plus the panel.

    Shape (A,), each.
    """
    ordinary = (gold == UNKNOWN) & (votes.per_item > 0)
    size = max(round(float(votes.per_item[ordinary].mean())), 1) if ordinary.any() else 1
    here = np.flatnonzero(gold[votes.items] != UNKNOWN)
    here = here[np.argsort(votes.items[here], kind="stable")]
    items = votes.items[here]
    place = np.arange(len(here)) - np.searchsorted(items, items)
    panel = place // size
    full = (panel + 1) * size <= votes.per_item[items]
    mine = np.flatnonzero(full & (panel < MOST_PANELS))
    return here[mine], items[mine] * MOST_PANELS + panel[mine]
