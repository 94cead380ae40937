"""Whatever the records are, each format's own reader gives them back."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats.coco import CocoWriter
from tessera.formats.json_lines import JsonLinesWriter
from tessera.formats.parquet_writing import ROWS_AS_OBJECTS, ROWS_IN_GROUP, ParquetWriter
from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema

CLASSES = LabelSchema(tuple(LabelClass(i, f"class {i}", "#000000") for i in (3, 1, 2)))

DATASET = Described("", "", "box", CLASSES)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
lengths = st.integers(0, 3_000_000).map(lambda hundredths: hundredths / 100)
sure = st.integers(0, 10_000).map(lambda parts: parts / 10_000)
located = st.tuples(lengths, lengths, lengths, lengths).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)
objects = st.builds(
    LabelledObject,
    class_id=st.sampled_from(CLASSES.ids),
    place=st.just({}) | located.map(lambda edges: {"box": list(edges)}),
    attributes=st.dictionaries(texts, texts, max_size=3),
    confidence=sure,
    source=st.sampled_from(("consensus", "review", "gold")),
    tiles=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3),
    crowd=st.booleans(),
)
images = st.lists(
    st.builds(
        LabelledImage,
        id=st.just(0),
        uuid=st.uuids().map(str),
        name=texts,
        width=st.integers(1, 30_000),
        height=st.integers(1, 30_000),
        sha256=st.just("0" * 64),
        objects=st.lists(objects, max_size=4),
        tiles=st.just([]),
    ),
    max_size=5,
)


def write_coco(records: list[LabelledImage]) -> bytes:
    out = io.BytesIO()
    writer = CocoWriter(out, DATASET, spools=(io.BytesIO(), io.BytesIO()))
    for each in records:
        writer.add(each, None)
    writer.finish()
    return out.getvalue()


@given(images)
def test_coco_holds_every_object_and_no_other(records: list[LabelledImage]) -> None:
    coco = orjson.loads(write_coco(records))
    said = [found for image in records for found in image.objects]
    on_images = [found for found in said if not found.place]
    for part, expected in (
        ("annotations", [found for found in said if found.place]),
        ("image_labels", on_images),
    ):
        assert [each["id"] for each in coco[part]] == list(range(1, len(expected) + 1))
        for each, found in zip(coco[part], expected, strict=True):
            assert each["category_id"] == found.class_id
            assert each["score"] == found.confidence
            assert each["attributes"] == found.attributes
    for each, found in zip(coco["annotations"], [f for f in said if f.place], strict=True):
        left, top, width, height = each["bbox"]
        assert (left, top, round(left + width, 2), round(top + height, 2)) == tuple(
            found.place["box"]
        )
        assert each["iscrowd"] == found.crowd


@given(images)
def test_json_lines_are_the_records(records: list[LabelledImage]) -> None:
    out = io.BytesIO()
    writer = JsonLinesWriter(out)
    for each in records:
        writer.add(each, None)
    writer.finish()
    lines = [orjson.loads(line) for line in out.getvalue().split(b"\n")[:-1]]
    assert lines == [orjson.loads(orjson.dumps(each)) for each in records]


def write_parquet(records: list[LabelledImage]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.parquet"
        writer = ParquetWriter(path, DATASET)
        for each in records:
            writer.add(each, None)
        writer.finish()
        return path.read_bytes()


@given(images)
def test_parquet_has_a_row_per_object_and_one_for_each_image_without(
    records: list[LabelledImage],
) -> None:
    rows = pq.read_table(io.BytesIO(write_parquet(records))).to_pylist()
    expected = [(image, found) for image in records for found in (image.objects or (None,))]
    for row, (image, found) in zip(rows, expected, strict=True):
        assert (row["image_uuid"], row["image_name"]) == (image.uuid, image.name)
        if found is None:
            assert row["object_id"] is None
        else:
            edges = (row["left"], row["top"], row["right"], row["bottom"])
            assert edges == tuple(found.place.get("box", (None,) * 4))
            assert dict(row["attributes"]) == found.attributes
            assert (row["confidence"], row["tiles"]) == (found.confidence, found.tiles)
            assert row["crowd"] == found.crowd


def test_parquet_is_written_in_groups_of_rows_and_none_is_lost_between_them() -> None:
    found = LabelledObject(1, {"box": [0.0, 0.0, 1.0, 1.0]}, {}, 1.0, "gold", [0], crowd=False)
    sizes = [ROWS_AS_OBJECTS - 1, 2, ROWS_IN_GROUP, 1, 0]
    records = [
        LabelledImage(i, "u", "n", 1, 1, "s", [found] * size, []) for i, size in enumerate(sizes)
    ]
    file = pq.ParquetFile(io.BytesIO(write_parquet(records)))
    assert file.num_row_groups == 2
    ids = file.read().column("object_id").to_pylist()
    assert ids == [*range(1, sum(sizes) + 1), None]
