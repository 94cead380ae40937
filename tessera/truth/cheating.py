"""All that recorded answers tell of who does not do the work, in one go: pure."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tessera.truth.clicks import always_the_same, by_chance
from tessera.truth.confusion import estimate
from tessera.truth.drift import falling
from tessera.truth.linkage import Key, linked
from tessera.truth.others import Others, others
from tessera.truth.rings import Ring, candidates, copying, rings
from tessera.truth.signals import Finding
from tessera.truth.tempo import mechanical, residuals, too_fast
from tessera.truth.votes import Flags, Floats, Indices, Votes

ROUNDS = 8
"""Each time without those of whom a ring has been found: what a ring outvotes is seen then."""


@dataclass(frozen=True)
class Log:
    """The answers of one project, in order of time.

    Raises:
        ValueError: Arrays differ in length; times are missing, or out of order.
    """

    votes: Votes
    """One answer by each earner to each item at most."""
    known: Indices
    """Shape (n_items,), the class of items that are gold, else `UNKNOWN`."""
    seconds: Floats | None = None
    """Shape (N,): how long each answer took, if known."""
    at: Floats | None = None
    """Shape (N,): when each came, in seconds since any moment, if known."""
    sizes: Indices | None = None
    """Shape (n_items,): which tasks are about as much work, in 0 .. m - 1."""
    keys: Mapping[Key, Sequence[Hashable | None]] | None = None
    """Of each kind, one for each earner, or None."""

    def __post_init__(self) -> None:
        if self.known.shape != (self.votes.n_items,):
            raise ValueError("known must have one number for each item")
        if self.sizes is not None and self.sizes.shape != (self.votes.n_items,):
            raise ValueError("sizes must have one number for each item")
        if not self.votes.first_each().all():
            raise ValueError("nobody answers an item twice")
        if self.at is not None:
            if self.at.shape != self.votes.items.shape:
                raise ValueError("at must have one number for each answer")
            if not np.isfinite(self.at).all() or (np.diff(self.at) < 0).any():
                raise ValueError("answers come in order of time")


def find(log: Log) -> list[Finding]:
    """What every detector sees of every earner; seven seconds for a million answers, 0.5 GB."""
    found, seen = company(log)
    findings = [
        by_chance(seen),
        always_the_same(seen),
        copying(log.votes, found, seen),
        falling(seen),
    ]
    if log.seconds is not None:
        beside = residuals(log.votes, log.seconds, log.sizes)
        findings += [too_fast(seen, beside), mechanical(log.votes, beside, log.at)]
    if log.keys is not None:
        findings.append(linked(log.keys, log.votes.n_earners))
    return findings


def company(log: Log) -> tuple[list[Ring], Others]:
    """Rings, and all answers beside those of earners who are in none."""
    votes = log.votes
    everybody = np.ones(len(votes), dtype=bool)
    seen = _seen(log, everybody)
    best = _until_the_same(log, rings(seen, everybody))
    for members in candidates(seen, everybody):
        heard = ~np.isin(votes.earners, members)
        found = _until_the_same(log, rings(_seen(log, heard), heard))
        best = max(best, found, key=lambda each: sum(ring.strength for ring in each))
    return best, _seen(log, _outside(votes, best)) if best else seen


def _until_the_same(log: Log, found: list[Ring]) -> list[Ring]:
    """Judged by those who are in no ring, again and again: only what stays is one."""
    for _ in range(ROUNDS):
        if not found:
            break
        heard = _outside(log.votes, found)
        before, found = found, rings(_seen(log, heard), heard)
        if _members(before) == _members(found):
            break
    return found


def _outside(votes: Votes, found: list[Ring]) -> Flags:
    """Shape (N,): the answers of earners who are in no ring."""
    return ~np.isin(votes.earners, sorted(_members(found)))


def _members(found: list[Ring]) -> set[int]:
    return {member for ring in found for member in ring.members.tolist()}


def _seen(log: Log, heard: Flags) -> Others:
    """What others say, by those who are heard."""
    votes = log.votes
    told = votes.only(heard)
    found = estimate(told, known=log.known)
    return others(votes, found, known=log.known, heard=heard)
