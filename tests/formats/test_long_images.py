"""What is said of one image may be much, also where it is one piece of JSON."""

import math
from pathlib import Path

import pytest

from tessera.formats import FORMATS, json_stream
from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema
from tests.formats import memory, some_records

OBJECTS, CORNERS = 6_000, 500
SCHEMA = LabelSchema((LabelClass(1, "coin", "#ff0000"), LabelClass(2, "cup", "#00ff00")))


@pytest.mark.long
@pytest.mark.parametrize("format_", ["datumaro", "label-studio"])
def test_three_million_corners_on_one_image_are_read_back(tmp_path: Path, format_: str) -> None:
    angles = [2 * math.pi * number / CORNERS for number in range(CORNERS)]
    outline = [[round(50 + 30 * math.cos(a), 2), round(40 + 30 * math.sin(a), 2)] for a in angles]
    coin = LabelledObject(1, {"polygon": [[outline]]}, {}, 1.0, "gold", [0], crowd=False)
    image = LabelledImage(1, "u", "1.jpg", 100, 80, "s", [coin] * OBJECTS, [])
    case = Described("p", "n", "polygon", SCHEMA), [image]
    some_records.written(FORMATS[format_], case, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size > json_stream.MOST_LETTERS
    found, peak = memory.of_reading(tmp_path, format_, "polygon", sizes=1)
    assert found == [1, OBJECTS, 0, 0]
    assert peak < 2_000, peak
