"""Each bench runs, at the smallest size that makes sense, and says what it promises to say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
FAULTS = ("duplicates", "over_assigned", "places_lost_or_doubled")
AIM = {"what", "measured", "wanted", "met"}

pytestmark = pytest.mark.long


def results_of(bench: str, *sizes: str, out: Path) -> dict[str, Any]:
    """What it writes; on the screen it says last whether each aim was met, and where that is."""
    command = [sys.executable, "-m", f"bench.{bench}", *sizes, "--out", str(out)]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(out.read_text())
    assert found["aims"]
    assert all(aim.keys() == AIM for aim in found["aims"])
    *verdicts, last = done.stdout.splitlines()[-len(found["aims"]) - 1 :]
    assert all("; aim: " in line and line.endswith("met") for line in verdicts)
    assert last == f"→ {out}"
    return found


def test_leases_and_answers_are_measured_beside_the_ceiling(tmp_path: Path) -> None:
    options = ("--sizes", "2k,4k", "--seconds", "1", "--rounds", "1")
    found = results_of("lease_answer", *options, out=tmp_path / "a.json")
    assert [size["tasks"] for size in found["sizes"]] == [2_000, 4_000]
    for size in found["sizes"]:
        assert all(size[fault] == 0 for fault in FAULTS)
        for by, processes in (("http", {"api", "postgres"}), ("postgres", {"postgres"})):
            assert [row["batch"] for row in size[by]] == [1, 10]
            for row in size[by]:
                assert row["tasks_per_second"] > 0
                for call in ("lease_ms", "answer_ms"):
                    assert 0 < row[call]["p50"] <= row[call]["p95"] <= row[call]["p99"]
                spent = row["cpu_ms_per_task"]
                assert spent.keys() == processes | {"client"}
                assert min(spent[name] for name in processes) > 0
    assert len(found["aims"]) == 2  # for batches of 1 and of 10


def test_slicing_is_measured_beside_dzsave_on_the_same_file(tmp_path: Path) -> None:
    found = results_of("slicing", "--side", "1500", "--runs", "1", out=tmp_path / "a.json")
    assert [row["input"] for row in found["rows"]] == ["1500.jpg", "1500_tiled.tif"]
    for row in found["rows"]:
        assert row["megapixels"] == 2.25
        for method in ("ours", "dzsave"):
            assert row[method]["mpix_per_s"] > 0
            assert row[method]["peak_mb"] > 0
        assert row["ratio"] > 0


def test_seams_are_measured_beside_sahi_on_the_same_pieces(tmp_path: Path) -> None:
    found = results_of("seams", "--objects", "600", out=tmp_path / "a.json")
    assert {row["shape"] for row in found["rows"]} == {"box", "polygon"}
    for row in found["rows"]:
        assert row["pieces"] > row["objects"] >= 600
        assert 0.99 < row["pq"] <= 1.01, "to those who know which pieces belong together"
        assert row["pq"] > row["pq_sahi"]
        assert row["times_sahi"] > 0


def test_exports_of_all_sizes_are_measured(tmp_path: Path) -> None:
    found = results_of("export", "--sizes", "2k,4k", "--coco", "2k", out=tmp_path / "a.json")
    assert [build["annotations"] for build in found["builds"]] == [2_000, 4_000]
    for each in [*found["builds"], found["json_dumps_of_one_dict"]]:
        assert each["annotations_per_second"] > 0
        assert each["peak_mb"] > 0
    beside = [(row["kind"], row["by"], row["annotations"]) for row in found["coco"]]
    assert beside == [
        (kind, by, 2_000) for kind in ("box", "polygon") for by in ("ours", "datumaro")
    ]
    for row in found["coco"]:
        assert row["annotations_per_second"] > 0
        assert row["peak_mb"] >= row["imports_mb"] > 0


def test_quality_is_measured_beside_crowd_kit_on_the_same_answers(tmp_path: Path) -> None:
    options = ("--draws", "1", "--answers", "20k", "--pictures", "40")
    found = results_of("quality", *options, out=tmp_path / "a.json")
    names = [row["set"] for row in found["sets"]]
    assert len(set(names)) == len(names) >= 6
    peers = ("majority vote", "Dawid-Skene", "GLAD", "MACE", "Dawid-Skene told the gold")
    for row in found["sets"]:
        for method in (*peers, "all", "adaptive", "without gold"):
            assert 50 < row[method] <= 100
        for ours in ("all", "adaptive", "without gold"):
            assert 0 <= row[f"{ours}, ece"] < 0.3
        assert 0 < row["used"] < 1
    assert found["speed"]["answers"] == 20_000
    for figure in ("ours_s", "crowd_kit_s", "times", "replayed_per_s"):
        assert found["speed"][figure] > 0
    assert found["routing"]["strong"]["answers"] < found["routing"]["anybody"]["answers"]
    for curve in ("quorums", "ours"):
        assert all(0.5 < point["f1"] <= 1 <= point["answers"] for point in found["drawings"][curve])
