"""Reading YOLO as tools write it, and as nobody should."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import yolo
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import some_records

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))

SIZES = {"a.jpg": Size(100, 50), "b.jpg": Size(10, 10)}


def read(
    folder: Path,
    files: dict[str, str | bytes],
    kind: str = "box",
    schema: LabelSchema = SCHEMA,
    sizes: dict[str, Size] = SIZES,
) -> list[Any]:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(yolo.read(Folder(folder), Wanted(kind, schema, sizes)))


SETTINGS = "train: images/train\nval: images/train\nnames: [bus, car]\n"
GOOD = "0 0.5 0.5 0.2 0.4\n"
LABELS = "labels/train/a.txt"


@pytest.mark.parametrize(
    ("settings_", "where"),
    [
        (SETTINGS, ""),
        ("path: ../sets\ntrain:\n  - images/train # all\nnames:\n  0: bus\n  1: car\n", ""),
        ("train: ./images/train/\nnames:\n- 'bus'\n- \"car\"\nnc: 2\n", ""),
        ("names: {0: 'bus', 1: \"c\\u0061r\"}\ntrain: images/train\n", ""),
        ("---\n# of\nnames: ['bus',\n 'car']\ntrain: ../train/images\n", "train/labels/a.txt"),
        (SETTINGS, "some/folder/labels/train/a.txt"),
    ],
)  # fmt: skip
def test_settings_of_all_sorts_are_read(tmp_path: Path, settings_: str, where: str) -> None:
    top = where.removesuffix(LABELS) if where.endswith(LABELS) else ""
    files: dict[str, str | bytes] = {f"{top}data.yaml": settings_, where or LABELS: GOOD}
    (known,) = read(tmp_path, files)
    assert known == Known(
        where or LABELS,
        "a.jpg",
        [{"class": 3, "box": [40.0, 15.0, 60.0, 35.0], "attributes": {}}],
        Size(100, 50),
        [f"{where or LABELS}:1"],
        [],
    )


def test_a_number_more_is_a_confidence(tmp_path: Path) -> None:
    (known,) = read(tmp_path, {"data.yaml": SETTINGS, LABELS: f"{GOOD.strip()} 0.25\n\n{GOOD}"})
    assert [each.get("confidence") for each in known.objects] == [0.25, None]
    outline = "1 0.1 0.1 0.5 0.1 0.5 0.5 0.75"
    (known,) = read(tmp_path, {"data.yaml": SETTINGS, LABELS: outline}, "polygon")
    (found,) = known.objects
    assert (found["polygon"], found["confidence"]) == ([[[[10, 5], [50, 5], [50, 25]]]], 0.75)


@pytest.mark.parametrize(
    ("kind", "line", "at", "why"),
    [
        ("box", "2 0.5 0.5 0.2 0.4", "", "'2' is not the number"),
        ("box", "car 0.5 0.5 0.2 0.4", "", "'car' is not the number"),
        ("box", "0 0.5 0.5 0.2", "", "has 3 numbers"),
        ("box", "0", "", "has 0 numbers"),
        ("box", "0 0.5 0.5 0.2 0.4 0.1 0.1", "", "has 6 numbers"),
        ("box", "0 0.5 0.5 0.2 x", "", "must be numbers"),
        ("box", "0 0.5 0.5 0.2 nan", "", "finite"),
        ("box", "0 0.5 0.5 0.2 1e999", "", "finite"),
        ("box", "0 0.5 0.5 0 0.4", ".box", "no area"),
        ("box", "0 0.5 0.5 2 0.4", ".box[0]", "outside"),
        ("box", f"{GOOD.strip()} 7", ".confidence", "between"),
        ("polygon", "0 0.1 0.1 0.5 0.5 0.5 0.1 0.1 0.5", ".polygon[0][0]", "crosses"),
        ("polygon", "0 0.1 0.1 0.5 0.5", ".polygon[0][0]", "three"),
        ("polygon", "0 0.1 0.1", "", "has 2 numbers"),
        ("instance_mask", "0 0.1 0.1 0.1 0.1 0.1 0.1", "", "no pixel"),
        ("keypoints", "0 0.5 0.5 0.2 0.4", ".points", "must be 2 points"),
        ("keypoints", "0 0.5 0.5 0.2 0.4 0.1 0.1", "", "has 6 numbers"),
        ("keypoints", "0 .5 .5 .2 .4 .1 .1 2 .1 .1 1 .1 .1 2", "", "more than the 2 points"),
        ("keypoints", "0 .5 .5 .2 .4 .1 .1 2 .1 .1 1.5", ".points[1][2]", "whole"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, kind: str, line: str, at: str, why: str
) -> None:
    skeleton = {"points": [{"name": "front"}, {"name": "rear"}]}
    one = {"id": 3, "name": "bus", "colour": "#0000ff", "skeleton": skeleton}
    schema = LabelSchema.parse({"classes": [one]})
    refused, known = read(tmp_path, {"data.yaml": SETTINGS, LABELS: f"\n{line}"}, kind, schema)
    assert refused.at == f"{LABELS}:2{at}"
    assert why in refused.why
    assert not known.objects


def test_other_settings_may_stand_beside_data_yaml(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"data.yaml": SETTINGS, "args.yaml": "lr0: 0.01", LABELS: GOOD}
    (known,) = read(tmp_path, files)
    assert len(known.objects) == 1
    with pytest.raises(BadFile, match=", not 2"):
        read(tmp_path, {"more/data.yml": SETTINGS})


def test_points_may_have_two_numbers(tmp_path: Path) -> None:
    skeleton = {"points": [{"name": "front"}, {"name": "rear"}]}
    one = {"id": 3, "name": "bus", "colour": "#0000ff", "skeleton": skeleton}
    files: dict[str, str | bytes] = {
        "data.yaml": f"{SETTINGS}kpt_shape: [2, 2]\n",
        LABELS: "0 .5 .5 .2 .4 .1 .1 0 0",
    }
    (known,) = read(tmp_path, files, "keypoints", LabelSchema.parse({"classes": [one]}))
    assert known.objects[0]["points"] == [[10, 5, 2], [0, 0, 0]]


def test_a_class_of_theirs_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    settings_ = SETTINGS.replace("bus", "tram")
    refused, _ = read(tmp_path, {"data.yaml": settings_, LABELS: GOOD})
    why = "'tram' is not a class of this project"
    assert refused == Refused(f"{LABELS}:1.class", why, Code.UNKNOWN_CLASS)


def test_corners_that_are_no_rectangle_are_given_the_smallest_around_them(tmp_path: Path) -> None:
    schema = LabelSchema(SCHEMA.classes, rotated=True)
    lines = "0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.58\n0 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1\n"
    refused, known = read(tmp_path, {"data.yaml": SETTINGS, LABELS: lines}, schema=schema)
    assert "enclose nothing" in refused.why
    assert known.objects[0]["box"] == [10, 10, 50, 30]


def test_labels_of_no_image_are_refused(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"data.yaml": SETTINGS, "labels/train/c.txt": GOOD, "a.txt": ""}
    assert read(tmp_path, files) == [
        Refused("labels/train/c.txt", "is of no image of this project", Code.FOREIGN_IMAGE)
    ]


def test_folders_of_classes_are_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = dict.fromkeys(("train/bus/a.jpg", "val/tram/b.jpg", "x/y"), "")
    found = read(tmp_path, {**files, "README.txt": "of some tool"}, "classify")
    assert found == [
        Refused("x/y", "must be a path: a folder, a class and the name of an image"),
        Known(
            "train/bus/a.jpg",
            "a.jpg",
            [{"class": 3, "attributes": {}}],
            Size(100, 50),
            ["train/bus/a.jpg"],
            [],
        ),
        Refused(
            "val/tram/b.jpg.class", "'tram' is not a class of this project", Code.UNKNOWN_CLASS
        ),
        Known("val/tram/b.jpg", "b.jpg", [], Size(10, 10), [], []),
    ]


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no folders of classes"):
        read(tmp_path, {}, "classify")
    with pytest.raises(BadFile, match=r"one file data\.yaml, not 0"):
        read(tmp_path, {})
    for settings_ in ("", "train: a", "names: car", b"\xff\xfe", "names", "- a", "  a: b"):
        with pytest.raises(BadFile, match="no names"):
            read(tmp_path, {"data.yaml": settings_})


@given(st.text(max_size=60) | st.text("-:'\"[]{}#, \n01ab", max_size=60))
def test_any_settings_are_read_or_refused(text: str) -> None:
    with some_records.a_folder() as folder:
        try:
            found = read(folder, {"data.yaml": f"names: [a]\n{text}", LABELS: GOOD})
        except BadFile:
            return
        assert all(isinstance(each, Known | Refused) for each in found)


def places(found: list[Any]) -> list[tuple[str, int] | Code]:
    """The name of each image and how much is on it, or why it was refused."""
    return [
        (each.name, len(each.objects)) if isinstance(each, Known) else each.code for each in found
    ]


@pytest.mark.parametrize("listed", ["images/train/a.jpg", "./images/train/a.jpg",
    "/home/me/set/images/train/a.jpg", "data\\images\\train\\a.jpg"])  # fmt: skip
@pytest.mark.parametrize("top", ["", "set/"])
def test_a_split_may_be_a_list_of_paths(tmp_path: Path, listed: str, top: str) -> None:
    settings_ = "path: .\ntrain: train.txt\nval: val.txt # is not there\nnames: [bus, car]\n"
    lines = f"{listed}\n\nimages/train/b.jpg\nimages/z.jpg\n"
    files: dict[str, str | bytes] = {f"{top}data.yaml": settings_, f"{top}train.txt": lines}
    found = read(tmp_path, files | {f"{top}{LABELS}": GOOD})
    assert places(found) == [("a.jpg", 1), ("b.jpg", 0), Code.FOREIGN_IMAGE]
    assert [each.at for each in found] == [
        f"{top}{LABELS}",
        f"{top}train.txt:3",
        f"{top}train.txt:4",
    ]


LISTED = "path: .\ntrain: train.txt\nnames: [bus, car]\n"


@pytest.mark.parametrize("before", ["./", "", "/home/me/set/", "C:\\sets\\mine\\", "data/"])
def test_images_of_one_name_in_two_folders_are_two(tmp_path: Path, before: str) -> None:
    """Their labels as well: those of `x.jpg` are of none of them, and none of them is `x.jpg`."""
    sizes = dict.fromkeys(("d1/x.jpg", "d2/x.jpg", "x.jpg"), Size(100, 50))
    lines = [f"{before}images/{name}" for name in ("d1/x.jpg", "d2/x.jpg", "x.jpg", "d3/x.jpg")]
    files: dict[str, str | bytes] = {"data.yaml": LISTED, "train.txt": "\n".join(lines)}
    found = read(tmp_path, files | {"labels/x.txt": GOOD, "labels/d2/x.txt": GOOD * 2}, sizes=sizes)
    expected = [("d1/x.jpg", 0), ("d2/x.jpg", 2), ("x.jpg", 1), Code.FOREIGN_IMAGE]
    assert places(found) == expected
    only = {"x.jpg": Size(100, 50)}
    (tmp_path / "labels/x.txt").unlink()
    found = read(tmp_path, files | {"train.txt": "\n".join(lines[:2])}, sizes=only)
    assert places(found) == [Code.FOREIGN_IMAGE] * 2


@pytest.mark.parametrize("folder", ["train", "Train", "train2017", "valid", "test-dev2017"])
def test_the_folder_of_a_split_is_no_part_of_a_name(tmp_path: Path, folder: str) -> None:
    lines = f"/set/images/{folder}/d1/x.jpg\n/set/images/{folder}/a.jpg\n{folder}/b.jpg\n"
    files: dict[str, str | bytes] = {"data.yaml": LISTED, "train.txt": lines}
    files |= {f"labels/{folder}/{each}.txt": GOOD for each in ("d1/x", "a", "b")}
    sizes = SIZES | {"d1/x.jpg": Size(9, 9), "x.jpg": Size(9, 9)}
    found = places(read(tmp_path, files, sizes=sizes))
    assert found == [("d1/x.jpg", 1), ("a.jpg", 1), ("b.jpg", 1)]


@pytest.mark.parametrize("folder", ["images/all", "images/fold1/part 2", "trainval", "data"])
def test_any_folder_may_be_left_away_where_no_two_lines_end_alike(
    tmp_path: Path, folder: str
) -> None:
    lines = f"/set/{folder}/a.jpg\n/set/{folder}/b.jpg\n"
    labels = folder.replace("images/", "labels/") if "images" in folder else "labels"
    files: dict[str, str | bytes] = {"data.yaml": LISTED, "train.txt": lines}
    found = read(tmp_path, files | {f"{labels}/a.txt": GOOD})
    assert places(found) == [("a.jpg", 1), ("b.jpg", 0)]


def test_a_file_of_labels_is_of_one_line(tmp_path: Path) -> None:
    lines = "/one/images/a.jpg\n/two/images/train/a.jpg\n/two/images/a.jpg\n"
    files: dict[str, str | bytes] = {"data.yaml": LISTED, "train.txt": lines, "labels/a.txt": GOOD}
    found = read(tmp_path, files)
    assert places(found) == [("a.jpg", 1), Code.REPEATED, Code.REPEATED]
    assert [(each.at, each.image) for each in found[2:]] == [("train.txt:3", "a.jpg")]


def test_a_list_may_have_any_lines(tmp_path: Path) -> None:
    lines = ["/", ".", "..", "z/..", "\0", ".jpg", "/" * 100_000, f"images/{'1' * 100_000}/a.jpg"]
    lines.append("a/" * 100_000 + "images/a.jpg")
    files: dict[str, str | bytes] = {
        "data.yaml": "train: train.txt\nnames: [bus, car]\n",
        "train.txt": "\n".join(lines).encode() + b"\n\xff.jpg\n",
    }
    found = places(read(tmp_path, files))
    assert found == [Code.FOREIGN_IMAGE] * 8 + [("a.jpg", 0), Code.FOREIGN_IMAGE]


def test_lists_of_which_none_is_there_are_a_bad_file(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"data.yaml": "train: /x/train.txt\nnames: [bus]"}
    with pytest.raises(BadFile, match=r"names '/x/train\.txt', which is not there"):
        read(tmp_path, files | {LABELS: GOOD})


def test_a_set_may_lie_below_a_path(tmp_path: Path) -> None:
    settings_ = "path: ./sets/one\ntrain: images/train\nnames: [bus, car]\n"
    files: dict[str, str | bytes] = {"data.yaml": settings_, f"sets/one/{LABELS}": GOOD}
    assert places(read(tmp_path, files)) == [("a.jpg", 1)]


def test_images_of_several_splits_may_go_by_their_folders_too(tmp_path: Path) -> None:
    """As the command line calls those of two folders that were given at once."""
    sizes = {"train/a.jpg": Size(100, 50), "val/a.jpg": Size(100, 50)}
    files: dict[str, str | bytes] = {
        "data.yaml": "train: images/train\nval: images/val\nnames: [bus, car]\n",
        LABELS: GOOD,
        "labels/val/a.txt": GOOD * 2,
        "labels/val/b.txt": GOOD,
    }
    found = read(tmp_path, files, sizes=sizes)
    assert places(found) == [("train/a.jpg", 1), ("val/a.jpg", 2), Code.FOREIGN_IMAGE]


def test_a_picture_without_labels_shows_nothing(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"data.yaml": SETTINGS, LABELS: GOOD}
    files |= {f"images/train/{name}": b"" for name in ("a.jpg", "b.JPG", "z.jpg")}
    sizes = {"a.jpg": Size(100, 50), "b.JPG": Size(10, 10)}
    assert sorted(places(read(tmp_path, files, sizes=sizes))) == [("a.jpg", 1), ("b.JPG", 0)]


def test_the_third_number_of_a_models_point_says_how_certain_it_is(tmp_path: Path) -> None:
    points = {"points": [{"name": "front"}, {"name": "rear"}], "edges": []}
    one = {"id": 1, "name": "car", "colour": "#0000ff", "skeleton": points}
    schema = LabelSchema.parse({"classes": [one]})
    settings_ = "train: images/train\nnames: [car]\nkpt_shape: [2, 3]\n"
    lines = "0 .5 .5 .2 .4 .5 .5 .93 .1 .1 .31 .8\n0 .5 .5 .2 .4 .5 .5 1 .1 .1 .5\n"
    lines += "0 .5 .5 .2 .4 0 0 0 0 0 0\n"
    files: dict[str, str | bytes] = {"data.yaml": settings_, LABELS: lines}
    refused, known = read(tmp_path, files, "keypoints", schema)
    assert [[v for *_, v in each["points"]] for each in known.objects] == [[2, 0], [2, 2]]
    assert (refused.at, refused.code) == (f"{LABELS}:3", Code.UNLABELLED)


@pytest.mark.parametrize(
    "said",
    [
        "[[",
        "names: &a [*a]",
        "names: {a: [b]}",
        "train: {a: b}",
        "train: [[a]]",
        "a: b\na: b: c",
        "names: *x",
        "? [a]\n: b",
        "[" * 5_000,
        "{a: " * 5_000,
    ],
)
def test_settings_that_make_no_sense_are_a_bad_file(tmp_path: Path, said: str) -> None:
    with pytest.raises(BadFile, match=r"data\.yaml"):
        read(tmp_path, {"data.yaml": f"{said}\n", LABELS: GOOD})


def test_settings_are_not_longer_than_settings_are(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="larger than 1 MB"):
        read(tmp_path, {"data.yaml": SETTINGS + "#" * 2**20, LABELS: GOOD})


def test_a_class_may_be_called_no(tmp_path: Path) -> None:
    schema = LabelSchema((LabelClass(1, "no", "#ff0000"), LabelClass(2, "007", "#00ff00")))
    files: dict[str, str | bytes] = {"data.yaml": "train: images/train\nnames: [no, 007]\n"}
    (known,) = read(tmp_path, files | {LABELS: f"{GOOD}1{GOOD[1:]}"}, schema=schema)
    assert [each["class"] for each in known.objects] == [1, 2]
