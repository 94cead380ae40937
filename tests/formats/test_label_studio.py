"""A strict reader of Label Studio's documentation finds all that we write; its SDK is another.

Of `labelstud.io/tags` (rectanglelabels, polygonlabels, brushlabels, keypointlabels, choices,
taxonomy) and, for masks, the description of rle-pack, which Label Studio packs them with. What the
SDK makes of the same files is in `test_label_studio_sdk`.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import label_studio, label_studio_runs
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Loses, Refused, Wanted
from tessera.formats.records import LabelledImage
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tessera.shapes import rle
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SORTS = ("box", "rotated", "classify", "instance_mask", "keypoints", "polygon", "semantic_mask")
SKELETON = LabelSchema.parse(
    {
        "classes": [
            {
                "id": 7,
                "name": "car",
                "colour": "#ff0000",
                "skeleton": {"points": [{"name": "front"}, {"name": "rear"}]},
            }
        ]
    }
)
cases = st.sampled_from(SORTS).flatmap(some_records.datasets)


def kept(case: Case) -> dict[str, list[dict[str, Any]]]:
    """What is not lost, as the losses tell."""
    dataset, records = case
    lost = label_studio.losses(dataset)
    known = some_records.as_known(
        records,
        confidence=Loses.CONFIDENCE not in lost,
        attributes=Loses.ATTRIBUTES not in lost,
    )
    for name, objects in known.items():
        found = [each for each in objects if "optional" not in each]
        known[name] = []
        for each in found:
            if "polygon" in each:
                parts = [{**each, "polygon": [[outer]]} for outer, *_ in each["polygon"]]
                known[name] += parts
                continue
            if "points" in each:
                each["points"] = [[x, y, 2 if v else 0] for x, y, v in each["points"]]
            known[name].append(each)
    return known


@given(cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assert some_records.round_trip(label_studio, case) == kept(case)


def unpack(packed: list[int]) -> np.ndarray[Any, Any]:
    """As rle-pack describes it, bit by bit."""
    bits = iter("".join(format(byte, "08b") for byte in packed))

    def number(count: int) -> int:
        return int("".join(next(bits) for _ in range(count)), 2)

    length, word = number(32), number(5) + 1
    sizes = [number(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < length:
        repeated = number(1)
        count = 1 + number(sizes[number(2)])
        values += [number(word)] * count if repeated else [number(word) for _ in range(count)]
    assert len(values) == length
    assert len(list(bits)) < 8
    return np.array(values)


def shapes(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Regions in pixels, each with what is said of it."""
    (annotation,) = task["annotations"]
    by_id: dict[str, dict[str, Any]] = {}
    for each in annotation["result"]:
        assert each["to_name"] == "image"
        width, height = each["original_width"], each["original_height"]
        value = each["value"]
        if each["type"] in {"rectanglelabels", "polygonlabels", "brushlabels"}:
            (label,) = value[each["type"]]
            region = {"label": label, "score": each["score"], "said": {}, "points": {}}
            if each["type"] == "rectanglelabels":
                turn = math.radians(value["rotation"])
                x, y = value["x"] * width / 100, value["y"] * height / 100
                w, h = value["width"] * width / 100, value["height"] * height / 100
                right = np.array([math.cos(turn), math.sin(turn)]) * w
                down = np.array([-math.sin(turn), math.cos(turn)]) * h
                at = np.array([x, y])
                region["corners"] = [at, at + right, at + right + down, at + down]
            elif each["type"] == "polygonlabels":
                assert value["closed"] is True
                region["outline"] = np.array(value["points"]) * [width / 100, height / 100]
            else:
                assert value["format"] == "rle"
                region["pixels"] = unpack(value["rle"]).reshape(height, width, 4)
            by_id[each["id"]] = region
        elif each["type"] == "keypointlabels":
            (label,) = value["keypointlabels"]
            at = np.array([value["x"] * width, value["y"] * height]) / 100
            by_id[each["parentID"]]["points"][label] = at
        else:
            key = {"choices": "choices", "number": "number", "textarea": "text"}[each["type"]]
            (said,) = [value[key]] if key == "number" else value[key]
            by_id[each["id"]]["said"][each["from_name"]] = said
    yield from by_id.values()


