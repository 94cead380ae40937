"""Pictures made of an image's file later look, and are, as if they had been cut with its tiles."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from tessera.images import views
from tessera.images.frames import Upright
from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Refused
from tessera.images.tiling import Rect
from tests.images.cutting import EXACT, cut, seen
from tests.images.pictures import held, saved, scene

SCENE = scene(301, 203)


async def source(path: Path, policy: SlicePolicy) -> views.Source:
    facts = await inspect(path)
    return views.Source(uuid4(), uuid4(), "0" * 64, facts.upright, policy)


@pytest.mark.parametrize("form", list(TileFormat))
async def test_the_window_of_a_tile_has_the_bytes_of_the_tile(
    tmp_path: Path, form: TileFormat
) -> None:
    policy = SlicePolicy(tile=64, margin=8, format=form, quality=85)
    path = saved(tmp_path, "a.jpg", SCENE, quality=95)
    of, made = await source(path, policy), await cut(path, policy)
    for number in (0, 7, max(made.boxes)):
        found = await views.cut(
            path, of, made.boxes[number].window, mirror=False, into=tmp_path / "view"
        )
        content = found.path.read_bytes()
        assert content == made.tiles[number]
        assert found.size == len(content)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_it_is_moved_and_mirrored_as_the_image_is_seen(
    tmp_path: Path, orientation: int
) -> None:
    path = held(tmp_path, "a.png", SCENE, orientation)
    of, window = await source(path, EXACT), Rect(31, 40, 95, 190)
    plain = await views.cut(path, of, window, mirror=False, into=tmp_path / "plain")
    expected = SCENE[40:190, 31:95]
    assert np.array_equal(seen(plain.path.read_bytes()), expected)
    mirrored = await views.cut(path, of, window, mirror=True, into=tmp_path / "mirrored")
    assert np.array_equal(seen(mirrored.path.read_bytes()), expected[:, ::-1])
    assert plain.key != mirrored.key


async def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", SCENE)
    of = replace(await source(path, EXACT), upright=Upright(1, 300, 203))
    with pytest.raises(Refused, match="not the one"):
        await views.cut(path, of, Rect(0, 0, 10, 10), mirror=False, into=tmp_path / "view")
    path.write_bytes(path.read_bytes()[:2000])
    of = replace(of, upright=Upright(1, 301, 203))
    with pytest.raises(Refused):
        await views.cut(path, of, Rect(0, 0, 301, 203), mirror=False, into=tmp_path / "view")
