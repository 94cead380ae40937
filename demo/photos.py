"""The real photographs that ship inside scikit-image's wheel; nothing is downloaded."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyvips
from numpy.typing import NDArray

from demo import truth


class Photo(NamedTuple):
    """`rgb`: shape (height, width, 3), uint8, sRGB."""

    name: str
    path: Path
    rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class Single:
    """One picture of the classify project, with the class it clearly shows."""

    file_name: str
    jpeg: bytes
    width: int
    """Pixels; likewise height."""
    height: int
    class_id: int


def names() -> list[str]:
    """Every photograph the demo uses, for boxes or for classes."""
    drawn = [image["file_name"] for image in truth.boxes()["images"]]
    return list(dict.fromkeys([*drawn, *(subject.photo for subject in truth.subjects())]))


def photos() -> Iterator[Photo]:
    for name in names():
        yield Photo(name, path_of(name), open_rgb(name).numpy())


def path_of(name: str) -> Path:
    # By place, not by skimage.data: its fetchers may go to the network, and importing it is slow.
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise FileNotFoundError("scikit-image is not installed: run `make install`.")
    return Path(package.origin).parent / "data" / name


@cache
def open_rgb(name: str) -> Any:
    """The photograph as a pyvips image in memory: three bands, 8 bit, sRGB."""
    image = pyvips.Image.new_from_file(str(path_of(name)))
    if image.hasalpha():
        image = image.flatten()
    return image.colourspace("srgb").copy_memory()


def singles(seed: int, variants: int = 3) -> list[Single]:
    """Crops, flips and sizes of each photograph, each keeping its subject whole."""
    rng = random.Random(seed)
    pictures = [
        _single(f"{Path(subject.photo).stem}-{i}.jpg", subject, rng)
        for i in range(1, variants + 1)
        for subject in truth.subjects()
    ]
    rng.shuffle(pictures)
    return pictures


def _single(file_name: str, subject: truth.Subject, rng: random.Random) -> Single:
    image = open_rgb(subject.photo)
    left, top, right, bottom = subject.box
    left, top = rng.randint(0, left), rng.randint(0, top)
    right, bottom = rng.randint(right, image.width), rng.randint(bottom, image.height)
    image = image.crop(left, top, right - left, bottom - top)
    if rng.choice((True, False)):
        image = image.fliphor()
    # A phone's width: no picture is so small that its class is a guess, none is a slow download.
    image = image.resize(rng.uniform(400, 900) / max(image.width, image.height))
    jpeg: bytes = image.jpegsave_buffer(Q=88, keep="none")
    return Single(file_name, jpeg, image.width, image.height, subject.class_id)
