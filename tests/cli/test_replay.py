from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.truth.stopping import USUAL_TARGET
from tests.cli.bad_policies import BAD_POLICIES
from tests.cli.running import Shell

COLUMNS = "item,worker,label"
REFUSED = 1
CLASSES = ("cat", "dog")
CARELESS = "w9"


@dataclass(frozen=True)
class Files:
    """Answers, truths and policies in a folder, and the command about them."""

    folder: Path
    tessera: Shell

    def saved(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def words(self, *policies: str | bytes) -> list[str | Path]:
        """Of a policy and, if there are two, of the one that it is compared with."""
        words: list[str | Path] = [
            "quality",
            "replay",
            "--labels",
            self.folder / "labels.csv",
            "--truth",
            self.folder / "truth.csv",
        ]
        for option, policy in zip(("--policy", "--against"), policies, strict=False):
            words += [option, self.saved(f"{option[2:]}.yaml", policy)]
        return words

    def told(self, *policies: str | bytes) -> Any:
        return self.tessera.well(*self.words(*policies))

    def refusal(self, *policies: str | bytes) -> str:
        """The one line that is said."""
        status, (said,) = self.tessera.refused(*self.words(*policies))
        assert status == REFUSED
        return said


@pytest.fixture
def files(tmp_path: Path, tessera: Shell) -> Files:
    """Two hundred animals, five answers each by nine good earners and a careless one."""
    dice = np.random.default_rng(5)
    rows, truths = [COLUMNS], ["item,label"]
    for number in range(200):
        true = int(dice.integers(2))
        truths.append(f"{number}.jpg,{CLASSES[true]}")
        for earner in dice.permutation(10)[:5]:
            often = 0.15 if f"w{earner}" == CARELESS else 0.92
            said = true if dice.random() < often else 1 - true
            rows.append(f"{number}.jpg,w{earner},{CLASSES[said]}")
    files = Files(tmp_path, tessera)
    files.saved("labels.csv", "\n".join([rows[0], *dice.permutation(rows[1:])]) + "\n")
    files.saved("truth.csv", "\n".join(truths) + "\n")
    return files


def of_labels(files: Files, *rows: str) -> None:
    files.saved("labels.csv", "\n".join([COLUMNS, *rows]) + "\n")


def changed(files: Files, name: str, change: Callable[[bytes], bytes]) -> None:
    path = files.folder / name
    path.write_bytes(change(path.read_bytes()))


def without(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in {"seconds", *names}}


def test_a_replay_says_how_good_how_dear_and_how_sure_it_is(files: Files) -> None:
    told = files.told("gold_share: 0.3")
    assert (told["answers_total"], told["items"], told["earners"]) == (1_000, 200, 10)
    assert 400 <= told["answers_used"] < 1_000
    assert told["gold"] + told["scored"] == 200
    assert 0.15 < told["gold"] / 200 < 0.45
    assert told["accuracy"] > 0.93
    assert 0 <= told["ece"] < 0.1
    assert told["seconds"] > 0
    low, high = told["estimated_interval"]
    assert low < told["accuracy"] < high
    assert told["estimated_accuracy"] == pytest.approx(told["accuracy"], abs=0.08)
    assert sum(each["items"] for each in told["reliability"]) == told["scored"]
    assert (told["repeated"], told["unanswered"], told["cost_micro"]) == (0, 0, None)
    assert told["target_confidence"] == USUAL_TARGET
    assert told["policy"]["gold_share"] == 0.3


def test_who_was_stopped_is_named_with_the_reason(files: Files) -> None:
    told = files.told("gold_share: 0.5")
    assert told["stopped"] == 1
    (stopped,) = told["stopped_earners"]
    assert stopped["worker"] == CARELESS
    assert stopped["gold"] >= stopped["missed"] > 1
    assert stopped["reason"].endswith(".")
    assert (
        f"stopped   1 of 10 earners\n          {CARELESS}: {stopped['reason']}"
        in files.tessera(*files.words("gold_share: 0.5")).out
    )


def test_people_read_the_same_figures(files: Files) -> None:
    policy = "price_micro: 20000\ngold_share: 0.3"
    told, ran = files.told(policy), files.tessera(*files.words(policy))
    assert ran.status == 0
    assert ran.err == "1000 answers about 200 items\n"
    for line in (
        f"answers   {told['answers_used']:,} of 1,000 asked for",
        f"gold      {told['gold']} items",
        f"accuracy  {told['accuracy']:.2%} of {told['scored']} scored items",
        f"ece       {told['ece']:.4f}",
        f"stopped   {told['stopped']} of 10 earners",
        f"cost      {told['cost_micro'] / 1e6:.2f}, {told['saved_micro'] / 1e6:.2f} less",
    ):
        assert line in ran.out
    assert "against" not in ran.out


def test_the_same_files_come_to_the_same(files: Files) -> None:
    assert without(files.told("")) == without(files.told(""))


def test_without_a_policy_it_is_as_with_an_empty_one(files: Files) -> None:
    assert without(files.told()) == without(files.told("# nothing\n"))


def test_two_policies_are_compared(files: Files) -> None:
    cheap, dear = "max_overlap: 2\nprice_micro: 5", "target_confidence: 1\nprice_micro: 5"
    told = files.told(cheap, dear)
    assert told["answers_used"] < told["against"]["answers_used"]
    assert without(told, "against") == without(files.told(cheap))
    assert without(told["against"]) == without(files.told(dear))
    said = files.tessera(*files.words(cheap, dear)).out.split("against the other policy:\n")[1]
    assert f"answers   {told['answers_used'] - told['against']['answers_used']:+}\n" in said
    off = 100 * (told["accuracy"] - told["against"]["accuracy"])
    assert f"accuracy  {off:+.2f} points\n" in said
    assert "cost      -0.00\n" in said


def test_an_answer_has_a_price(files: Files) -> None:
    told = files.told("price_micro: 30000")
    assert told["cost_micro"] == 30_000 * told["answers_used"]
    assert told["cost_micro"] + told["saved_micro"] == 30_000 * 1_000


def test_what_a_wrong_label_costs_sets_the_target(files: Files) -> None:
    told = [
        files.told(f"price_micro: 1000\nwrong_label_micro: {cost}\nmax_overlap: null")
        for cost in (10_000, 1_000_000)
    ]
    assert [each["target_confidence"] for each in told] == [0.9, 0.999]
    assert told[0]["answers_used"] < told[1]["answers_used"]
    same = files.told("target_confidence: 0.9\nmax_overlap: null")
    assert same["answers_used"] == told[0]["answers_used"]


def test_nobody_is_asked_for_less_or_more_than_the_policy_says(files: Files) -> None:
    assert files.told("min_overlap: 3\nmax_overlap: 3\nminimum_trust: 0")["answers_used"] == 600
    assert files.told("min_overlap: 5\nminimum_trust: 0")["answers_used"] == 1_000


@pytest.mark.parametrize(
    "change",
    [
        lambda table: b"\xef\xbb\xbf" + table,
        lambda table: table.replace(b"\n", b"\r\n"),
        lambda table: b"".join(b"x," + row + b",\n" for row in table.split(b"\n")[:-1]),
        lambda table: b"".join(
            b",".join(row.split(b",")[::-1]) + b"\n" for row in table.split(b"\n")[:-1]
        ),
        lambda table: table.strip().replace(b"\n", b',"' + b"so\n" * 700 + b'"\n') + b",so\n",
        lambda table: table.rstrip() + b"\n\n\n",
        lambda table: table.rstrip(),
    ],
    ids=[
        "BOM",
        "CRLF",
        "other columns",
        "another order",
        "long remarks",
        "blank lines",
        "no last end of line",
    ],
)
def test_tables_as_others_write_them_come_to_the_same(
    files: Files, change: Callable[[bytes], bytes]
) -> None:
    before = without(files.told(""))
    for name in ("labels.csv", "truth.csv"):
        changed(files, name, change)
    assert without(files.told("")) == before


def test_names_may_have_commas_quotes_and_line_ends(files: Files) -> None:
    before = without(files.told("gold_share: 0.5"))
    for name in ("labels.csv", "truth.csv"):
        changed(files, name, lambda table: table.replace(b"dog", b'"dog, ""the""\nother"'))
    changed(files, "labels.csv", lambda table: table.replace(b"w9", b'"nine,\nNA"'))
    after = files.told("gold_share: 0.5")
    assert after["stopped_earners"][0]["worker"] == "nine,\nNA"
    assert without(after, "stopped_earners") == without(before, "stopped_earners")


def test_words_for_nothing_are_names_like_others(files: Files) -> None:
    of_labels(files, "NA,null,nan", "NA,None,nan", "null,null,N/A", "null,None,N/A")
    files.saved("truth.csv", "item,label\nNA,nan\nnull,N/A\n")
    told = files.told("gold_share: 0")
    assert (told["items"], told["earners"], told["scored"]) == (2, 2, 2)
    assert told["accuracy"] == 1


def test_who_is_recorded_twice_counts_once(files: Files) -> None:
    before = files.told("")
    changed(files, "labels.csv", lambda table: table + b"\n".join(table.split(b"\n")[1:8]) + b"\n")
    after = files.told("")
    assert (after["repeated"], after["answers_total"]) == (7, 1_007)
    assert after["accuracy"] == before["accuracy"]
    assert after["answers_used"] == before["answers_used"]
    assert "repeated  7 answers" in files.tessera(*files.words("")).out


def test_truths_of_what_nobody_answered_are_counted_and_change_nothing(files: Files) -> None:
    before = files.told("")
    changed(files, "truth.csv", lambda table: table + b"new.jpg,cat\nnewer.jpg,dog\n")
    after = files.told("")
    assert after["unanswered"] == 2
    assert without(after, "unanswered") == without(before, "unanswered")


def test_a_true_label_that_nobody_ever_said_is_a_class_that_is_missed(files: Files) -> None:
    changed(files, "truth.csv", lambda table: table.replace(b",cat", b",okapi"))
    told = files.told("gold_share: 0")
    dogs = (files.folder / "truth.csv").read_text().count("dog")
    assert (told["scored"], told["items"]) == (200, 200)
    assert told["accuracy"] == pytest.approx(dogs / 200, abs=0.03)


def test_an_item_may_have_the_same_truth_twice(files: Files) -> None:
    before = without(files.told(""))
    changed(files, "truth.csv", lambda table: table + table.split(b"\n")[1] + b"\n")
    assert without(files.told("")) == before


@pytest.mark.parametrize("truths", ["nobody.jpg,cat", "0.jpg,cat"])
def test_if_nothing_is_left_to_score_accuracy_is_unknown(files: Files, truths: str) -> None:
    """None of the items has truth, or all that have it are gold."""
    files.saved("truth.csv", f"item,label\n{truths}\n")
    told = files.told("gold_share: 0.5")
    assert (told["accuracy"], told["ece"], told["estimated_accuracy"]) == (None, None, None)
    assert (told["scored"], told["reliability"]) == (0, [])
    assert told["gold"] == (truths == "0.jpg,cat")
    ran = files.tessera(*files.words("gold_share: 0.5", "max_overlap: 2\ngold_share: 0.5"))
    assert ran.status == 0
    assert "accuracy  unknown: no item with truth is left to score" in ran.out
    assert "points" not in ran.out


BAD_TABLES = {
    "no such column": ("item,label\na,cat\n", "the first line must name the columns"),
    "semicolons": ("item;worker;label\na;w;cat\n", "separated by commas"),
    "empty": ("", "is empty"),
    "header only": (f"{COLUMNS}\n", "has no rows"),
    "empty cell": (f"{COLUMNS}\na,w,cat\nb,,cat\n", "row 2 after the first line: worker is empty"),
    "quotes around nothing": (
        f'{COLUMNS}\na,w,cat\nb,w,""\n',
        "row 2 after the first line: label is empty",
    ),
    "spaces only": (f"{COLUMNS}\n  ,w,cat\n", "row 1 after the first line: item is empty"),
    "too many cells": (f"{COLUMNS}\na,w,cat\nb,w,cat,dog\n", "Expected 3 columns, got 4"),
    "too few cells": (f"{COLUMNS}\na,w,cat\nb,w\n", "Expected 3 columns, got 2"),
    "not UTF-8": (f"{COLUMNS}\na,w,".encode() + b"\xff\n", "is not CSV in UTF-8"),
    "UTF-16": (f"{COLUMNS}\na,w,cat\n".encode("utf-16"), "columns item, worker, label"),
    "an open quote": (f'{COLUMNS}\na,"w,cat\n', "is not CSV"),
}


@pytest.mark.parametrize(("table", "why"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_answers_that_cannot_be_read_are_refused(
    files: Files, table: str | bytes, why: str
) -> None:
    files.saved("labels.csv", table)
    said = files.refusal()
    assert said.startswith("bad-records: labels.csv: ")
    assert why in said


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("item,worker\na,cat\n", "the first line must name the columns item, label, separated by"),
        ("item,label\n", "has no rows"),
        ("item,label\n0.jpg,\n", "row 1 after the first line: label is empty"),
        (
            "item,label\n0.jpg,cat\n1.jpg,cat\n0.jpg,dog\n",
            "row 3 after the first line: item '0.jpg' has two truths",
        ),
        (b"item,label\n0.jpg,\xe9\n", "is not CSV in UTF-8"),
    ],
)
def test_truths_that_cannot_be_read_are_refused(files: Files, table: str | bytes, why: str) -> None:
    files.saved("truth.csv", table)
    assert files.refusal().startswith(f"bad-records: truth.csv: {why}")


@pytest.mark.parametrize("name", ["labels.csv", "truth.csv"])
def test_a_file_that_is_missing_or_a_folder_is_said_to_be(files: Files, name: str) -> None:
    words = files.words()
    (files.folder / name).unlink()
    assert files.refusal().startswith("os-error: ")
    (files.folder / name).mkdir()
    status, (said,) = files.tessera.refused(*words)
    assert (status, said.split(":")[0]) == (REFUSED, "os-error")
    assert name in said


def test_a_policy_that_is_missing_is_said_to_be(files: Files) -> None:
    status, (said,) = files.tessera.refused(*files.words(), "--policy", files.folder / "no.yaml")
    assert (status, said.split(":")[0]) == (REFUSED, "os-error")
    assert "no.yaml" in said


def test_what_the_command_needs_is_said(files: Files) -> None:
    for words in (["quality"], ["quality", "replay"], files.words()[:-2]):
        status, (said,) = files.tessera.refused(*words)
        assert (status, said.split(":")[0]) == (2, "bad-usage")


@pytest.mark.parametrize(
    ("policy", "why"), BAD_POLICIES.items(), ids=[str(each)[:40] for each in BAD_POLICIES]
)
def test_a_policy_that_cannot_be_meant_is_refused(
    files: Files, policy: str | bytes, why: str
) -> None:
    assert files.refusal(policy).startswith("bad-policy: policy.yaml: ")
    said = files.refusal("", policy)
    assert said.startswith("bad-policy: against.yaml: ")
    assert why in said


def test_a_policy_runs_nothing(files: Files) -> None:
    made = files.folder / "made"
    run = f"!!python/object/apply:os.system ['touch {made}']"
    for policy in (run, f"gold_share: {run}", f"? {run}\n: 1"):
        assert "is not YAML" in files.refusal(policy)
    assert not made.exists()


@pytest.mark.parametrize("again", ["[{}]", "{{<<: [{}]}}"], ids=["lists", "merges"])
def test_a_few_lines_that_stand_for_billions_are_refused(files: Files, again: str) -> None:
    bomb = [
        f"a{level}: &a{level} " + again.format(", ".join([f"*a{level - 1}"] * 9))
        for level in range(1, 13)
    ]
    said = files.refusal("\n".join(["a0: &a0 {x: 1, y: 2}", *bomb]))
    assert said.startswith("bad-policy: policy.yaml: ")
