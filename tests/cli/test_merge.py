import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import orjson
import pytest
import shapely
from rasterio import warp
from rasterio.transform import Affine

from tessera.cli.main import main
from tessera.kinds import Size
from tests.cli import every_kind
from tests.cli.running import CLASSES, Shell, coco, lines, picture
from tests.formats.some_records import KINDS, drawn
from tests.images.geotiffs import geotiff
from tests.images.pictures import scene

BOXES = [[10, 10, 40, 30], [90, 20, 50, 40], [5, 80, 290, 60], [200, 150, 99, 49]]
WHOLE = sorted((CLASSES[number % 2]["id"], box) for number, box in enumerate(BOXES))
SMALL = ("--tile", "128", "--margin", "16")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sliced")
    labels, path = coco(folder / "coco.json", BOXES), picture(folder, "a.png")
    asked = ("--labels", str(labels), "--kind", "box", "--out", str(folder / "tiles"))
    assert main(["slice", str(path), *SMALL, *asked]) == 0
    return folder


@pytest.fixture
def sliced(once: Path, tmp_path: Path) -> Path:
    """Boxes of one image, cut into six tiles; the image is beside them."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tiles"


def found(path: Path) -> list[tuple[int, list[float]]]:
    annotations = orjson.loads(path.read_bytes())["annotations"]
    return sorted((each["category_id"], each["bbox"]) for each in annotations)


def edited(path: Path, tiles: list[Any]) -> None:
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in tiles))


def flat(place: Any) -> list[float]:
    if isinstance(place, dict):
        return [number for key in sorted(place) for number in flat(place[key])]
    return [n for each in place for n in flat(each)] if isinstance(place, list) else [float(place)]


def off(first: dict[str, Any], second: dict[str, Any]) -> float:
    """How far apart two places are, pixels; of masks, how many of them differ."""
    assert first.keys() == second.keys()
    if "mask" in first:
        size = Size(every_kind.WIDTH, every_kind.HEIGHT)
        return float((drawn(first["mask"], size) != drawn(second["mask"], size)).sum())
    if "polygon" in first:
        c, d = (
            shapely.MultiPolygon([(outer, holes) for outer, *holes in each["polygon"]])
            for each in (first, second)
        )
        return float(shapely.hausdorff_distance(c, d))
    if "line" in first:
        a, b = (shapely.LineString(each["line"]) for each in (first, second))
        return float(shapely.hausdorff_distance(a, b))
    return float(np.abs(np.subtract(flat(first), flat(second))).max(initial=0))


@pytest.mark.parametrize("sort", KINDS)
def test_what_was_cut_and_merged_is_as_it_was(tessera: Shell, tmp_path: Path, sort: str) -> None:
    path = picture(tmp_path, "a.png", every_kind.WIDTH, every_kind.HEIGHT)
    before = every_kind.record(sort, "a.png")
    (tmp_path / "schema.json").write_bytes(orjson.dumps(every_kind.schema(sort)))
    (tmp_path / "labels").write_bytes(orjson.dumps(before))
    labels = ("--labels", tmp_path / "labels", "--format", "json-lines")
    asked = ("--kind", every_kind.SORTS.get(sort, sort), "--schema", tmp_path / "schema.json")
    cut = ("--whole",) if sort == "classify" else ("--tile", "256")
    out = tmp_path / "out"
    tessera.well("slice", path, *cut, *labels, *asked, "--out", out)
    merged = tmp_path / "merged.jsonl"
    told = tessera.well("merge", out, "--format", "json-lines", "--out", merged)
    (after,) = lines(merged)
    assert told["objects"] == len(before["objects"]) == len(after["objects"])
    assert (after["name"], after["width"], after["height"]) == ("a.png", 700, 500)
    by_class = sorted(after["objects"], key=lambda each: each["confidence"])
    for was, got in zip(before["objects"], by_class, strict=True):
        assert {key: got[key] for key in was if key != "place"} == {
            key: value for key, value in was.items() if key != "place"
        }
        assert off(was["place"], got["place"]) <= 1


def test_an_edit_of_a_tile_is_an_edit_of_the_image(
    tessera: Shell, tmp_path: Path, sliced: Path
) -> None:
    tiles = lines(sliced / "labels.jsonl")
    tiles[0]["objects"] = [each for each in tiles[0]["objects"] if each["place"]["box"][0] != 10]
    tiles[-1]["objects"].append({"class_id": 5, "place": {"box": [70, 40, 90, 60]}})
    edited(sliced / "labels.jsonl", tiles)
    tessera.well("merge", sliced, "--out", tmp_path / "merged.json")
    right, bottom = 300 - 128, 200 - 128
    added = (5, [right + 70, bottom + 40, 20, 20])
    assert found(tmp_path / "merged.json") == sorted(
        [*(each for each in WHOLE if each[1] != BOXES[0]), added]
    )


def test_predictions_for_tiles_that_were_cut_without_labels_are_merged(
    tessera: Shell, tmp_path: Path, sliced: Path
) -> None:
    """By a model that writes COCO, of tiles in an order of its own."""
    tiles = lines(sliced / "labels.jsonl")[::-1]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, tile in enumerate(tiles):
        sides = {"width": tile["width"], "height": tile["height"]}
        images.append({"id": number, "file_name": tile["name"], **sides})
        for each in tile["objects"]:
            left, top, right, bottom = each["place"]["box"]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": each["class_id"],
                    "bbox": [left, top, right - left, bottom - top],
                    "score": 0.5,
                }
            )
    predictions = tmp_path / "predictions.json"
    document = {"images": images, "categories": CLASSES, "annotations": annotations}
    predictions.write_bytes(orjson.dumps(document))
    plain = tmp_path / "plain"
    tessera.well("slice", tmp_path / "a.png", *SMALL, "--out", plain)
    status, (refusal,) = tessera.refused(
        "merge", plain, "--kind", "box", "--classes", "cup", "--out", tmp_path / "no"
    )
    assert (status, refusal.split(": ")[0]) == (2, "bad-usage")
    said = ("--labels", predictions, "--tiles-as", "coco", "--kind", "box")
    tessera.well("merge", plain, *said, "--out", tmp_path / "merged.json")
    assert found(tmp_path / "merged.json") == WHOLE
    merged = orjson.loads((tmp_path / "merged.json").read_bytes())
    assert {each["score"] for each in merged["annotations"]} == {0.5}


@pytest.mark.parametrize("format_", ["coco", "cvat", "labelme", "voc", "yolo", "open-images"])
def test_labels_of_tiles_may_be_in_other_formats_packed_or_not(
    tessera: Shell, tmp_path: Path, format_: str
) -> None:
    path, out = picture(tmp_path, "a.png"), tmp_path / "out"
    labels = ("--labels", coco(tmp_path / "coco.json", BOXES), "--kind", "box")
    told = tessera.well("slice", path, *SMALL, *labels, "--tiles-as", format_, "--out", out)
    tessera.well("merge", out, "--out", tmp_path / "merged.json")
    assert found(tmp_path / "merged.json") == WHOLE
    if told["labels"].endswith(".tar"):
        with tarfile.open(told["labels"]) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
        with ZipFile(tmp_path / "zipped", "w", strict_timestamps=False) as archive:
            for file in (tmp_path / "unpacked").rglob("*.*"):
                archive.write(file, file.relative_to(tmp_path / "unpacked"))
        for again in ("unpacked", "zipped"):
            merged = tmp_path / f"{again}.json"
            tessera.well("merge", out, "--labels", tmp_path / again, "--out", merged)
            assert found(merged) == WHOLE


def test_the_same_labels_are_merged_into_the_same_bytes(
    tessera: Shell, tmp_path: Path, sliced: Path
) -> None:
    for name in ("first", "second"):
        tessera.well("merge", sliced, "--format", "parquet", "--out", tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_command_says_what_a_format_cannot_hold(tmp_path: Path, sliced: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tessera", "merge", sliced, "--format", "kitti", "--out", "k.tar"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.splitlines() == [
        "k.tar: 4 objects on 1 image",
        "kitti cannot hold: class-ids, confidence, crowd, source, tiles",
    ]
    assert ran.stderr == "merging a.png (1 of 1)\n"


def test_tiles_without_a_label_are_refused(tessera: Shell, tmp_path: Path, sliced: Path) -> None:
    tiles = lines(sliced / "labels.jsonl")
    edited(sliced / "labels.jsonl", tiles[1:])
    status, (refusal,) = tessera.refused("merge", sliced, "--out", tmp_path / "merged.json")
    assert status == 1
    assert refusal == (
        f"tiles-unlabelled: {sliced}/labels.jsonl: "
        "1 of 6 tiles have no label, such as tiles/a.png/0.jpg"
    )
    assert not (tmp_path / "merged.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objects": [{"class_id": 4, "place": {"box": [0, 0, 9, 9]}}]}, "is not a class"),
        ({"objects": [{"class_id": 3, "place": {"box": [0, 0, 9, 999]}}]}, "outside the tile"),
        ({"objects": [{"class_id": 3, "place": {"mask": {}}}]}, "unknown field 'mask'"),
        (
            {"objects": [{"class_id": 3, "place": {"box": [0, 0, 9, 9]}, "confidence": 2}]},
            "0 and 1",
        ),
        ({"objects": None}, "must be a list"),
        ({"width": 300}, "is about 300 x 128 pixels"),
        ({"name": "tiles/a.png/1.jpg"}, "'tiles/a.png/1.jpg' is there twice"),
    ],
)
def test_labels_that_make_no_sense_are_refused(
    tessera: Shell, tmp_path: Path, sliced: Path, change: dict[str, Any], said: str
) -> None:
    tiles = lines(sliced / "labels.jsonl")
    edited(sliced / "labels.jsonl", [tiles[0] | change, *tiles[1:]])
    status, (refusal,) = tessera.refused("merge", sliced, "--out", tmp_path / "merged.json")
    assert (status, refusal.split(": ")[0]) == (1, "labels-unfit")
    assert f"{sliced}/labels.jsonl: line " in refusal
    assert said in refusal
    assert not (tmp_path / "merged.json").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'{"version', b'{{"version', "is not JSON"),
        (b'"version":1', b'"version":2', "is not of version 1"),
        (b'"kind":"box"', b'"kind":"boxes"', "is of a kind or format"),
        (b'"tiles_as":"json-lines"', b'"tiles_as":{}', "is of a kind or format"),
        (b'"images":[', b'"images":[7,', "images[0]: must be an object"),
        (b'"window":[0,0,128,128]', b'"window":[0,0,128,999]', "tiles[0].window"),
        (b'"core":[0,0,112,100]', b'"core":[0,0,112]', "tiles[0].core"),
        (b'"width":300', b'"width":9223372036854775808', "width and a height between 1 and"),
        (b'"height":200', b'"height":0', "width and a height between 1 and"),
        (b'"images":[', b'"images":[],"was":[', "images: must be at least one"),
    ],
)
def test_a_folder_of_tiles_that_makes_no_sense_is_refused(
    tessera: Shell, tmp_path: Path, sliced: Path, old: bytes, new: bytes, said: str
) -> None:
    index = (sliced / "tiles.json").read_bytes()
    assert old in index
    (sliced / "tiles.json").write_bytes(index.replace(old, new, 1))
    status, (refusal,) = tessera.refused("merge", sliced, "--out", tmp_path / "merged.json")
    assert (status, refusal.split(": ")[0]) == (1, "bad-file")
    assert said in refusal
    assert not (tmp_path / "merged.json").exists()


def test_an_image_without_tiles_is_refused(tessera: Shell, tmp_path: Path, sliced: Path) -> None:
    index = orjson.loads((sliced / "tiles.json").read_bytes())
    index["images"].append({**index["images"][0], "name": "b.png", "tiles": []})
    (sliced / "tiles.json").write_bytes(orjson.dumps(index))
    status, (refusal,) = tessera.refused("merge", sliced, "--out", tmp_path / "merged.json")
    assert (status, refusal) == (1, "bad-file: images[1].tiles: must be at least one")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("merge", ".", "--out", "b"), "bad-usage", "is no folder of tiles"),
        (("merge", "tiles", "--out", "a.png"), "out-exists", "a.png exists"),
        (("merge", "tiles", "--out", "tiles"), "out-exists", "tiles exists"),
        (("merge", "tiles", "--out", "no/b"), "bad-usage", "there is no folder"),
        (("merge", "tiles", "--labels", "c", "--out", "b"), "bad-usage", "c is not there"),
        (("merge", "tiles", "--format", "masks", "--out", "b"), "format-unsuited", "masks"),
        (("merge", "tiles", "--format", "gif", "--out", "b"), "bad-usage", "invalid choice"),
    ],
)
def test_what_cannot_be_meant_ends_with_status_2(
    tessera: Shell,
    tmp_path: Path,
    sliced: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, (refusal,) = tessera.refused(*words)
    assert (status, refusal.split(": ")[0]) == (2, code)
    assert said in refusal
    assert sorted(tmp_path.rglob("*")) == before
    assert sliced.is_dir()


def test_geotiffs_come_out_on_earth(tmp_path: Path, tessera: Shell) -> None:
    utm = Affine(0.2, 0.0, 500_000, 0.0, -0.2, 5_000_000)
    path = geotiff(tmp_path / "a.tif", scene(300, 200), utm, "EPSG:32633")
    labels = coco(tmp_path / "coco.json", BOXES, name="a.tif")
    asked = ("--labels", labels, "--kind", "box", "--out", tmp_path / "tiles")
    tessera.well("slice", path, *SMALL, *asked)
    out = tmp_path / "fields.geojson"
    told = tessera.well("merge", tmp_path / "tiles", "--format", "geojson", "--out", out)
    assert told["loses"] == ["tiles"]
    found = sorted(
        shapely.from_geojson(orjson.dumps(each["geometry"])).bounds
        for each in orjson.loads(out.read_bytes())["features"]
    )
    expected = []
    for left, top, width, height in BOXES:
        corners = [(left, top), (left + width, top + height), (left + width, top)]
        corners.append((left, top + height))
        x, y = zip(*(utm @ corner for corner in corners), strict=True)
        lon, lat = warp.transform("EPSG:32633", "EPSG:4326", x, y)[:2]
        expected.append((min(lon), min(lat), max(lon), max(lat)))
    np.testing.assert_allclose(found, sorted(expected), atol=1e-8)
    again = tessera.well(
        *("slice", path, *SMALL, "--labels", out, "--format", "geojson", "--kind", "box"),
        *("--classes", "cup,cat", "--out", tmp_path / "again"),
    )
    assert again["objects"] > len(BOXES)


@pytest.mark.parametrize("there", [3, {"world": [1, 0, 0, 0, 0, 0], "epsg": 4326}])
def test_a_georeference_that_was_spoilt_is_refused(
    sliced: Path, tessera: Shell, there: object
) -> None:
    index = orjson.loads((sliced / "tiles.json").read_bytes())
    index["images"][0]["georeference"] = there
    (sliced / "tiles.json").write_bytes(orjson.dumps(index))
    status, (said,) = tessera.refused("merge", sliced, "--out", sliced.parent / "out.json")
    assert (status, "images[0].georeference" in said) == (1, True)
