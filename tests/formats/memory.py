"""How much memory something takes: of a whole process, at its peak."""

import subprocess
import sys
from pathlib import Path
from typing import Any

_PEAK = """
import re
from pathlib import Path
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
_READ = """
import sys
from contextlib import nullcontext
from pathlib import Path
from tessera.formats import FORMATS
from tessera.formats.archive import Folder, unpacked
from tessera.formats.protocol import Known, Wanted
from tessera.kinds import LabelClass, LabelSchema, Size
_, folder, format_, kind, sizes = sys.argv
known = {f"{number}.jpg": Size(100, 80) for number in range(1, int(sizes) + 1)}
(only, *more) = Path(folder).iterdir()
packed = only.suffix == ".tar" and not more
schema = LabelSchema((LabelClass(1, "coin", "#ff0000"), LabelClass(2, "cup", "#00ff00")))
images = objects = refused = 0
corners = 0.0
with unpacked(only) if packed else nullcontext(Folder(Path(folder))) as files:
    for each in FORMATS[format_].read(files, Wanted(kind, schema, known)):
        if isinstance(each, Known):
            images += 1
            objects += len(each.objects)
            corners += sum(sum(found.get("box", ())) for found in each.objects)
        else:
            refused += 1
print(images, objects, refused, round(corners))
"""


def of(code: str, *arguments: Any) -> tuple[list[str], int]:
    """What a script prints, word by word, and its peak in MB."""
    command = [sys.executable, "-c", f"{code}\n{_PEAK}", *map(str, arguments)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    *said, peak = done.stdout.split()
    return said, int(peak)


def of_reading(
    folder: Path, format_: str, kind: str = "box", *, sizes: int = 0
) -> tuple[list[int], int]:
    """Images, objects, refusals and the sum of all edges of boxes; and the peak in MB.

    Args:
        sizes: Of how many images they are known, for formats that do not tell them.
    """
    said, peak = of(_READ, folder, format_, kind, sizes)
    return [int(each) for each in said], peak
