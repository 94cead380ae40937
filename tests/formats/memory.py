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
from pathlib import Path
from tessera.formats import FORMATS
from tessera.formats.archive import Folder
from tessera.formats.protocol import Known, Wanted
from tessera.kinds import LabelClass, LabelSchema
_, folder, format_, kind = sys.argv
schema = LabelSchema((LabelClass(1, "coin", "#ff0000"), LabelClass(2, "cup", "#00ff00")))
images = objects = refused = 0
corners = 0.0
for each in FORMATS[format_].read(Folder(Path(folder)), Wanted(kind, schema)):
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


def of_reading(folder: Path, format_: str, kind: str = "box") -> tuple[list[int], int]:
    """Images, objects, refusals and the sum of all edges of boxes; and the peak in MB."""
    said, peak = of(_READ, folder, format_, kind)
    return [int(each) for each in said], peak
