"""Copy rings: accounts that make the same errors in the same places.

That two agree says nothing: both may be right. What is compared is only where at least one of them
says what the others do not (Wesolowsky 2000 for examinations; Dong, Berti-Equille & Srivastava 2009
for sources on the web). If either copies a share `COPIED` of their answers from the other,
a shared rare error is that much more probable than if both err by themselves, as often as each does
in general, and as others do on this item; an error not shared is less probable. All of a ring is
judged together, by those outside it: whom it outvotes look like liars.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from scipy.special import gammaln

from tessera.truth.others import Others
from tessera.truth.signals import LN10, Finding, Kind, percent
from tessera.truth.votes import Flags, Floats, Indices, Votes, sums

COPIED = 0.6
LARGEST = 64
"""An error that more earners make than that is not rare; it is not looked at."""
RAREST, COMMONEST = 0.04, 0.97
"""How rare an error may be thought to be, of one who errs. Items are never known well enough to
say that nobody sees it otherwise: so four or five shared errors are needed at least."""
MODEL = 3.0
"""Answers for which what is known of the crowd counts, beside those to the same item."""
SEEDS = 60
"""Pairs, the strongest, around which a ring is sought at a time."""
MOST_RINGS = 40
MOST_MEMBERS = 64
LEAST = 2.5
"""Strength of a ring that counts, in powers of ten, and beyond how many rings there could be."""
_MAD = 1.4826
_TO_COMPARE = 10
"""Errors of which a pair may share some, and pairs, before they tell how much pairs vary."""
_PAIR, _ROUNDS, _VECTORS, _SIDES, _PAIRS = 2, 10, 4, 4, 3
_USUAL_ERRORS = 3.0
"""Errors for which it counts that an earner errs as often as the crowd."""


@dataclass(frozen=True)
class Errors:
    """Answers that differ from what the others believe."""

    which: Indices
    """Shape (D,), numbers of answers."""
    odds: Floats
    """Shape (D,): how much oftener than others the earner errs so."""
    pairs: tuple[Indices, Indices]
    """Shape (P,) each: places in `which` of two that are alike, of two earners."""
    gain: Floats
    """Shape (P,): logarithm of how much more probable the second is if copied."""


@dataclass(frozen=True)
class Ring:
    members: Indices
    strength: float
    """In powers of ten, beyond how many rings of this size there could be."""
    own: Floats
    """Shape (len(members),): the same of each member's tie to the rest."""


def errors(seen: Others, heard: Flags) -> Errors:
    """Where answers differ from what others believe, and where two do so alike.

    Args:
        heard: Shape (N,), the answers that what others believe comes from.
    """
    votes = seen.votes
    classes = votes.n_classes
    off = seen.informed & (seen.top != votes.labels)
    which = np.flatnonzero(off)
    cell = votes.items[which] * classes + votes.labels[which]
    order = np.argsort(cell, kind="stable")
    which, cell = which[order], cell[order]
    odds = _odds(seen, which)
    told = heard.astype(np.float64)
    at = votes.items * classes + votes.labels
    alike = sums(at, told, votes.n_items * classes)[at[which]]
    count = sums(votes.items, told, votes.n_items)[votes.items[which]]
    own = told[which]
    firsts, seconds = _alike(cell)
    mine = votes.earners[which]
    two = mine[firsts] != mine[seconds]
    firsts, seconds = firsts[two], seconds[two]
    without = own[firsts] + own[seconds]
    usual = (seen.usual[which[firsts]] + seen.usual[which[seconds]]) / 2
    rare = (alike[firsts] - without + MODEL * usual) / (count[firsts] - without + MODEL)
    times = np.maximum(odds[firsts], odds[seconds])
    rare = rare * times / (1 - rare + rare * times)
    gain = np.log1p(COPIED / np.clip(rare, RAREST, COMMONEST) - COPIED) - np.log1p(-COPIED)
    return Errors(which, odds, (firsts, seconds), gain)


