"""Answers of crowds whose truth and whose skill are known, and answers of any kind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tessera.truth.votes import UNKNOWN, Floats, Indices, Votes


class Answers(NamedTuple):
    votes: Votes
    truth: Indices


def as_often(right: float, classes: int = 2) -> Floats:
    """The matrix of an earner who is right so often, and else says anything."""
    table = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(table, right)
    return table


def answers(
    tables: Sequence[Floats],
    seed: int,
    *,
    items: int = 300,
    per_item: int = 6,
    ambiguous: float = 0.0,
) -> Answers:
    """Of each item some earners say something, in an order by chance.

    Args:
        tables: Everyone's matrix: of items that are t, the share that they call l.
        ambiguous: Share of items that look like another class to everybody, as often as not.
    """
    dice = np.random.default_rng(seed)
    matrices, classes = np.array(tables), len(tables[0])
    truth = dice.integers(0, classes, items)
    other = (truth + dice.integers(1, classes, items)) % classes
    hazy = np.where(dice.random(items) < ambiguous, 0.5, 0.0)
    item = np.repeat(np.arange(items), per_item)
    earner = dice.random((items, len(tables))).argsort(axis=1)[:, :per_item].ravel()
    shown = np.where(dice.random(len(item)) < hazy[item], other[item], truth[item])
    reached = matrices[earner, shown].cumsum(axis=1)
    label = (dice.random((len(item), 1)) > reached).sum(axis=1).clip(max=classes - 1)
    order = dice.permutation(len(item))
    return Answers(
        Votes(item[order], earner[order], label[order], items, len(tables), classes), truth
    )


def some_of(truth: Indices, share: float, seed: int) -> Indices:
    """The truth of a share of the items, by chance; `UNKNOWN` of the others."""
    drawn = np.random.default_rng([seed, 7]).random(len(truth)) < share
    return np.where(drawn, truth, UNKNOWN)


def nothing_known(votes: Votes) -> Indices:
    return np.full(votes.n_items, UNKNOWN)


def votes_of(
    said: Sequence[tuple[int, int, int]],
    *,
    items: int | None = None,
    earners: int | None = None,
    classes: int = 2,
) -> Votes:
    """Of (item, earner, label); there are no more items and earners than answered, unless told."""
    item, earner, label = np.array(said, dtype=np.int64).reshape(-1, 3).T
    n_items = int(item.max(initial=-1)) + 1 if items is None else items
    n_earners = int(earner.max(initial=-1)) + 1 if earners is None else earners
    return Votes(item, earner, label, n_items, n_earners, classes)


@st.composite
def any_votes(draw: st.DrawFn, *, twice: bool = False, least: int = 0) -> Votes:
    """A few answers of any kind: some items, earners and classes may have none.

    Args:
        twice: An earner may answer an item several times.
    """
    items, earners, classes = (
        draw(st.integers(1, 8)),
        draw(st.integers(1, 6)),
        draw(st.integers(1, 4)),
    )
    one = st.tuples(
        st.integers(0, items - 1), st.integers(0, earners - 1), st.integers(0, classes - 1)
    )
    said = draw(
        st.lists(
            one, min_size=least, max_size=40, unique_by=None if twice else lambda each: each[:2]
        )
    )
    return votes_of(said, items=items, earners=earners, classes=classes)


@st.composite
def any_truth(draw: st.DrawFn, votes: Votes) -> Indices:
    """Of some of the items."""
    one = st.integers(UNKNOWN, votes.n_classes - 1)
    return np.array(draw(st.lists(one, min_size=votes.n_items, max_size=votes.n_items)))
