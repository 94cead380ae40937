"""Whether a demo's results are right. Pure."""

from collections.abc import Mapping
from typing import Any

from demo.ways import WAYS

PROMISED = (
    "images", "tiles", "tasks", "answers", "gold_answers", "seconds", "label_accuracy",
    "box_precision", "box_recall", "box_mean_iou", "spammers_blocked", "honest_blocked",
    "spent_micro", "worst_case_micro", "paid_out_micro", "ledger_balanced", "dataset_id",
    "dataset_verified", "kinds", "answers_until_sure", "answers_always_six",
    "right_until_sure", "right_always_six",
)  # fmt: skip
"""What a report says at least."""
MOST_REVIEWED = 0.02
"""Share of the tasks. The reviewer is told the truth: it says nothing of how people settle."""

MOST_ASKED, MOST_LOST = 0.75, 0.02
"""Of the answers that six of everything take; and of the pictures, that those get right."""


def failures(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with a report, one sentence each; empty if nothing is."""
    if missing := [name for name in PROMISED if name not in report]:
        return [f"the report does not say {name}" for name in missing]
    rules = {
        "box recall is below 0.95": report["box_recall"] >= 0.95,
        "box precision is below 0.95": report["box_precision"] >= 0.95,
        "mean IoU is below 0.80": report["box_mean_iou"] >= 0.80,
        "image labels are below 0.95": report["label_accuracy"] >= 0.95,
        "the reviewer had to decide too much": (
            report["reviewed"] <= MOST_REVIEWED * report["tasks"]
        ),
        "not every spammer was stopped": report["spammers_blocked"] == report["spammers"] > 0,
        "somebody careful or average was stopped": report["honest_blocked"] == 0,
        "more was spent than the worst case": report["spent_micro"] <= report["worst_case_micro"],
        "an answer's pay was left undecided": report["undecided_earnings"] == 0,
        "nothing was paid out": report["paid_out_micro"] > 0,
        "the ledger is not balanced": report["ledger_balanced"],
        "the earnings do not agree with the ledger": report["earnings_consistent"],
        "the payouts do not agree with the ledger": report["payouts_consistent"],
        "queue, leases and answers do not agree": report["queue_consistent"],
        "a dataset is not what its manifest says": report["dataset_verified"],
    }
    rules |= {
        "asking until sure saves too little": (
            report["answers_until_sure"] <= MOST_ASKED * report["answers_always_six"]
        ),
        "asking until sure makes worse labels": (
            report["right_until_sure"] >= report["right_always_six"] - MOST_LOST
        ),
    }
    wrong = [sentence for sentence, holds in rules.items() if not holds]
    return wrong + [line for kind in WAYS if (line := _of_kind(kind, report["kinds"]))]


def _of_kind(kind: str, kinds: Mapping[str, Any]) -> str | None:
    if kind not in kinds:
        return f"nobody was asked for {kind}"
    value, floor = kinds[kind]["value"], WAYS[kind].floor
    return None if value >= floor else f"{kind} is at {value}, below its floor of {floor}"
