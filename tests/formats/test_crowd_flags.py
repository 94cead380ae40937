"""Whether something is a crowd is true or false; a word for it could be taken for either."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tessera.formats import FORMATS
from tessera.formats.archive import Folder
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import Size
from tests.formats.test_bad_input import schema
from tests.formats.test_half_an_image import FEATURE, LINE, NAME, SIDE, geojson

PLACE = LINE["objects"][0]["place"]


def write(folder: Path, format_: str, crowd: Any) -> None:
    if format_ == "geojson":
        feature = {**FEATURE, "properties": {**FEATURE["properties"], "crowd": crowd}}
        said = {**geojson(), "features": [feature]}
        (folder / "a.geojson").write_text(json.dumps(said))
    elif format_ == "parquet":
        row = {"image_name": NAME, "class": "car", "place": json.dumps(PLACE), "crowd": crowd}
        pq.write_table(pa.Table.from_pylist([row]), folder / "a.parquet")
    elif format_ == "json-lines":
        line = {**LINE, "objects": [{**LINE["objects"][0], "crowd": crowd}]}
        (folder / "labels.jsonl").write_text(json.dumps(line))
    else:
        each = {"class": "car", "place": PLACE, "crowd": crowd}
        (folder / "a.json").write_text(json.dumps({**LINE, "objects": [each]}))


@pytest.mark.parametrize("format_", ["geojson", "json-lines", "parquet", "webdataset"])
def test_a_crowd_is_true_or_false(tmp_path: Path, format_: str) -> None:
    source: Any = FORMATS[format_]
    wanted = Wanted("box", schema(), {NAME: Size(SIDE, SIDE)})
    for crowd in (True, False, "false"):
        write(tmp_path, format_, crowd)
        found = list(source.read(Folder(tmp_path), wanted))
        (known,) = [each for each in found if isinstance(each, Known)]
        refused = [each for each in found if isinstance(each, Refused)]
        if crowd == "false":
            assert [each.at.rpartition(".")[2] for each in refused] == ["crowd"]
        else:
            assert refused == []
            assert [each.get("optional", False) for each in known.objects] == [crowd]
