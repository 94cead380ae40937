"""Whether the answer to a task has become known: by how people answer it, and how fast. Pure.

That a task is easy, or hard, shows from the first answer on. That its answer went round shows from
some answer on: some of those who come then are right whatever they are trusted with, and do not
take the time it takes. So both are looked at together, answer by answer, as evidence for *from here
on some knew* against *it is as hard as it is, and takes as long as it takes* (a Bayes factor; Good
1950), and averaged over where that may have begun, how many knew, and how much faster they were.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from tessera.truth.signals import LN10
from tessera.truth.votes import Floats

LEAKED = 3.0
"""Strength from which gold is retired: by simulations, of a thousand that nobody knew more about
than others at most one comes so far; see `tests/truth/test_leaks.py`."""
FEWEST = 8
"""Answers before anything is said."""
KNOWN = 0.98
"""How right somebody is who knows the answer; hands slip."""
_SHARES = (0.25, 0.5, 0.9)
"""Of those who come later, how many may know it."""
_FASTER = (0.0, 1.5, 2.5)
"""How much faster they may be: spreads of one person's own times. To read an answer off a list may
also take as long as to find it."""
_HARDNESS = np.linspace(-4, 4, 9)
_HARDNESS_SPREAD = 1.5
"""Of log-odds of being right, between tasks."""
_TEMPO = np.linspace(-3.5, 3.5, 15)
_TEMPO_SPREAD = 0.8
"""Of times between tasks, in a person's own spreads."""
_DRIFT = 0.5
"""In the same: people get faster over months, on gold as on all else. So much of it between the
first answers and the last is no evidence."""
_LEAST, _MOST = 0.02, 0.98
_FREEDOM = 4.0
"""Of Student's t: tea breaks are no evidence."""


@dataclass(frozen=True)
class Leak:
    """What the answers to one gold task tell."""

    answers: int
    accuracy: float
    expected: float
    """Accuracy, by what each of its earners is trusted with."""
    early: float
    """Accuracy of the first half, and of the other."""
    late: float
    pace: float | None
    """Geometric mean of time spent, beside what the same people spend; None if nothing is known."""
    strength: float
    """Weight of evidence that it is known, in powers of ten; 0 is none."""


def leak(scores: Floats, trust: Floats, tempo: Floats, spread: Floats) -> Leak:
    """What answers tell, in the order in which people saw the task.

    Args:
        scores: Shape (N,), in [0, 1].
        trust: Shape (N,), probability that each of the earners is right on any such task.
        tempo: Shape (N,), logarithm of the seconds, less the mean of that over the same earner's
            ordinary tasks; not a number where that is not known.
        spread: Shape (N,), standard deviation of the logarithm over the same; above 0.

    Raises:
        ValueError: There is no answer, or the shapes differ.
    """
    if not len(scores) or len({each.shape for each in (scores, trust, tempo, spread)}) > 1:
        raise ValueError("one number of each for every answer, and some answers")
    half = (len(scores) + 1) // 2
    timed = np.isfinite(tempo)
    return Leak(
        answers=len(scores),
        accuracy=float(scores.mean()),
        expected=float(trust.mean()),
        early=float(scores[:half].mean()),
        late=float(scores[half:].mean()) if half < len(scores) else float(scores.mean()),
        pace=float(np.exp(tempo[timed].mean())) if timed.any() else None,
        strength=_strength(scores, trust, np.where(timed, tempo / spread, np.nan)),
    )


def _strength(scores: Floats, trust: Floats, tempo: Floats) -> float:
    count = len(scores)
    if count < FEWEST:
        return 0.0
    right = _right(scores, trust)
    beside = _times(tempo)
    # shape (N, hardness, tempo): what each answer says where nobody knows
    unknown = right[:, :, None] + beside[0][:, None, :]
    known_right = scores * np.log(KNOWN) + (1 - scores) * np.log(1 - KNOWN)
    prior = _prior()
    before = np.concatenate([np.zeros((1, *unknown.shape[1:])), np.cumsum(unknown, axis=0)])
    nobody = _total(before[-1] + prior)
    begins = count - FEWEST // 2 + 1
    found = []
    for share, faster in product(_SHARES, range(len(_FASTER))):
        known = (known_right[:, None] + beside[faster])[:, None, :]
        either = np.logaddexp(np.log1p(-share) + unknown, np.log(share) + known)
        after = np.cumsum(either[::-1], axis=0)[::-1]
        found.append(_mean(before[1:begins] + after[1:begins] + prior))
    evidence = _mean(np.array(found)) - nobody
    return max(0.0, float(evidence) / LN10)


def _total(logs: Floats) -> float:
    """`logsumexp`, without its checks, which take most of the time."""
    most = float(logs.max())
    return most + math.log(float(np.exp(logs - most).sum()))


def _mean(logs: Floats) -> float:
    """Over the first axis; over the others sums."""
    return _total(logs) - math.log(len(logs))


def _prior() -> Floats:
    hardness = norm.logpdf(_HARDNESS, scale=_HARDNESS_SPREAD)
    tempo = norm.logpdf(_TEMPO, scale=_TEMPO_SPREAD)
    both = hardness[:, None] + tempo[None, :]
    return np.asarray(both - _total(both), dtype=np.float64)


def _right(scores: Floats, trust: Floats) -> Floats:
    """Shape (N, hardness): log likelihood of each score."""
    able = logit(np.clip(trust, _LEAST, _MOST))
    chance = np.clip(expit(able[:, None] + _HARDNESS[None, :]), _LEAST, _MOST)
    likely = scores[:, None] * np.log(chance) + (1 - scores[:, None]) * np.log1p(-chance)
    return np.asarray(likely, dtype=np.float64)


def _times(tempo: Floats) -> Floats:
    """Shape (faster, N, tempo): log likelihood of each time; nothing where none is known."""
    drift = _DRIFT * np.linspace(0, 1, len(tempo))
    off = (tempo + drift)[None, :, None] - _TEMPO[None, None, :] + np.array(_FASTER)[:, None, None]
    likely = -(_FREEDOM + 1) / 2 * np.log1p(off**2 / _FREEDOM)
    return np.asarray(np.where(np.isfinite(tempo)[None, :, None], likely, 0.0), dtype=np.float64)
