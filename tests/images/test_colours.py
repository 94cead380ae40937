from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from tifffile import PHOTOMETRIC, TiffFile, imwrite

from tessera.images.policy import SlicePolicy, TileFormat
from tests.images.cutting import cut
from tests.images.pictures import Pixels, png, saved, scene

SCENE = scene(100, 70)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

HARMLESS = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "loop", "background"}


def difference(made: Pixels, expected: Pixels) -> float:
    assert made.shape == expected.shape
    return float(np.abs(made.astype(int) - expected).mean())


async def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = SCENE[:, :, 0]
    made = await cut(saved(tmp_path, "a.png", grey))
    assert np.array_equal(made.image(), np.stack([grey] * 3, axis=-1))


async def test_black_and_white_stays_so(tmp_path: Path) -> None:
    bits = Image.fromarray(SCENE).convert("1")
    for name in ("a.png", "a.tif"):
        bits.save(tmp_path / name)
        made = await cut(tmp_path / name)
        assert np.array_equal(made.image(), np.asarray(bits.convert("RGB")))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
async def test_a_palette_becomes_its_colours(tmp_path: Path, name: str) -> None:
    picture = Image.fromarray(SCENE).quantize(64)
    picture.save(tmp_path / name)
    assert np.array_equal((await cut(tmp_path / name)).image(), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
async def test_sixteen_bits_keep_their_upper_eight(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    fine = SCENE.astype(np.uint16) * 256 + 77
    fine = fine[:, :, 0] if channels == 1 else fine
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        imwrite(path, fine, photometric="minisblack" if channels == 1 else "rgb")
    elif channels == 1:
        Image.fromarray(fine).save(path)
    else:
        rows = [row.astype(">u2").tobytes() for row in fine]
        path.write_bytes(png(100, 70, rows=rows, kind=(16, 2)))
    expected = np.stack([SCENE[:, :, 0]] * 3, axis=-1) if channels == 1 else SCENE
    assert difference((await cut(path)).image(), expected) < 1


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
async def test_transparency_is_seen_over_white(tmp_path: Path, name: str) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, 100).astype(np.uint8), (70, 100))
    colours = np.dstack([SCENE, alpha])
    share = alpha[:, :, None] / 255
    expected = (SCENE * share + 255 * (1 - share)).astype(np.uint8)
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    assert difference((await cut(saved(tmp_path, name, colours, **options))).image(), expected) < 1


async def test_near_infrared_is_not_taken_for_transparency(tmp_path: Path) -> None:
    infrared = np.dstack([SCENE, np.zeros_like(SCENE[:, :, 0])])
    imwrite(tmp_path / "a.tif", infrared, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal((await cut(tmp_path / "a.tif")).image(), SCENE)


async def test_a_tiff_that_is_a_jpeg_inside_has_its_colours(tmp_path: Path) -> None:
    picture = pyvips.Image.new_from_array(SCENE, interpretation="srgb")
    picture.tiffsave(str(tmp_path / "a.tif"), compression="jpeg", Q=85)
    with TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.photometric == PHOTOMETRIC.YCBCR
    assert difference((await cut(tmp_path / "a.tif")).image(), SCENE) < 4


async def test_ink_becomes_light(tmp_path: Path) -> None:
    Image.fromarray(SCENE).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    made = (await cut(tmp_path / "a.jpg")).image()
    # inks are duller than light: the same colours, not the same numbers
    assert difference(made, SCENE) < 60
    for channel in range(3):
        assert np.corrcoef(made[:, :, channel].flat, SCENE[:, :, channel].flat)[0, 1] > 0.8


async def test_white_paper_is_white(tmp_path: Path) -> None:
    Image.new("CMYK", (80, 80), (0, 0, 0, 0)).save(tmp_path / "a.tif")
    assert (await cut(tmp_path / "a.tif")).image().min() >= 250


async def test_half_transparent_ink_is_the_same_colour_however_deep_it_is(tmp_path: Path) -> None:
    made = {}
    for name, form, most in (("a.tif", "uchar", 255), ("b.tif", "ushort", 65535)):
        ink = pyvips.Image.black(64, 64, bands=5) + [part * most for part in (0, 0.8, 0.8, 0, 0.5)]
        ink.cast(form).copy(interpretation="cmyk").tiffsave(str(tmp_path / name))
        made[name] = (await cut(tmp_path / name)).image()
    assert difference(made["a.tif"], made["b.tif"]) < 3


async def test_an_embedded_profile_is_applied(tmp_path: Path) -> None:
    # a profile whose red and blue are exchanged must exchange them
    swapped = PROFILE.replace(b"rXYZ", b"TEMP", 1).replace(b"bXYZ", b"rXYZ", 1)
    swapped = swapped.replace(b"TEMP", b"bXYZ")
    made = await cut(saved(tmp_path, "a.png", SCENE, icc_profile=swapped))
    assert difference(made.image(), SCENE[:, :, ::-1]) < 3
    plain = await cut(saved(tmp_path, "b.png", SCENE, icc_profile=PROFILE))
    assert difference(plain.image(), SCENE) < 2


async def test_a_profile_that_cannot_be_used_is_as_good_as_none(tmp_path: Path) -> None:
    for profile in (b"not a profile at all", PROFILE[:200]):
        made = await cut(saved(tmp_path, "a.jpg", SCENE, icc_profile=profile, quality=95))
        assert difference(made.image(), SCENE) < 4


@pytest.mark.parametrize("form", list(TileFormat))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
async def test_nothing_but_pixels_is_left_in_tiles_and_thumbnail(
    tmp_path: Path, name: str, form: TileFormat
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    note = PngInfo()
    note.add_itxt("XML:com.adobe.xmp", "SECRET")
    options: dict[str, dict[str, Any]] = {
        "a.jpg": {"comment": b"SECRET", "xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>"},
        "a.png": {"pnginfo": note},
        "a.webp": {"xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>"},
        "a.tif": {"description": "SECRET"},
    }
    path = saved(tmp_path, name, SCENE, exif=exif, icc_profile=PROFILE, **options[name])
    assert b"SECRET" in path.read_bytes()
    made = await cut(path, SlicePolicy(tile=64, margin=8, format=form))
    for content in (*made.tiles.values(), made.thumbnail):
        assert b"SECRET" not in content
        with Image.open(BytesIO(content)) as picture:
            picture.load()
            assert not picture.getexif()
            said = {key for key, value in picture.info.items() if value}
            assert said <= HARMLESS
