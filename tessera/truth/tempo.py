"""What the seconds tell: answers too fast to have looked, and times as no person has them.

All in logarithms, beside what is usual for tasks of the same size in the same project, by medians:
somebody's tea break is no evidence. An answer that is fast and right is no offence.
"""

import numpy as np
from scipy.stats import binom, chi2, norm

from tessera.truth.clicks import frequencies
from tessera.truth.others import Others
from tessera.truth.signals import LN10, Finding, Kind, mean_of, percent
from tessera.truth.votes import Floats, Indices, Votes, sums

QUICK = 1 / 3
"""Of the usual time; and beyond `QUICK_SPREADS` of all answers' spread."""
QUICK_SPREADS = 1.5
USUALLY_QUICK = 0.15
"""The share of such answers that an honest earner may have: simulated, one in twenty is usual."""
CARELESS, CAREFUL = (0.0, 0.25, 0.5), 1.0
"""How far answers depend on what is shown, of what is usual. Only with speed does it count."""
FEW_ARE_QUICK = 1.0
"""In powers of ten: of honest earners not one in ten has so many quick answers, and they are no
worse than others. That counts, too."""
FEWEST = 20
"""Times before anything is said of how regular they are."""
STEADIEST = 2.0
"""Spreads below the population's median that an honest earner's own spread may lie."""
REST = 3 * 3600.0
"""A pause that may be sleep, in seconds."""
AWAKE, ONCE_MORE = 16.0, 4.0
"""Hours on end that say nothing, and how many more make it ten times as odd. Twenty-four come to
2: nobody is accused for one long night. Set by judgement, not measured."""
_MAD = 1.4826
_LEAST_SPREAD = 0.15
"""Of logarithms of spreads, and of slopes: people differ at least so much."""
_EFFICIENCY = 0.37
"""Of a median absolute deviation as a measure of spread (Rousseeuw & Croux 1993)."""
_HARDNESS = 5.0
"""Standard errors by which people must slow down on hard items before that they do is used."""
_TIMES = 300.0
"""Strengths are cut there: logarithms of numbers that computers hold."""


def residuals(votes: Votes, seconds: Floats, sizes: Indices | None = None) -> Floats:
    """Shape (N,): logarithm of seconds, beside the median of tasks of the same size.

    Args:
        sizes: Shape (n_items,), which tasks are alike, in 0 .. m - 1; all are.

    Raises:
        ValueError: A time is missing, not finite, or not above zero.
    """
    if seconds.shape != votes.items.shape:
        raise ValueError("seconds must have one number for each answer")
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        raise ValueError("seconds must be finite and above zero")
    group = np.zeros(len(votes), dtype=np.int64) if sizes is None else sizes[votes.items]
    logs = np.log(seconds)
    return np.asarray(logs - _medians(logs, group, int(group.max(initial=0)) + 1)[group])


def too_fast(seen: Others, beside: Floats) -> Finding:
    """Whose quick answers are many, and worse than the others'.

    Args:
        beside: As `residuals` gives it.
    """
    votes = seen.votes
    size = votes.n_earners
    spread = _MAD * float(np.median(np.abs(beside))) if len(beside) else 0.0
    quick = beside < min(np.log(QUICK), -QUICK_SPREADS * spread)
    count, fast = sums(votes.earners, None, size), sums(votes.earners, quick * 1.0, size)
    many = -binom.logsf(fast - 1, count, USUALLY_QUICK)
    often = frequencies(seen)

    def likelihood(attention: float) -> Floats:
        looking = attention * seen.leaning + (1 - attention) * often
        return sums(votes.earners, np.log(looking) * quick * seen.informed, size)

    careless = np.logaddexp.reduce([likelihood(each) for each in CARELESS], axis=0)
    worse = careless - np.log(len(CARELESS)) - likelihood(CAREFUL)
    worse = np.where(worse > 0, worse + FEW_ARE_QUICK * LN10, 0.0)
    share = mean_of(fast, count)
    told = (quick & seen.open).astype(np.float64)
    of = sums(votes.earners, told, size)
    own = mean_of(sums(votes.earners, told * seen.agree, size), of)
    usual = mean_of(sums(votes.earners, told * seen.agree_usual, size), of)
    return Finding(
        Kind.FAST,
        np.maximum(np.minimum(np.minimum(many, worse) / LN10, _TIMES), 0.0),
        lambda earner: (
            f"{percent(float(share[earner]))} of your answers took less than a third of the usual "
            f"time, and they agree with those of others less often: {percent(float(own[earner]))}, "
            f"where {percent(float(usual[earner]))} is usual for the same tasks."
        ),
    )


