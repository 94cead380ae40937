"""What becomes of the files that operators upload."""

import asyncio
import hashlib
import io
import struct
import zlib
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from prometheus_client import REGISTRY
from sqlalchemy import text

from tessera.kernel import db
from tessera.storage import keys
from tests.images.conftest import OnTheWay
from tests.images.ingesting import JPEG, Desk, desk, fates, kept, put
from tests.images.pictures import TO_STORED, chunk, held, jpeg_bytes, png, scene
from tests.objects import get_bytes
from tests.waiting import until_locks_are_waited_for
from tests.world import World, photograph

EXACT = {"whole": True, "format": "png"}


def bomb(side: int = 60_000) -> bytes:
    """A valid PNG of a few hundred kilobytes that wants `side`² bits of memory and more."""
    row = b"\0" * (1 + side // 8)
    pack = zlib.compressobj(9)
    some = pack.compress(row * 100)
    block = pack.flush(zlib.Z_FULL_FLUSH)
    blocks = [some + block]
    again = pack.compress(row * 100) + pack.flush(zlib.Z_FULL_FLUSH)  # stands by itself
    blocks += [again] * (side // 100 - 1)
    adler = 1
    for _ in range(side // 100):
        adler = zlib.adler32(row * 100, adler)
    pixels = b"".join(blocks) + b"\x03\x00" + struct.pack(">I", adler)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def gif() -> bytes:
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    return out.getvalue()


def test_the_bomb_is_a_picture() -> None:
    with Image.open(io.BytesIO(bomb(800))) as small:
        assert np.asarray(small).shape == (800, 800)


async def test_every_bad_file_is_refused_with_its_reason_and_none_stops_the_others(
    world: World,
) -> None:
    here = await desk(world)
    images = await here.bring(
        {
            "first.jpg": JPEG,
            "never uploaded.jpg": None,
            "empty.jpg": b"",
            "text.jpg": b"this is no picture\n" * 20,
            "cut off.jpg": photograph(300, 200)[:2000],
            "bomb.png": bomb(),
            "drawing.svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "moving.gif": gif(),
            "noise.jpg": np.random.default_rng(3).bytes(5000),
            "flat.png": png(0, 0),
            "last.jpg": photograph(),
        }
    )
    refused = {
        "never uploaded.jpg": "missing",
        "empty.jpg": "empty-file",
        "text.jpg": "not-an-image",
        "cut off.jpg": "truncated",
        "bomb.png": "too-many-pixels",
        "drawing.svg": "unsupported-format",
        "moving.gif": "unsupported-format",
        "noise.jpg": "not-an-image",
        "flat.png": "corrupt",
    }
    whole = {name: images[name] for name in ("first.jpg", "last.jpg")}
    assert fates(images) == {**refused, **dict.fromkeys(whole, "ready")}
    for name, code in refused.items():
        problem = images[name]["problem"]
        assert (images[name]["state"], problem["status"]) == ("refused", 422)
        assert problem["type"].endswith(f"/{code}")
        assert problem["detail"]
    tasks = await here.pages("tasks")
    assert len(tasks) == 2, "one for each image that is whole, and none for the others"
    await is_all_that_is_kept(world, here, {image["id"] for image in whole.values()})


async def is_all_that_is_kept(world: World, here: Desk, image_ids: set[str]) -> None:
    """Of each of these images one original, one thumbnail and one tile; of others nothing."""
    left = await kept(world, here)
    assert left.objects["uploads"] == set()
    for folder in ("originals", "thumbnails"):
        assert sorted(key.split("/")[2] for key in left.objects[folder]) == sorted(image_ids)
    assert left.objects["tiles"] == left.tile_keys
    async with db.reading(world.sessions) as reader:
        of_tiles = await reader.scalars(text("SELECT image_id::text FROM tiles"))
        assert sorted(of_tiles) == sorted(image_ids)


async def test_tiles_have_the_quality_that_their_project_asks_for(world: World) -> None:
    picture = jpeg_bytes(scene(96, 64), quality=100)
    for quality in (50, 95):
        here = await desk(world, slicing={"whole": True, "quality": quality})
        await here.bring({"a.jpg": picture})
        (key,) = (await kept(world, here)).objects["tiles"]
        tile = await get_bytes(world.store, key, 10**6)
        assert quantisation(tile) == quantisation(jpeg_bytes(scene(8, 8), quality=quality))


def quantisation(jpeg: bytes) -> dict[int, list[int]]:
    """What its quality means for a JPEG: how coarsely each frequency is kept."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert isinstance(picture, JpegImageFile)
        return picture.quantization


async def test_what_counts_are_the_bytes_and_not_the_declared_type(world: World) -> None:
    here = await desk(world)
    out = io.BytesIO()
    Image.fromarray(scene(40, 30)).save(out, "PNG")
    (image,) = (await here.bring({"a.jpg": out.getvalue()})).values()
    assert image["state"] == "ready"
    assert image["content_type"] == "image/png"
    assert (image["width"], image["height"]) == (40, 30)
    assert image["sha256"] == hashlib.sha256(out.getvalue()).hexdigest()


async def test_the_same_bytes_again_are_noticed_and_say_which_image_has_them(
    world: World,
) -> None:
    here = await desk(world)
    first = (await here.bring({"a.jpg": JPEG}))["a.jpg"]
    images = await here.bring({"b.jpg": JPEG, "c.jpg": photograph()})
    assert fates(images) == {"b.jpg": "duplicate", "c.jpg": "ready"}
    assert images["b.jpg"]["duplicate_of"] == first["id"]
    assert "a.jpg" in images["b.jpg"]["problem"]["detail"]
    there = await desk(world)
    assert fates(await there.bring({"a.jpg": JPEG})) == {"a.jpg": "ready"}, "another project"


async def test_of_the_same_bytes_at_the_same_moment_one_becomes_an_image(
    world: World, on_the_way: OnTheWay
) -> None:
    here = await desk(world)
    links = await here.announce(*(f"{number}.jpg" for number in range(4)))
    await asyncio.gather(*(put(link["put_url"], JPEG) for link in links))
    await here.declare(*(link["image_id"] for link in links))
    retried = tried_again()
    async with on_the_way() as (door, work):
        door.hold("originals/")
        jobs = asyncio.create_task(work.jobs())
        await door.until_held(len(links))
        async with world.sessions.begin() as session:  # all wait here, and none has seen another
            await session.execute(text("SELECT FROM images FOR UPDATE"))
            await door.let_go()
            await until_locks_are_waited_for(world.sessions, 2)
        await jobs
    assert tried_again() == retried, "nobody's attempt failed"
    images = await here.images()
    by_fate = {fate: name for name, fate in fates(images).items()}
    assert sorted(fates(images).values()) == ["duplicate"] * 3 + ["ready"]
    original = images[by_fate["ready"]]["id"]
    assert {image["duplicate_of"] for image in images.values()} == {None, original}


def tried_again() -> float:
    ending = {"name": "images.ingest", "outcome": "retried"}
    return REGISTRY.get_sample_value("tessera_job_seconds_count", ending) or 0.0


async def test_pictures_are_upright_however_the_camera_was_held(
    world: World, tmp_path: Path
) -> None:
    here = await desk(world, slicing=EXACT)
    upright = scene(60, 40)
    files = {
        f"{way}.png": held(tmp_path, f"{way}.png", upright, way).read_bytes()
        for way in (1, *TO_STORED)
    }
    images = await here.bring(files)
    for way in (1, *TO_STORED):
        image = images[f"{way}.png"]
        assert (image["width"], image["height"], image["orientation"]) == (60, 40, way)
        (tile,) = await here.tiles(image["id"])
        assert np.array_equal(tile, upright), way


async def test_cmyk_and_16_bit_become_8_bit_srgb(world: World) -> None:
    here = await desk(world, slicing=EXACT)
    cmyk, deep = io.BytesIO(), io.BytesIO()
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(cmyk, "JPEG", quality=95)
    Image.fromarray(np.full((32, 32), 0x8000, np.uint16)).save(deep, "PNG")
    images = await here.bring({"cmyk.jpg": cmyk.getvalue(), "deep.png": deep.getvalue()})
    (red,) = await here.tiles(images["cmyk.jpg"]["id"])
    (grey,) = await here.tiles(images["deep.png"]["id"])
    for tile in (red, grey):
        assert tile.shape == (32, 32, 3)
        assert tile.dtype == np.uint8
    red_mean, green_mean, blue_mean = red.mean(axis=(0, 1))
    assert red_mean > 2 * max(green_mean, blue_mean)
    assert np.abs(grey.astype(int) - 128).max() <= 1


async def test_earners_see_no_metadata(world: World) -> None:
    here = await desk(world, slicing={"whole": True, "format": "jpeg"})
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    out = io.BytesIO()
    Image.fromarray(scene(64, 64)).save(out, "JPEG", exif=exif)
    assert b"secret place" in out.getvalue()
    await here.bring({"a.jpg": out.getvalue()})
    tiles = [each.key async for each in world.store.list(f"tiles/{here.project_id}/")]
    (tile,) = tiles
    assert b"secret place" not in await get_bytes(world.store, tile, 10**6)


async def test_who_overwrites_an_upload_after_the_check_changes_nothing(world: World) -> None:
    here = await desk(world)
    (link,) = await here.announce("a.jpg")
    await put(link["put_url"], JPEG)
    await here.declare(link["image_id"])
    await world.work.jobs()
    before = await here.images()
    await put(link["put_url"], photograph())
    await here.declare(link["image_id"])
    await world.work.jobs()
    assert await here.images() == before
    key = keys.original(UUID(here.project_id), UUID(link["image_id"]), before["a.jpg"]["sha256"])
    assert await get_bytes(world.store, key, 10**7) == JPEG


async def test_a_whole_image_that_is_too_large_for_one_tile_is_refused(world: World) -> None:
    here = await desk(world)
    wide = png(12_000, 10_500, kind=(1, 0), rows=[b"\0" * 1500] * 10_500)
    assert fates(await here.bring({"wide.png": wide})) == {"wide.png": "too-many-pixels"}


async def test_an_image_of_too_many_tiles_is_refused_before_it_is_cut(world: World) -> None:
    here = await desk(world, slicing={"tile": 128, "margin": 48})
    large = png(14_600, 14_600, kind=(1, 0), rows=[b"\0" * 1825] * 14_600)
    (image,) = (await here.bring({"large.png": large})).values()
    assert fates({"large.png": image}) == {"large.png": "too-many-tiles"}
    assert "206,116 tiles" in image["problem"]["detail"]
    assert await here.pages("tasks") == []


@pytest.mark.parametrize(("tile", "margin", "tiles"), [(128, 16, 6), (256, 0, 1)])
async def test_images_are_cut_by_the_projects_policy(
    world: World, tile: int, margin: int, tiles: int
) -> None:
    here = await desk(world, slicing={"tile": tile, "margin": margin, "format": "png"})
    picture = scene(256, 200)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    (image,) = (await here.bring({"a.png": out.getvalue()})).values()
    listed = (await here.operator.get(f"/v1/images/{image['id']}/tiles"))["items"]
    assert len(listed) == tiles
    assert len(await here.pages("tasks")) == tiles
    for cut, pixels in zip(listed, await here.tiles(image["id"]), strict=True):
        left, top, right, bottom = cut["window"]
        assert np.array_equal(pixels, picture[top:bottom, left:right])
