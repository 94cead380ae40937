"""What people send that is wrong, in each format that can be wrong in that way.

It is refused by its place with a code, or the file is; what stands beside it is taken.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tessera.formats import FORMATS
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Described, Known, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelSchema, Size
from tests.formats import some_records

SIDE = 100
POLYGONS = [name for name, each in FORMATS.items() if "polygon" in each.KINDS]
BOXES = [name for name, each in FORMATS.items() if "box" in each.KINDS]
KEYPOINTS = [name for name, each in FORMATS.items() if "keypoints" in each.KINDS]
BY_NUMBER = {"json-lines"}
"""Has no names of classes."""
WITHOUT_SIZE = {"kitti", "open-images", "yolo"}
WITHOUT_ATTRIBUTES = {"kitti", "masks", "open-images", "yolo"}
GOOD = {"polygon": [[[[50, 50], [90, 50], [90, 90]]]]}
SEATS = {"name": "seats", "type": "number"}
MASK = {"left": 3, "top": 4, "size": [2, 2], "counts": "04"}
BOX = {"box": [10, 20, 37.25, 40]}


def schema(*names: str, points: Sequence[str] = (), attributes: Sequence[Any] = ()) -> LabelSchema:
    asked = {"attributes": list(attributes)}
    skeleton = {"skeleton": {"points": [{"name": each} for each in points]}} if points else {}
    classes = [
        {"id": number, "name": name, "colour": f"#00000{number}", **asked, **skeleton}
        for number, name in enumerate(names or ("car", "bus"), 1)
    ]
    return LabelSchema.parse({"classes": classes})


def an_object(place: dict[str, Any], class_id: int = 1, **said: Any) -> LabelledObject:
    return LabelledObject(class_id, place, said, 1.0, "gold", [0], crowd=False)


def an_image(number: int, name: str, *objects: LabelledObject) -> LabelledImage:
    return LabelledImage(number, "u", name, SIDE, SIDE, "0" * 64, list(objects), [])


def written(
    folder: Path, format_: str, kind: str, *records: LabelledImage, by: LabelSchema | None = None
) -> Path:
    dataset = Described("p", "d", kind, by or schema())
    some_records.written(FORMATS[format_], (dataset, list(records)), folder)
    return some_records.extracted(folder) if list(folder.glob("*.tar")) else folder


def read(
    root: Path, format_: str, kind: str, *names: str, by: LabelSchema | None = None
) -> tuple[dict[str, Known], list[Refused]]:
    source: Any = FORMATS[format_]
    wanted = Wanted(kind, by or schema(), dict.fromkeys(names, Size(SIDE, SIDE)))
    found = list(source.read(Folder(root), wanted))
    known = {each.name: each for each in found if isinstance(each, Known)}
    return known, [each for each in found if isinstance(each, Refused)]


def spoil(root: Path, old: str, new: str) -> None:
    """Something else instead, in whichever file it is."""
    some = False
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if old.encode() in content:
            path.write_bytes(content.replace(old.encode(), new.encode()))
            some = True
    assert some


@pytest.mark.parametrize("format_", POLYGONS)
@pytest.mark.parametrize(
    "outline",
    [
        [[1, 1], [9, 9], [9, 1], [1, 9]],
        [[1, 1], [5, 5], [9, 9]],
        [[1, 1], [9, 1], [1, 1], [9, 1]],
        [[1, 1], [1, 1], [1, 1]],
        [[1, 1], [900, 1], [9, 9]],
        [[-50, 1], [9, 1], [9, 9]],
    ],
    ids=["crossing", "flat", "back-and-forth", "one-point", "outside", "negative"],
)
def test_outlines_that_are_none(tmp_path: Path, format_: str, outline: Any) -> None:
    records = (
        an_image(1, "a.jpg", an_object({"polygon": [[outline]]}), an_object(GOOD)),
        an_image(2, "b.jpg", an_object(GOOD)),
    )
    root = written(tmp_path, format_, "polygon", *records)
    known, (refused,) = read(root, format_, "polygon", "a.jpg", "b.jpg")
    assert refused.code in {Code.BAD_OBJECT, Code.BAD_RECORD}
    assert [len(known[name].objects) for name in ("a.jpg", "b.jpg")] == [1, 1]
    assert refused.at not in known["a.jpg"].places


@pytest.mark.parametrize("format_", POLYGONS)
def test_rings_in_the_wrong_direction_are_turned(tmp_path: Path, format_: str) -> None:
    outline = GOOD["polygon"][0][0]
    found = []
    for name, ring in (("one", outline), ("other", outline[::-1])):
        (tmp_path / name).mkdir()
        record = an_image(1, "a.jpg", an_object({"polygon": [[ring]]}))
        root = written(tmp_path / name, format_, "polygon", record)
        known, refused = read(root, format_, "polygon", "a.jpg")
        assert not refused
        found.append(known["a.jpg"].objects)
    assert found[0] == found[1]


AS_JSON = {
    "coco": "27.25",
    "datumaro": "27.25",
    "geojson": "37.25",
    "json-lines": "37.25",
    "label-studio": "27.25",
    "labelme": "37.25",
    "webdataset": "37.25",
}
AS_TEXT = {"cvat": "37.25", "kitti": "37.25", "open-images": "0.3725", "voc": "37.25"}
JUNK = ("NaN", "Infinity", "-Infinity", "1e999", "1e308", "-1e308", "9" * 400, "9" * 5_000, '"x"')
NESTED = ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, "[" * 400 + "]" * 400)
SPOILT = [
    *((format_, old, new) for format_, old in AS_JSON.items() for new in (*JUNK, *NESTED)),
    *((format_, old, new) for format_, old in AS_TEXT.items() for new in (*JUNK, "\0", "")),
    *(("yolo", "0.2725", new) for new in (*JUNK, "\0")),
]


@pytest.mark.parametrize(
    ("format_", "old", "new"), SPOILT, ids=[f"{each[0]}-{each[2][:12]}" for each in SPOILT]
)
def test_numbers_that_are_none(tmp_path: Path, format_: str, old: str, new: str) -> None:
    records = (
        an_image(1, "a.jpg", an_object(BOX), an_object({"box": [1, 2, 3, 4]})),
        an_image(2, "b.jpg", an_object({"box": [1, 2, 3, 4]})),
    )
    root = written(tmp_path, format_, "box", *records)
    spoil(root, old, new)
    try:
        known, refused = read(root, format_, "box", "a.jpg", "b.jpg")
    except BadFile as error:
        known, refused = {}, [Refused(error.facts["at"], error.facts["why"], Code.BAD_FILE)]
    assert refused[0].code in {Code.BAD_RECORD, Code.BAD_OBJECT, Code.BAD_FILE}
    assert refused[0].at.startswith(tuple(each.name for each in root.iterdir()))
    assert refused[0].code is Code.BAD_FILE or len(known["b.jpg"].objects) == 1
    assert all(len(each.objects) == 1 for each in known.values())


@pytest.mark.parametrize("format_", FORMATS)
def test_names_in_two_folders_of_any_script_and_300_letters(format_: str) -> None:
    kind = "box" if format_ in BOXES else "instance_mask"
    names = sorted(["a/x.jpg", "b/x.jpg", "日本/ø é ☃.jpg", "n" * 296 + ".jpg", "..a/b..c.jpg"])
    records = [
        an_image(
            number, name, *[an_object(BOX if kind == "box" else {"mask": MASK})] * (number % 2)
        )
        for number, name in enumerate(names, 1)
    ]
    case = Described("p", "d", kind, schema()), records
    found = some_records.round_trip(FORMATS[format_], case)
    assert {name: len(objects) for name, objects in found.items()} == {
        name: number % 2 for number, name in enumerate(names, 1)
    }


@pytest.mark.parametrize("format_", [each for each in BOXES if each not in WITHOUT_SIZE])
@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "n" * 301, "a\\b.jpg"])
def test_names_that_no_image_can_have(tmp_path: Path, format_: str, name: str) -> None:
    records = an_image(1, name, an_object(BOX)), an_image(2, "z.jpg", an_object(BOX))
    dataset = Described("p", "d", "box", schema())
    for wanted, code in (
        (Wanted("box", schema()), Code.BAD_NAME),
        (Wanted("box", schema(), {"z.jpg": Size(SIDE, SIDE)}), Code.FOREIGN_IMAGE),
    ):
        folder = tmp_path / code
        folder.mkdir()
        out = ""
        some_records.written(FORMATS[format_], (dataset, list(records)), folder)
        try:
            refused, known = some_records.read_folder(FORMATS[format_], folder, wanted)  # type: ignore[arg-type]
        except BadFile as error:  # with a file of its own
            out = str(error)
        else:
            assert isinstance(refused, Refused)
            assert isinstance(known, Known)
            assert (refused.code, known.name, out) == (code, "z.jpg", "")
            continue
        assert "leads out of the archive" in out or "has a backslash" in out


@pytest.mark.parametrize("format_", [each for each in BOXES if each not in WITHOUT_ATTRIBUTES])
def test_attributes_that_nobody_asks_for(tmp_path: Path, format_: str) -> None:
    record = an_image(1, "a.jpg", *[an_object(BOX, seats=4.0)] * 2)
    root = written(tmp_path, format_, "box", record, by=schema(attributes=[SEATS]))
    known, refused = read(root, format_, "box", "a.jpg")
    assert not refused
    assert [each["attributes"] for each in known["a.jpg"].objects] == [{}, {}]
    (left_out,) = known["a.jpg"].left_out
    assert left_out.code is Code.UNKNOWN_ATTRIBUTE
    assert "'car' has no attribute 'seats'" in left_out.why
    assert left_out.at == known["a.jpg"].places[0]


@pytest.mark.parametrize("format_", [each for each in FORMATS if each not in BY_NUMBER])
def test_classes_whose_ids_have_changed_go_by_their_names(tmp_path: Path, format_: str) -> None:
    kind = "box" if format_ in BOXES else "instance_mask"
    record = an_image(1, "a.jpg", an_object(BOX if kind == "box" else {"mask": MASK}, 2))
    root = written(tmp_path, format_, kind, record, by=schema("car", "bus", "tram"))
    known, refused = read(root, format_, kind, "a.jpg", by=schema("bus", "tram", "car"))
    assert not refused
    assert [each["class"] for each in known["a.jpg"].objects] == [1]


@pytest.mark.parametrize("format_", FORMATS)
def test_classes_that_the_project_does_not_have(tmp_path: Path, format_: str) -> None:
    kind = "box" if format_ in BOXES else "instance_mask"
    record = an_image(1, "a.jpg", an_object(BOX if kind == "box" else {"mask": MASK}, 2))
    root = written(tmp_path, format_, kind, record)
    known, (refused,) = read(root, format_, kind, "a.jpg", by=schema("car"))
    assert refused.code is Code.UNKNOWN_CLASS
    assert known["a.jpg"].objects == []


@pytest.mark.parametrize("format_", KEYPOINTS)
def test_keypoints_that_the_skeleton_does_not_have(tmp_path: Path, format_: str) -> None:
    place = {"points": [[5, 5, 2], [6, 7, 2], [8, 9, 1]]}
    both = schema("car", points=("nose", "tail", "ear"))
    known, refused = read(
        written(tmp_path, format_, "keypoints", an_image(1, "a.jpg", an_object(place)), by=both),
        format_,
        "keypoints",
        "a.jpg",
        by=schema("car", points=("nose", "tail")),
    )
    assert [each.code for each in refused] in ([Code.UNKNOWN_POINT], [Code.BAD_OBJECT])
    assert known["a.jpg"].objects == []


@pytest.mark.parametrize("format_", KEYPOINTS)
def test_keypoints_outside_the_image(tmp_path: Path, format_: str) -> None:
    by = schema("car", points=("nose", "tail"))
    objects = [an_object({"points": [[x, 5, 2], [6, 7, 2]]}) for x in (900, 9)]
    root = written(tmp_path, format_, "keypoints", an_image(1, "a.jpg", *objects), by=by)
    known, (refused,) = read(root, format_, "keypoints", "a.jpg", by=by)
    assert refused.code is Code.BAD_OBJECT
    assert len(known["a.jpg"].objects) == 1


@pytest.mark.parametrize("format_", ["json-lines", "webdataset"])
@pytest.mark.parametrize(
    "change",
    [{"counts": "05"}, {"counts": "0"}, {"size": [3, 2]}, {"size": [-2, 2]}, {"left": 99}],
)
def test_run_lengths_that_do_not_fit_their_size(
    tmp_path: Path, format_: str, change: dict[str, Any]
) -> None:
    objects = [an_object({"mask": MASK | change}), an_object({"mask": MASK})]
    root = written(tmp_path, format_, "instance_mask", an_image(1, "a.jpg", *objects))
    known, (refused,) = read(root, format_, "instance_mask", "a.jpg")
    assert refused.code is Code.BAD_OBJECT
    assert len(known["a.jpg"].objects) == 1


@pytest.mark.parametrize(
    ("format_", "old", "new"),
    [
        ("coco", '"size":[100,100]', '"size":[100,99]'),
        ("cvat", 'rle="0, 4"', 'rle="0, 5"'),
        ("cvat", 'rle="0, 4"', 'rle="0, 4, -4, 4"'),
        ("cvat", 'rle="0, 4"', f'rle="0, {"9" * 30}"'),
        ("cvat", 'rle="0, 4"', f'rle="0, {"9" * 5000}"'),
        ("cvat", 'width="2"', 'width="98"'),
        ("datumaro", '"counts":"', '"counts":"1'),
        ("label-studio", '"rle":[0', '"rle":[1'),
        ("labelme", '"points":[[3,4],[4,5]]', '"points":[[3,4],[4,6]]'),
    ],
)
def test_masks_that_do_not_fit_their_size(tmp_path: Path, format_: str, old: str, new: str) -> None:
    root = written(
        tmp_path, format_, "instance_mask", an_image(1, "a.jpg", an_object({"mask": MASK}))
    )
    spoil(root, old, new)
    known, (refused,) = read(root, format_, "instance_mask", "a.jpg")
    assert refused.code in {Code.BAD_OBJECT, Code.BAD_RECORD}
    assert known["a.jpg"].objects == []


@pytest.mark.parametrize(
    "format_", [each for each in FORMATS if each not in {"datumaro", "json-lines", "yolo"}]
)
def test_images_that_are_there_twice(tmp_path: Path, format_: str) -> None:
    kind = "box" if format_ in BOXES else "instance_mask"
    record = an_image(1, "a.jpg", an_object(BOX if kind == "box" else {"mask": MASK}))
    (tmp_path / "one").mkdir()
    root = written(tmp_path / "one", format_, kind, record)
    shutil.copytree(root, tmp_path / "both" / "first")
    shutil.copytree(root, tmp_path / "both" / "second")
    known, refused = read(tmp_path / "both", format_, kind, "a.jpg")
    if format_ == "open-images":  # all tables are one
        assert len(known["a.jpg"].objects) == 2
        return
    assert [each.code for each in refused] == [Code.REPEATED]
    assert len(known["a.jpg"].objects) == 1


@pytest.mark.parametrize(("format_", "tag"), [("cvat", "image"), ("voc", "annotation")])
@pytest.mark.parametrize(
    "junk",
    [
        "<a>" * 50_000 + "</a>" * 50_000,
        "<a>" * 50_000,
        "&a;",
        '<a b="' + "x" * 1_000_000 + '"/>',
        "\0",
    ],
    ids=["deep", "open", "entity", "long", "nul"],
)
def test_xml_that_is_made_to_hurt(tmp_path: Path, format_: str, tag: str, junk: str) -> None:
    root = written(tmp_path, format_, "box", an_image(1, "a.jpg", an_object(BOX)))
    spoil(root, f"</{tag}>", f"{junk}</{tag}>")
    try:
        known, refused = read(root, format_, "box", "a.jpg")
    except BadFile as error:
        known, refused = {}, [Refused(error.facts["at"], error.facts["why"], Code.BAD_FILE)]
    assert known or "is not XML" in refused[0].why
    assert all(len(each.objects) == 1 for each in known.values())


@pytest.mark.parametrize("format_", ["cvat", "voc"])
def test_entities_that_would_grow(tmp_path: Path, format_: str) -> None:
    root = written(tmp_path, format_, "box", an_image(1, "a.jpg", an_object(BOX)))
    (path,) = root.rglob("*.xml")
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
    path.write_text(bomb + path.read_text().replace("car", "&b;"))
    try:
        _, (refused,) = read(root, format_, "box", "a.jpg")
    except BadFile as error:
        refused = Refused(error.facts["at"], error.facts["why"], Code.BAD_FILE)
    assert refused.code is Code.BAD_FILE
    assert "document type" in refused.why
    assert refused.at == path.relative_to(root).as_posix()


def test_ids_that_are_there_twice_and_images_that_are_not(tmp_path: Path) -> None:
    objects = [an_object({"box": [1, 2, 3, 4]})] * 2
    root = written(tmp_path, "coco", "box", an_image(1, "a.jpg", *objects))
    spoil(root, '"id":2,"image_id"', '"id":1,"image_id"')
    known, (refused,) = read(root, "coco", "box", "a.jpg")
    assert refused == Refused("coco.json: annotations[1].id", "is there twice", Code.REPEATED)
    assert len(known["a.jpg"].objects) == 1
    spoil(root, '"image_id":1', '"image_id":5')
    known, refused_ = read(root, "coco", "box", "a.jpg")
    assert [each.code for each in refused_] == [Code.REPEATED, Code.MISSING]
    assert known["a.jpg"].objects == []


def test_a_name_that_is_listed_twice(tmp_path: Path) -> None:
    records = an_image(1, "a.jpg"), replace(an_image(2, "a.jpg"), width=9)
    root = written(tmp_path, "geojson", "box", *records)
    known, (refused,) = read(root, "geojson", "box", "a.jpg")
    assert (refused.at, refused.code) == ("annotations.geojson: images[1].name", Code.REPEATED)
    assert known["a.jpg"].size == Size(SIDE, SIDE)