def _odds(seen: Others, which: Indices) -> Floats:
    """How much oftener than the crowd each earner calls what others hold to be t an l; (D,)."""
    votes, (_, rows, classes) = seen.votes, seen.offers.shape
    row = seen.top[which] if rows > 1 else np.zeros(len(which), dtype=np.int64)
    cell = (votes.earners[which] * rows + row) * classes + votes.labels[which]
    made = sums(cell, None, seen.offers.size).reshape(seen.offers.shape)
    offered = seen.offers.copy()
    if rows > 1:
        offered[:, np.arange(rows), np.arange(classes)] = 0.0
    in_all = (made.sum((1, 2)) + _USUAL_ERRORS) / (offered.sum((1, 2)) + _USUAL_ERRORS)
    prior = _USUAL_ERRORS * in_all[:, None, None]
    share = (made + prior) / (offered + _USUAL_ERRORS)
    found: Floats = np.maximum(share.ravel()[cell], 1.0)
    return found


def _alike(cell: Indices) -> tuple[Indices, Indices]:
    """All pairs of places with the same value, of a sorted array; none of values too frequent."""
    count = np.unique(cell, return_counts=True)[1]
    rare = np.flatnonzero(np.repeat(count, count) <= LARGEST)
    firsts, seconds = [rare[:0]], [rare[:0]]
    for step in range(1, min(LARGEST, len(rare))):
        same = np.flatnonzero(cell[rare[:-step]] == cell[rare[step:]])
        if not len(same):
            break
        firsts.append(rare[same])
        seconds.append(rare[same + step])
    return np.concatenate(firsts), np.concatenate(seconds)


@dataclass(frozen=True)
class Ties:
    """Of every pair of earners, sparse, shape (n_earners, n_earners); the diagonal is zero."""

    table: "sparse.csr_array"
    """Log likelihood ratio that one copies the other, over `spread`."""
    beyond: "sparse.csr_array"
    """The same, but that a pair shares more than is usual, and not over `spread`."""
    spread: float
    """How much more the errors that pairs share vary than by chance, at least 1: there are schools
    of thought (Welinder et al. 2010), of people who see alike and have never met. Evidence counts
    for less by as much, as in quasi-likelihood (Wedderburn 1974)."""


def ties(votes: Votes, found: Errors) -> Ties:
    """Sparse products; only pairs that have answered the same item have any."""
    size = (votes.n_earners, votes.n_items)
    one, two = found.pairs
    mine = votes.earners[found.which]
    low, high = np.minimum(mine[one], mine[two]), np.maximum(mine[one], mine[two])
    shape = (votes.n_earners, votes.n_earners)
    gain = sparse.csr_array((found.gain, (low, high)), shape=shape)
    count = sparse.csr_array((np.ones(len(one)), (low, high)), shape=shape)
    said = _marks(votes.earners, votes.items, size)
    erred = _marks(mine, votes.items[found.which], size)
    crossed = erred @ said.T
    either = sparse.triu(crossed + crossed.T - erred @ erred.T, 1).tocsr()
    spread = _spread(either, count)
    usual = -gain.sum() / max(either.sum(), 1.0)
    table = (gain + float(np.log1p(-COPIED)) * either) / spread
    beyond = gain + usual * either
    return Ties(sparse.csr_array(table + table.T), sparse.csr_array(beyond + beyond.T), spread)


def _spread(either: "sparse.csr_array", alike: "sparse.csr_array") -> float:
    """Variance of how many errors pairs share, over that of coins; by medians, so without rings."""
    pairs = either.tocoo()
    tried = np.flatnonzero(pairs.data >= _TO_COMPARE)
    if len(tried) < _TO_COMPARE:
        return 1.0
    of = pairs.data[tried]
    same = np.asarray(alike[pairs.row[tried], pairs.col[tried]]).ravel()
    share = same.sum() / of.sum()
    if not 0 < share < 1:
        return 1.0
    score = (same - share * of) / np.sqrt(share * (1 - share) * of)
    middle = np.median(score)
    return max(1.0, float((_MAD * np.median(np.abs(score - middle))) ** 2))


def _marks(rows: Indices, columns: Indices, shape: tuple[int, int]) -> "sparse.csr_array":
    marks = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    marks.data[:] = 1.0
    return marks


