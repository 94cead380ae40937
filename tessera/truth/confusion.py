"""The truth and everyone's confusions, from each other: Dawid & Skene 1979, kept modest.

Each earner has a matrix: of items that are t, the share they call l. A Dirichlet prior around the
matrix of the whole crowd, which is learnt in the same breath, stands in where an earner has said
little (Kim & Ghahramani 2012, variational Bayes: who never yet said a class gives it little weight,
and classes that hardly occur die out instead of taking up what nobody can tell). Items whose truth
is known, as gold is, count as what they are; what is told of them leaves their own answers out, so
that it says how the others are told, too.

Everything is a product of one sparse matrix with small tables, so a million answers take about a
tenth of a second a round.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from tessera.truth.calibration import score
from tessera.truth.votes import UNKNOWN, Floats, Indices, Votes, sums

Strength = float | Floats
"""Weight of the crowd in earners' matrices, answers per class: one, or shape (n_earners,)."""
PERSONAL = 4.0
"""Weight of the crowd in an earner's matrix, in answers per class. Chosen on seven public sets and
six simulated ones: from 8 on, classes that few can tell are taken for others."""
COMMON = 100.0
"""The same while it is still asked. The few answers there are then are those in question: with a
weak prior they confirm each other (measured: two to an item, and four fifths are 99 % sure)."""
GOLD_FOR_HALF = 8.0
"""Gold tells without such a circle: with so much, the crowd counts about half of that."""
ROUNDS, MOST_ROUNDS = 3, 20
"""Later rounds fit better and are right less often: whoever agrees with others by chance is
believed ever more (measured on the same sets). So they go on only while they tell gold better."""
BETTER = 0.01
"""By so much, in mean log probability."""
SETTLED = 1e-3
"""Change of an item's probabilities in one round, on average, at which it is over."""
GROWTH = 1.05
"""So many times the answers make another estimate worth its while. Until then what is known of the
crowd stays, and only items change."""
MOST_CELLS, MOST_CLASSES = 8_000_000, 100
"""Of all earners' matrices. Beyond, each earner has one number: how often they are right."""

_RIGHT, _WEIGHT = 0.7, 2.0
"""What is thought of a crowd that has said nothing yet, and for how many answers it counts."""
_TO_COMPARE = 20.0
_SMOOTH = 0.5
_LEAST = 1e-3
_SLIP = 0.02
"""How often anybody slips, and says anything. Without it, what a crowd never says would outvote any
number of people once a newcomer says it (measured: of 1,000 tasks 461 wrong, so none)."""


def while_asked(gold: Floats) -> Floats:
    """The strength while items are still asked about.

    Args:
        gold: Shape (n_earners,), how many items of known truth each has answered.
    """
    return PERSONAL + (COMMON - PERSONAL) / (1 + gold / GOLD_FOR_HALF)


@dataclass(frozen=True)
class Crowd:
    """What is known of classes and earners."""

    prior: Floats
    """Shape (K,): how frequent each class is."""
    common: Floats
    """Shape (K, K): of items that are t (row), the share that the crowd calls l (column)."""
    seen: Floats
    """Shape (n_earners,): items that an earner has answered."""
    right: Floats
    """Shape (n_earners,): of how many they said what is so, expected."""
    counts: Floats | None
    """Shape (n_earners, K, K): answers by truth and label, expected; None if that is too much."""

    def weights(self, strength: Strength) -> Floats:
        """Shape (n_earners, K, K): Dirichlet parameters of everyone's matrix."""
        if self.counts is None:
            raise ValueError("of so many earners and classes there are no matrices")
        usual = (1 - _SLIP) * self.common + _SLIP / len(self.common)
        weights: Floats = self.counts + np.reshape(strength, (-1, 1, 1)) * usual
        return weights

    def information(self, strength: float = _TO_COMPARE) -> Floats:
        """Shape (n_earners,): how much an answer of theirs tells, on average; in nats of matrices.

        Args:
            strength: Weight of the crowd, in answers per class.
        """
        if self.counts is None:
            usual = self.right.sum() / max(self.seen.sum(), 1.0)
            share: Floats = (self.right + strength * usual) / (self.seen + strength)
            return share
        table = self.weights(strength)
        table /= table.sum(2, keepdims=True)
        said = np.einsum("t,etl->el", self.prior, table)
        told: Floats = (self.prior[:, None] * table * np.log(table / said[:, None])).sum((1, 2))
        return told


@dataclass(frozen=True)
class Estimate:
    log_posterior: Floats
    """Shape (n_items, K), normalised. Of an item whose truth is known, as if it were not."""
    crowd: Crowd
    rounds: int

    @property
    def labels(self) -> Indices:
        """Shape (n_items,): the most probable class; ties go to the lowest."""
        best: Indices = np.argmax(self.log_posterior, axis=1)
        return best

    @property
    def sure(self) -> Floats:
        """Shape (n_items,): how probable it is, if people err independently."""
        sure: Floats = np.exp(self.log_posterior.max(axis=1))
        return sure


