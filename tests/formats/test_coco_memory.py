"""A COCO file of any size is read in the memory that one image takes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.formats import memory

OUTLINE = ",".join(f"{number}.25,{number}.75" for number in range(100))
RUNS = "0Xk" * 500
PER_IMAGE = 50
SEGMENTATIONS = (f"[[{OUTLINE}]]", f'{{"size":[80,100],"counts":"{RUNS}"}}')


def annotations(images: int) -> Iterator[str]:
    """As tools leave them: not by image, and larger than what is read of them."""
    for number in range(images * PER_IMAGE):
        left, top = number % 50, number % 40
        yield (
            f'{{"id":{number},"image_id":{number % images},"category_id":{number % 2 + 1},'
            f'"bbox":[{left},{top},9.5,20],"area":190,"segmentation":{SEGMENTATIONS[number % 2]}}}'
        )


def write(folder: Path, size: int) -> tuple[list[int], int]:
    """A file of at least so many bytes; what has to be read of it, and its size."""
    images = 1 + size // (PER_IMAGE * sum(len(each) + 90 for each in SEGMENTATIONS) // 2)
    with (folder / "large.json").open("w") as file:
        file.write('{"annotations":[')
        for number, each in enumerate(annotations(images)):
            file.write(f",\n{each}" if number else each)
        listed = (
            f'{{"id":{number},"file_name":"{number}.jpg","width":100,"height":80}}'
            for number in range(images)
        )
        file.write(f'],"images":[{",".join(listed)}],')
        file.write('"categories":[{"id":1,"name":"coin"},{"id":2,"name":"cup"}]}')
        length = file.tell()
    count = images * PER_IMAGE
    edges = sum(2 * (number % 50) + 2 * (number % 40) for number in range(count)) + 29.5 * count
    return [images, count, 0, round(edges)], length


@pytest.mark.long
def test_four_times_the_file_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for name, size in (("small", 6_000_000), ("large", 24_000_000)):
        (tmp_path / name).mkdir()
        expected, length = write(tmp_path / name, size)
        found, peak = memory.of_reading(tmp_path / name, "coco")
        assert (found, length >= size) == (expected, True)
        peaks.append(peak)
    small, large = peaks
    assert large < small + 10, peaks
    assert large < 200, peaks


@pytest.mark.long
def test_two_gigabytes_are_read(tmp_path: Path) -> None:
    expected, length = write(tmp_path, 2**31)
    assert length >= 2**31
    found, peak = memory.of_reading(tmp_path, "coco")
    (tmp_path / "large.json").unlink()
    assert found == expected
    assert peak < 300, peak