@given(cases)
def test_a_reader_of_the_documentation_finds_every_object(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        some_records.written(label_studio, case, folder)
        tasks = orjson.loads((folder / "label_studio.json").read_bytes())
    assert [each["data"]["image"] for each in tasks] == [each.name for each in records]
    assert [each["data"].get("split") for each in tasks] == [each.split for each in records]
    for task, image in zip(tasks, records, strict=True):
        if dataset.kind == "classify":
            results = task["annotations"][0]["result"]
            names = [some_records.named(dataset, each) for each in image.objects]
            assert [n for each in results for n in each["value"]["choices"]] == names
            continue
        expected = [
            pair for each in image.objects if not each.crowd for pair in some_records.outlines(each)
        ]
        for region, (each, place) in zip(shapes(task), expected, strict=True):
            assert region["label"] == some_records.named(dataset, each)
            assert region["score"] == each.confidence
            said = {n: str(v).lower() for n, v in region["said"].items()}
            assert said == {n: str(v).lower() for n, v in each.attributes.items()}
            same(region, place, image, case)


def same(region: dict[str, Any], place: dict[str, Any], image: LabelledImage, case: Case) -> None:
    match place:
        case {"outline": outer}:
            np.testing.assert_allclose(region["outline"], outer, atol=1e-6)
        case {"box": [left, top, right, bottom, *angle]}:
            middle = np.array([left + right, top + bottom]) / 2
            turn = math.radians(angle[0] if angle else 0)
            turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            found = (corners - middle) @ turned + middle
            np.testing.assert_allclose(region["corners"], found, atol=1e-6)
        case {"mask": mask}:
            whole = some_records.drawn(mask, Size(image.width, image.height))
            np.testing.assert_array_equal(
                region["pixels"], np.where(whole, 255, 0)[..., None] + np.zeros(4)
            )
        case {"points": points}:
            dataset, _ = case
            (named,) = (c for c in dataset.schema.classes if c.name == region["label"])
            assert named.skeleton is not None
            expected = {
                point.name: (x, y)
                for point, (x, y, v) in zip(named.skeleton.points, points, strict=True)
                if v
            }
            assert region["points"].keys() == expected.keys()
            for name, at in expected.items():
                np.testing.assert_allclose(region["points"][name], at, atol=1e-6)
            around = kind_of("keypoints").reach([{"class": named.id, **place}], dataset.schema)[0]
            np.testing.assert_allclose(region["corners"][0], around[:2], atol=1e-6)
            np.testing.assert_allclose(region["corners"][2], around[2:], atol=1e-6)


def test_long_runs_are_cut_where_a_length_has_no_more_bits() -> None:
    size = Size(300, 300)
    pixels = np.ones((300, 280), dtype=bool)
    pixels[200:, :] = False
    counts = rle.to_string(rle.encode(pixels))
    mask = {"left": 10, "top": 0, "size": [300, 280], "counts": counts}
    found = unpack(label_studio_runs.packed(mask, size)).reshape(300, 300, 4)
    np.testing.assert_array_equal(found[..., 3] > 0, some_records.drawn(mask, size))
    again = label_studio_runs.unpacked(label_studio_runs.packed(mask, size), size)
    np.testing.assert_array_equal(some_records.drawn(again, size), found[..., 0] > 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 8)), min_size=1, max_size=8), st.data())
