"""What all readers refuse, whatever the format is."""

import io
from pathlib import Path
from typing import Any

import pytest

from tessera.formats import checking
from tessera.formats.archive import Folder
from tessera.formats.checking import Checking
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelSchema, Size

SCHEMA = LabelSchema.parse(
    {
        "classes": [
            {
                "id": 7,
                "name": "car",
                "colour": "#ff0000",
                "attributes": [
                    {"name": "seats", "type": "number"},
                    {"name": "parked", "type": "flag"},
                ],
            },
            {"id": 3, "name": "bus", "colour": "#00ff00"},
        ]
    }
)
CAR = {"class": 7, "box": [1, 1, 4, 4]}
LEFT_OUT = Refused(
    "file:0", "class 'car' has no attribute 'colour'; it is left out", Code.UNKNOWN_ATTRIBUTE
)
MASK = {"size": [8, 9], "counts": [0, 2, 70]}


def taken(
    *objects: dict[str, Any],
    kind: str = "box",
    name: object = "a.jpg",
    size: Size | None = None,
    images: dict[str, Size] | None = None,
) -> list[Known | Refused]:
    known = {"a.jpg": Size(9, 8)} if images is None else images
    records = [(f"file:{number}", each) for number, each in enumerate(objects)]
    return list(
        Checking(Wanted(kind, SCHEMA, known)).image("file", name, size, records, lambda each: each)
    )


def test_what_holds_is_taken_in_canonical_form() -> None:
    said = {"seats": 4, "parked": True, "colour": "red"}
    (found,) = taken({**CAR, "attributes": said, "confidence": 0.5, "optional": True})
    assert isinstance(found, Known)
    assert found == Known(
        "file",
        "a.jpg",
        [
            {
                "class": 7,
                "box": [1.0, 1.0, 4.0, 4.0],
                "attributes": {"parked": True, "seats": 4.0},
                "optional": True,
                "confidence": 0.5,
            }
        ],
        Size(9, 8),
        ["file:0"],
        [LEFT_OUT],
    )


def test_an_attribute_that_nobody_asks_for_is_left_out_and_named_once_for_its_class() -> None:
    said = {**CAR, "attributes": {"colour": "red", "seats": 4}}
    (known,) = taken(said, said, {**said, "class": 3})
    assert isinstance(known, Known)
    assert [each["attributes"] for each in known.objects] == [{"seats": 4}] * 2 + [{}]
    assert known.left_out[0] == LEFT_OUT
    assert [(each.at, each.code) for each in known.left_out[1:]] == [
        ("file:2", Code.UNKNOWN_ATTRIBUTE)
    ] * 2


def test_where_each_object_is_said_stands_beside_those_that_were_taken() -> None:
    refused, known = taken(CAR, {**CAR, "box": None}, CAR)
    assert isinstance(known, Known)
    assert known.places == ["file:0", "file:2"]
    assert refused == Refused("file:1.box", "must be a list", Code.BAD_OBJECT)


def test_an_image_is_known_once() -> None:
    checked = Checking(Wanted("box", SCHEMA, {"a.jpg": Size(9, 8)}))
    first, second, third = (
        next(each.image("file", "a.jpg", None, [], lambda record: record))
        for each in (checked, checked, checked.of("polygon"))
    )
    assert isinstance(first, Known)
    assert second == third == Refused("file", "'a.jpg' is there twice", Code.REPEATED)


