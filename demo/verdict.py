"""Whether a demo's results are right. Pure."""

from collections.abc import Mapping
from typing import Any


def failures(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with a report, one sentence each; empty if nothing is."""
    rules = {
        "box recall is below 0.95": report["box_recall"] >= 0.95,
        "box precision is below 0.95": report["box_precision"] >= 0.95,
        "mean IoU is below 0.80": report["box_mean_iou"] >= 0.80,
        "image labels are below 0.95": report["label_accuracy"] >= 0.95,
        "not every spammer was stopped": report["spammers_blocked"] == report["spammers"],
        "somebody careful or average was stopped": report["honest_blocked"] == 0,
        "more was spent than the worst case": report["spent_micro"] <= report["worst_case_micro"],
        "an answer's pay was left undecided": report["undecided_earnings"] == 0,
        "nothing was paid out": report["paid_out_micro"] > 0,
        "the ledger is not balanced": report["ledger_balanced"],
        "a dataset is not what its manifest says": report["dataset_verified"],
    }
    return [sentence for sentence, holds in rules.items() if not holds]
