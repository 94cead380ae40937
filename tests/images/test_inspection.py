import json
import struct
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image
from tifffile import TiffWriter, imwrite

from tessera.images.formats import Format
from tessera.images.inspection import Facts, inspect
from tessera.images.refusals import Limits, Reason, Refused
from tests.images.cutting import cut
from tests.images.pictures import held, jpeg_bytes, png, saved, scene

SCENE = scene(300, 200)
QUICK = 10
"""Seconds that a refusal may take, on a busy machine and with the start of a process."""


async def reason(path: Path, limits: Limits | None = None) -> Reason:
    begun = time.monotonic()
    with pytest.raises(Refused) as refused:
        await inspect(path, limits or Limits())
    assert time.monotonic() - begun < QUICK
    assert refused.value.detail.endswith(".")
    assert refused.value.facts == {"reason": refused.value.reason}
    return refused.value.reason


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("progressive.jpg", {"progressive": True}),
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("packed.tif", {"compression": "tiff_lzw"}),
        ("no-suffix", {"format": "png"}),
        ("lies.jpg", {"format": "png"}),
    ],
)
async def test_the_four_formats_are_taken_whatever_the_file_is_called(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = saved(tmp_path, name, SCENE, **options)
    facts = await inspect(path)
    assert (facts.width, facts.height, facts.orientation) == (300, 200, 1)
    assert facts.size == path.stat().st_size
    assert Facts.from_json(json.loads(json.dumps(asdict(facts)))) == facts
    assert np.abs((await cut(path)).image().astype(int) - SCENE).mean() < 4


async def test_the_size_is_that_of_the_upright_image(tmp_path: Path) -> None:
    facts = await inspect(held(tmp_path, "side.jpg", SCENE, 6))
    assert facts.format is Format.JPEG
    assert (facts.width, facts.height) == (300, 200)
    assert (facts.stored_width, facts.stored_height, facts.orientation) == (200, 300, 6)
    assert facts.upright.size == (300, 200)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"Dear operator,\r\nthis is no picture.\n", Reason.NOT_AN_IMAGE),
        ("<html>ä</html>".encode(), Reason.NOT_AN_IMAGE),
        (bytes(range(256)) * 20, Reason.NOT_AN_IMAGE),
        (b"GIF89a" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        (b"<?xml version='1.0'?><svg width='20000'/>", Reason.UNSUPPORTED_FORMAT),
        (b"%PDF-1.7\n", Reason.UNSUPPORTED_FORMAT),
        (b"\0\0\0 ftypheic" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        (b"\0\0\0 ftypavif" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        (b"BM" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        (b"PK\3\4" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xd8\xff", Reason.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n", Reason.TRUNCATED),
        (b"RIFF\xff\xff\0\0WEBPVP8 ", Reason.TRUNCATED),
        (b"II*\0\x08\0\0\0", Reason.TRUNCATED),
    ],
)
async def test_what_is_no_image_is_refused_whatever_it_is_called(
    tmp_path: Path, content: bytes, expected: Reason
) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    assert await reason(path) is expected


async def test_a_refusal_names_the_format_that_was_found(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.jpg", SCENE, format="gif")
    with pytest.raises(
        Refused, match=r"The file is a GIF\. Accepted are JPEG, PNG, WebP and TIFF\."
    ):
        await inspect(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "packed.tif"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
async def test_a_file_that_was_cut_off_is_refused_as_such(
    tmp_path: Path, name: str, share: float
) -> None:
    options = {"compression": "tiff_adobe_deflate"} if "packed" in name else {}
    path = saved(tmp_path, name, SCENE, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert await reason(path) is Reason.TRUNCATED


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "packed.tif"])
async def test_a_file_with_damaged_pixels_is_refused(tmp_path: Path, name: str) -> None:
    options = {"compression": "tiff_adobe_deflate"} if "packed" in name else {}
    content = bytearray(saved(tmp_path, name, SCENE, **options).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff\xd9" * 200 if name == "a.jpg" else b"\xaa" * 400
    (tmp_path / name).write_bytes(content)
    assert await reason(tmp_path / name) is Reason.CORRUPT


async def test_a_wrong_checksum_in_a_png_is_damage(tmp_path: Path) -> None:
    content = bytearray(png(64, 64, rows=[bytes(64)] * 64))
    content[-16:-12] = b"\1\2\3\4"  # the checksum of IDAT; IEND takes the last 12 bytes
    (tmp_path / "a.png").write_bytes(content)
    assert await reason(tmp_path / "a.png") is Reason.CORRUPT


async def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, rows=[bytes(60_000)] * 100))
    assert await reason(path) is Reason.TOO_MANY_PIXELS


async def test_thirty_thousand_squared_is_not_too_many_but_one_side_can_be(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(30_000, 30_000, rows=[bytes(30_000)] * 100))
    assert await reason(path) is not Reason.TOO_MANY_PIXELS
    path.write_bytes(png(60_001, 2, rows=[bytes(60_001)] * 2))
    assert await reason(path) is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {"progressive": True}), ("a.webp", {})],
)
async def test_what_has_to_be_held_in_memory_has_a_lower_limit(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    share = 6 / 5 if name == "a.webp" else 1
    limits = Limits(held_pixels=round(300 * 200 * share) - 1)
    assert await reason(saved(tmp_path, name, SCENE, **options), limits) is Reason.TOO_MANY_PIXELS
    await inspect(saved(tmp_path, "baseline.jpg", SCENE), limits)


async def test_an_interlaced_png_is_the_same_picture_and_has_the_lower_limit(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.png"
    picture = pyvips.Image.new_from_array(SCENE, interpretation="srgb")
    picture.pngsave(str(path), interlace=True)
    assert np.array_equal((await cut(path)).image(), SCENE)
    assert await reason(path, Limits(held_pixels=300 * 200 - 1)) is Reason.TOO_MANY_PIXELS
    path.write_bytes(path.read_bytes()[:-3000])
    assert await reason(path) is Reason.TRUNCATED


async def test_more_bytes_than_allowed_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", SCENE)
    assert await reason(path, Limits(file_bytes=1000)) is Reason.TOO_MANY_BYTES


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.tif"])
async def test_animations_and_pages_are_refused(tmp_path: Path, name: str) -> None:
    first, second = (Image.fromarray(SCENE[:50, left : left + 50]) for left in (0, 50))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert await reason(tmp_path / name) is Reason.TOO_MANY_FRAMES


async def test_overviews_of_an_aerial_image_are_not_pages(tmp_path: Path) -> None:
    geography = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (34735, "H", 4, (1, 1, 0, 0), True),
        (42112, "s", 0, "<GDALMetadata/>", True),
    ]
    with TiffWriter(tmp_path / "cog.tif", bigtiff=True) as tiff:
        tiff.write(SCENE, photometric="rgb", tile=(64, 64), extratags=geography)
        tiff.write(SCENE[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1)
    facts = await inspect(tmp_path / "cog.tif")
    assert (facts.width, facts.height) == (300, 200)


async def test_bytes_after_the_picture_are_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "polyglot.jpg"
    path.write_bytes(jpeg_bytes(SCENE) + b"<?php system($_GET['x']); ?>" * 1000)
    assert (await inspect(path)).width == 300


async def test_a_huge_comment_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "chatty.png"
    text = (b"tEXt", b"Comment\0" + b"x" * 50_000_000)
    path.write_bytes(png(64, 64, text, rows=[bytes(64)] * 64))
    assert (await inspect(path)).width == 64


async def test_numbers_without_a_known_look_are_refused(tmp_path: Path) -> None:
    imwrite(tmp_path / "float.tif", np.ones((20, 20), np.float32))
    assert await reason(tmp_path / "float.tif") is Reason.UNSUPPORTED_FORMAT
    imwrite(tmp_path / "signed.tif", np.ones((20, 20), np.int16))
    assert await reason(tmp_path / "signed.tif") is Reason.UNSUPPORTED_FORMAT
    imwrite(
        tmp_path / "seven.tif", np.ones((20, 20, 7), np.uint8), photometric="minisblack",
        planarconfig="contig",
    )  # fmt: skip
    assert await reason(tmp_path / "seven.tif") is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("mode", "compression"), [("YCbCr", "raw"), ("YCbCr", "tiff_lzw"), ("LAB", "raw")]
)
async def test_colours_that_would_come_out_wrong_are_called_by_their_name(
    tmp_path: Path, mode: str, compression: str
) -> None:
    colours = Image.frombytes(mode, (300, 200), SCENE.tobytes())
    colours.save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(Refused, match=r"stored as (YCbCr without JPEG|CIELab)\.") as refused:
        await inspect(tmp_path / "a.tif")
    assert refused.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("method", [6, 9999, 34661, 50_000])
async def test_a_compression_that_is_unknown_here_is_called_unsupported(
    tmp_path: Path, method: int
) -> None:
    path = saved(tmp_path, "a.tif", SCENE)
    plain, other = (struct.pack("<HHIHH", 259, 3, 1, number, 0) for number in (1, method))
    content = path.read_bytes()
    assert plain in content
    path.write_bytes(content.replace(plain, other))
    assert await reason(path) is Reason.UNSUPPORTED_FORMAT
