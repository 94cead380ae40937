"""From how sure the crowd is to how probably it is right.

People err on the same items: what is ambiguous to one is so to all. So answers count for less than
independent ones would, and the crowd is far too sure of itself. How much is learnt where the truth
is known, from gold and from audits: a temperature below 1 on the log-odds, and a bias for each
class, as a crowd may take one class for another (Platt 1999, Guo et al. 2017).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import beta

from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices

USUAL = 0.31
"""Temperature before anything is known, as it is for public sets of answers."""
_HOW_SURE, _HOW_SMALL = 20.0, 2.0
"""Precision of what is thought of the logarithm of the temperature, and of the biases."""
SATURATED = -10.0
"""Log-odds beyond which more agreement says nothing more."""
_RANGE, _BIAS = (0.02, 1.5), (-3.0, 3.0)
BINS, FOLDS = 10, 5


@dataclass(frozen=True)
class Calibration:
    temperature: float
    bias: Floats
    """Shape (K,)."""
    known: int
    """Items of known truth that it was learnt from."""

    def apply(self, log_posterior: Floats) -> Floats:
        """Shape (n, K): how probable each class is, all things considered."""
        odds = self.temperature * np.maximum(log_posterior, SATURATED) + self.bias
        probable: Floats = np.exp(odds - logsumexp(odds, axis=1, keepdims=True))
        return probable


def calibrate(log_posterior: Floats, truth: Indices) -> Calibration:
    """Learn it from the items whose truth is known; from none, the usual.

    Args:
        log_posterior: Shape (n, K), by answers such as all items have, in which the truth of an
            item had no part.
        truth: Shape (n,), `UNKNOWN` where it is.
    """
    told = np.flatnonzero(truth != UNKNOWN)
    classes = log_posterior.shape[1]
    start = np.r_[USUAL, np.zeros(classes)]
    if not len(told):
        return Calibration(USUAL, start[1:], 0)
    features = np.maximum(log_posterior[told], SATURATED)
    right = np.arange(len(told)), truth[told]

    def loss(values: Floats) -> tuple[float, Floats]:
        temperature, bias = values[0], values[1:]
        odds = temperature * features + bias
        log_probable = odds - logsumexp(odds, axis=1, keepdims=True)
        off = np.log(temperature / USUAL)
        lost = -log_probable[right].sum() + (_HOW_SURE * off**2 + _HOW_SMALL * (bias @ bias)) / 2
        residual = np.exp(log_probable)
        residual[right] -= 1
        slope = (residual * features).sum() + _HOW_SURE * off / temperature
        return float(lost), np.r_[slope, residual.sum(0) + _HOW_SMALL * bias]

    bounds = [_RANGE, *[_BIAS] * classes]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(found[0]), found[1:], len(told))


def told_apart(log_posterior: Floats, truth: Indices) -> Indices:
    """What items of known truth come to, if none of them had a part in its own calibration.

    Shape (n_known,), in their order: a fifth at a time by what is learnt from the others.
    """
    told = np.flatnonzero(truth != UNKNOWN)
    fold = np.arange(len(told)) % FOLDS
    labels = np.zeros(len(told), dtype=np.int64)
    for number in range(FOLDS):
        mine = told[fold == number]
        others = truth.copy()
        others[mine] = UNKNOWN
        learnt = calibrate(log_posterior, others)
        labels[fold == number] = learnt.apply(log_posterior[mine]).argmax(axis=1)
    return labels


def score(log_posterior: Floats, truth: Indices) -> float:
    """How well the known truth is told, at the usual temperature: mean log probability, below 0.

    Minus infinity where nothing is known.
    """
    told = np.flatnonzero(truth != UNKNOWN)
    if not len(told):
        return -np.inf
    odds = USUAL * np.maximum(log_posterior[told], SATURATED)
    return float((odds[np.arange(len(told)), truth[told]] - logsumexp(odds, axis=1)).mean())


@dataclass(frozen=True)
class Bin:
    """Items of about the same confidence."""

    confidence: float
    """Mean."""
    accuracy: float
    items: int


def reliability(confidence: Floats, right: Flags) -> list[Bin]:
    """The reliability curve, in tenths; empty bins are left out."""
    which = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for here in (which == number for number in range(BINS))
        if here.any()
    ]


def expected_calibration_error(confidence: Floats, right: Flags) -> float:
    """How far confidence is off, on average: Naeini et al. 2015, in tenths. NaN without items."""
    bins = reliability(confidence, right)
    off = [each.items * abs(each.confidence - each.accuracy) for each in bins]
    return float(np.sum(off) / len(confidence)) if bins else float("nan")


def share_interval(right: int, of: int, *, coverage: float = 0.95) -> tuple[float, float]:
    """Where a share lies, by a random sample: Clopper & Pearson 1934, never too narrow.

    Nothing of nothing lies anywhere.
    """
    tail = (1 - coverage) / 2
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, of - right + 1))
    high = 1.0 if right == of else float(beta.ppf(1 - tail, right + 1, of - right))
    return low, high