def estimate(
    votes: Votes,
    *,
    known: Indices | None = None,
    strength: Strength = PERSONAL,
    start: Estimate | None = None,
    rounds: int | None = None,
) -> Estimate:
    """What is true, and who confuses what.

    Args:
        known: Shape (n_items,), the class where it is known, else `UNKNOWN`.
        strength: Weight of the crowd in an earner's matrix, in answers per class.
        start: What is thought so far, by fewer answers; else what the majority says.
        rounds: At most so many, whatever gold says.
    """
    answered = votes.per_item > 0
    smooth = votes.tally + _SMOOTH
    posterior = smooth / smooth.sum(1, keepdims=True)
    if start is not None:
        posterior = np.where(answered[:, None], np.exp(start.log_posterior), posterior)
    truth = np.full(votes.n_items, UNKNOWN) if known is None else known
    truth = np.where(answered, truth, UNKNOWN)
    best: Estimate | None = None
    told = -np.inf
    for number in range(1, (rounds or MOST_ROUNDS) + 1):
        crowd = learn(votes, posterior, known=known)
        log_posterior = believe(votes, crowd, known=known, strength=strength)
        found = np.exp(log_posterior)
        change = np.abs(found - posterior).sum() / max(np.count_nonzero(answered), 1)
        posterior, now = found, Estimate(log_posterior, crowd, number)
        if change < SETTLED:
            break
        if rounds is None and number >= ROUNDS:
            better = score(log_posterior, truth)
            if better <= told + BETTER:
                return now if best is None else best
            best, told = now, better
    return now


def learn(votes: Votes, posterior: Floats, *, known: Indices | None = None) -> Crowd:
    """What the crowd is like, by what is believed of the items; shape (n_items, K)."""
    classes = votes.n_classes
    believed = posterior if known is None else _with(posterior, known)
    frequent = (votes.per_item > 0).astype(np.float64) @ believed + 1.0
    prior = frequent / frequent.sum()
    seen = sums(votes.earners, None, votes.n_earners)
    unknown = as_often(_RIGHT, classes)
    if votes.n_earners * classes**2 > MOST_CELLS or classes > MOST_CLASSES:
        hits = believed[votes.items, votes.labels]
        right = sums(votes.earners, hits, votes.n_earners)
        usual = (right.sum() + _WEIGHT * _RIGHT) / (seen.sum() + _WEIGHT)
        return Crowd(prior, as_often(usual, classes), seen, right, None)
    shape = (votes.n_earners, classes, classes)
    counts = (votes.sayings.T @ believed).reshape(shape).transpose(0, 2, 1)
    common = counts.sum(0) + _WEIGHT * unknown
    common /= common.sum(1, keepdims=True)
    right = np.einsum("ett->e", counts)
    return Crowd(prior, common, seen, right, counts)


def believe(
    votes: Votes,
    crowd: Crowd,
    *,
    known: Indices | None = None,
    strength: Strength = PERSONAL,
) -> Floats:
    """What is true, by what is known of the crowd; log probabilities, shape (n_items, K).

    Of items whose truth is known, as if their own answers had taught nothing of anybody.
    """
    truth = np.full(votes.n_items, UNKNOWN) if known is None else known
    if crowd.counts is None:
        log_odds = _by_coins(votes, crowd, truth, strength)
    else:
        log_odds = _by_matrices(votes, crowd.weights(strength), truth)
    log_odds += np.log(crowd.prior)
    normalise(log_odds)
    return log_odds


def _by_matrices(votes: Votes, weights: Floats, truth: Indices) -> Floats:
    table = digamma(weights) - digamma(weights.sum(2, keepdims=True))
    log_odds: Floats = votes.sayings @ table.transpose(0, 2, 1).reshape(-1, votes.n_classes)
    own = np.flatnonzero(truth[votes.items] != UNKNOWN)
    item, earner, label = votes.items[own], votes.earners[own], votes.labels[own]
    is_ = truth[item]
    without = np.maximum(weights[earner, is_, label] - 1, _LEAST)
    total = np.maximum(weights[earner, is_].sum(1) - 1, _LEAST)
    less = digamma(without) - digamma(total) - table[earner, is_, label]
    np.add.at(log_odds, (item, is_), less)
    return log_odds


def _by_coins(votes: Votes, crowd: Crowd, truth: Indices, strength: Strength) -> Floats:
    """By one number of each earner: how often they are right."""
    own = truth[votes.items]
    hit = own == votes.labels
    usual = crowd.common[0, 0]
    weight_of = np.broadcast_to(strength, votes.n_earners)[votes.earners]
    right = crowd.right[votes.earners] - hit + weight_of * usual
    wrong = (crowd.seen - crowd.right)[votes.earners] - (~hit & (own != UNKNOWN))
    wrong += weight_of * (1 - usual)
    right, wrong = np.maximum(right, _LEAST), np.maximum(wrong, _LEAST)
    weight = digamma(right) - digamma(wrong) + np.log(max(votes.n_classes - 1, 1))
    cell = votes.items * votes.n_classes + votes.labels
    log_odds = sums(cell, weight, votes.n_items * votes.n_classes)
    return log_odds.reshape(votes.n_items, votes.n_classes)


def as_often(right: float, classes: int) -> Floats:
    """The matrix of a crowd that is right so often, and else says anything."""
    table = np.full((classes, classes), (1 - right) / max(classes - 1, 1))
    np.fill_diagonal(table, right)
    return table


def normalise(log_odds: Floats) -> Floats:
    """Make each row the logarithm of probabilities, in place; returns those.

    Column by column: reductions over rows of so few take ten times as long.
    """
    columns = log_odds.T
    top = columns[0].copy()
    for column in columns[1:]:
        np.maximum(top, column, out=top)
    log_odds -= top[:, None]
    probable: Floats = np.exp(log_odds)
    total = probable[:, 0].copy()
    for column in probable.T[1:]:
        total += column
    probable /= total[:, None]
    log_odds -= np.log(total)[:, None]
    return probable


def _with(posterior: Floats, known: Indices) -> Floats:
    told = np.flatnonzero(known != UNKNOWN)
    believed = posterior.copy()
    believed[told] = 0.0
    believed[told, known[told]] = 1.0
    return believed
