"""Cheating: how many simulated cheats are found, after how many answers; and how many honest.

    python -m bench.cheating [--seeds 20] [--data FOLDER] [--out FILE]

Each project has a hundred honest earners of eight kinds, among them weak ones, fast experts, people
with a leaning, newcomers and people who work at night, and cheats of one kind. Of four classes with
some hundred answers for each earner, and of two with half as many again. With FOLDER, who would be
told of in recorded sets, and how often they were right.

Where boxes are drawn (`bench.drawn_adversaries`), there are three classes, up to six boxes to a
picture, and a quarter of the seeds, as it takes long to match what was drawn.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import adversaries, crowds, drawn_adversaries
from bench.adversaries import HONEST, Setting, cheats, honest
from bench.crowds import AnswerSet
from bench.results import Aim, conclude
from tessera.truth.cheating import Log, find
from tessera.truth.response import Step, respond
from tessera.truth.signals import Finding, Kind
from tessera.truth.votes import UNKNOWN, Indices

OUT = Path("var/bench/cheating.json")
PEOPLE = 100
DRAWN = "boxes"
SETTINGS = {
    "four": Setting(),
    "two": Setting(items=3_000, prior=(0.6, 0.4)),
    DRAWN: Setting(prior=(0.4, 0.3, 0.3)),
}
FEWER = 4
FOUND, ACCUSED, SECONDS = 0.9, 0.01, 15.0
GOLD = 0.1
COLUMNS = ("found", "accused", "answers", "answers_honest", "reviewed", "reviewed_honest")
"""The shares told of by the signal in question, of the cheats and of the honest; how many answers
they had given, the median; the shares that a person would look at."""


@dataclass(frozen=True)
class Attack:
    name: str
    kind: str = ""
    count: int = 0
    by: tuple[Kind, ...] = tuple(Kind)


ATTACKS = (
    Attack("nobody"),
    Attack("clicker", "clicker", 8, (Kind.RANDOM,)),
    Attack("constant", "constant", 8, (Kind.CONSTANT,)),
    Attack("fast", "fast", 8, (Kind.FAST,)),
    *(Attack(f"ring of {size}", "ring", size, (Kind.RING,)) for size in (2, 3, 5, 10, 25, 50)),
    Attack("farm of 50", "farm", 50, (Kind.LINKED, Kind.RING)),
    Attack("scheduled", "scheduled", 8, (Kind.MECHANICAL,)),
    Attack("slacker", "slacker", 8, (Kind.FALLING,)),
)


def one(job: tuple[str, Attack, int]) -> dict[str, Any]:
    """One project: counts of earners, and how many answers they had given."""
    name, attack, seed = job
    setting = SETTINGS[name]
    classes = len(setting.prior)
    people = honest(PEOPLE, seed, classes)
    if attack.count:
        people += cheats(attack.kind, attack.count, seed, classes=classes)
    simulate = drawn_adversaries.project if name == DRAWN else adversaries.project
    made = simulate(people, seed, setting)
    findings = find(made.log)
    good, bad = made.of(*HONEST), made.of(attack.kind)
    steps = np.zeros(len(people), dtype=np.int64)
    for response in respond(findings):
        steps[response.earner] = response.step
    answers = np.bincount(made.log.votes.earners, minlength=len(people))
    # who always draws one box around everything looks like who draws anywhere
    also = (Kind.RANDOM,) if name == DRAWN and Kind.CONSTANT in attack.by else ()
    told = _told(findings, (*attack.by, *also))
    return {
        "found": int(told[bad].sum()),
        "cheats": len(bad),
        "accused": int(told[good].sum()),
        "honest": len(good),
        "answers": answers[bad].tolist(),
        "answers_honest": answers[good].tolist(),
        "steps_bad": np.bincount(steps[bad], minlength=len(Step)).tolist(),
        "steps_good": np.bincount(steps[good], minlength=len(Step)).tolist(),
        "kinds": {made.people[who].kind: int(told[who]) for who in good if told[who]},
        "signals": {each.kind.value: int(each.told[good].sum()) for each in findings},
    }


def _told(findings: Sequence[Finding], kinds: Sequence[Kind]) -> Indices:
    flags = [each.told for each in findings if each.kind in kinds]
    return np.asarray(np.any(flags, axis=0), dtype=np.int64)


def summed(name: str, attack: Attack, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over all seeds."""

    def total(key: str) -> float:
        return float(sum(row[key] for row in rows))

    steps = {key: np.sum([row[key] for row in rows], axis=0) for key in ("steps_bad", "steps_good")}
    reviewed = float(steps["steps_bad"][Step.REVIEW])
    wrongly = float(steps["steps_good"][Step.REVIEW])
    answers = [count for row in rows for count in row["answers"]] or [0]
    return {
        "classes": name,
        "attack": attack.name,
        "found": total("found") / max(total("cheats"), 1),
        "accused": total("accused") / total("honest"),
        "answers": float(np.median(answers)),
        "answers_honest": float(np.median([n for row in rows for n in row["answers_honest"]])),
        "reviewed": reviewed / max(total("cheats"), 1),
        "reviewed_honest": wrongly / total("honest"),
        "precision": reviewed / max(reviewed + wrongly, 1),
        "steps_honest": steps["steps_good"].tolist(),
        "signals_honest": {
            kind: sum(row["signals"][kind] for row in rows) for kind in rows[0]["signals"]
        },
    }


