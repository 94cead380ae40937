"""The mosaics: large enough, truthful to the pixel, the same for the same seed, cheap to make."""

import os
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from demo import mosaic, photos, simulated, truth
from demo.truth import Box, Labelled

SEED = 7
WRITE = f"""
from pathlib import Path
from demo import mosaic
mosaic.main_scene({SEED}).write(Path("{{folder}}"))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The large mosaic, made by a process of its own, and that process's peak memory in kB."""
    folder = tmp_path_factory.mktemp("mosaic")
    script = WRITE.format(folder=folder)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "VIPS_CONCURRENCY": "4"},  # it takes more the more cores there are
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / "mosaic.jpg", int(done.stdout)


def test_the_large_mosaic_has_the_size_and_the_number_of_objects_promised() -> None:
    scene = mosaic.main_scene(SEED)
    assert scene.width >= 12_000
    assert scene.height >= 9_000
    assert 150 <= len(scene.objects()) <= 300
    assert len({thing.class_id for thing in scene.objects()}) == len(truth.boxes()["categories"])


@pytest.mark.long
def test_making_the_large_mosaic_takes_little_memory(written: tuple[Path, int]) -> None:
    path, peak_kb = written
    image = pyvips.Image.new_from_file(str(path))
    assert (image.width, image.height, image.bands) == (12_000, 9_000, 3)
    assert peak_kb < 300_000


@pytest.mark.parametrize("seed", range(5))
def test_objects_are_whole_and_of_a_size_that_can_be_labelled(seed: int) -> None:
    for scene in [mosaic.main_scene(seed), *mosaic.gold_scenes(seed)]:
        for _, (left, top, right, bottom) in scene.objects():
            assert 0 <= left < right <= scene.width
            assert 0 <= top < bottom <= scene.height
            assert min(right - left, bottom - top) >= 4 * simulated.VISIBLE_SIDE
            assert max(right - left, bottom - top) <= mosaic.SIDES[1]


@pytest.mark.parametrize("seed", range(5))
def test_photographs_do_not_overlap_and_are_never_smaller_than_they_were(seed: int) -> None:
    sizes = {i["file_name"]: (i["width"], i["height"]) for i in truth.boxes()["images"]}
    for scene in [mosaic.main_scene(seed), *mosaic.gold_scenes(seed)]:
        for put in scene.placements():
            assert (put.width, put.height) >= sizes[put.photo]
        for a, b in combinations(scene.placements(), 2):
            beside = a.left + a.width <= b.left or b.left + b.width <= a.left
            assert beside or a.top + a.height <= b.top or b.top + b.height <= a.top


def test_what_paves_a_cell_shows_no_object() -> None:
    objects = truth.objects_by_image(truth.boxes())
    for scene in [mosaic.main_scene(SEED), *mosaic.gold_scenes(SEED)]:
        assert not any(objects[cell.ground] for cell in scene.cells)


@pytest.mark.long
def test_the_truth_is_where_the_pixels_are(written: tuple[Path, int]) -> None:
    scene = mosaic.main_scene(SEED)
    picture = pyvips.Image.new_from_file(str(written[0])).numpy()
    assert_shown(picture, scene)


def test_gold_truth_is_where_the_pixels_are(tmp_path: Path) -> None:
    for scene in mosaic.gold_scenes(SEED, count=3):
        assert_shown(pyvips.Image.new_from_file(str(scene.write(tmp_path))).numpy(), scene)


@pytest.mark.long
def test_the_same_seed_makes_the_same_bytes_and_another_seed_another_layout(
    tmp_path: Path, written: tuple[Path, int]
) -> None:
    again = mosaic.main_scene(SEED).write(tmp_path)
    assert again.read_bytes() == written[0].read_bytes()
    assert mosaic.main_scene(SEED) == mosaic.main_scene(SEED)
    assert mosaic.main_scene(SEED).objects() != mosaic.main_scene(SEED + 1).objects()


def test_gold_scenes_show_every_class_in_layouts_of_their_own() -> None:
    scenes = mosaic.gold_scenes(SEED)
    shown = {thing.class_id for scene in scenes[:3] for thing in scene.objects()}
    assert shown == {category["id"] for category in truth.boxes()["categories"]}
    main = set(mosaic.main_scene(SEED).objects())
    assert not main & {thing for scene in scenes for thing in scene.objects()}
    assert mosaic.gold_scenes(SEED) == scenes
    assert mosaic.gold_scenes(SEED + 1) != scenes


def test_the_coco_document_of_scenes_has_all_their_objects() -> None:
    scenes = mosaic.gold_scenes(SEED)
    document = mosaic.coco(scenes)
    for scene in scenes:
        back = truth.objects_by_image(document)[scene.file_name]
        assert [thing.class_id for thing in back] == [t.class_id for t in scene.objects()]
        for was, now in zip(scene.objects(), back, strict=True):
            assert now.box == pytest.approx(was.box)


def assert_shown(picture: NDArray[np.uint8], scene: mosaic.Scene) -> None:
    """Each object's pixels are those of its photograph there, and not those 3 px beside."""
    known = truth.objects_by_image(truth.boxes())
    originals = [(put.photo, thing) for put in scene.placements() for thing in known[put.photo]]
    for (name, original), placed in zip(originals, scene.objects(), strict=True):
        assert placed.class_id == original.class_id
        here = _whole_pixels(placed.box)
        expected = _source(name, original, here)
        differences = {
            (dx, dy): _difference(
                _cut(picture, (left + dx, top + dy, right + dx, bottom + dy)), expected
            )
            for left, top, right, bottom in [here]
            for dx, dy in product((-3, 0, 3), repeat=2)
            if left + dx >= 0 and top + dy >= 0
            if right + dx <= scene.width and bottom + dy <= scene.height
        }
        assert min(differences, key=differences.__getitem__) == (0, 0), (name, placed)
        # Half a pixel, chroma at half size and JPEG's loss are left, at sharp edges most.
        assert differences[0, 0] < 25, (name, placed)


def _source(name: str, thing: Labelled, here: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    left, top, right, bottom = (int(side) for side in thing.box)
    crop = photos.open_rgb(name).crop(left, top, right - left, bottom - top)
    width, height = here[2] - here[0], here[3] - here[1]
    pixels: NDArray[np.uint8] = crop.thumbnail_image(width, height=height, size="force").numpy()
    return pixels


def _whole_pixels(box: Box) -> tuple[int, int, int, int]:
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])


def _cut(picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return picture[box[1] : box[3], box[0] : box[2]]


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())
