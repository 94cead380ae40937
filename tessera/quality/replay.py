"""Recorded answers once more, as if they arrived live under some policy: pure.

Item by item some are asked for, until what they come to is sure enough; whoever misses too much
gold gets no more, and what they said does not count. Asked next are those whose answers tell most,
as it is in a project where many earners are around. What was recorded and is not asked for is what
the policy saves.
"""

from dataclasses import dataclass

import numpy as np

from tessera.quality.gate import Gate, Stopped
from tessera.quality.trust import MINIMUM_TRUST
from tessera.truth.calibration import Calibration, calibrate, share_interval, told_apart
from tessera.truth.confusion import GROWTH, Crowd, Estimate, believe, estimate, while_asked
from tessera.truth.panels import panels_of
from tessera.truth.stopping import USUAL, Stopping
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes


@dataclass(frozen=True)
class Policy:
    stopping: Stopping = USUAL
    minimum_trust: float = MINIMUM_TRUST
    is_lowered: bool = True
    """See `Gate`."""


@dataclass(frozen=True)
class Replayed:
    labels: Indices
    """Shape (n_items,)."""
    confidence: Floats
    """Shape (n_items,): how probably each is right."""
    asked: Flags
    """Shape (N,): the answers that were asked for."""
    answered: Flags
    """Shape (n_items,): those of which anything counts."""
    wanting: Flags
    """Shape (n_items,): of which more would have been asked for, had there been more."""
    stopped: dict[int, Stopped]
    """Earners who got no more, by number."""
    estimate: Estimate
    calibration: Calibration

    def interval(self, gold: Indices) -> tuple[float, float]:
        """Where the share of right labels lies, by those of gold: as if nobody knew what it is.

        Args:
            gold: As it was replayed with; what nobody was asked does not count.
        """
        told = np.where(self.answered, gold, UNKNOWN)
        known = np.flatnonzero(told != UNKNOWN)
        right = told_apart(self.estimate.log_posterior, told) == gold[known]
        return share_interval(int(right.sum()), len(right))


def replay(votes: Votes, *, gold: Indices, policy: Policy, of_everybody: bool = False) -> Replayed:
    """Ask until all is settled, or nothing is left to ask.

    Args:
        votes: In the order in which they were recorded; of several by one earner about one item the
            first counts.
        gold: Shape (n_items,), the class of items that are gold, else `UNKNOWN`.
        of_everybody: Whether gold is asked of all who have answered it, as it is in a project; else
            it is asked about like all others.
    """
    going = _Going(votes, gold, policy)
    if of_everybody:
        going.take(np.flatnonzero(votes.first_each() & (gold[votes.items] != UNKNOWN)))
    while len(wave := going.next()):
        going.take(wave)
    heard = votes.only(going.counts)
    final = estimate(heard, known=gold)
    if of_everybody:
        panels, truth = panels_of(heard, gold)
        calibration = calibrate(believe(panels, final.crowd, known=truth), truth)
    else:
        known = np.where(heard.per_item > 0, gold, UNKNOWN)
        calibration = calibrate(final.log_posterior, known)
    probable = calibration.apply(final.log_posterior)
    return Replayed(
        np.argmax(probable, axis=1),
        probable.max(axis=1),
        going.asked,
        heard.per_item > 0,
        going.wanted > 0,
        going.gate.stopped,
        final,
        calibration,
    )


class _Going:
    def __init__(self, votes: Votes, gold: Indices, policy: Policy) -> None:
        self._votes, self._gold, self._policy = votes, gold, policy
        self.asked = np.zeros(len(votes), dtype=bool)
        self.counts = np.zeros(len(votes), dtype=bool)
        """Asked for, and not by somebody who was stopped."""
        self.gate = Gate[int](policy.minimum_trust, is_lowered=policy.is_lowered)
        self.wanted = np.zeros(votes.n_items, dtype=np.int64)
        """By item, how many more answers are to be asked for."""
        self._gold_seen = np.zeros(votes.n_earners)
        self._open = np.flatnonzero(votes.first_each())
        """Answers that may still be asked for."""
        self._estimate: Estimate | None = None
        self._estimated_at = 0
        self._sure = np.zeros(votes.n_items)
        self._information = np.zeros(votes.n_earners)

    def next(self) -> Indices:
        """What to ask for now: of each item that is not settled as much as it lacks, at least one.

        Of equals, those that were recorded first.
        """
        stopping = self._policy.stopping
        heard = np.bincount(self._votes.items[self.counts], minlength=self._votes.n_items)
        lacks = stopping.min_overlap - heard
        most = len(self._votes) if stopping.max_overlap is None else stopping.max_overlap
        unsure = (self._sure < stopping.target_confidence) & (heard < most)
        self.wanted = np.where(lacks > 0, lacks, unsure)
        here = self._open[self.wanted[self._votes.items[self._open]] > 0]
        items = self._votes.items[here]
        order = np.lexsort((here, -self._information[self._votes.earners[here]], items))
        here, items = here[order], items[order]
        place = np.arange(len(here)) - np.searchsorted(items, items)
        return np.sort(here[place < self.wanted[items]])

    def take(self, wave: Indices) -> None:
        """Hear some answers, and what follows from them."""
        self.asked[wave] = self.counts[wave] = True
        again = self._score(wave[self._gold[self._votes.items[wave]] != UNKNOWN])
        mine = ~self.asked[self._open]
        if self.gate.stopped:
            mine &= ~np.isin(self._votes.earners[self._open], list(self.gate.stopped))
        self._open = self._open[mine]
        heard = self._votes.only(self.counts)
        strength = while_asked(self._gold_seen)
        if self._estimate is None or len(heard) >= GROWTH * self._estimated_at:
            self._estimate = estimate(
                heard, known=self._gold, strength=strength, start=self._estimate
            )
            self._estimated_at = len(heard)
            self._information = self._estimate.crowd.information()
            self._sure = self._estimate.sure
        else:
            changed = np.union1d(self._votes.items[wave], np.array(sorted(again), dtype=np.int64))
            self._update(heard, self._estimate.crowd, changed, strength)

    def _update(self, heard: Votes, crowd: Crowd, items: Indices, strength: Floats) -> None:
        """What some items come to, with what is known of the crowd."""
        number = np.full(heard.n_items, UNKNOWN)
        number[items] = np.arange(len(items))
        theirs = heard.only(number[heard.items] != UNKNOWN)
        few = Votes(
            number[theirs.items],
            theirs.earners,
            theirs.labels,
            len(items),
            heard.n_earners,
            heard.n_classes,
        )
        told = believe(few, crowd, known=self._gold[items], strength=strength)
        self._sure[items] = np.exp(told.max(axis=1))

    def _score(self, answers: Indices) -> set[int]:
        """What gold tells of earners, one answer after another.

        Returns:
            Items of which an answer counts no more.
        """
        votes, again = self._votes, set[int]()
        right = votes.labels[answers] == self._gold[votes.items[answers]]
        for earner, hit in zip(votes.earners[answers].tolist(), right.tolist(), strict=True):
            if earner in self.gate.stopped:
                continue
            self._gold_seen[earner] += 1
            if self.gate.score(earner, float(hit)):
                theirs = votes.earners == earner
                again |= set(votes.items[theirs & self.counts].tolist())
                self.counts &= ~theirs
        return again
