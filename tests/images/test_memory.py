"""How much memory slicing takes: of the whole process, at its peak."""

import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

MEASURE = """
import asyncio, resource, sys
from pathlib import Path
from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy
from tessera.images.slicing import slice_image

async def main(path, folder):
    facts = await inspect(path)
    async with slice_image(path, facts, SlicePolicy(), folder) as slices:
        async for piece in slices:
            slices.release(piece)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def peak(path: Path) -> int:
    """MB, of the decoder that took most; its parent takes the same for any image."""
    folder = path.parent / "tiles"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", MEASURE, str(path), str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return int(done.stdout)


def landscape(side: int) -> pyvips.Image:
    """Waves with grain that need no memory to make; their files are as large as photographs."""
    waves = pyvips.Image.sines(side, side, hfreq=17, vfreq=23) * 100 + 128
    grain = pyvips.Image.gaussnoise(side, side, sigma=8, mean=0, seed=5)
    one = (waves + grain).cast("uchar")
    return one.bandjoin([one.invert(), one]).copy(interpretation="srgb")


def test_a_photograph_is_sliced_in_less_memory_than_its_pixels_take(tmp_path: Path) -> None:
    landscape(6000).jpegsave(str(tmp_path / "a.jpg"), Q=90)
    pixels = 6000 * 6000 * 3 // 2**20
    assert peak(tmp_path / "a.jpg") < pixels + 80


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photograph_on_its_side_takes_no_more(tmp_path: Path, orientation: int) -> None:
    turned = landscape(6000).copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    turned.jpegsave(str(tmp_path / "a.jpg"), Q=90)
    assert peak(tmp_path / "a.jpg") < 6000 * 6000 * 3 // 2**20 + 80


@pytest.mark.long
def test_a_jpeg_of_30_000_pixels_square_takes_less_than_700_mb(tmp_path: Path) -> None:
    landscape(30_000).jpegsave(str(tmp_path / "a.jpg"), Q=90)
    assert peak(tmp_path / "a.jpg") < 700


@pytest.mark.long
def test_a_tiled_tiff_of_30_000_pixels_square_takes_less_than_300_mb(tmp_path: Path) -> None:
    landscape(30_000).tiffsave(
        str(tmp_path / "a.tif"), tile=True, tile_width=256, tile_height=256, bigtiff=True
    )
    assert peak(tmp_path / "a.tif") < 300


@pytest.mark.long
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_jpeg_of_30_000_pixels_on_its_side_takes_less_than_700_mb(
    tmp_path: Path, orientation: int
) -> None:
    turned = landscape(30_000).copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    turned.jpegsave(str(tmp_path / "a.jpg"), Q=90)
    assert peak(tmp_path / "a.jpg") < 700
