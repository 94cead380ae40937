"""The webdataset package reads what we write, and we read it back as it was."""

import io
import tarfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from PIL import Image

from tessera.formats import webdataset
from tessera.formats.archive import Folder, unpacked
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Refused, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tests.formats import some_records
from tests.formats.some_records import Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        some_records.written(webdataset, case, folder)
        for split, name in zip(dataset.splits or (None,), webdataset.files(dataset), strict=True):
            images = [each for each in records if each.split == split]
            with unpacked(folder / name) as files:
                if not images:
                    with pytest.raises(BadFile, match="no sample"):
                        list(webdataset.read(files, some_records.wanted(case)))
                    continue
                found: list[Any] = list(webdataset.read(files, some_records.wanted(case)))
            assert {e.name: e.objects for e in found} == some_records.as_known(images)


def samples(path: Path, *, decode: str | None = None) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = import_module("webdataset").WebDataset(
            str(path), shardshuffle=False, empty_check=False
        )
        return list(made if decode is None else made.decode(decode))


@some_records.BY_OTHERS
@given(some_records.cases)
def test_webdataset_reads_every_record(case: Case) -> None:
    dataset, records = case
    assume(records)
    with some_records.a_folder() as folder:
        some_records.written(webdataset, case, folder)
        found = [each for name in webdataset.files(dataset) for each in samples(folder / name)]
    by_key = {each["__key__"]: each for each in found}
    assert len(by_key) == len(found) == len(records)
    for image in records:
        said = orjson.loads(by_key[f"{image.id:09}"]["json"])
        for each in said["objects"]:
            assert each.pop("class") in {known.name for known in dataset.schema.classes}
        assert said == orjson.loads(orjson.dumps(image))


def test_pictures_are_of_the_same_sample(tmp_path: Path) -> None:
    picture = tmp_path / "of the operator"
    Image.new("RGB", (4, 3), (200, 0, 0)).save(picture, "png")
    shown = [LabelledObject(3, {}, {}, 1.0, "gold", [0], crowd=False)]
    names = ("a/b.c.PNG", "without")
    images = [
        LabelledImage(i, "u", name, 4, 3, "s", shown, [], Split.VAL) for i, name in enumerate(names)
    ]
    case = Described("p", "n", "classify", SCHEMA, (Split.VAL,), pictures=True), images
    (tmp_path / "made").mkdir()
    some_records.written(webdataset, case, tmp_path / "made", picture)
    with tarfile.open(tmp_path / "made/webdataset_val.tar") as tar:
        assert [each for each in tar.getnames() if each.startswith("000000001")] == [
            "000000001.json",
            "000000001.cls",
            "000000001.image",
        ]
    first, _ = samples(tmp_path / "made/webdataset_val.tar", decode="rgb8")
    assert first["png"][0, 0].tolist() == [200, 0, 0]
    assert (first["cls"], first["json"]["name"]) == (3, "a/b.c.PNG")


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    image = LabelledImage(1, "u", "a.jpg", 9, 9, "s", [], [])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        some_records.written(
            webdataset, (Described("p", "n", "box", SCHEMA), [image]), tmp_path / name
        )
    one, two = ((tmp_path / name / "webdataset.tar").read_bytes() for name in ("one", "two"))
    assert one == two


def read(content: Any) -> list[Any]:
    class One:
        def names(self) -> Any:
            return iter(["1.json"])

        def has(self, name: str) -> bool:
            return name == "1.json"

        def open(self, name: str) -> Any:
            del name
            return io.BytesIO(content if isinstance(content, bytes) else orjson.dumps(content))

    return list(webdataset.read(One(), Wanted("box", SCHEMA, {"a.jpg": Size(9, 9)})))


def record(**changed: Any) -> dict[str, Any]:
    return {"name": "a.jpg", "width": 9, "height": 9, "objects": [box()]} | changed


def box(**changed: Any) -> dict[str, Any]:
    return {"class": "car", "place": {"box": [1, 1, 4, 4]}} | changed


@pytest.mark.parametrize(
    ("content", "at", "why"),
    [
        (b"", "", "not JSON"),
        ([], "", "an object"),
        (record(name="../a.jpg"), "", "not an image"),
        (record(width=8), "", "8 x 9 pixels"),
        (record(width="9"), ".width", "whole number"),
        (record(objects=3), ".objects", "a list"),
        (record(objects=[3]), ": objects[0]", "an object"),
        (record(objects=[box(**{"class": "tram"})]), ": objects[0].class", "not a class"),
        (record(objects=[box(place=3)]), ": objects[0].place", "an object"),
        (record(objects=[box(place={"box": [1, 1, 40, 4]})]), ": objects[0].box[2]", "outside"),
        (record(objects=[box(place={"box": [1, 1, 4, 4], "a": 1})]), ": objects[0]", "field 'a'"),
        (record(objects=[box(confidence="x")]), ": objects[0].confidence", "between"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(content: Any, at: str, why: str) -> None:
    refused = read(content)[0]
    assert isinstance(refused, Refused)
    assert refused.at == f"1.json{at}"
    assert why in refused.why


def test_without_json_it_is_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    with pytest.raises(BadFile, match="no sample"):
        list(webdataset.read(Folder(tmp_path), Wanted("box", SCHEMA)))