@pytest.mark.parametrize(
    ("changes", "at", "why"),
    [
        ({"box": [1, 1, 40, 4]}, "file:0.box[2]", "outside"),
        ({"class": 9}, "file:0.class", "not a class"),
        ({"attributes": {"seats": "four"}}, "file:0.attributes.seats", "number"),
        ({"confidence": 2}, "file:0.confidence", "between 0 and 1"),
        ({"confidence": True}, "file:0.confidence", "between 0 and 1"),
        ({"confidence": float("nan")}, "file:0.confidence", "between 0 and 1"),
        ({"line": []}, "file:0", "unknown field 'line'"),
    ],
)
def test_an_object_that_does_not_hold_is_refused_and_the_others_are_taken(
    changes: dict[str, Any], at: str, why: str
) -> None:
    refused, known = taken({**CAR, **changes}, CAR)
    assert isinstance(refused, Refused)
    assert refused.at == at
    assert why in refused.why
    assert isinstance(known, Known)
    assert len(known.objects) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": "b.jpg"}, "'b.jpg' is not an image"),
        ({"name": "../a.jpg"}, "not an image"),
        ({"name": None}, "no name"),
        ({"size": Size(9, 9)}, "9 x 9 pixels"),
        ({"images": {}}, "size of 'a.jpg' is not known"),
        ({"images": {}, "size": Size(0, 9)}, "without pixels"),
        ({"images": {}, "size": Size(2**20, 2**20)}, "far too many"),
        ({"images": {}, "size": Size(9, 8), "name": "a/../../b.jpg"}, "no name that"),
        ({"images": {}, "size": Size(9, 8), "name": "n" * 301}, "no name that"),
    ],
)
def test_an_image_that_is_not_there_or_of_no_size_is_refused(
    said: dict[str, Any], why: str
) -> None:
    (refused,) = taken(CAR, **said)
    assert isinstance(refused, Refused)
    assert why in refused.why
    assert refused.foreign == ("not an image" in why)


def test_what_is_wrong_only_together_refuses_the_image() -> None:
    (refused,) = taken({"class": 7}, {"class": 3}, kind="classify")
    assert isinstance(refused, Refused)
    assert "exactly one class" in refused.why
    regions = [{"class": 7, "mask": MASK}, {"class": 3, "mask": MASK}]
    (refused,) = taken(*regions, kind="semantic_mask")
    assert isinstance(refused, Refused)
    assert "overlaps" in refused.why
    assert len(taken(regions[0], kind="semantic_mask")) == 1


def test_text_becomes_what_its_attribute_is() -> None:
    (car, _) = SCHEMA.classes
    said = {"seats": "4.5", "parked": "true", "colour": "1"}
    assert checking.typed(said, car) == {"seats": 4.5, "parked": True, "colour": "1"}
    said = {"seats": "four", "parked": "yes"}
    assert checking.typed(said, car) == said


def test_lists_of_numbers_are_just_that() -> None:
    assert checking.points([1, 2, 3.5, 4], "at") == [[1, 2], [3.5, 4]]
    unequal: list[Any] = [[1, 2, 3], [1, "2"], [1, None], [1, float("inf")], [True, 1]]
    for value in (*unequal, {}, None, "12"):
        with pytest.raises(InvalidAnswer):
            checking.points(value, "at")
    with pytest.raises(InvalidAnswer, match="must be 4 numbers"):
        checking.numbers([1, 2, 3], "at", 4)


def test_two_images_that_differ_by_their_endings_are_told_apart() -> None:
    names = {"a/b.png", "a/b.jpg", "c.d.png", "e"}
    assert checking.by_stem(names) == {
        "a/b": "a/b.jpg",
        "a/b~2": "a/b.png",
        "c.d": "c.d.png",
        "e": "e",
    }


def test_a_file_that_is_too_large_or_no_json_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": 1}')
    (tmp_path / "b.json").write_bytes(b'{"a": NaN}')
    files = Folder(tmp_path)
    assert checking.loaded(files, "a.json") == {"a": 1}
    with pytest.raises(BadFile, match="not JSON"):
        checking.loaded(files, "b.json")
    monkeypatch.setattr(checking, "MOST_BYTES", 7)
    with pytest.raises(BadFile, match="divide it"):
        checking.loaded(files, "a.json")


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><a>&b;</a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_a_document_type_is_bad_in_any_encoding(encoding: str) -> None:
    with pytest.raises(BadFile, match="document type"):
        checking.refuse_doctype(io.BytesIO(BOMB.encode(encoding)), "a.xml")
    plain = io.BytesIO(f"{'<!-- <!DOCTYPE -->' * 9_000}<a/>".encode(encoding))
    checking.refuse_doctype(plain, "a.xml")
    assert plain.tell() == 0
    with pytest.raises(BadFile, match="not XML"):
        checking.refuse_doctype(io.BytesIO("<a></b>".encode(encoding)), "a.xml")
