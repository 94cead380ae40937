"""Quality: what answers come to, beside Crowd-Kit on the same answers, and how many it takes.

    python -m bench.quality [--data FOLDER] [--draws 10] [--answers 1m] [--pictures 300]

FOLDER has a folder for each set with `labels.csv` (item, worker, label) and `truth.csv` (item,
label); without it, simulated crowds, the same each time. Of each set a tenth of the items is gold,
drawn several times: as in a project, the engine knows them. They are not scored, for anybody.
Crowd-Kit's methods see the same answers; Dawid-Skene is also told the gold.

Drawings are simulated: boxes by people of whom some see little, some see things, and some shake;
beside what more than half of the first so many have drawn, as most tools decide it. If FOLDER has
recorded clicks (`bench.spots`), these too.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote

from bench import crowds, drawings, routing, spots
from bench.crowds import AnswerSet
from bench.results import Aim, conclude, sizes_of
from tessera.quality.replay import Policy, Replayed, replay
from tessera.truth.calibration import expected_calibration_error
from tessera.truth.confusion import estimate
from tessera.truth.stopping import Stopping
from tessera.truth.votes import UNKNOWN, Flags, Floats, Indices, Votes

OUT = Path("var/bench/quality.json")
GOLD = 0.1
ALL = Policy(Stopping(max_overlap=None, target_confidence=2.0), minimum_trust=0.0)
ADAPTIVE = Policy()
SLACK, LOSS, SHARE, ECE, HOLDS = -0.3, -0.5, 0.55, 0.05, 0.95
TIMES_FEWER, SAVED = 2.0, 0.25
ONLINE, TIMES_FASTER = 50_000, 10.0
_NOISE_DRAWS = 20

Method = Callable[[pd.DataFrame], "pd.Series[Any]"]
PEERS: dict[str, Method] = {
    "majority vote": lambda answers: MajorityVote().fit_predict(answers),
    "Dawid-Skene": lambda answers: DawidSkene(n_iter=100).fit_predict(answers),
    "GLAD": lambda answers: GLAD().fit_predict(answers),
    "MACE": lambda answers: MACE().fit_predict(answers),
}


def frame(votes: Votes) -> pd.DataFrame:
    """As Crowd-Kit has it."""
    return pd.DataFrame({"task": votes.items, "worker": votes.earners, "label": votes.labels})


def labels_of(found: "pd.Series[Any]", items: int) -> Indices:
    labels = np.full(items, UNKNOWN)
    labels[found.index.to_numpy()] = found.to_numpy()
    return labels


def told_gold(answers: pd.DataFrame, gold: Indices) -> "pd.Series[Any]":
    """Dawid-Skene that knows the gold."""
    known = np.flatnonzero(gold != UNKNOWN)
    true = pd.Series(gold[known], index=pd.Index(known, name="task"))
    return DawidSkene(n_iter=100).fit(answers, true_labels=true).labels_


def compared(each: AnswerSet, draws: int) -> dict[str, Any]:
    """One set: everyone's accuracy in percent, ours with all answers and with some, calibration."""
    answers = frame(each.votes)
    peers = {name: labels_of(method(answers), each.votes.n_items) for name, method in PEERS.items()}
    rows = []
    for draw in range(draws):
        gold = crowds.gold_of(each, GOLD, draw)
        scored = (each.truth != UNKNOWN) & (gold == UNKNOWN)
        with_gold = labels_of(told_gold(answers, gold), each.votes.n_items)
        everything = replay(each.votes, gold=gold, policy=ALL)
        some = replay(each.votes, gold=gold, policy=ADAPTIVE)
        rows.append(
            {
                **{name: _right(found, each, scored) for name, found in peers.items()},
                "Dawid-Skene told the gold": _right(with_gold, each, scored),
                **_of(each, everything, scored, "all"),
                **_of(each, some, scored, "adaptive"),
                "used": float(some.asked.mean()),
                "interval holds": float(_holds(each, some, gold, scored)),
                "stopped": float(len(some.stopped)),
            }
        )
    no_gold = np.full(each.votes.n_items, UNKNOWN)
    alone = replay(each.votes, gold=no_gold, policy=ALL)
    told = _of(each, alone, each.truth != UNKNOWN, "without gold")
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {"set": each.name, "answers": len(each.votes), **means, **told}


def _right(labels: Indices, each: AnswerSet, scored: Flags) -> float:
    return float(100 * (labels[scored] == each.truth[scored]).mean())


def _holds(each: AnswerSet, found: Replayed, gold: Indices, scored: Flags) -> bool:
    """Whether what is told of the accuracy is so."""
    low, high = found.interval(gold)
    here = scored & found.answered
    return bool(low <= (found.labels[here] == each.truth[here]).mean() <= high)


def _of(each: AnswerSet, found: Replayed, scored: Flags, name: str) -> dict[str, float]:
    right, sure = found.labels[scored] == each.truth[scored], found.confidence[scored]
    return {
        name: float(100 * right.mean()),
        f"{name}, ece": expected_calibration_error(sure, right),
        f"{name}, ece if it were perfect": _noise(sure),
    }


