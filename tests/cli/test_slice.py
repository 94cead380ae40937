import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from tests.cli.running import Shell, coco, lines, picture
from tests.images.pictures import held, png, scene

LABELLED = ("slice", "a.png", "--out", "out", "--labels", "c.json")
CUPS = ("--classes", "cup")
SMALL = ("--tile", "128", "--margin", "16")


def test_cores_put_together_are_the_image(tessera: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = picture(tmp_path, "a.png")
    told = tessera.well("slice", path, *SMALL, "--picture-format", "png", "--out", out)
    index = orjson.loads((out / "tiles.json").read_bytes())
    (image,) = index["images"]
    assert told == {"index": f"{out}/tiles.json", "images": 1, "tiles": len(image["tiles"])}
    assert (image["name"], image["width"], image["height"]) == ("a.png", 300, 200)
    assert image["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    whole = np.zeros((200, 300, 3), np.uint8)
    for tile in image["tiles"]:
        (x, y, *_), (left, top, right, bottom) = tile["window"], tile["core"]
        with Image.open(out / tile["file"]) as shown:
            pixels = np.asarray(shown)
        whole[top:bottom, left:right] = pixels[top - y : bottom - y, left - x : right - x]
        assert tile["sha256"] == hashlib.sha256((out / tile["file"]).read_bytes()).hexdigest()
    assert (whole == scene(300, 200)).all()


def test_the_index_says_how_it_was_cut(tessera: Shell, tmp_path: Path) -> None:
    tessera.well("slice", picture(tmp_path, "a.png"), *SMALL, "--out", tmp_path / "out")
    index = orjson.loads((tmp_path / "out" / "tiles.json").read_bytes())
    assert index["version"] == 1
    assert index["slicing"] == {
        "tile": 128,
        "margin": 16,
        "format": "jpeg",
        "quality": 90,
        "whole": False,
    }
    assert (index["kind"], index["label_schema"], index["tiles_as"]) == (None, None, None)


def test_images_of_one_name_are_told_apart_by_their_folders(
    tessera: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path, "photos/a/1.png")
    picture(tmp_path, "photos/b/1.png", 200, 100)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tessera.well("slice", "../photos/b/1.png", "../photos/a/../a/1.png", "--whole", "--out", "out")
    index = orjson.loads(Path("out/tiles.json").read_bytes())
    assert [image["name"] for image in index["images"]] == ["a/1.png", "b/1.png"]
    assert [image["width"] for image in index["images"]] == [300, 200]
    assert sorted(path.as_posix() for path in Path("out").rglob("*.jpg")) == [
        "out/tiles/a/1.png/0.jpg",
        "out/tiles/b/1.png/0.jpg",
    ]


@pytest.mark.parametrize("name", ["Katze überm Zaun 猫 🐈.png", "tiles.json", "x" * 251 + ".png"])
def test_an_image_may_have_any_plain_name(tessera: Shell, tmp_path: Path, name: str) -> None:
    picture(tmp_path, "a.png").rename(tmp_path / name)
    tessera.well("slice", tmp_path / name, "--whole", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "tiles" / name / "0.jpg").is_file()


def test_a_held_camera_makes_no_difference(tessera: Shell, tmp_path: Path) -> None:
    path = held(tmp_path, "a.jpg", scene(300, 200), 6)
    tessera.well("slice", path, "--whole", "--out", tmp_path / "out")
    with Image.open(tmp_path / "out/tiles/a.jpg/0.jpg") as shown:
        assert shown.size == (300, 200)


def test_labels_are_cut_to_tiles(tessera: Shell, tmp_path: Path) -> None:
    path, out = picture(tmp_path, "a.png"), tmp_path / "out"
    labels = coco(tmp_path / "any name", [[10, 10, 40, 30], [90, 20, 50, 40]])
    told = tessera.well("slice", path, *SMALL, "--labels", labels, "--kind", "box", "--out", out)
    index = orjson.loads((out / "tiles.json").read_bytes())
    tiles = lines(out / "labels.jsonl")
    assert [each["name"] for each in tiles] == [
        each["file"] for each in index["images"][0]["tiles"]
    ]
    assert told["labels"] == f"{out}/labels.jsonl"
    assert told["labelled"] == told["tiles"] == len(tiles)
    assert told["objects"] == sum(len(each["objects"]) for each in tiles) == 3
    assert [each["place"]["box"] for each in tiles[0]["objects"]] == [
        [10, 10, 50, 40],
        [90, 20, 128, 60],
    ]
    assert [each["place"]["box"] for each in tiles[1]["objects"]] == [[0, 20, 44, 60]]
    assert (index["kind"], index["tiles_as"]) == ("box", "json-lines")
    classes = index["label_schema"]["classes"]
    assert [(each["id"], each["name"]) for each in classes] == [(3, "cup"), (5, "cat")]


def test_what_labels_say_of_other_images_does_not_matter(tessera: Shell, tmp_path: Path) -> None:
    labels = coco(tmp_path / "coco.json", [[10, 10, 40, 30]])
    document = orjson.loads(labels.read_bytes())
    document["images"].append({"id": 2, "file_name": "b.png", "width": 7, "height": 7})
    labels.write_bytes(orjson.dumps(document))
    path = picture(tmp_path, "a.png")
    asked = ("--labels", labels, "--kind", "box")
    told = tessera.well("slice", path, "--whole", *asked, "--out", tmp_path / "out")
    assert (told["tiles"], told["objects"]) == (1, 1)


def test_a_tile_whose_class_the_image_does_not_tell_is_left_to_be_filled_in(
    tessera: Shell, tmp_path: Path
) -> None:
    labels = coco(tmp_path / "coco.json", [])
    document = orjson.loads(labels.read_bytes())
    document["annotations"] = [{"id": 1, "image_id": 1, "category_id": 3}]
    labels.write_bytes(orjson.dumps(document))
    path, out = picture(tmp_path, "a.png"), tmp_path / "out"
    asked = ("--labels", labels, "--kind", "classify", "--out", out)
    ran = tessera("slice", path, *SMALL, *asked)
    assert ran.status == 0
    assert "of 6 tiles the labels do not tell the answer: fill them in" in ran.out
    status, (refusal,) = tessera.refused("merge", out, "--out", tmp_path / "merged.json")
    assert status == 1
    assert refusal.startswith(f"tiles-unlabelled: {out}/labels.jsonl: 6 of 6 tiles have no label")


@pytest.mark.long
def test_the_command_is_a_process_that_talks_on_stderr_and_answers_on_stdout(
    tmp_path: Path,
) -> None:
    picture(tmp_path, "a.png")
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tessera", "slice", "a.png", *SMALL, "--out", "out"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "out/tiles.json: 6 tiles of 1 image\n"
    assert ran.stderr == "checking a.png (1 of 1)\nslicing a.png (1 of 1) into 6 tiles\n"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started may be interrupted, though we were started where SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_who_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", 1500, 1500)
    many = ("--tile", "16", "--margin", "4", "--out", "out")
    with subprocess.Popen(
        [sys.executable, "-m", "tessera", "slice", "a.png", *many],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not any(tmp_path.glob("*/made/tiles/a.png/*")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().count("\n") == len(("checking", "slicing"))
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("cut",), "invalid choice: 'cut'"),
        (("slice", "--out", "out"), "the following arguments are required: IMAGE"),
        (("slice", "a.png"), "the following arguments are required: --out"),
        (("slice", "a.png", "--out", "out", "--tile", "0"), "'0' is no whole number from 1"),
        (("slice", "a.png", "--out", "out", "--tile", "many"), "'many' is no whole number from 1"),
        (("slice", "a.png", "--out", "out", "--quality", "101"), "'101' is no whole number from 1"),
        (("slice", "a.png", "--out", "out", "--margin", "256"), "less than half of --tile"),
        (("slice", "a.png", "--out", "out", "--picture-format", "gif"), "invalid choice: 'gif'"),
        (("slice", "a.png", "--out", "out", "--format", "gif"), "invalid choice: 'gif'"),
        (("slice", "b.png", "--out", "out"), "b.png is not there"),
        (("slice", ".", "--out", "out"), ". is a folder"),
        (("slice", "a.png", "--out", "no/out"), "there is no folder"),
        (("slice", "a.png", "--out", "out", "--kind", "box"), "which are not given"),
        ((*LABELLED, "--kind", "verify"), "invalid choice: 'verify'"),
        (LABELLED, "--kind must say"),
        ((*LABELLED, "--kind", "box", "--labels", "d.json"), "d.json is not there"),
        ((*LABELLED, "--kind", "box", "--format", "voc"), "--classes or --schema must say"),
        ((*LABELLED, "--kind", "box", "--schema", "no.json"), "no.json is not there"),
        ((*LABELLED, "--kind", "box", "--schema", "c.json"), "unknown field 'annotations'"),
        ((*LABELLED, "--kind", "box", "--classes", "dog,dog"), "name 'dog' is there"),
    ],
)
def test_what_cannot_be_meant_ends_with_status_2(
    tessera: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path, "a.png")
    coco(tmp_path / "c.json", [])
    status, (refusal,) = tessera.refused(*words)
    assert (status, refusal.split(": ")[0] in {"bad-usage", "invalid-label-schema"}) == (2, True)
    assert said in refusal
    assert sorted(os.listdir()) == ["a.png", "c.json"]  # noqa: PTH208


def test_what_exists_is_left_as_it_is(tessera: Shell, tmp_path: Path) -> None:
    path = picture(tmp_path, "a.png")
    (tmp_path / "empty").mkdir()
    tessera.well("slice", path, "--whole", "--out", tmp_path / "empty")
    before = sorted(tmp_path.rglob("*"))
    for out in ("empty", "a.png"):
        status, (refusal,) = tessera.refused("slice", path, "--out", tmp_path / out)
        assert (status, refusal.split(": ")[0]) == (2, "out-exists")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_others_could_not_use_is_refused(tessera: Shell, tmp_path: Path) -> None:
    plain = picture(tmp_path, "a.png")
    for name in ("new\nline.png", "back\\slash.png", f"{'d' * 200}/{'x' * 100}.png"):
        path = picture(tmp_path, "b.png")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        path.rename(tmp_path / name)
        words = ("slice", plain, tmp_path / name, "--out", tmp_path / "out")
        status, (refusal,) = tessera.refused(*words)
        assert (status, refusal.split(": ")[0]) == (2, "bad-image-name")
    status, (refusal,) = tessera.refused("slice", plain, plain, "--out", tmp_path / "out")
    assert (status, refusal) == (2, f"image-name-taken: {plain} is there twice.")


def test_all_refused_images_are_named_and_nothing_is_left(tessera: Shell, tmp_path: Path) -> None:
    good = picture(tmp_path, "a.png")
    bad = {
        "empty.png": (b"", "empty-file"),
        "text.png": (b"hello", "not-an-image"),
        "huge.png": (png(90_000, 90_000), "too-many-pixels"),
        "cut.png": (good.read_bytes()[:5000], "truncated"),
        "a.gif": (b"GIF89a" + b"\0" * 20, "unsupported-format"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out"
    status, refusals = tessera.refused(
        "slice", good, *(tmp_path / each for each in bad), "--out", out
    )
    assert status == 1
    assert sorted(each.split(": ")[:2] for each in refusals) == sorted(
        [code, name] for name, (_, code) in bad.items()
    )
    assert sorted(tmp_path.iterdir()) == before


def test_more_tiles_than_are_sane_are_refused_and_nothing_is_left(
    tessera: Shell, tmp_path: Path
) -> None:
    words = ("--tile", "1", "--margin", "0", "--out", tmp_path / "out")
    path = picture(tmp_path, "a.png", 600, 400)
    status, (refusal,) = tessera.refused("slice", path, *words)
    assert (status, refusal.split(": ")[:2]) == (1, ["too-many-tiles", "a.png"])
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("boxes", "image", "more", "refusal"),
    [
        ([[10, 10, 40]], {}, (), "labels-unfit: coco.json: annotations[0].bbox: must be 4"),
        ([[10, 10, 400, 40]], {}, (), "labels-unfit: coco.json: annotations[0].box[2]: lies"),
        ([], {"name": "b.png"}, (), "labels-unfit: coco.json: nothing is said of 1 of 1 images"),
        ([], {"size": (200, 300)}, (), "labels-unfit: coco.json: images[0]: is about 200 x 300"),
        ([[1, 1, 9, 9]], {}, ("--classes", "dog"), "labels-unfit: coco.json: annotations[0].class"),
        ([], {}, ("--schema", "a.png"), "bad-file: a.png: is not JSON"),
        ([], {}, (*CUPS, "--format", "labelme"), "labels-unfit: coco.json: "),
        ([], {}, (*CUPS, "--format", "voc"), "bad-file: coco.json: has no "),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_nothing_is_left(
    tessera: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    boxes: list[list[float]],
    image: dict[str, Any],
    more: tuple[str, ...],
    refusal: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path, "a.png")
    coco(tmp_path / "coco.json", boxes, **image)
    asked = ("--labels", "coco.json", "--kind", "box", *more)
    status, (first, *_) = tessera.refused("slice", "a.png", *asked, "--out", "out")
    assert status == 1
    assert first.startswith(refusal)
    assert sorted(os.listdir()) == ["a.png", "coco.json"]  # noqa: PTH208


def test_attributes_that_the_label_schema_does_not_have_are_left_out_and_named(
    tessera: Shell, tmp_path: Path
) -> None:
    labels = coco(tmp_path / "coco.json", [[10, 10, 40, 30]])
    document = orjson.loads(labels.read_bytes())
    document["annotations"][0]["attributes"] = {"occluded": True}
    labels.write_bytes(orjson.dumps(document))
    asked = ("--labels", labels, "--kind", "box", "--out", tmp_path / "out")
    ran = tessera("slice", picture(tmp_path, "a.png"), *asked)
    assert ran.status == 0
    assert f"{labels}: annotations[0]: class 'cup' has no attribute 'occluded'" in ran.err


def test_what_nobody_has_labelled_is_left_out_and_named(tessera: Shell, tmp_path: Path) -> None:
    """As half of the people of COCO are, in its files of keypoints."""
    labels = coco(tmp_path / "coco.json", [[10, 10, 40, 30]] * 2)
    document = orjson.loads(labels.read_bytes())
    document["categories"] = [{"id": 3, "name": "cup", "keypoints": ["handle", "foot"]}]
    for each, points in zip(document["annotations"], ([9, 9, 2, 0, 0, 0], [0] * 6), strict=True):
        each |= {"keypoints": points, "category_id": 3}
    labels.write_bytes(orjson.dumps(document))
    asked = ("--labels", labels, "--kind", "keypoints", "--out", tmp_path / "out", "--whole")
    ran = tessera("slice", picture(tmp_path, "a.png"), *asked)
    assert ran.status == 0
    assert f"{labels}: annotations[1]: must have at least one point that is labelled; it" in ran.err
    assert "keypoints, 1 object on tiles" in ran.out


def test_categories_from_0_have_to_be_named(tessera: Shell, tmp_path: Path) -> None:
    """Some tools number them so; here 0 is no class, and ids that are given never move."""
    labels = coco(tmp_path / "coco.json", [[10, 10, 40, 30]])
    labels.write_bytes(labels.read_bytes().replace(b'id":3,', b'id":0,'))
    path, asked = picture(tmp_path, "a.png"), ("--labels", labels, "--kind", "box")
    status, (refusal,) = tessera.refused("slice", path, *asked, "--out", tmp_path / "out")
    assert status == 1
    assert refusal.startswith(f"labels-unfit: {labels}: category 0 cannot be a class")
    assert refusal.endswith("--classes 'cup,cat'")
    told = tessera.well("slice", path, *asked, "--classes", "cup,cat", "--out", tmp_path / "out")
    assert told["objects"] == 1


def test_of_very_many_refusals_the_first_are_told(tessera: Shell, tmp_path: Path) -> None:
    labels = coco(tmp_path / "coco.json", [[1, 1]] * 50)
    path = picture(tmp_path, "a.png")
    asked = ("--labels", labels, "--kind", "box", "--out", tmp_path / "out")
    status, refusals = tessera.refused("slice", path, *asked)
    assert (status, len(refusals), refusals[-1]) == (1, 21, "and 30 more")


def test_a_format_that_cannot_hold_the_kind_is_refused(tessera: Shell, tmp_path: Path) -> None:
    labels = coco(tmp_path / "coco.json", [])
    path = picture(tmp_path, "a.png")
    asked = ("--labels", labels, "--kind", "polyline", "--tiles-as", "yolo")
    status, (refusal,) = tessera.refused("slice", path, *asked, "--out", tmp_path / "out")
    assert (status, refusal.split(": ")[0]) == (2, "format-unsuited")