def mechanical(votes: Votes, beside: Floats, at: Floats | None = None) -> Finding:
    """Whose times are regular, no longer for what is hard, and around the clock; Fisher 1932.

    Args:
        beside: As `residuals` gives it.
        at: Shape (N,), when each was answered, in seconds since any moment.
    """
    size = votes.n_earners
    count = sums(votes.earners, None, size)
    spread = own_spread(votes, beside)
    hours = longest_stretch(votes, at) if at is not None else np.zeros(size)
    logs = [
        _steady(spread, count),
        _unmoved(votes, beside, spread, count),
        np.minimum(-(hours - AWAKE) / ONCE_MORE * LN10, 0.0),
    ]
    together = chi2.logsf(-2 * np.sum(logs, axis=0), 2 * len(logs))
    usual = _middle(spread[count >= FEWEST])[0] if (count >= FEWEST).any() else 0.0

    def words(earner: int) -> str:
        vary, others_vary = (percent(float(np.expm1(each))) for each in (spread[earner], usual))
        seen = [f"the times of your answers vary by {vary}, where {others_vary} is usual"]
        if logs[1][earner] < -LN10:
            seen.append("you are as fast where others take longer")
        if hours[earner] > AWAKE:
            seen.append(f"you have answered for {hours[earner]:.0f} hours without a long pause")
        said = "; ".join(seen)
        return f"{said[0].upper()}{said[1:]}."

    strength = np.minimum(-together / LN10, _TIMES)
    return Finding(Kind.MECHANICAL, np.where(count >= FEWEST, strength, 0.0), words)


def own_spread(votes: Votes, beside: Floats) -> Floats:
    """Shape (n_earners,): standard deviation of each earner's residuals, by medians."""
    middle = _medians(beside, votes.earners, votes.n_earners)
    off = np.abs(beside - middle[votes.earners])
    return np.asarray(_MAD * _medians(off, votes.earners, votes.n_earners), dtype=np.float64)


def longest_stretch(votes: Votes, at: Floats) -> Floats:
    """Shape (n_earners,): the longest time without a pause that may be sleep, in hours."""
    found = np.zeros(votes.n_earners)
    order = np.lexsort((at, votes.earners))
    earner, when = votes.earners[order], at[order]
    new = np.r_[True, (np.diff(earner) != 0) | (np.diff(when) > REST)][: len(order)]
    starts = np.flatnonzero(new)
    ends = np.r_[starts[1:], len(order)][: len(starts)] - 1
    np.maximum.at(found, earner[starts], (when[ends] - when[starts]) / 3600)
    return found


def _steady(spread: Floats, count: Floats) -> Floats:
    """Log probability of so small a spread, if the earner is among the steadiest people."""
    judged = (count >= FEWEST) & (spread > 0)
    if not judged.any():
        return np.zeros(len(count))
    middle, off = _middle(np.log(spread[judged]))
    least = np.exp(middle - STEADIEST * max(off, _LEAST_SPREAD))
    degrees = np.maximum(_EFFICIENCY * count, 1.0)
    found = chi2.logcdf(degrees * (spread / least) ** 2, degrees)
    found = np.where(spread > 0, np.maximum(found, -_TIMES * LN10), -_TIMES * LN10)
    return np.asarray(np.where(count >= FEWEST, found, 0.0), dtype=np.float64)


def _unmoved(votes: Votes, beside: Floats, spread: Floats, count: Floats) -> Floats:
    """Log probability of slowing so little where others do; 0 where people do not slow down."""
    size = votes.n_earners
    centred = beside - _medians(beside, votes.earners, size)[votes.earners]
    centred = np.clip(centred, -_MAD * 3, _MAD * 3)
    heard = votes.per_item[votes.items] - 1.0
    total = sums(votes.items, centred, votes.n_items)[votes.items]
    hard = np.where(heard >= 1, (total - centred) / np.maximum(heard, 1), 0.0)
    hard -= mean_of(sums(votes.earners, hard, size), count)[votes.earners]
    hard *= heard >= 1
    square = sums(votes.earners, hard**2, size)
    product = sums(votes.earners, hard * centred, size)
    if not square.sum() > 0:
        return np.zeros(size)
    all_of_them = product.sum() / square.sum()
    error = np.sqrt(float((centred**2).mean()) / square.sum())
    if all_of_them < _HARDNESS * error:
        return np.zeros(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = product / square
        off = np.hypot(spread / np.sqrt(square), _LEAST_SPREAD)
        found = norm.logcdf((slope - all_of_them / 2) / off)
    judged = (count >= FEWEST) & (square > 0)
    return np.asarray(np.where(judged, np.maximum(found, -_TIMES * LN10), 0.0), dtype=np.float64)


def _middle(values: Floats) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, _MAD * float(np.median(np.abs(values - middle)))


def _medians(values: Floats, group: Indices, size: int) -> Floats:
    """Shape (size,): the median of each group; 0 of an empty one."""
    order = np.lexsort((values, group))
    count = np.bincount(group, minlength=size)
    start = np.cumsum(count) - count
    has = count > 0
    found = np.zeros(size)
    low = order[(start + (count - 1) // 2)[has]]
    high = order[(start + count // 2)[has]]
    found[has] = (values[low] + values[high]) / 2
    return found