def _noise(sure: Floats) -> float:
    """What the error would be of so many items if each were right as often as told."""
    dice = np.random.default_rng(1)
    return float(
        np.mean(
            [
                expected_calibration_error(sure, dice.random(len(sure)) < sure)
                for _ in range(_NOISE_DRAWS)
            ]
        )
    )


def speed(answers: int) -> dict[str, float]:
    """Estimating anew beside Crowd-Kit's Dawid-Skene, and replaying, of so many answers."""
    each = crowds.many(answers)
    table = frame(each.votes)
    theirs = _seconds(lambda: DawidSkene(n_iter=100).fit_predict(table))
    # anew, so that nothing is left of the time before
    ours = min(_seconds(lambda: estimate(each.votes.only(np.arange(answers)))) for _ in range(3))
    gold = crowds.gold_of(each, GOLD, 1)
    replayed = _seconds(lambda: replay(each.votes, gold=gold, policy=ADAPTIVE))
    return {
        "answers": answers,
        "ours_s": ours,
        "crowd_kit_s": theirs,
        "times": theirs / ours,
        "replayed_per_s": answers / replayed,
    }


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def aims_of(rows: Sequence[dict[str, Any]], fast: dict[str, float]) -> list[Aim]:
    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    best = float(np.mean([max(row[name] for name in PEERS) for row in rows]))
    beyond, kept = mean("all") - best, mean("adaptive") - mean("all")
    used, off, holds = mean("used"), mean("adaptive, ece"), mean("interval holds")
    return [
        Aim("points beyond the best peer of each set", beyond, f">= {SLACK}", beyond >= SLACK),
        Aim("points of that with some answers", kept, f">= {LOSS}", kept >= LOSS),
        Aim("share of the answers asked for", used, f"<= {SHARE}", used <= SHARE),
        Aim("calibration error", off, f"<= {ECE}", off <= ECE),
        Aim("intervals that hold the accuracy", holds, f">= {HOLDS}", holds >= HOLDS),
        Aim(
            "answers replayed per second",
            fast["replayed_per_s"],
            f">= {ONLINE:,}",
            fast["replayed_per_s"] >= ONLINE,
        ),
        Aim(
            "times as fast as Crowd-Kit's Dawid-Skene",
            fast["times"],
            f">= {TIMES_FASTER:g}",
            fast["times"] >= TIMES_FASTER,
        ),
    ]


def _table(rows: Sequence[dict[str, Any]]) -> None:
    columns = [*PEERS, "Dawid-Skene told the gold", "without gold", "all", "adaptive", "used"]
    columns += [
        "without gold, ece",
        "all, ece",
        "adaptive, ece",
        "adaptive, ece if it were perfect",
        "interval holds",
    ]
    wide = max(len(row["set"]) for row in rows)
    for name in columns:
        print(f"{name:34}", *(f"{row[name]:>{max(wide, 7)}.3f}" for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--answers", default="1m")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")  # of Crowd-Kit's own
    if options.data is None:
        sets = [crowds.simulated(recipe) for recipe in crowds.RECIPES]
    else:
        sets = list(crowds.public(options.data))
    rows = []
    for each in sets:
        print(f"· {each.name}: {len(each.votes):,} answers", flush=True)
        rows.append(compared(each, options.draws))
    print(f"{'':34}", *(f"{row['set'][:20]:>7}" for row in rows))
    _table(rows)
    fast = speed(sizes_of(options.answers)[0])
    print(f"· {options.pictures} pictures, each drawn by {drawings.MOST} of 30 people")
    drawn = drawings.compared(options.pictures, seeds=2)
    for each in drawn["quorums"]:
        print(f"a quorum of {each['answers']}: F1 {each['f1']:.4f}")
    for each in drawn["ours"]:
        print(f"until {each['target']}: {_told(each)}")
    aims = [*aims_of(rows, fast), _fewer("drawings than a quorum of seven", drawn)]
    print("· who is asked about what is hard, in a simulated crowd of specialists")
    asked = routing.compared(seeds=5)
    routing.table(asked)
    saved = routing.saved(asked)
    aims.append(Aim("share of further answers saved", saved, f">= {SAVED}", saved >= SAVED))
    results = {"sets": rows, "speed": fast, "drawings": drawn, "routing": asked}
    if options.data is not None and (clicked := options.data / spots.NAME).is_dir():
        results["clicks"] = clicks = spots.compared(clicked, seeds=2)
        print("· recorded clicks on spots")
        for each in clicks["quorums"]:
            print(f"a quorum of {each['answers']}: F1 {each['f1']:.3f}")
        for each in clicks["ours"]:
            print(f"until sure, of at most {each['most']}: {_told(each)}")
        aims.append(_fewer("clicks than a quorum of twenty", clicks))
    conclude(results, aims, options.out)


def _told(each: dict[str, float]) -> str:
    found = f"F1 {each['f1']:.3f} with {each['answers']:.2f} answers"
    return f"{found}, calibration error {each['ece']:.3f}"


def _fewer(what: str, found: dict[str, Any]) -> Aim:
    times = drawings.times_fewer(found)
    return Aim(f"times fewer {what}, as good", times, f">= {TIMES_FEWER:g}", times >= TIMES_FEWER)


if __name__ == "__main__":
    main()
