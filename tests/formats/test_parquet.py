"""Parquet, read back: what our writer leaves, what DuckDB makes of it, and what is none."""

import io
import random
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from tessera.formats import parquet
from tessera.formats.archive import Folder, unpacked
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Described, Known, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size, kind_of
from tests.formats import memory, some_records
from tests.formats.some_records import Case
from tests.seeds import examples

SCHEMA = LabelSchema.parse(
    {
        "classes": [
            {
                "id": 7,
                "name": "car",
                "colour": "#ff0000",
                "attributes": [{"name": "seats", "type": "number"}],
            },
            {"id": 3, "name": "bus", "colour": "#00ff00"},
        ]
    }
)
SIZES = {"a.jpg": Size(100, 80), "b.jpg": Size(50, 50)}
CAR = {"image_name": "a.jpg", "class": "car", "place": '{"box":[1,2,30,40]}'}


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assert some_records.round_trip(parquet, case) == some_records.as_known(case[1])


OF_IMAGE = {
    "image_id": "BIGINT",
    "image_uuid": "VARCHAR",
    "image_name": "VARCHAR",
    "image_width": "INTEGER",
    "image_height": "INTEGER",
    "image_sha256": "VARCHAR",
    "split": "VARCHAR",
    "soft": "MAP(VARCHAR, DOUBLE)",
}
OF_OBJECT = {
    "object_id": "BIGINT",
    "class_id": "INTEGER",
    "class": "VARCHAR",
    "left": "DOUBLE",
    "top": "DOUBLE",
    "right": "DOUBLE",
    "bottom": "DOUBLE",
    "place": "VARCHAR",
    "attributes": "MAP(VARCHAR, VARCHAR)",
    "confidence": "DOUBLE",
    "source": "VARCHAR",
    "tiles": "INTEGER[]",
    "crowd": "BOOLEAN",
}
COLUMNS = OF_IMAGE | OF_OBJECT


