"""Commands run in this process, and pictures and labels for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tessera.cli.main import main
from tests.images.pictures import saved, scene

REFUSED_AS = (1, 2)
"""Exit statuses of what is refused."""
CLASSES = ({"id": 3, "name": "cup"}, {"id": 5, "name": "cat"})


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def refusals(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("tessera: ")]


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> Ran:
        try:
            status = main([str(word) for word in words])
        except SystemExit as ended:
            status = int(str(ended.code))
        return Ran(status, *self._capsys.readouterr())

    def well(self, *words: str | Path) -> Any:
        """Returns the summary of a command that does what it should."""
        ran = self(*words, "--json")
        assert (ran.status, ran.refusals) == (0, [])
        return orjson.loads(ran.out)

    def refused(self, *words: str | Path) -> tuple[int, list[str]]:
        """Exit status and refusals; there is no result."""
        ran = self(*words)
        assert ran.out == ""
        assert "Traceback" not in ran.err
        return ran.status, [line.removeprefix("tessera: ") for line in ran.refusals]


def picture(folder: Path, name: str, width: int = 300, height: int = 200) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    return saved(folder, name, scene(width, height))


def coco(
    path: Path,
    boxes: Sequence[Sequence[float]],
    *,
    name: str = "a.png",
    size: tuple[int, int] = (300, 200),
) -> Path:
    """Of one image; the classes take turns."""
    annotations = [
        {"id": number, "image_id": 1, "category_id": CLASSES[number % 2]["id"], "bbox": box}
        for number, box in enumerate(boxes)
    ]
    image = {"id": 1, "file_name": name, "width": size[0], "height": size[1]}
    document = {"images": [image], "categories": CLASSES, "annotations": annotations}
    path.write_bytes(orjson.dumps(document))
    return path


def lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
