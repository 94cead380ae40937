"""Of VOC only some images have pictures of masks, and a picture and its XML file may not agree."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.formats import painting, voc
from tessera.formats.archive import Folder, unpacked
from tessera.formats.errors import Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import Size
from tests.formats import some_records
from tests.formats.test_voc_reading import BOX, SCHEMA, SIZE, an_object, document

SIDES = Size(9, 8)
CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
CAR = an_object(BOX)


def write(root: Path, path: str, content: str | bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def a_picture(*numbers: int) -> bytes:
    """Of which the first pixels have these numbers."""
    rows = np.zeros((8, 9), dtype=np.uint8)
    rows[0, : len(numbers)] = numbers
    return painting.png(rows)


def read(root: Path, kind: str, *names: str) -> list[Any]:
    images = dict.fromkeys(names or ("a.jpg", "b.jpg"), SIDES)
    return list(voc.read(Folder(root), Wanted(kind, SCHEMA, images)))


def about(name: str, inside: str = "") -> str:
    return document(inside, f"<filename>{name}</filename>{SIZE}")


def test_images_without_a_picture_of_regions_are_refused_and_others_are_not(tmp_path: Path) -> None:
    for name in "abz":
        write(tmp_path, f"VOC/Annotations/{name}.xml", about(f"{name}.jpg", CAR))
    write(tmp_path, f"VOC/{CLASSES}/b.png", a_picture(1, 2))
    missing, known, foreign = read(tmp_path, "semantic_mask")
    why = f"has no 'VOC/{CLASSES}/a.png' beside it"
    assert missing == Refused("VOC/Annotations/a.xml", why, Code.MISSING)
    assert missing.image == "a.jpg"
    assert (known.name, len(known.objects)) == ("b.jpg", 2)
    assert foreign.foreign


def test_objects_without_a_picture_are_refused_and_where_none_are_nothing_is(
    tmp_path: Path,
) -> None:
    write(tmp_path, "Annotations/a.xml", about("a.jpg", CAR * 2))
    write(tmp_path, "Annotations/b.xml", about("b.jpg"))
    missing, known = read(tmp_path, "instance_mask")
    why = f"has no '{OBJECTS}/a.png' beside it"
    assert missing == Refused("Annotations/a.xml", why, Code.MISSING)
    assert (missing.image, known.name, known.objects) == ("a.jpg", "b.jpg", [])


def test_numbers_of_no_object_are_refused_and_others_are_not(tmp_path: Path) -> None:
    write(tmp_path, "Annotations/a.xml", about("a.jpg", CAR * 2))
    write(tmp_path, f"{OBJECTS}/a.png", a_picture(1, 3, 3, 7, 255))
    found = read(tmp_path, "instance_mask")
    assert [(each.at, each.code, each.image) for each in found[:-1]] == [
        ("Annotations/a.xml: object[1]", Code.MISSING, "a.jpg"),
        (f"{OBJECTS}/a.png", Code.MISSING, "a.jpg"),
        (f"{OBJECTS}/a.png", Code.MISSING, "a.jpg"),
    ]
    assert [each.why for each in found[:-1]] == [
        "has no pixel of 2 in SegmentationObject",
        "has a pixel of 3, which is the number of no object",
        "has a pixel of 7, which is the number of no object",
    ]
    assert found[-1].places == ["Annotations/a.xml: object[0]"]


def test_pictures_without_any_object_in_the_file_are_refused_by_number(tmp_path: Path) -> None:
    write(tmp_path, "Annotations/a.xml", about("a.jpg"))
    write(tmp_path, f"{OBJECTS}/a.png", a_picture(1))
    refused, _ = read(tmp_path, "instance_mask")
    assert "pixel of 1, which is the number of no object" in refused.why


@pytest.mark.parametrize(
    ("kind", "folder"), [("semantic_mask", CLASSES), ("instance_mask", OBJECTS)]
)
def test_damaged_pictures_are_refused_and_others_are_not(
    tmp_path: Path, kind: str, folder: str
) -> None:
    for name in "ab":
        write(tmp_path, f"Annotations/{name}.xml", about(f"{name}.jpg", CAR))
    write(tmp_path, f"{folder}/a.png", a_picture(1)[:-20])
    write(tmp_path, f"{folder}/b.png", a_picture(1))
    damaged, known = read(tmp_path, kind)
    assert (damaged.at, damaged.image) == ("Annotations/a.xml", "a.jpg")
    assert damaged.why == f"has a '{folder}/a.png' that is not a PNG, or is damaged"
    assert (known.name, len(known.objects)) == ("b.jpg", 1)


def test_pictures_that_are_damaged_in_their_zip_are_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name in "ab":
            made.writestr(f"Annotations/{name}.xml", about(f"{name}.jpg", CAR))
            made.writestr(f"{CLASSES}/{name}.png", a_picture(1) + f" of {name}".encode())
    path.write_bytes(path.read_bytes().replace(b" of a", b" no a"))
    images = dict.fromkeys(("a.jpg", "b.jpg"), SIDES)
    with unpacked(path) as files:
        damaged, known = voc.read(files, Wanted("semantic_mask", SCHEMA, images))
    assert isinstance(damaged, Refused)
    assert (damaged.at, damaged.code, damaged.image) == (
        "Annotations/a.xml",
        Code.BAD_FILE,
        "a.jpg",
    )
    assert isinstance(known, Known)
    assert (known.name, len(known.objects)) == ("b.jpg", 1)


def test_classes_of_equal_colours_are_two(tmp_path: Path) -> None:
    rows = np.zeros((8, 9), dtype=np.uint8)
    rows[0], rows[1, :4] = 1, 2
    write(tmp_path, "Annotations/a.xml", about("a.jpg"))
    write(tmp_path, f"{CLASSES}/a.png", painting.png(rows, dict.fromkeys(range(3), (5, 5, 5))))
    (known,) = read(tmp_path, "semantic_mask")
    pixels = [int(some_records.drawn(each["mask"], SIDES).sum()) for each in known.objects]
    assert pixels == [9, 4]


def named(root: Path, said: dict[str, str], *images: str) -> list[tuple[str, str]]:
    """Of files below `Annotations` that say these names, which images they are taken for."""
    for stem, name in said.items():
        write(root, f"Annotations/{stem}.xml", about(name, CAR))
    found = read(root, "box", *images)
    return [
        (each.at, each.name if isinstance(each, Known) else f"{each.code} {each.image}")
        for each in found
    ]


def test_an_image_in_a_folder_is_not_the_one_of_its_name_in_another(tmp_path: Path) -> None:
    said = {"d1/x": "x.png", "d2/x": "x.png", "x": "x.png"}
    images = ("d1/x.png", "d2/x.png", "x.png")
    assert named(tmp_path, said, *images) == [
        ("Annotations/d1/x.xml", "d1/x.png"),
        ("Annotations/d2/x.xml", "d2/x.png"),
        ("Annotations/x.xml", "x.png"),
    ]
    assert named(tmp_path, said, "d1/x.png") == [
        ("Annotations/d1/x.xml", "d1/x.png"),
        ("Annotations/d2/x.xml", "foreign-image x.png"),
        ("Annotations/x.xml", "foreign-image x.png"),
    ]


def test_the_second_file_of_an_image_is_refused(tmp_path: Path) -> None:
    said = {"d1/x": "x.png", "d2/x": "x.png"}
    assert named(tmp_path, said, "x.png") == [
        ("Annotations/d1/x.xml", "x.png"),
        ("Annotations/d2/x.xml", "repeated x.png"),
    ]


def test_names_that_agree_with_the_path_of_their_file_hold(tmp_path: Path) -> None:
    """There are images of other endings, too, and a folder that only the name has."""
    said = {"d1/x": "d1/x.png", "d1/x~2": "d1/x.tif", "y": "d2/y.png"}
    images = ("d1/x.gif", "d1/x.jpg", "d1/x.png", "d1/x.tif", "y.jpg", "d2/y.png")
    assert [name for _, name in named(tmp_path, said, *images)] == [
        "d1/x.png",
        "d1/x.tif",
        "d2/y.png",
    ]