@settings(some_records.BY_OTHERS, max_examples=examples(100))
@given(some_records.cases)
def test_duckdb_reads_every_object(case: Case) -> None:
    described, records = case
    duckdb = import_module("duckdb")
    with some_records.a_folder() as folder, duckdb.connect() as database:
        path = str(some_records.written(parquet, case, folder) / parquet.FILE)
        told = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
        rows = database.execute(
            "SELECT * FROM read_parquet(?) ORDER BY image_id, object_id", [path]
        ).fetchall()
        about = database.execute(
            "SELECT value FROM parquet_kv_metadata(?) WHERE key = 'tessera'::BLOB", [path]
        ).fetchall()
    assert [(name, type_) for name, type_, *_ in told] == list(COLUMNS.items())
    assert [orjson.loads(value) for (value,) in about] == [described.schema.as_json()]
    expected = [pair for image in records for pair in in_rows(image)]
    names = {each.id: each.name for each in described.schema.classes}
    number = 0
    for values, (image, each) in zip(rows, expected, strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        for name in ("id", "uuid", "name", "width", "height", "sha256"):
            assert row[f"image_{name}"] == getattr(image, name)
        assert row["split"] == image.split
        soft = {names[int(class_id)]: p for class_id, p in (image.soft or {}).items()}
        assert row["soft"] == (None if image.soft is None else soft)
        if each is None:
            assert {row[name] for name in OF_OBJECT} == {None}
        else:
            number += 1
            assert row["object_id"] == number
            same(row, each, described)


def in_rows(image: LabelledImage) -> list[tuple[LabelledImage, LabelledObject | None]]:
    """An image without any object has a row all the same."""
    return [(image, each) for each in image.objects] or [(image, None)]


def same(row: dict[str, Any], each: LabelledObject, described: Described) -> None:
    assert row["class_id"] == each.class_id
    assert row["class"] == some_records.named(described, each)
    assert (row["confidence"], row["source"]) == (each.confidence, each.source)
    assert (row["tiles"], row["crowd"]) == (each.tiles, each.crowd)
    assert row["attributes"] == {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in each.attributes.items()
    }
    edges = [row[name] for name in ("left", "top", "right", "bottom")]
    if not each.place:
        assert [*edges, row["place"]] == [None] * 5
        return
    assert orjson.loads(row["place"]) == each.place
    objects = [{"class": each.class_id, **each.place}]
    around = kind_of(described.kind).reach(objects, described.schema)[0]
    np.testing.assert_allclose(edges, around, atol=0.006)


def test_duckdb_counts_what_the_documentation_says(tmp_path: Path) -> None:
    """`WHERE object_id IS NOT NULL` leaves the objects, `WHERE NOT crowd` those to train on."""
    box = {"box": [1.0, 2.0, 3.0, 4.0]}
    objects = [
        LabelledObject(7, box, {"seats": 4.0}, 0.5, "gold", [0, 3], crowd=crowd)
        for crowd in (False, False, True)
    ]
    records = [
        LabelledImage(number, "u", f"{number}.jpg", 9, 9, "s", found, [])
        for number, found in ((1, objects), (2, []))
    ]
    path = some_records.written(parquet, (Described("p", "n", "box", SCHEMA), records), tmp_path)
    with import_module("duckdb").connect() as database:
        database.execute(f"CREATE VIEW labels AS FROM '{path / parquet.FILE}'")
        for asked, expected in (
            ("count(*) FROM labels", 4),
            ("count(*) FROM labels WHERE object_id IS NOT NULL", 3),
            ("count(*) FROM labels WHERE NOT crowd", 2),
            ("sum((place->>'$.box[2]')::DOUBLE) FROM labels", 9),
            ("sum(attributes['seats']::DOUBLE) FROM labels WHERE list_contains(tiles, 3)", 12),
        ):
            assert database.execute(f"SELECT {asked}").fetchone() == (expected,)


def read(folder: Path, rows: list[dict[str, Any]], kind: str = "box") -> list[Any]:
    pq.write_table(pa.Table.from_pylist(rows), folder / "any.parquet")
    return list(parquet.read(Folder(folder), Wanted(kind, SCHEMA, SIZES)))


def test_a_table_of_another_tool_needs_three_columns(tmp_path: Path) -> None:
    (known,) = read(tmp_path, [CAR, {**CAR, "class": "bus"}])
    assert known.objects == [
        {"class": 7, "box": [1, 2, 30, 40], "attributes": {}},
        {"class": 3, "box": [1, 2, 30, 40], "attributes": {}},
    ]
    assert known.places == ["any.parquet: row 0", "any.parquet: row 1"]
    (known,) = read(tmp_path, [{"image_name": "a.jpg", "class": "car"}], "classify")
    assert known.objects == [{"class": 7, "attributes": {}}]


def test_attributes_may_be_a_struct(tmp_path: Path) -> None:
    (known,) = read(tmp_path, [{**CAR, "attributes": {"seats": "4", "colour": "red"}}])
    assert known.objects[0]["attributes"] == {"seats": 4}
    assert [each.code for each in known.left_out] == [Code.UNKNOWN_ATTRIBUTE]


@pytest.mark.parametrize(
    ("change", "at", "code"),
    [
        ({"class": "tram"}, ".class", Code.UNKNOWN_CLASS),
        ({"class": None}, ".class", Code.UNKNOWN_CLASS),
        ({"place": "{"}, ".place", Code.BAD_RECORD),
        ({"place": '{"box":[1,2,NaN,40]}'}, ".place", Code.BAD_RECORD),
        ({"place": "[" * 100_000}, ".place", Code.BAD_RECORD),
        ({"place": "[1]"}, ".place", Code.BAD_RECORD),
        ({"place": '{"box":[1,2,300,40]}'}, ".box[2]", Code.BAD_OBJECT),
        ({"place": '{"box":[1,2,1e300,40]}'}, ".box[2]", Code.BAD_OBJECT),
        ({"place": None}, "", Code.BAD_OBJECT),
        ({"confidence": 2.0}, ".confidence", Code.BAD_RECORD),
        ({"confidence": np.nan}, ".confidence", Code.BAD_RECORD),
        ({"attributes": {"seats": "many"}}, ".attributes.seats", Code.BAD_OBJECT),
        ({"attributes": {"seats": "1e999"}}, ".attributes.seats", Code.BAD_OBJECT),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_the_others_are_taken(
    tmp_path: Path, change: dict[str, Any], at: str, code: Code
) -> None:
    refused, known = read(tmp_path, [{**CAR, **change}, CAR])
    assert (refused.at, refused.code) == (f"any.parquet: row 0{at}", code)
    assert len(known.objects) == 1


def test_columns_of_other_types_are_refused_row_by_row(tmp_path: Path) -> None:
    found = read(tmp_path, [{**CAR, "place": 3, "attributes": 4, "image_width": "a"}])
    assert found == [
        Refused("any.parquet: row 0.image_width", "must be a whole number", Code.BAD_RECORD)
    ]
    refused, _ = read(tmp_path, [{**CAR, "attributes": 4}])
    assert refused.at == "any.parquet: row 0.attributes"
    refused, _ = read(tmp_path, [{**CAR, "place": 4}])
    assert refused.at == "any.parquet: row 0.place"
    (refused,) = read(tmp_path, [{**CAR, "image_name": b"a.jpg"}])
    assert refused.why == "has no name of an image"


def test_images_are_checked(tmp_path: Path) -> None:
    empty = {"image_name": "b.jpg", "class": None, "place": None}
    wrong = {**CAR, "image_name": "b.jpg", "image_width": 51, "image_height": 50}
    found = read(tmp_path, [CAR, empty, {**CAR, "image_name": "../a.jpg"}, CAR])
    assert [each.name if isinstance(each, Known) else each.code for each in found] == [
        "a.jpg",
        "b.jpg",
        Code.FOREIGN_IMAGE,
        Code.REPEATED,
    ]
    assert found[3].at == "any.parquet: row 3"
    (refused,) = read(tmp_path, [wrong])
    assert refused.code == Code.OTHER_SIZE


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no Parquet"):
        list(parquet.read(Folder(tmp_path), Wanted("box", SCHEMA)))
    with pytest.raises(BadFile, match=r"any\.parquet: has no column 'place'"):
        read(tmp_path, [{"image_name": "a.jpg", "class": "car"}])
    whole = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([CAR] * 9), whole)
    content = whole.getvalue()
    for damaged in (b"", b"PAR1", content[:-1], content[:4] + b"x" * 60 + content[64:]):
        (tmp_path / "any.parquet").write_bytes(damaged)
        with pytest.raises(BadFile, match=r"any\.parquet: row 0: cannot be read"):
            list(parquet.read(Folder(tmp_path), Wanted("box", SCHEMA, SIZES)))


@pytest.mark.parametrize(
    ("number", "type_"),
    [
        (2**31 - 1, pa.date32()),
        (2**62, pa.timestamp("us")),
        (2**40, pa.timestamp("us", tz="Nowhere/Land")),
    ],
)
def test_days_and_zones_that_nobody_knows_are_a_bad_file(
    tmp_path: Path, number: int, type_: Any
) -> None:
    columns = {name: [value] for name, value in CAR.items()}
    table = pa.table({**columns, "attributes": pa.array([number], type_)})
    pq.write_table(table, tmp_path / "any.parquet")
    with pytest.raises(BadFile, match=r"any\.parquet: row 0: cannot be read"):
        list(parquet.read(Folder(tmp_path), Wanted("box", SCHEMA, SIZES)))


@settings(max_examples=examples(20))
@given(some_records.datasets("box"))
def test_images_that_stand_across_groups_of_rows_are_whole(case: Case) -> None:
    with some_records.a_folder() as folder:
        path = some_records.written(parquet, case, folder) / parquet.FILE
        pq.write_table(pq.read_table(path), path, row_group_size=2)
        found = list(parquet.read(Folder(folder), some_records.wanted(case)))
    known = {each.name: list(each.objects) for each in found if isinstance(each, Known)}
    assert known == some_records.as_known(case[1])


def test_a_member_of_a_zip_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns are read by turns, so that it would be begun again and again."""
    pq.write_table(pa.Table.from_pylist([_named(i) for i in range(9_000)]), tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.write(tmp_path / "a.parquet", "a.parquet")
    length, inflated = (tmp_path / "a.parquet").stat().st_size, list[int]()
    read_on = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        found = read_on(self, n)
        inflated.append(len(found))
        return found

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    sizes = {f"{i}.jpg": Size(100, 80) for i in range(9_000)}
    coins = LabelSchema((LabelClass(1, "coin", "#ff0000"),))
    with unpacked(tmp_path / "a.zip") as files:
        assert len(list(parquet.read(files, Wanted("box", coins, sizes)))) == 9_000
    assert length == sum(inflated)


@pytest.mark.long
@pytest.mark.parametrize("rows_of_a_group", [2_500, None])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, rows_of_a_group: int | None) -> None:
    """In many groups of rows, or all in one."""
    peaks = []
    for images in (500, 3_000):
        folder = tmp_path / str(images)
        folder.mkdir()
        rows = [_named(number) for number in range(images) for _ in range(25)]
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, folder / "a.parquet", row_group_size=rows_of_a_group)
        (found, objects, refused, edges), peak = memory.of_reading(folder, "parquet")
        assert (found, objects, refused, edges) == (images, 25 * images, 0, 25 * 73 * images)
        peaks.append(peak)
    small, large = peaks
    assert large < small + 20, peaks


def _named(number: int) -> dict[str, Any]:
    """With a note that nothing makes shorter."""
    note = random.randbytes(450).hex()  # what it says does not matter
    image = {"image_name": f"{number}.jpg", "image_width": 100, "image_height": 80}
    return {**image, "class": "coin", "place": CAR["place"], "attributes": {"note": note}}