def test_runs_of_values_that_differ_are_read_too(runs: list[Any], data: st.DataObject) -> None:
    """As Label Studio's own brush makes them: soft edges, and values one by one."""
    total = -(-sum(count for _, count in runs) // 4) * 4
    runs = [*runs, (True, total - sum(count for _, count in runs))]
    bits, values = f"{total:032b}{7:05b}" + "0010" * 4, list[int]()
    for repeated, count in runs:
        if count:
            said = [data.draw(st.integers(0, 255)) for _ in range(1 if repeated else count)]
            bits += f"{int(repeated)}00{count - 1:03b}" + "".join(f"{v:08b}" for v in said)
            values += said * count if repeated else said
    bits += "0" * (-len(bits) % 8)
    packed = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    size = Size(total // 4, 1)
    found = some_records.drawn(label_studio_runs.unpacked(packed, size), size)
    assert found[0].tolist() == [v > 0 for v in values[3::4]]


def read(folder: Path, content: Any, schema: LabelSchema = SCHEMA, kind: str = "box") -> list[Any]:
    path = folder / "export.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(label_studio.read(Folder(folder), Wanted(kind, schema, {"a.jpg": Size(10, 10)})))


def task(*results: Any, image: str = "a.jpg", **changed: Any) -> dict[str, Any]:
    about = {"original_width": 10, "original_height": 10, "to_name": "image", "from_name": "x"}
    listed = [about | each if isinstance(each, dict) else each for each in results]
    return {"data": {"image": image}, "annotations": [{"result": listed}]} | changed


def box(**changed: Any) -> dict[str, Any]:
    value = {"x": 10, "y": 10, "width": 40, "height": 20, "rectanglelabels": ["car"]}
    about = {k: changed.pop(k) for k in ("id", "type", "score", "original_width") if k in changed}
    return {"id": "1", "type": "rectanglelabels", "value": value | changed} | about


@pytest.mark.parametrize(
    ("found", "at", "why"),
    [
        (box(rectanglelabels=["tram"]), "[0].result[0].class", "'tram' is not a class"),
        (box(rectanglelabels=[]), "[0].result[0].value.rectanglelabels", "one element"),
        (box(rectanglelabels=["car", "bus"]), "[0].result[0].value.rectanglelabels", "most"),
        (box(rectanglelabels="car"), "[0].result[0].value.rectanglelabels", "a list"),
        (box(width=120), "[0].result[0].box[2]", "outside"),
        (box(width=None), "[0].result[0].value.width", "number"),
        (box(score="high"), "[0].result[0].confidence", "between"),
        (box(type="ellipselabels"), "[0].result[0].type", "is 'ellipselabels'"),
        ({"id": "1", "type": "rectanglelabels", "value": 3}, "[0].result[0].value", "object"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, found: dict[str, Any], at: str, why: str
) -> None:
    refused, known = read(tmp_path, [task(found, box(id="2"))])
    assert refused.at == f"export.json: {at}"
    assert why in refused.why
    assert [each["box"] for each in known.objects] == [[1, 1, 5, 3]]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (3, "an object"),
        ({}, "an object"),
        (task(3), "an object"),
        (task(box(original_width="10")), "whole number"),
        (task(box(original_width=20)), "20 x 10 pixels"),
        (task(box(), image="b.jpg"), "'b.jpg' is not an image"),
        (task(box(), image="/data/local-files/?d=../a.jpg"), "not an image"),
        (task(data={}), "no name"),
        (task(annotations=[{"result": []}, {"result": []}]), "are several"),
        (task(annotations=[{"result": [], "was_cancelled": True}]), "were all skipped"),
        (task(annotations=3), "a list"),
        (task(annotations=[{}]), "a list"),
    ],
)
def test_a_task_that_cannot_be_used_is_refused(tmp_path: Path, found: Any, why: str) -> None:
    (refused,) = read(tmp_path, [found])
    assert isinstance(refused, Refused)
    assert why in refused.why


@pytest.mark.parametrize("address", ["http://[x", "//[a/b.jpg", "http://a\u2100b/a.jpg"])
def test_an_address_that_is_none_is_refused_and_the_next_task_read(
    tmp_path: Path, address: str
) -> None:
    refused, known = read(tmp_path, [task(box(), image=address), task(box())])
    assert (refused.at, refused.code) == ("export.json: [0].data", Code.BAD_NAME)
    assert (refused.image, known.name) == (address, "a.jpg")


def test_a_task_that_is_refused_tells_of_which_image_it_is(tmp_path: Path) -> None:
    wrong = task(3, image="/data/local-files/?d=a.jpg"), task(box(), id=2**70)
    assert [each.image for each in read(tmp_path, list(wrong))] == ["a.jpg"] * 2


def test_the_annotation_counts_that_is_true_and_predictions_where_there_is_none(
    tmp_path: Path,
) -> None:
    true = {"result": task(box())["annotations"][0]["result"], "ground_truth": True}
    false: dict[str, Any] = {"result": []}
    made = task(annotations=[false, true], image="/data/local-files/?d=a.jpg")
    guessed = task(annotations=[], predictions=[{"result": true["result"]}])
    for each in (made, guessed):
        (known,) = read(tmp_path, [each])
        assert (known.name, len(known.objects)) == ("a.jpg", 1)


def test_classes_are_choices_or_a_taxonomy(tmp_path: Path) -> None:
    chosen = {"type": "taxonomy", "value": {"taxonomy": [["vehicle", "car"]]}, "score": 0.5}
    (known,) = read(tmp_path, [task(chosen)], kind="classify")
    assert known.objects == [{"class": 7, "attributes": {}, "confidence": 0.5}]
    (refused,) = read(tmp_path, [task(box())], kind="classify")
    assert "not 'choices'" in refused.why
    two = {"type": "choices", "value": {"choices": ["car", "bus"]}}
    (refused,) = read(tmp_path, [task(two)], kind="classify")
    assert "exactly one class" in refused.why


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        ("polygon", {"type": "polygonlabels", "value": {"polygonlabels": ["car"]}}, "a list"),
        ("instance_mask", {"type": "brushlabels", "value": {"brushlabels": ["car"]}}, "bytes"),
        ("keypoints", box(), "at least one point"),
    ],
)
def test_every_kind_of_shape_is_checked(
    tmp_path: Path, kind: str, found: dict[str, Any], why: str
) -> None:
    refused, _ = read(tmp_path, [task(found)], SKELETON, kind)
    assert why in refused.why