def rings(seen: Others, heard: Flags) -> list[Ring]:
    """Disjoint rings, the strongest first."""
    votes = seen.votes
    found = errors(seen, heard)
    tied = ties(votes, found)
    judge = partial(_judged, votes, found, tied)
    rings: list[Ring] = []
    free = np.ones(votes.n_earners, dtype=bool)
    while len(rings) < MOST_RINGS:
        judged = [judge(members) for members in _grown(tied.table, free)]
        before = len(rings)
        for ring in sorted(judged, key=lambda ring: -ring.strength):
            if ring.strength >= LEAST and free[ring.members].all():
                rings.append(ring)
                free[ring.members] = False
        if len(rings) == before:
            break
    return rings


def _grown(table: "sparse.csr_array", free: Flags) -> list[Indices]:
    """Who may be a ring: around the strongest pairs, and along the strongest directions of all."""
    upper = sparse.triu(table, 1).tocoo()
    open_ = np.flatnonzero((upper.data > 0) & free[upper.row] & free[upper.col])
    strongest = open_[np.argsort(-upper.data[open_], kind="stable")[:SEEDS]]
    taken, found = set[int](), list[Indices]()
    starts = [np.array([upper.row[pair], upper.col[pair]]) for pair in strongest]
    for start in [*_directions(table, free), *starts]:
        if taken.issuperset(start.tolist()):
            continue
        members = _settled(table, free, _filled(table, free, start))
        if len(members) >= _PAIR:
            taken |= set(members.tolist())
            found.append(members)
    return found


def needed(earners: int) -> float:
    """The tie to a ring with which an earner is in it: of honest ones, one of ten rings has one."""
    return float(np.log(max(earners, 2)) + LN10)


def candidates(seen: Others, heard: Flags) -> list[Indices]:
    """Who is to be left out to see whether they are a ring: one that outvotes others hides itself.

    They share more errors than is usual, which alone proves nothing.
    """
    table = ties(seen.votes, errors(seen, heard)).beyond
    free = np.ones(seen.votes.n_earners, dtype=bool)
    upper = sparse.triu(table, 1).tocoo()
    pairs = np.argsort(-upper.data, kind="stable")[:_PAIRS]
    starts = [np.array([upper.row[pair], upper.col[pair]]) for pair in pairs]
    starts = [*_directions(table, free)[:_SIDES], *starts]
    settled = (_settled(table, free, start) for start in starts)
    found = {tuple(sorted(members.tolist())): None for members in settled}
    groups = [np.array(each) for each in found if _PAIR <= len(each) <= MOST_MEMBERS]
    need = needed(len(free))
    return [each for each in groups if table[each][:, each].sum(1).max() > need]


def _filled(table: "sparse.csr_array", free: Flags, start: Indices) -> Indices:
    """With whoever is tied most to those that are in already, while anybody is."""
    members = start.tolist()
    tied = np.where(free, np.asarray(table[members].sum(0)).ravel(), -np.inf)
    while len(members) < MOST_MEMBERS:
        tied[members] = -np.inf
        next_ = int(np.argmax(tied))
        if tied[next_] <= 0:
            break
        members.append(next_)
        tied = tied + table[[next_]].toarray()[0]
    return np.array(members)


def _settled(table: "sparse.csr_array", free: Flags, members: Indices) -> Indices:
    """Everybody who is tied to those that are in, and nobody else, until it is the same ones."""
    need = needed(len(free))
    for _ in range(_ROUNDS):
        if len(members) <= _PAIR:
            break
        tied = np.where(free, np.asarray(table[members].sum(0)).ravel(), -np.inf)
        now = np.flatnonzero(tied > need)
        if len(now) < _PAIR or np.array_equal(now, np.sort(members)):
            break
        members = now
    return members


