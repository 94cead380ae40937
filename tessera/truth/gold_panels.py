"""What gold tells of labels: how often people who are as many as elsewhere would be right.

Each gold item was answered by many people, who make several panels; what is hard about it is hard
for all of them. So an interval counts items, of each one panel; a curve takes all panels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tessera.truth.audit import LEVEL, Shares
from tessera.truth.calibration import calibrate, share_interval
from tessera.truth.confusion import believe, estimate
from tessera.truth.panels import MOST_PANELS, panels_of, portions
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes

_SEED = 20_260_101
"""Always the same panels of the same answers."""
FOLDS = 5


@dataclass(frozen=True)
class Panels:
    """Shape (P,) each; what people's answers to gold come to."""

    truth: Indices
    said: Indices
    confidence: Floats
    is_first: Flags
    """Of its item."""

    @property
    def right(self) -> Flags:
        hits: Flags = self.truth == self.said
        return hits

    def first(self) -> "Panels":
        """One of each item."""
        return Panels(*(getattr(self, each.name)[self.is_first] for each in fields(self)))


def hidden_panels(votes: Votes, gold: Indices) -> Panels:
    """What panels come to, as if nobody knew that theirs is gold.

    A fifth of the items is hidden at a time. Their first panels are answers as to any other item;
    all the rest of the gold tells what people confuse, and how sure a crowd may be. Were it known
    what these items are, it would have taught something of their own people.
    """
    dice = np.random.default_rng(_SEED)
    fold = np.where(gold == UNKNOWN, UNKNOWN, dice.integers(0, FOLDS, len(gold)))
    shuffled = votes.only(dice.permutation(len(votes)))
    parts = [_hidden(shuffled, gold, fold == number) for number in range(FOLDS)]
    return Panels(
        *(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Panels))
    )


def _hidden(votes: Votes, gold: Indices, hidden: Flags) -> Panels:
    rest, here = np.where(hidden, UNKNOWN, gold), np.where(hidden, gold, UNKNOWN)
    asked = np.flatnonzero(rest[votes.items] == UNKNOWN)
    chosen, number = portions(votes.only(asked), here)
    if not len(chosen):
        nothing = np.zeros(0, dtype=np.int64)
        return Panels(nothing, nothing, np.zeros(0), np.zeros(0, dtype=bool))
    heard = ~hidden[votes.items]
    heard[asked[chosen[number % MOST_PANELS == 0]]] = True
    as_it_was = votes.only(heard)
    crowd = estimate(as_it_was, known=rest).crowd
    known, truth = panels_of(as_it_was, rest)
    calibration = calibrate(believe(known, crowd, known=truth), truth)
    panels, there = panels_of(votes.only(asked), here)
    probable = calibration.apply(believe(panels, crowd))
    is_first = np.unique(number) % MOST_PANELS == 0
    return Panels(there, probable.argmax(axis=1), probable.max(axis=1), is_first)


@dataclass(frozen=True)
class ClassByGold:
    choice: int
    precision: Shares | None
    """Of what people call so, how much is so; None if they call nothing so."""
    called: int
    recall: Shares | None
    there: int
    mistaken_for: int | None
    """What it is taken for most often, if it ever is."""


@dataclass(frozen=True)
class ByGold:
    items: int
    """Gold that as many people have answered as answer other tasks."""
    right: int
    panels: Panels
    classes: list[ClassByGold]


def told_by(votes: Votes, gold: Indices, choices: Sequence[int]) -> ByGold | None:
    """None where no gold was answered by enough people."""
    if not len(votes):
        return None
    panels = hidden_panels(votes, gold)
    each = panels.first()
    items = len(each.truth)
    if not items:
        return None
    return ByGold(
        items,
        int(each.right.sum()),
        panels,
        [_class(each, number, choices) for number in range(len(choices))],
    )


def _class(each: Panels, number: int, choices: Sequence[int]) -> ClassByGold:
    called, there = each.said == number, each.truth == number
    wrong: Indices = each.said[there & ~each.right]
    return ClassByGold(
        choices[number],
        _share(each.right[called]) if called.any() else None,
        int(called.sum()),
        _share(each.right[there]) if there.any() else None,
        int(there.sum()),
        choices[int(np.bincount(wrong).argmax())] if len(wrong) else None,
    )


def _share(right: Flags) -> Shares:
    hits, of = int(right.sum()), len(right)
    return Shares(hits / of, *share_interval(hits, of, coverage=LEVEL))