@pytest.mark.parametrize(
    "rle", [[0], [0] * 9, [True], ["a"], [256], [-1], [0, 0, 1, 144] + [255] * 5]
)
def test_hostile_runs_are_refused(rle: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"bytes|values|early|range"):
        label_studio_runs.unpacked(rle, Size(10, 10))


def test_points_that_the_skeleton_does_not_have_are_refused(tmp_path: Path) -> None:
    point = {"type": "keypointlabels", "parentID": "1", "value": {"x": 1, "y": 1}}
    for name, why in (("hood", "a point 'hood'"), (None, "one element")):
        labels = [] if name is None else [name]
        value = point["value"] | {"keypointlabels": labels}  # type: ignore[operator]
        refused, _ = read(tmp_path, [task(box(), point | {"value": value})], SKELETON, "keypoints")
        assert why in refused.why


def test_a_region_of_two_controls_has_the_class_that_one_of_them_names(tmp_path: Path) -> None:
    colour = {**box(rectanglelabels=["red"]), "from_name": "colour"}
    for results in ([colour, box()], [box(), colour]):
        (known,) = read(tmp_path, [task(*results)])
        assert [each["class"] for each in known.objects] == [7]
        assert [each.code for each in known.left_out] == [Code.UNKNOWN_ATTRIBUTE]


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    contents: tuple[Any, ...] = (b"", b"{", {"tasks": []})
    for content in contents:
        with pytest.raises(BadFile):
            read(tmp_path, content)
    (tmp_path / "export.json").unlink()
    with pytest.raises(BadFile, match="no JSON"):
        list(label_studio.read(Folder(tmp_path), Wanted("box", SCHEMA)))