def recorded(each: AnswerSet) -> Iterator[dict[str, Any]]:
    """Who would be told of in a recorded set; a tenth of the items is gold."""
    votes, known = each.votes, each.truth != UNKNOWN
    findings = find(Log(votes, crowds.gold_of(each, GOLD, 1)))
    right = (votes.labels == each.truth[votes.items]) & known[votes.items]
    hits = np.bincount(votes.earners, right, minlength=votes.n_earners)
    of = np.bincount(votes.earners, known[votes.items], minlength=votes.n_earners)
    share = hits / np.maximum(of, 1)
    for response in respond(findings):
        earner = response.earner
        yield {
            "set": each.name,
            "earner": earner,
            "step": response.step.name,
            "right": float(share[earner]),
            "usual": float(hits.sum() / max(of.sum(), 1)),
            "rank": float((share[of > 0] < share[earner]).mean()),
            "answers": int((votes.earners == earner).sum()),
            "evidence": list(response.evidence),
        }


def speed(answers: int) -> float:
    """Seconds for so many answers by a few thousand earners, all detectors but the keys."""
    each = crowds.many(answers)
    votes = each.votes.only(each.votes.first_each())
    dice = np.random.default_rng(1)
    at = np.sort(dice.uniform(0, 1e6, len(votes)))
    log = Log(votes, crowds.gold_of(each, 0.05, 1), dice.lognormal(2, 0.5, len(votes)), at)
    began = time.perf_counter()
    find(log)
    return time.perf_counter() - began


def aims_of(rows: Sequence[dict[str, Any]], seconds: float) -> list[Aim]:
    aims = []
    for row in rows:
        what = f"{row['attack']}, {row['classes']} classes"
        if row["attack"] != "nobody":
            met = row["found"] >= FOUND
            aims.append(Aim(f"{what}: found", row["found"], f">= {FOUND}", met))
        met = row["accused"] <= ACCUSED
        aims.append(Aim(f"{what}: honest accused", row["accused"], f"<= {ACCUSED}", met))
        if row["attack"].startswith("farm"):
            met = row["precision"] >= 0.95
            aims.append(Aim(f"{what}: precision of review", row["precision"], ">= 0.95", met))
    fast = seconds <= SECONDS
    return [*aims, Aim("seconds for a million answers", seconds, f"<= {SECONDS:g}", fast)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = []
    print(f"{'classes':8} {'attack':12}", *(f"{each:>16}" for each in COLUMNS))
    with ProcessPoolExecutor(2) as pool:
        for name in SETTINGS:
            for attack in ATTACKS:
                seeds = -(-options.seeds // FEWER) if name == DRAWN else options.seeds
                jobs = [(name, attack, seed) for seed in range(seeds)]
                row = summed(name, attack, list(pool.map(one, jobs)))
                rows.append(row)
                shown = (f"{row[key]:>16.4g}" for key in COLUMNS)
                print(f"{name:8} {attack.name:12}", *shown, flush=True)
    told = [] if options.data is None else _recorded(options.data)
    seconds = speed(options.answers)
    results = {"attacks": rows, "recorded": told, "seconds": seconds}
    conclude(results, aims_of(rows, seconds), options.out)


def _recorded(folder: Path) -> list[dict[str, Any]]:
    told = [row for each in crowds.public(folder) for row in recorded(each)]
    for row in told:
        print(
            f"{row['set']} no. {row['earner']}: {row['step']}, right {row['right']:.2f} of "
            f"{row['answers']}, where {row['usual']:.2f} is usual (better than "
            f"{row['rank']:.0%} of the crowd): {' '.join(row['evidence'])}"
        )
    return told


if __name__ == "__main__":
    main()
