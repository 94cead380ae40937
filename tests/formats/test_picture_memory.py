"""Pictures of masks are written in strips: memory does not grow with what they show."""

from pathlib import Path

import pytest

from tests.formats import memory

WRITE = """
import sys
from pathlib import Path
import numpy as np
from tessera.formats import FORMATS
from tessera.formats.protocol import Described
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import LabelClass, LabelSchema
from tessera.shapes import rle
_, folder, format_, side = sys.argv
side = int(side)
part = side // 10
corners = [(left, top) for left in range(0, side, part) for top in range(0, side, part)]
counts = rle.to_string(rle.encode(np.ones((part, part), dtype=bool)))
objects = [
    LabelledObject(
        1,
        {"mask": {"left": left, "top": top, "size": [part, part], "counts": counts}},
        *({}, 1.0, "gold", [0], False),
    )
    for left, top in corners
]
image = LabelledImage(1, "u", "a.jpg", side, side, "0" * 64, objects, [])
dataset = Described("p", "d", "instance_mask", LabelSchema((LabelClass(1, "car", "#ff0000"),)))
with FORMATS[format_].writer(Path(folder), dataset) as writer:
    writer.add(image, None)
    writer.finish()
"""


@pytest.mark.long
@pytest.mark.parametrize("format_", ["masks", "coco-panoptic", "voc"])
def test_nine_times_the_pixels_take_no_more_memory(tmp_path: Path, format_: str) -> None:
    """What is whole would take a hundred megabytes more, as numbers of four bytes alone."""
    (_, small), (_, large) = (memory.of(WRITE, tmp_path, format_, side) for side in (2_000, 6_000))
    assert large < small + 50, (small, large)
    assert large < 400
