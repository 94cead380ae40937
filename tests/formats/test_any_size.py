"""Files of any length are written and read in the memory that one image takes, in every format."""

import json
from pathlib import Path

import pytest

from tests.formats import memory

FORMATS = (
    *("coco", "cvat", "datumaro", "geojson", "json-lines", "kitti", "label-studio", "labelme"),
    *("open-images", "parquet", "voc", "webdataset", "yolo"),
)
FEW, MANY, OBJECTS = 400, 3_200, 25
GROWTH = 16
"""MB. Eight times as many objects are 70,000 more, of half a kilobyte each at least."""
WRITE = """
import random, sys
from pathlib import Path
from tessera.formats import FORMATS
from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import Attribute, LabelClass, LabelSchema
from tessera.kinds.attributes import Type
_, folder, format_, images, objects = sys.argv
note = (Attribute("note", Type.TEXT, ()),)
coin, cup = (LabelClass(*each, note) for each in ((1, "coin", "#f00000"), (2, "cup", "#00f000")))
schema = LabelSchema((coin, cup))
dice = random.Random(1)
def image(number):
    found = []
    for i in range(int(objects)):
        box = [i, i + 1, i + 20.5, i + 30]
        said = {"note": dice.randbytes(120).hex()}
        found.append(LabelledObject(i % 2 + 1, {"box": box}, said, 0.5, "consensus", [1], False))
    return LabelledImage(number, "u", f"{number}.jpg", 100, 80, "0" * 64, found, [])
with FORMATS[format_].writer(Path(folder), Described("", "n", "box", schema)) as writer:
    for number in range(1, int(images) + 1):
        writer.add(image(number), None)
    writer.finish()
"""


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_eight_times_as_many_images_take_no_more_memory(name: str, tmp_path: Path) -> None:
    peaks = []
    for images in (FEW, MANY):
        (folder := tmp_path / str(images)).mkdir()
        _, writing = memory.of(WRITE, folder, name, images, OBJECTS)
        (found, objects, refused, _), reading = memory.of_reading(folder, name, sizes=images)
        assert (found, objects, refused) == (images, images * OBJECTS, 0)
        peaks.append((writing, reading))
    few, many = peaks
    assert many[0] < few[0] + GROWTH, f"writing: {json.dumps(peaks)} MB"
    assert many[1] < few[1] + GROWTH, f"reading: {json.dumps(peaks)} MB"