def _directions(table: "sparse.csr_array", free: Flags) -> list[Indices]:
    """Those that weigh most in the leading eigenvectors: rings whose pairs share little each."""
    if np.count_nonzero(free) <= _VECTORS + 1 or table.nnz == 0:
        return []
    only = sparse.diags_array(free.astype(np.float64))
    masked = only @ table @ only
    dice = np.random.default_rng(1).standard_normal(len(free))
    _, vectors = eigsh(masked, k=_VECTORS, which="LA", v0=dice, tol=1e-3, maxiter=1_000)
    found = []
    for vector in vectors.T[::-1]:
        for side in (vector, -vector):
            order = np.argsort(-side, kind="stable")[: MOST_MEMBERS // 4]
            found.append(order[(side[order] > 0) & free[order]])
    return [each for each in found if len(each) >= _PAIR]


def _judged(votes: Votes, found: Errors, tied: Ties, members: Indices) -> Ring:
    """What a ring comes to: of those who err alike the first is nothing, each other one counts.

    Who adds nothing goes, the least first.
    """
    need = needed(votes.n_earners)
    while True:
        own = np.asarray(tied.table[members][:, members].sum(1)).ravel()
        if len(members) <= _PAIR or own.min() >= need:
            break
        members = members[own > own.min()] if (own > own.min()).sum() >= _PAIR else members[:_PAIR]
    inside = np.zeros(votes.n_earners, dtype=bool)
    inside[members] = True
    mine = inside[votes.earners[found.which]]
    one, two = found.pairs
    both = mine[one] & mine[two]
    # of each cell the pairs with its first member: one for every other member
    first = np.full(len(found.which), len(found.which))
    np.minimum.at(first, two[both], one[both])
    gained = float(found.gain[both][one[both] == first[two[both]]].sum())
    lost = np.log1p(-COPIED) * _alone(votes, found, inside)
    size, of = len(members), votes.n_earners
    many = gammaln(of + 1) - gammaln(size + 1) - gammaln(of - size + 1)
    strength = ((gained + lost) / tied.spread - many) / LN10
    return Ring(np.sort(members), float(strength), own[np.argsort(members)] / LN10)


def _alone(votes: Votes, found: Errors, inside: Flags) -> float:
    """How often a member did not join in an error of another's."""
    wrong = inside[votes.earners[found.which]]
    items = votes.items[found.which[wrong]]
    answers = sums(votes.items[inside[votes.earners]], None, votes.n_items)
    cell = items * votes.n_classes + votes.labels[found.which[wrong]]
    cells, joined = np.unique(cell, return_counts=True)
    item = cells // votes.n_classes
    most = np.zeros(votes.n_items)
    np.maximum.at(most, item, joined)
    erred = np.unique(item)
    return float((answers[erred] - most[erred]).sum())


def copying(votes: Votes, found: list[Ring], seen: Others) -> Finding:
    """As a finding: of each member how strong the ring is, and their tie to it."""
    strength, company = np.zeros(votes.n_earners), np.zeros(votes.n_earners, dtype=np.int64)
    alike = np.zeros(votes.n_earners)
    off = seen.open & (seen.top != votes.labels)
    for ring in found:
        beyond = ring.own - needed(votes.n_earners) / LN10
        strength[ring.members] = np.minimum(ring.strength, LEAST + beyond)
        company[ring.members] = len(ring.members) - 1
        alike[ring.members] = _shared(votes, off, ring.members)

    def words(earner: int) -> str:
        accounts = (
            "another account" if company[earner] == 1 else f"{company[earner]} other accounts"
        )
        return (
            "Where your answers differ from those of most, "
            f"{percent(float(alike[earner]))} are the same as those of {accounts} to these tasks."
        )

    return Finding(Kind.RING, strength, words)


def _shared(votes: Votes, off: Flags, members: Indices) -> Floats:
    """Shape (len(members),): of errors where another member has answered, the share made twice."""
    inside = np.isin(votes.earners, members)
    here = np.flatnonzero(inside)
    cell = votes.items * votes.n_classes + votes.labels
    per_cell = sums(cell[here], None, votes.n_items * votes.n_classes)
    per_item = sums(votes.items[here], None, votes.n_items)
    mine = np.flatnonzero(inside & off & (per_item[votes.items] > 1))
    place = np.searchsorted(members, votes.earners[mine])
    same = sums(place[per_cell[cell[mine]] > 1], None, len(members))
    return np.asarray(same / np.maximum(sums(place, None, len(members)), 1), dtype=np.float64)
