"""Recorded drawings replayed: COCO files in, what a policy makes of them out."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from bench.artists import artists, scenes
from tessera.kinds import KINDS, Objects
from tests.cli.running import REFUSED_AS, Shell

Document = dict[str, Any]
Change = Callable[[Document], object]


@dataclass(frozen=True)
class Coco:
    labels: Document
    truth: Document


@pytest.fixture(scope="module")
def coco() -> Coco:
    """Forty pictures, each drawn by six of ten people; many drew nothing on some."""
    kind, dice = KINDS["box"], np.random.default_rng(3)
    assert isinstance(kind, Objects)
    made = scenes(kind, 40, artists(10, dice), 6, dice)
    images = [
        {
            "id": number,
            "file_name": f"{number:02}.png",
            "width": 512,
            "height": 512,
            "annotators": [person for person, _ in each.drawings.answers],
        }
        for number, each in enumerate(made)
    ]
    drawn = [
        _annotation(number, each, annotator=person)
        for number, scene in enumerate(made)
        for person, answer in scene.drawings.answers
        for each in answer["objects"]
    ]
    true = [
        _annotation(number, each)
        for number, scene in enumerate(made)
        for each in scene.truth["objects"]
    ]
    return Coco(_document(images, drawn), _document(images, true))


def _document(images: list[Any], annotations: list[Any]) -> Document:
    numbered = [{"id": number, **each} for number, each in enumerate(annotations, 1)]
    categories = [{"id": number, "name": f"class {number}"} for number in (1, 2, 3)]
    return {"images": images, "categories": categories, "annotations": numbered}


def _annotation(image: int, drawn: Mapping[str, Any], **more: Any) -> Document:
    left, top, right, bottom = drawn["box"]
    box = [left, top, right - left, bottom - top]
    return {"image_id": image, "category_id": drawn["class"], "bbox": box, **more}


def words(folder: Path, coco: Coco, *more: str | Path) -> list[str | Path]:
    labels, truth = folder / "labels.json", folder / "truth.json"
    labels.write_bytes(orjson.dumps(coco.labels))
    truth.write_bytes(orjson.dumps(coco.truth))
    return ["quality", "replay", "--labels", labels, "--truth", truth, "--kind", "box", *more]


def policy(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def test_drawings_are_asked_for_until_they_are_sure(
    tessera: Shell, tmp_path: Path, coco: Coco
) -> None:
    told = tessera.well(*words(tmp_path, coco))
    assert told["answers_total"] == 240
    assert 80 <= told["answers_used"] < 240
    assert told["items"] == 40
    assert told["scored"] + told["gold"] == 40
    assert told["accuracy"] > 0.9
    assert 0 <= told["ece"] < 0.1
    assert told["found"] > 0.85
    assert told["right"] > 0.9


def test_who_drew_nothing_counts_where_the_file_names_them(
    tessera: Shell, tmp_path: Path, coco: Coco
) -> None:
    unnamed = copy.deepcopy(coco)
    for image in unnamed.labels["images"]:
        del image["annotators"]
    told = tessera.well(*words(tmp_path, unnamed))
    assert told["answers_total"] < 240
    empty = sum(not any(a["image_id"] == i for a in coco.truth["annotations"]) for i in range(40))
    assert told["answers_total"] >= 240 - 6 * (empty + 1)


def test_a_policy_says_how_many_and_what_it_costs(
    tessera: Shell, tmp_path: Path, coco: Coco
) -> None:
    two = policy(tmp_path, "min_overlap: 2\nmax_overlap: 2\nprice_micro: 50000\n")
    told = tessera.well(*words(tmp_path, coco, "--policy", two))
    assert told["answers_used"] == 80
    assert told["cost_micro"] == 80 * 50_000
    assert told["saved_micro"] == 160 * 50_000


def test_two_policies_are_compared_in_words(tessera: Shell, tmp_path: Path, coco: Coco) -> None:
    two = policy(tmp_path, "max_overlap: 2")
    ran = tessera(*words(tmp_path, coco, "--against", two))
    assert ran.status == 0
    assert "against the other policy:" in ran.out
    assert "accuracy" in ran.out


def _pop(part: str, number: int, name: str) -> Change:
    return lambda document: document[part][number].pop(name)


def _put(part: str, number: int, name: str, value: Any) -> Change:
    return lambda document: document[part][number].update({name: value})


BAD: dict[str, tuple[Change, str, str]] = {
    "no annotator": (_pop("annotations", 3, "annotator"), "bad-records", "annotations[3]"),
    "a list of people": (_put("annotations", 3, "annotator", ["a"]), "bad-records", "annotator"),
    "nobody": (_put("annotations", 3, "annotator", ""), "bad-records", "annotator"),
    "no image": (_put("annotations", 0, "image_id", 999), "bad-records", "image_id"),
    "no width": (_pop("images", 1, "width"), "bad-records", "images[1]"),
    "half a pixel": (_put("images", 1, "width", 0.5), "bad-records", "images[1]"),
    "a name twice": (_put("images", 1, "file_name", "00.png"), "bad-records", "twice"),
    "people in words": (_put("images", 1, "annotators", "ada"), "bad-records", "annotators"),
    "no lists": (lambda document: document.pop("images"), "bad-records", "lists"),
    "no category": (_put("annotations", 0, "category_id", 9), "labels-unfit", "category_id"),
    "no number": (_put("annotations", 0, "bbox", [0, 0, "a", 4]), "labels-unfit", "bbox"),
    "an empty box": (
        _put("annotations", 0, "bbox", [5, 5, 0, 4]),
        "labels-unfit",
        "annotations[0].box",
    ),
}


@pytest.mark.parametrize(("change", "code", "where"), BAD.values(), ids=BAD.keys())
def test_drawings_that_cannot_be_used_are_refused(
    tessera: Shell, tmp_path: Path, coco: Coco, change: Change, code: str, where: str
) -> None:
    bad = copy.deepcopy(coco)
    change(bad.labels)
    status, refusals = tessera.refused(*words(tmp_path, bad))
    assert status in REFUSED_AS
    assert refusals[0].startswith(code)
    assert where in " ".join(refusals)


def test_what_is_no_json_is_refused(tessera: Shell, tmp_path: Path, coco: Coco) -> None:
    line = words(tmp_path, coco)
    (tmp_path / "labels.json").write_text("{")
    _, refusals = tessera.refused(*line)
    assert refusals[0].startswith("bad-records: labels.json: is not JSON")


@pytest.mark.parametrize("kind", ["classify", "semantic_mask"])
def test_kinds_that_draw_no_objects_are_refused(
    tessera: Shell, tmp_path: Path, coco: Coco, kind: str
) -> None:
    _, refusals = tessera.refused(*words(tmp_path, coco)[:-1], kind)
    assert refusals[0].startswith("bad-usage")
