"""COCO files: our writer beside Datumaro's, each in a process of its own; a part of `bench.export`.

    python -m bench.coco ours|datumaro box|polygon 100000

What is timed, in CPU seconds and by the clock: from records in memory to a COCO file on disk. Ours
streams them, as a build does; Datumaro has to make its items of them first. Both write boxes,
outlines, areas, confidences and what settled them. Imports are not timed, but they are part of the
peak, so that is given without them, too.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from math import cos, pi, sin
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench.results import Aim

WRITERS, KINDS, ROUNDS = ("ours", "datumaro"), ("box", "polygon"), 3
SIDE, OBJECTS, LAYOUTS, CORNERS, CLASSES = 960, 40, 50, 20, 10
Layout = list[dict[str, Any]]
Write = Callable[[Path], object]


def layouts(kind: str) -> list[Layout]:
    """Objects of some images; the others have the same again."""
    rng = random.Random(1)
    drawn = {"box": _a_box, "polygon": _a_polygon}[kind]
    return [
        [{"class": rng.randint(1, CLASSES), kind: drawn(rng)} for _ in range(OBJECTS)]
        for _ in range(LAYOUTS)
    ]


def _a_box(rng: random.Random) -> list[float]:
    left, top = rng.uniform(0, SIDE - 90), rng.uniform(0, SIDE - 90)
    edges = left, top, left + rng.uniform(8, 90), top + rng.uniform(8, 90)
    return [round(edge, 2) for edge in edges]


def _a_polygon(rng: random.Random) -> list[list[list[list[float]]]]:
    x, y, size = rng.uniform(45, SIDE - 45), rng.uniform(45, SIDE - 45), rng.uniform(8, 45)
    turns = [(2 * pi * i / CORNERS, size * rng.uniform(0.7, 1)) for i in range(CORNERS)]
    return [[[[round(x + r * cos(a), 2), round(y + r * sin(a), 2)] for a, r in turns]]]


def _numbered(of: list[Any], annotations: int) -> Iterator[tuple[int, Any]]:
    for number in range(1, annotations // OBJECTS + 1):
        yield number, of[number % LAYOUTS]


def ours(kind: str, annotations: int) -> Write:
    from tessera.datasets.export import exporting  # noqa: PLC0415 - not in Datumaro's process
    from tessera.datasets.options import Options  # noqa: PLC0415
    from tessera.formats.protocol import Described  # noqa: PLC0415
    from tessera.formats.records import LabelledImage, LabelledObject  # noqa: PLC0415
    from tessera.kinds import LabelSchema  # noqa: PLC0415

    def recorded(each: dict[str, Any]) -> LabelledObject:
        place = {kind: each[kind]}
        return LabelledObject(each["class"], place, {}, 0.97, "consensus", [1], crowd=False)

    def write(folder: Path) -> None:
        images = (
            LabelledImage(number, "", f"{number:09}.jpg", SIDE, SIDE, "", objects, [])
            for number, objects in _numbered(records, annotations)
        )
        with exporting(folder, described, Options(formats=("coco",))) as export:
            export.add(images)
            export.finish()

    records = [[recorded(each) for each in layout] for layout in layouts(kind)]
    classes = [{"id": i, "name": f"class {i}", "colour": "#e6194b"} for i in range(1, CLASSES + 1)]
    described = Described("", "bench", kind, LabelSchema.parse({"classes": classes}))
    return write


def datumaro(kind: str, annotations: int) -> Write:
    dm = import_module("datumaro")  # not in our process

    def drawn(each: dict[str, Any], number: int) -> Any:
        said = {"score": 0.97, "source": "consensus"}
        more = {"label": each["class"] - 1, "id": number, "group": number, "attributes": said}
        if kind == "polygon":
            return dm.Polygon([at for point in each[kind][0][0] for at in point], **more)
        left, top, right, bottom = each[kind]
        return dm.Bbox(left, top, right - left, bottom - top, **more)

    def item(number: int, layout: Layout) -> Any:
        first = (number - 1) * OBJECTS + 1
        return dm.DatasetItem(
            id=f"{number:09}",
            media=dm.Image.from_file(path=f"{number:09}.jpg", size=(SIDE, SIDE)),
            annotations=[drawn(each, first + i) for i, each in enumerate(layout)],
        )

    def write(folder: Path) -> None:
        items = [item(*each) for each in _numbered(known, annotations)]
        names = [f"class {i}" for i in range(1, CLASSES + 1)]
        whole = dm.Dataset.from_iterable(items, categories=names)
        whole.export(str(folder), "coco_instances", save_media=False)

    known = layouts(kind)
    return write


def measure(by: str, kind: str, annotations: int) -> dict[str, Any]:
    write = {"ours": ours, "datumaro": datumaro}[by](kind, annotations)
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        write(Path(folder))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "by": by,
        "kind": kind,
        "annotations": annotations,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "annotations_per_second": round(annotations / seconds),
        "imports_mb": before,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> int:
    """Most memory this process has had. `ru_maxrss` would start with that of its parent."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def beside_datumaro(annotations: int) -> list[dict[str, Any]]:
    """Of each kind, both in turns: the median of some rounds."""
    rows = []
    for kind in KINDS:
        rounds = [[_in_child(by, kind, annotations) for by in WRITERS] for _ in range(ROUNDS)]
        by_speed = (
            sorted(each, key=itemgetter("cpu_seconds")) for each in zip(*rounds, strict=True)
        )
        rows += [each[ROUNDS // 2] for each in by_speed]
    return rows


def _in_child(by: str, kind: str, annotations: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.coco", by, kind, str(annotations)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def aims(rows: list[dict[str, Any]]) -> list[Aim]:
    return [
        aim
        for kind in KINDS
        for us, them in [[row for row in rows if row["kind"] == kind]]
        for aim in _aims(kind, us, them)
    ]


def _aims(kind: str, us: dict[str, Any], them: dict[str, Any]) -> list[Aim]:
    times, share = them["cpu_seconds"] / us["cpu_seconds"], us["peak_mb"] / them["peak_mb"]
    grown = [each["peak_mb"] - each["imports_mb"] for each in (us, them)]
    return [
        Aim(f"COCO of {kind}, speed to Datumaro's", round(times, 1), ">= 10", times >= 10),
        Aim(f"COCO of {kind}, peak memory to Datumaro's", round(share, 2), "<= 0.2", share <= 0.2),
        Aim(
            f"COCO of {kind}, the same without imports",
            round(grown[0] / grown[1], 3),
            "<= 0.2",
            grown[0] <= 0.2 * grown[1],
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
