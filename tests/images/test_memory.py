"""How much memory slicing takes: of the whole process, at its peak."""

import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits
from tests.images.cutting import cut

PARTS = 6
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
    """Waves with grain, made once for many places; their files are as large as photographs."""
    part = side // PARTS
    waves = pyvips.Image.sines(part, part, hfreq=17, vfreq=23) * 100 + 128
    grain = pyvips.Image.gaussnoise(part, part, sigma=8, mean=0, seed=5)
    one = (waves + grain).cast("uchar").copy_memory().replicate(PARTS, PARTS)
    return one.bandjoin([one.invert(), one]).copy(interpretation="srgb")


@pytest.mark.long
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_photograph_is_sliced_in_less_memory_than_its_pixels_take(
    tmp_path: Path, orientation: int
) -> None:
    turned = landscape(9000).copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    turned.jpegsave(str(tmp_path / "a.jpg"), Q=90)
    assert peak(tmp_path / "a.jpg") < 9000 * 9000 * 3 // 2**20


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


@pytest.mark.long
@pytest.mark.parametrize("name", ["progressive.jpg", "interlaced.png"])
async def test_a_file_that_must_be_held_can_be_one_tile_up_to_the_promised_size(
    tmp_path: Path, name: str
) -> None:
    """On its side and without loss, where most has to be in memory at once."""
    picture = landscape(12_000).crop(0, 0, 12_000, Limits().held_pixels // 12_000).copy()
    picture.set_type(pyvips.GValue.gint_type, "orientation", 6)
    if name.endswith("jpg"):
        picture.jpegsave(str(tmp_path / name), Q=90, interlace=True, subsample_mode="off")
    else:
        fine = picture.bandjoin(picture[0]).cast("ushort").linear(257, 0).cast("ushort")
        deep = fine.copy(interpretation="rgb16")
        deep.pngsave(str(tmp_path / name), interlace=True, compression=1, filter="none")
    made = await cut(tmp_path / name, SlicePolicy(format=TileFormat.PNG, whole=True))
    assert list(made.tiles) == [0]
    assert made.size == (10_000, 12_000)


@pytest.mark.long
async def test_the_largest_webp_is_sliced_and_the_largest_webp_tile_is_made(tmp_path: Path) -> None:
    picture = landscape(9996)
    clear = picture.bandjoin(picture[0])
    clear.webpsave(str(tmp_path / "a.webp"), lossless=True, effort=0, Q=0)
    assert list((await cut(tmp_path / "a.webp", SlicePolicy(whole=True))).tiles) == [0]
    # on its side, and held in memory while it is read
    picture = picture.crop(0, 0, 9996, 6000).copy()
    picture.set_type(pyvips.GValue.gint_type, "orientation", 6)
    picture.jpegsave(str(tmp_path / "a.jpg"), Q=90, interlace=True, subsample_mode="off")
    made = await cut(tmp_path / "a.jpg", SlicePolicy(format=TileFormat.WEBP, whole=True))
    assert list(made.tiles) == [0]
