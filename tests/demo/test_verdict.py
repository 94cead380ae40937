"""The demo fails for each thing that may be wrong, and for nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.__main__ import concluded
from demo.verdict import PROMISED, failures
from demo.ways import WAYS
from deploy.embedded.places import Places
from tessera.kinds import KINDS
from tests.deploy.driving import CHECKOUT

RIGHT: dict[str, Any] = {
    "images": 63, "tiles": 493, "tasks": 400, "answers": 1800, "gold_answers": 470,
    "seconds": 195.0, "reviewed": 8, "label_accuracy": 0.95, "box_precision": 0.95,
    "box_recall": 0.95, "box_mean_iou": 0.80, "spammers": 5, "spammers_blocked": 5,
    "honest_blocked": 0, "spent_micro": 179, "worst_case_micro": 179, "undecided_earnings": 0,
    "paid_out_micro": 1, "ledger_balanced": True, "earnings_consistent": True,
    "payouts_consistent": True, "queue_consistent": True, "dataset_id": "7303",
    "dataset_verified": True,
    "answers_until_sure": 750, "answers_always_six": 1000,
    "right_until_sure": 0.98, "right_always_six": 1.0,
    "kinds": {
        kind: {"metric": way.metric, "value": way.floor, "floor": way.floor, "objects": 99}
        for kind, way in WAYS.items()
    },
}  # fmt: skip
"""As bad as it may be."""


def with_value(kind: str, value: float) -> dict[str, Any]:
    """A change of the report: how good one kind is."""
    return {"kinds": {**RIGHT["kinds"], kind: {**RIGHT["kinds"][kind], "value": value}}}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("box recall is below 0.95", {"box_recall": 0.9499}),
    ("box precision is below 0.95", {"box_precision": 0.9499}),
    ("mean IoU is below 0.80", {"box_mean_iou": 0.7999}),
    ("image labels are below 0.95", {"label_accuracy": 0.9499}),
    ("the reviewer had to decide too much", {"reviewed": 9}),
    ("not every spammer was stopped", {"spammers_blocked": 4}),
    ("not every spammer was stopped", {"spammers": 0, "spammers_blocked": 0}),
    ("somebody careful or average was stopped", {"honest_blocked": 1}),
    ("more was spent than the worst case", {"spent_micro": 180}),
    ("an answer's pay was left undecided", {"undecided_earnings": 1}),
    ("nothing was paid out", {"paid_out_micro": 0}),
    ("the ledger is not balanced", {"ledger_balanced": False}),
    ("the earnings do not agree with the ledger", {"earnings_consistent": False}),
    ("the payouts do not agree with the ledger", {"payouts_consistent": False}),
    ("queue, leases and answers do not agree", {"queue_consistent": False}),
    ("a dataset is not what its manifest says", {"dataset_verified": False}),
    ("asking until sure saves too little", {"answers_until_sure": 751}),
    ("asking until sure makes worse labels", {"right_until_sure": 0.979}),
]
ANY_OTHER = {"images", "tiles", "answers", "gold_answers", "seconds", "dataset_id"}


def test_a_report_that_is_just_good_enough_passes() -> None:
    assert failures(RIGHT) == []


@pytest.mark.parametrize(("sentence", "change"), WRONG, ids=str)
def test_each_thing_that_is_wrong_fails_with_its_own_sentence(
    sentence: str, change: dict[str, Any]
) -> None:
    assert failures({**RIGHT, **change}) == [sentence]


@pytest.mark.parametrize("kind", WAYS)
def test_a_kind_below_its_floor_fails_whatever_floor_the_report_says(kind: str) -> None:
    floor = WAYS[kind].floor
    change = with_value(kind, round(floor - 0.001, 4))
    (sentence,) = failures({**RIGHT, **change})
    assert sentence == f"{kind} is at {floor - 0.001:.4g}, below its floor of {floor}"
    change["kinds"][kind]["floor"] = 0.0
    assert failures({**RIGHT, **change}) == [sentence]


@pytest.mark.parametrize("kind", WAYS)
def test_a_kind_that_nobody_was_asked_for_fails(kind: str) -> None:
    rest = {name: found for name, found in RIGHT["kinds"].items() if name != kind}
    assert failures({**RIGHT, "kinds": rest}) == [f"nobody was asked for {kind}"]


def test_every_kind_goes_the_whole_way() -> None:
    assert set(WAYS) == set(KINDS)


def test_all_that_can_be_wrong_is_said_at_once() -> None:
    worst: dict[str, Any] = {}
    for _, change in WRONG:
        worst |= change
    assert set(failures({**RIGHT, **worst})) == {sentence for sentence, _ in WRONG}


def test_each_number_of_a_report_is_judged_or_only_informs() -> None:
    judged = {name for _, change in WRONG for name in change}
    assert judged | ANY_OTHER | {
        "tasks",
        "worst_case_micro",
        "kinds",
        "answers_always_six",
        "right_always_six",
    } == set(RIGHT)


@pytest.mark.parametrize("name", PROMISED)
def test_a_report_that_leaves_something_out_fails(name: str) -> None:
    rest = {key: value for key, value in RIGHT.items() if key != name}
    assert failures(rest) == [f"the report does not say {name}"]


def test_a_crowd_whose_answers_are_never_settled_does_not_pass_by_its_reviewer() -> None:
    assert failures({**RIGHT, "reviewed": RIGHT["tasks"]})


@pytest.mark.parametrize(
    ("change", "status"),
    [({}, 0), ({"box_recall": 0.5}, 1), (with_value("polygon", 0.5), 1)],
    ids=["right", "recall", "polygon"],
)
def test_the_demo_succeeds_only_if_all_is_right_and_writes_its_report_either_way(
    change: dict[str, Any], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {**RIGHT, **change, "stopped": {}}
    assert concluded(report, tmp_path) == status
    assert json.loads((tmp_path / "report.json").read_text()) == report
    said = capsys.readouterr().out
    assert [line for line in failures(report) if f"✗ {line}" not in said] == []


def test_a_demo_that_cannot_run_fails_and_says_why(tmp_path: Path) -> None:
    with Places.under(tmp_path / "var" / "demo").alone():
        done = subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stdout
