"""JSON Lines: everything is there, and read back as it was."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from tessera.formats import json_lines, parquet
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))
ASKED = Wanted("box", SCHEMA, {"a.jpg": Size(100, 80)})
CAR: dict[str, Any] = {
    "class_id": 7,
    "place": {"box": [1, 2, 30, 40]},
    "attributes": {},
    "confidence": 0.5,
}


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assert some_records.round_trip(json_lines, case) == some_records.as_known(case[1])


def line(*objects: Any, **changes: Any) -> bytes:
    whole = {"name": "a.jpg", "width": 100, "height": 80, "objects": list(objects), **changes}
    return orjson.dumps(whole) + b"\n"


def read(folder: Path, *lines: bytes) -> list[Known | Refused]:
    (folder / "labels.jsonl").write_bytes(b"".join(lines))
    return list(json_lines.read(Folder(folder), ASKED))


def test_a_record_that_makes_no_sense_is_refused_and_the_others_are_taken(tmp_path: Path) -> None:
    wrong = {**CAR, "place": {"box": [1, 2, 300, 40]}}
    stranger, nameless = {**CAR, "class_id": 8}, {**CAR, "class_id": "7"}
    found = read(tmp_path, line(CAR, wrong, CAR, stranger, nameless, []))
    *refusals, known = found
    assert isinstance(known, Known)
    assert [each["box"] for each in known.objects] == [[1, 2, 30, 40]] * 2
    assert [each.at for each in refusals] == [
        "labels.jsonl: line 1: objects[1].box[2]",
        "labels.jsonl: line 1: objects[3].class_id",
        "labels.jsonl: line 1: objects[4].class_id",
        "labels.jsonl: line 1: objects[5]",
    ]


@pytest.mark.parametrize("format_", ["json-lines", "parquet"])
@pytest.mark.parametrize(
    "more", [{"class": 3}, {"attributes": {}}, {"confidence": 0.1}, {"optional": True}]
)
def test_a_place_says_nothing_but_where(tmp_path: Path, format_: str, more: dict[str, Any]) -> None:
    place = CAR["place"] | more
    if format_ == "json-lines":
        found = read(tmp_path, line({**CAR, "place": place}, CAR))
    else:
        places = [orjson.dumps(each).decode() for each in (place, CAR["place"])]
        columns = {"image_name": ["a.jpg"] * 2, "class": ["car"] * 2, "place": places}
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        found = list(parquet.read(Folder(tmp_path), ASKED))
    refused, known = found
    assert isinstance(refused, Refused)
    assert isinstance(known, Known)
    assert (refused.at.split(".")[-1], refused.image) == (*more, "a.jpg")
    assert [(each["class"], each["box"]) for each in known.objects] == [(7, [1, 2, 30, 40])]


@pytest.mark.parametrize(
    "bad",
    [
        b"{\n",
        b"[]\n",
        line(name="b.jpg"),
        line(name="../a.jpg"),
        line(name=7),
        line(width=101),
        line(width="100"),
        line(objects={}),
    ],
)
def test_a_line_that_says_nothing_of_an_image_is_refused_and_the_next_one_read(
    tmp_path: Path, bad: bytes
) -> None:
    first, second = read(tmp_path, bad, line(CAR))
    assert isinstance(first, Refused)
    assert first.at.startswith("labels.jsonl: line 1")
    assert isinstance(second, Known)


def test_without_the_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        list(json_lines.read(Folder(tmp_path), ASKED))
