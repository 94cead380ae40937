import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tessera.images.decoder.strips import STRIP, Strip
from tessera.images.decoder.thumbnail import Shrinker
from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits, Reason, Refused
from tessera.images.slicing import slice_image
from tests.images.cutting import EXACT, cut, seen
from tests.images.pictures import Pixels, held, saved, scene

SCENE = scene(301, 203)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
async def test_the_cores_of_an_exact_format_are_the_image(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    made = await cut(saved(tmp_path, name, SCENE, **options))
    assert np.array_equal(made.image(), SCENE)


@pytest.mark.parametrize("form", list(TileFormat))
async def test_the_cores_of_any_tile_format_look_like_the_image(
    tmp_path: Path, form: TileFormat
) -> None:
    policy = SlicePolicy(tile=64, margin=8, format=form, quality=90)
    made = await cut(saved(tmp_path, "a.jpg", SCENE, quality=95), policy)
    assert np.abs(made.image().astype(int) - SCENE).mean() < 3
    with Image.open(BytesIO(made.tiles[0])) as tile:
        assert tile.format == form.upper()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
async def test_every_orientation_gives_the_same_upright_pixels(
    tmp_path: Path, name: str, orientation: int
) -> None:
    made = await cut(held(tmp_path, name, SCENE, orientation))
    assert np.array_equal(made.image(), SCENE)
    upright = await cut(saved(tmp_path, "upright.png", SCENE))
    assert made.tiles == upright.tiles


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_photograph_held_in_any_way_is_upright_in_tiles_and_thumbnail(
    tmp_path: Path, orientation: int
) -> None:
    made = await cut(held(tmp_path, "a.jpg", SCENE, orientation, quality=95, subsampling=0))
    assert np.abs(made.image().astype(int) - SCENE).mean() < 2
    assert np.abs(seen(made.thumbnail).astype(int) - SCENE).mean() < 12


@pytest.mark.parametrize(
    ("width", "height"), [(2100, 1300), (1300, 2100), (700, 3), (40, 30), (2048, 129)]
)
async def test_the_thumbnail_is_the_image_at_512_pixels_and_never_larger(
    tmp_path: Path, width: int, height: int
) -> None:
    pixels = scene(width, height)
    made = await cut(saved(tmp_path, "a.png", pixels), SlicePolicy())
    small = seen(made.thumbnail)
    assert max(small.shape) == min(512, max(height, width))
    if min(small.shape[:2]) < 16:
        return  # a JPEG of two rows looks like nothing
    expected = Image.fromarray(pixels).resize((small.shape[1], small.shape[0]))
    assert np.abs(small.astype(int) - np.asarray(expected)).mean() < 12


@given(st.sampled_from([300, 2048, 4096, 8200]), st.integers(1, 4), st.integers(-33, 33))
@example(2048, 1, 1)  # a last strip that is lower than a block
@example(4096, 3, 3)
def test_any_number_of_rows_has_a_thumbnail(width: int, whole_strips: int, more: int) -> None:
    height = whole_strips * STRIP + more
    across, down = (np.linspace(0, 255, side) for side in (width, height))
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = across, down[:, None], 90
    shrinker = Shrinker(width, height)
    for top in reversed(range(0, height, STRIP)):
        shrinker.add(Strip(top, pixels[top : top + STRIP]))
    small = shrinker.finish(1)
    assert max(small.width, small.height) == min(512, max(width, height))
    made = seen(small.content).astype(int)
    expected = Image.fromarray(pixels).resize((small.width, small.height))
    off = np.abs(made - np.asarray(expected))
    assert off.mean() < 12
    assert off.max() < 25 or small.height < 16, "a JPEG of a few rows mixes their colours"


async def test_a_whole_image_can_be_one_tile(tmp_path: Path) -> None:
    policy = SlicePolicy(format=TileFormat.PNG, whole=True)
    made = await cut(held(tmp_path, "a.png", SCENE, 6), policy)
    assert list(made.tiles) == [0]
    assert np.array_equal(seen(made.tiles[0]), SCENE)


@pytest.mark.parametrize(
    ("pixels", "form", "limits"),
    [
        (SCENE, TileFormat.JPEG, Limits(held_pixels=60_000)),
        (SCENE, TileFormat.WEBP, Limits(held_pixels=2 * 60_000)),
        (np.zeros((2, 17_000, 3), np.uint8), TileFormat.WEBP, Limits()),
    ],
)
async def test_a_whole_image_that_is_too_large_for_one_tile_is_refused(
    tmp_path: Path, pixels: Pixels, form: TileFormat, limits: Limits
) -> None:
    path = saved(tmp_path, "a.png", pixels)
    policy = SlicePolicy(whole=True, format=form)
    with pytest.raises(Refused) as refused:
        async with slice_image(
            path, await inspect(path), policy, tmp_path, limits=limits
        ) as slices:
            async for _ in slices:
                pass
    assert refused.value.reason is Reason.TOO_MANY_PIXELS


async def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.jpg", SCENE)
    policy = SlicePolicy(tile=64, margin=8)
    assert await cut(path, policy) == await cut(path, policy)


async def test_slicing_goes_on_where_it_was_and_makes_the_same_bytes(tmp_path: Path) -> None:
    path = held(tmp_path, "a.jpg", SCENE, 8)
    policy = SlicePolicy(tile=64, margin=8)
    complete = await cut(path, policy)
    done = set(list(complete.tiles)[: len(complete.tiles) // 2]) | {max(complete.tiles)}
    rest = await cut(path, policy, done=done)
    assert set(rest.tiles) == set(complete.tiles) - done
    assert all(complete.tiles[index] == content for index, content in rest.tiles.items())
    assert rest.thumbnail == complete.thumbnail
    nothing = await cut(path, policy, done=set(complete.tiles))
    assert not nothing.tiles
    assert nothing.thumbnail == complete.thumbnail


@pytest.mark.parametrize("form", [TileFormat.JPEG, TileFormat.WEBP])
async def test_tiles_of_a_lower_quality_are_smaller(tmp_path: Path, form: TileFormat) -> None:
    path = saved(tmp_path, "a.png", SCENE)
    small, large = [
        await cut(path, SlicePolicy(whole=True, format=form, quality=quality))
        for quality in (50, 80)
    ]
    assert len(small.tiles[0]) < 0.8 * len(large.tiles[0])


async def test_a_piece_says_the_hash_of_its_file(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", SCENE)
    async with slice_image(path, await inspect(path), EXACT, tmp_path) as slices:
        async for piece in slices:
            assert piece.sha256 == hashlib.sha256(piece.path.read_bytes()).hexdigest()
            slices.release(piece)


async def test_a_file_other_than_the_inspected_one_is_not_sliced(tmp_path: Path) -> None:
    facts = await inspect(saved(tmp_path, "a.png", SCENE))
    path = saved(tmp_path, "a.png", SCENE[:100])
    with pytest.raises(Refused, match="not the one that was checked"):
        async with slice_image(path, facts, EXACT, tmp_path) as slices:
            async for _ in slices:
                pass


async def test_a_file_that_loses_its_end_after_the_check_is_refused_and_not_half_sliced(
    tmp_path: Path,
) -> None:
    path = saved(tmp_path, "a.jpg", SCENE)
    facts = await inspect(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(Refused) as refused:
        async with slice_image(path, facts, EXACT, tmp_path) as slices:
            async for piece in slices:
                slices.release(piece)
    assert refused.value.reason is Reason.TRUNCATED
