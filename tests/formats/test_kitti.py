"""Datumaro (plain and 3D) and labelformat read what we write."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from tessera.formats import kitti
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import some_records
from tests.formats.some_records import CAMERA, Case

SCHEMA = LabelSchema((LabelClass(7, "big car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
SOLIDS = LabelSchema(SCHEMA.classes, camera=CAMERA)
SORTS = ("box", "rotated", "cuboid", "solid")
cases = st.sampled_from(("box", "solid")).flatmap(some_records.datasets)


@given(cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assume(case[1])  # without any image there is no file to know the format by
    expected = some_records.as_known(case[1], confidence=False, attributes=False)
    for name, objects in expected.items():
        expected[name] = [each for each in objects if "optional" not in each]
    assert some_records.round_trip(kitti, case) == expected


def with_pictures(root: Path, case: Case) -> None:
    """As many pixels as the records say, for readers that look."""
    for image in case[1]:
        path = root / (image.split or "training") / "image_2" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("1", (image.width, image.height)).save(
            path, path.suffix[1:].replace("jpg", "jpeg")
        )


def lines_of(
    case: Case, image: LabelledImage
) -> list[tuple[str, np.ndarray[Any, Any], LabelledObject]]:
    """Class, upright box inside the image, and the object, of each line that there must be."""
    dataset, _ = case
    objects = [{"class": each.class_id, **each.place} for each in image.objects]
    around = kind_of(dataset.kind).reach(objects, dataset.schema).reshape(-1, 4)
    inside = np.clip(around, 0, [image.width, image.height] * 2)
    names = ["_".join(some_records.named(dataset, each).split()) for each in image.objects]
    return list(zip(names, inside, image.objects, strict=True))


@some_records.BY_OTHERS
@given(st.sampled_from(SORTS).flatmap(some_records.with_stems_of_their_own))
def test_datumaro_reads_every_box(case: Case) -> None:
    dataset, records = case
    assume(records)
    assume(
        len({"_".join(e.name.split()) for e in dataset.schema.classes})
        == len(dataset.schema.classes)
    )
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(kitti, case, folder))
        labels, found = some_records.opened(root, "kitti_detection")
    items = {(each.subset, each.id): each for each in found}
    assert items.keys() == {(e.split or "training", e.name.removesuffix(".jpg")) for e in records}
    for image in records:
        item = items[image.split or "training", image.name.removesuffix(".jpg")]
        for drawn, (name, box, each) in zip(item.annotations, lines_of(case, image), strict=True):
            assert labels[drawn.label] == ("DontCare" if each.crowd else name)
            np.testing.assert_allclose(drawn.points, box, atol=0.011)
            assert each.crowd or not (drawn.attributes["truncated"] or drawn.attributes["occluded"])


@some_records.BY_OTHERS
@given(some_records.datasets("solid", endings=("jpg",), folders=("",)))
def test_datumaro_reads_every_cuboid_in_space(case: Case) -> None:
    _, records = case
    assume(records)
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(kitti, case, folder))
        with_pictures(root, case)
        items: dict[str, Any] = {}
        for split in {each.split or "training" for each in records}:
            labels, found = some_records.opened(root / split, "kitti3d")
            items |= {each.id: (labels, each) for each in found}
            calibration = {path.read_text() for path in (root / split / "calib").rglob("*.txt")}
            (matrices,) = calibration
            (second,) = (line for line in matrices.splitlines() if line.startswith("P2: "))
            np.testing.assert_allclose([float(n) for n in second.split()[1:]], np.ravel(CAMERA))
    for image in records:
        labels, item = items[image.name.removesuffix(".jpg")]
        assert Path(item.attributes["calib_path"]).name == f"{item.id}.txt"
        for drawn, (name, box, each) in zip(item.annotations, lines_of(case, image), strict=True):
            assert labels[drawn.label] == ("DontCare" if each.crowd else name)
            np.testing.assert_allclose(drawn.points, box, atol=0.011)
            if each.crowd:
                continue
            solid, said = each.place["solid"], drawn.attributes
            length, height, width = solid["size"]
            assert said["dimensions"] == pytest.approx([height, width, length])
            x, y, z = solid["centre"]
            assert said["location"] == pytest.approx([x, y + height / 2, z])
            assert said["rotation_y"] == pytest.approx(solid["yaw"])
            seen = np.exp(1j * (said["alpha"] + np.arctan2(x, z)))
            assert seen == pytest.approx(np.exp(1j * solid["yaw"]), abs=1e-3)


@some_records.BY_OTHERS
@given(some_records.datasets("box", class_names=some_records.plain, crowds=False))
def test_labelformat_reads_every_box(case: Case) -> None:
    dataset, records = case
    stems = {each.name.rsplit(".", 1)[0] for each in records}
    assume(records and len(stems) == len(records))
    reader = import_module("labelformat.formats.kitti").KittiObjectDetectionInput
    names = ",".join(each.name for each in dataset.schema.classes)
    found: dict[str, Any] = {}
    with some_records.a_folder() as folder:
        root = some_records.extracted(some_records.written(kitti, case, folder))
        with_pictures(root, case)
        for split in {each.split or "training" for each in records}:
            labels = reader(
                root / split / "label_2", names, images_rel_path="../image_2"
            ).get_labels()
            found |= {each.image.filename: each for each in labels}
    assert found.keys() == {each.name for each in records}
    for image in records:
        said = [
            (each.category.name, [each.box.xmin, each.box.ymin, each.box.xmax, each.box.ymax])
            for each in found[image.name].objects
        ]
        expected = [(some_records.named(dataset, e), e.place["box"]) for e in image.objects]
        assert said == expected


def a_box(attributes: dict[str, Any]) -> LabelledObject:
    return LabelledObject(
        1, {"box": [0.0, 0.0, 2.0, 2.0]}, attributes, 1.0, "gold", [0], crowd=False
    )


def test_truncated_and_occluded_have_columns_of_their_own(tmp_path: Path) -> None:
    asked = [{"name": "truncated", "type": "number"}, {"name": "occluded", "type": "flag"}]
    schema = LabelSchema.parse(
        {"classes": [{"id": 1, "name": "car", "colour": "#000000", "attributes": asked}]}
    )
    described = Described("p", "n", "box", schema)
    assert Loses.ATTRIBUTES in kitti.losses(described)
    said: list[dict[str, Any]] = [{"truncated": 0.25, "occluded": True}, {}, {"truncated": 5.0}]
    image = LabelledImage(1, "u", "a.jpg", 9, 9, "s", [a_box(each) for each in said], [])
    case = described, [image]
    root = some_records.extracted(some_records.written(kitti, case, tmp_path))
    lines = (root / "training/label_2/a.txt").read_text().splitlines()
    assert [line.split()[1:3] for line in lines] == [["0.25", "1"], ["0.00", "0"], ["0.00", "0"]]
    (known,) = some_records.read_folder(kitti, tmp_path, some_records.wanted(case))
    assert isinstance(known, Known)
    assert [each["attributes"] for each in known.objects] == [said[0], {}, {}]


def test_no_two_classes_are_one_word(tmp_path: Path) -> None:
    names = ("a b", "a_b", "DontCare", "é")
    schema = LabelSchema(tuple(LabelClass(i, each, "#000000") for i, each in enumerate(names, 1)))
    case: Case = Described("p", "n", "box", schema), []
    root = some_records.extracted(some_records.written(kitti, case, tmp_path))
    meta = orjson.loads((root / "dataset_meta.json").read_bytes())
    words = ["a_b", "a_b_2", "DontCare_3", "é"]
    assert meta["labels"] == [*words, "DontCare"]
    assert [each["word"] for each in meta["classes"]] == words
    assert [(each["id"], each["name"]) for each in meta["classes"]] == list(enumerate(names, 1))


def test_pictures_stand_in_a_folder_of_their_own(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator.png"
    Image.new("RGB", (4, 3)).save(picture)
    case = (
        Described("p", "n", "box", SCHEMA, pictures=True),
        [LabelledImage(1, "u", "a/b.png", 4, 3, "s", [], [])],
    )
    (tmp_path / "made").mkdir()
    root = some_records.extracted(some_records.written(kitti, case, tmp_path / "made", picture))
    assert (root / "training/image_2/a/b.png").read_bytes() == picture.read_bytes()
    assert (root / "training/label_2/a/b.txt").read_bytes() == b""


def read(
    folder: Path, content: str | bytes, schema: LabelSchema = SCHEMA, kind: str = "box"
) -> list[Any]:
    path = folder / "training" / "label_2" / "a.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(kitti.read(Folder(folder), Wanted(kind, schema, {"a.jpg": Size(900, 300)})))


REST = "-1 -1 -1 -1000 -1000 -1000 -10"
GOOD = f"big_car 0.00 0 -10 1.00 1.00 4.00 4.00 {REST}"


def test_results_have_a_score(tmp_path: Path) -> None:
    (known,) = read(tmp_path, f"{GOOD} 0.5\nDontCare -1 -1 -10 1 1 4 4 {REST}\n\n{GOOD}\n")
    assert [each.get("confidence") for each in known.objects] == [0.5, None]
    assert known.objects[1] == {"class": 7, "box": [1, 1, 4, 4], "attributes": {}}


@pytest.mark.parametrize(
    ("line", "at", "why"),
    [
        (GOOD.replace("big_car", "tram"), "", "'tram' is not a class"),
        (GOOD.replace("big_car", "big car"), "", "has 16"),
        (GOOD.removesuffix(" -10"), "", "has 14 columns"),
        (GOOD.replace("4.00", "x"), "", "must be numbers"),
        (GOOD.replace("4.00", "nan"), ".box[2]", "finite"),
        (GOOD.replace("4.00", "9999"), ".box[2]", "outside"),
        (GOOD.replace("4.00", "1.00"), ".box", "no area"),
        (f"{GOOD} 17", ".confidence", "between"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, line: str, at: str, why: str
) -> None:
    refused, known = read(tmp_path, f"{GOOD}\n{line}\n")
    if why == "has 16":  # which may be a score after a name of one word
        assert "not a class" in refused.why
    else:
        assert why in refused.why
    assert refused.at == f"training/label_2/a.txt:2{at}"
    assert len(known.objects) == 1


def test_a_cuboid_in_space_needs_all_columns(tmp_path: Path) -> None:
    refused, _ = read(tmp_path, GOOD, SOLIDS, "cuboid")
    assert refused.at.endswith(":1.solid.size")
    right = f"{GOOD.removesuffix(REST)}1.5 1.6 3.9 0.5 1.7 20.0 -1.57"
    (known,) = read(tmp_path, right, SOLIDS, "cuboid")
    assert known.objects[0]["solid"] == {
        "centre": [0.5, 0.95, 20.0],
        "size": [3.9, 1.5, 1.6],
        "yaw": -1.57,
    }
    refused, _ = read(tmp_path, right, SCHEMA, "cuboid")
    assert "must be given as 'cuboid'" in refused.why


@pytest.mark.parametrize(
    ("of", "why"), [(CAMERA, None), ("1 2 3", "no matrix of 3 x 4"), (REST, "no matrix"),
        (np.add(CAMERA, 1), "is not the camera of the label schema")],
)  # fmt: skip
def test_cuboids_in_space_are_of_the_cameras_of_their_files(
    tmp_path: Path, of: Any, why: str | None
) -> None:
    (tmp_path / "training" / "calib").mkdir(parents=True)
    numbers = of if isinstance(of, str) else " ".join(str(each) for each in np.ravel(of))
    path = tmp_path / "training" / "calib" / "a.txt"
    path.write_text(f"P0: 1 0 0 0 0 1 0 0 0 0 1 0\nP2: {numbers}\n")
    right = f"{GOOD.removesuffix(REST)}1.5 1.6 3.9 0.5 1.7 20.0 -1.57"
    (found,) = read(tmp_path, right, SOLIDS, "cuboid")
    if why is None:
        assert isinstance(found, Known)
    else:
        assert why in found.why
        assert found.image == "a.jpg"
    (boxes,) = read(tmp_path, right)
    assert isinstance(boxes, Known), "boxes are of the picture, whatever has taken it"
    for folder in ("label_2", "calib"):
        (tmp_path / "training" / folder).rename(tmp_path / folder)
    top = Wanted("cuboid", SOLIDS, {"a.jpg": Size(900, 300)})
    (same,) = kitti.read(Folder(tmp_path), top)
    assert type(same) is type(found), "there need be no folder of a split"


def test_what_is_not_of_this_project_or_no_text_is_refused(tmp_path: Path) -> None:
    (refused, known) = read(tmp_path, b"\xff\xfe\n")
    assert isinstance(refused, Refused)
    assert not known.objects
    (tmp_path / "training/label_2/b.txt").write_text(GOOD)
    assert any(
        "'b' is not an image" in each.why
        for each in read(tmp_path, b"x")
        if isinstance(each, Refused)
    )
    with pytest.raises(BadFile, match="no text file"):
        list(kitti.read(Folder(tmp_path / "training" / "label_2"), Wanted("box", SCHEMA)))
