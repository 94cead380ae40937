"""Projects with honest earners of many kinds and with cheats, always the same for a seed.

Who looks at an item sees its class, or of an ambiguous one another, as everybody does. Times are
log-normal around what an item takes; people work in sittings and sleep. A fifth of everyone's first
answers are to gold, and then few.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from tessera.truth.cheating import Log
from tessera.truth.linkage import Key
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes

HOUR = 3600.0
EARLY, GOLD_EARLY, GOLD_LATE = 50, 0.2, 0.04
"""So many answers have a share of gold, later ones another."""


@dataclass(frozen=True)
class Person:
    """How somebody labels."""

    kind: str
    skill: float = 0.8
    """How often they look, where they look they see what is shown."""
    lean: float = 0.0
    """How far what they say unseen is always their favourite."""
    favourite: int = 0
    pace: float = 0.0
    """Logarithm, beside the usual."""
    spread: float = 0.45
    """Of the logarithm of their times."""
    moved: float = 1.0
    """How much they slow down on what is hard."""
    later: float | None = None
    """Their skill once gold has thinned out."""
    sleeps: bool = True
    starts: float = 9.0
    """Hour of the day."""
    ring: int = -1
    """Whose answers they copy."""
    copies: float = 0.9
    """How often."""
    work: float = 1.0
    """How much they answer, beside others."""
    payout: int = -1
    device: int = -1


@dataclass(frozen=True)
class Setting:
    items: int = 2_000
    per_item: int = 6
    prior: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    ambiguous: float = 0.15
    gold: int = 150
    """Items of known truth, which everybody meets some of."""
    ring_skill: float = 0.65
    """Of what a ring passes on."""
    ring_places: int = 3
    """Of each item that a ring answers, so many of the answers are theirs."""


@dataclass(frozen=True)
class Project:
    log: Log
    truth: Indices
    people: list[Person] = field(repr=False)

    def of(self, *kinds: str) -> Indices:
        """Numbers of the earners of some kinds."""
        return np.flatnonzero([person.kind in kinds for person in self.people])


HONEST = ("usual", "weak", "expert", "leaning", "newcomer", "night", "steady", "tiring")


def honest(count: int, seed: int, classes: int = 4) -> list[Person]:
    """So many honest people: seven in ten as most are, the others in turn of each odd kind."""
    dice = np.random.default_rng([seed, 11])
    people = []
    for number in range(count):
        kind = "usual" if number % 10 < 7 else HONEST[1 + (number // 10 * 3 + number) % 7]
        person = Person(
            kind,
            skill=float(dice.beta(12, 3)),
            lean=0.3,
            favourite=int(dice.integers(classes)),
            pace=float(dice.normal(0, 0.3)),
            spread=float(np.exp(dice.normal(np.log(0.45), 0.2))),
            starts=float(dice.uniform(7, 20)),
            moved=float(dice.uniform(0.6, 1.4)),
            work=float(np.exp(dice.normal(0, 0.5))),
        )
        people.append(_odd(person, dice))
    return people


def _odd(person: Person, dice: np.random.Generator) -> Person:
    drawn = float(dice.random())
    odd: dict[str, dict[str, float]] = {
        "weak": {"skill": 0.4 + 0.15 * drawn},
        "expert": {"skill": 0.97, "pace": -1.1},
        "leaning": {"skill": 0.55 + 0.2 * drawn, "lean": 1.0},
        "newcomer": {"work": 0.0},
        "night": {"starts": 22.0},
        "steady": {"spread": 0.28, "moved": 0.6},
        "tiring": {"later": person.skill - 0.12},
    }
    return replace(person, **odd.get(person.kind, {}))  # type: ignore[arg-type]


def cheats(kind: str, count: int, seed: int, *, ring: int = 0, classes: int = 4) -> list[Person]:
    """So many of one kind."""
    dice = np.random.default_rng([seed, 13, count])
    return [_cheat(kind, number, ring, dice, classes) for number in range(count)]


def _cheat(kind: str, number: int, ring: int, dice: np.random.Generator, classes: int) -> Person:
    plain = Person(
        kind,
        skill=float(dice.beta(12, 3)),
        spread=float(np.exp(dice.normal(np.log(0.45), 0.2))),
        pace=float(dice.normal(0, 0.3)),
    )
    payout, device = 1_000 + ring, 1_000 + number // 6
    cheat: dict[str, dict[str, float]] = {
        "clicker": {"skill": 0.0},
        "constant": {"skill": 0.03, "lean": 1.0, "favourite": number % classes},
        "fast": {"skill": 0.3, "pace": -1.7},
        "ring": {"ring": ring},
        "farm": {"ring": ring, "payout": payout, "device": device, "spread": 0.25},
        "scheduled": {"skill": 0.95, "spread": 0.12, "moved": 0.0, "sleeps": False},
        "slacker": {"later": 0.0, "work": 1.5},
    }
    return replace(plain, **cheat[kind])  # type: ignore[arg-type]


def project(people: list[Person], seed: int, setting: Setting | None = None) -> Project:
    """Their answers."""
    how = setting or Setting()
    dice = np.random.default_rng([seed, 17, len(people)])
    classes, items = len(how.prior), how.items + how.gold
    truth = dice.choice(classes, items, p=how.prior)
    hard = np.where(dice.random(items) < how.ambiguous, dice.uniform(0.3, 0.7, items), 0.03)
    other = (truth + dice.integers(1, classes, items)) % classes
    slow = 2 * hard + dice.normal(0, 0.2, items)
    given = dice.choice(classes, (max((p.ring for p in people), default=0) + 1, items), p=how.prior)
    seen = dice.random(given.shape) < how.ring_skill
    given = np.where(seen, np.where(dice.random(given.shape) < hard, other, truth), given)
    parts = []
    for earner, (person, theirs) in enumerate(
        zip(people, handed_out(people, how, dice), strict=True)
    ):
        mine, early = with_gold(theirs, how, dice)
        skill = np.where(early | (person.later is None), person.skill, person.later or 0.0)
        shown = np.where(dice.random(len(mine)) < hard[mine], other[mine], truth[mine])
        label = _said(person, skill, shown, dice, classes)
        if person.ring >= 0:
            copied = dice.random(len(mine)) < person.copies
            label = np.where(copied, given[person.ring, mine], label)
        noise = person.spread * dice.standard_t(6, len(mine)) / np.sqrt(1.5)
        seconds = 8 * np.exp(person.pace + person.moved * slow[mine] + noise)
        at = clock(person, seconds, dice)
        parts.append((mine, np.full(len(mine), earner), label, seconds, at))
    whole = [np.concatenate(each) for each in zip(*parts, strict=True)]
    order = np.argsort(whole[4], kind="stable")
    item, who, said, took, when = (each[order] for each in whole)
    votes = Votes(item, who, said, items, len(people), classes)
    known = np.where(np.arange(items) >= how.items, truth, UNKNOWN)
    keys: dict[Key, list[int | None]] = {
        Key.PAYOUT: [p.payout if p.payout >= 0 else -2 - n for n, p in enumerate(people)],
        Key.DEVICE: [p.device if p.device >= 0 else None for p in people],
    }
    log = Log(votes, known, took, when, keys=keys)
    return Project(log, truth, people)


def handed_out(people: list[Person], how: Setting, dice: np.random.Generator) -> list[Indices]:
    """Of each earner the items that are no gold, in an order by chance."""
    work = np.array([max(person.work, 1e-9) for person in people])
    wish = np.log(work) + dice.gumbel(size=(how.items, len(people)))
    for ring in sorted({person.ring for person in people if person.ring >= 0}):
        members = np.flatnonzero([person.ring == ring for person in people])
        places = min(how.ring_places, len(members))
        share = how.items * how.per_item / len(people) * len(members) / places
        wish[:, members] -= 3.0
        for item in dice.permutation(how.items)[: int(share)]:
            wish[item, dice.choice(members, places, replace=False)] += 50.0
    chosen = np.argsort(-wish, axis=1)[:, : how.per_item]
    handed = []
    for number, person in enumerate(people):
        mine = dice.permutation(np.flatnonzero((chosen == number).any(1)))
        if person.kind == "newcomer":
            mine = dice.choice(how.items, 5, replace=False)
        handed.append(mine)
    return handed


def with_gold(mine: Indices, how: Setting, dice: np.random.Generator) -> tuple[Indices, Flags]:
    """With gold in between; and which come before it thins out."""
    pool = iter((how.items + dice.permutation(how.gold)).tolist())
    items, early = list[int](), list[bool]()
    for item in mine.tolist():
        soon = len(items) < EARLY
        if dice.random() < (GOLD_EARLY if soon else GOLD_LATE) and (gold := next(pool, None)):
            items.append(gold)
            early.append(soon)
        items.append(item)
        early.append(soon)
    return np.array(items, dtype=np.int64), np.array(early, dtype=bool)


def _said(
    person: Person, skill: Floats, shown: Indices, dice: np.random.Generator, classes: int
) -> Indices:
    size = len(shown)
    leans = dice.random(size) < person.lean
    unseen = np.where(leans, person.favourite, dice.integers(0, classes, size))
    return np.where(dice.random(size) < skill, shown, unseen)


def clock(person: Person, seconds: Floats, dice: np.random.Generator) -> Floats:
    """When each answer came, in seconds from the beginning of a day."""
    if not person.sleeps:
        # no more an hour than a person, but through the night
        pause = dice.uniform(0.9, 1.1, len(seconds)) * 40 * HOUR / max(len(seconds), 1)
        return np.asarray(np.cumsum(seconds + pause))
    day, now, left = float(dice.integers(0, 3)) * 24 * HOUR, 0.0, 0.0
    at = np.empty(len(seconds))
    for number, each in enumerate(seconds.tolist()):
        if left <= 0:
            now = max(day + (person.starts + dice.normal(0, 1)) * HOUR, now + 8 * HOUR)
            day += 24 * HOUR
            left = dice.lognormal(np.log(40), 0.6)
        now += each + dice.exponential(20)
        left -= 1
        at[number] = now
    return at - min(0.0, float(at.min(initial=0.0)))
