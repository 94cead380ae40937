"""GDAL writes the files, and says where their pixels are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from tifffile import imwrite

from tessera.images.inspection import inspect
from tessera.shapes.georeference import Georeference
from tests.images.cutting import cut
from tests.images.geotiffs import geotiff
from tests.images.pictures import saved, scene

SCENE = scene(160, 120)
UPRIGHT = Affine(0.2, 0.0, 500_000, 0.0, -0.3, 5_000_000)
TURNED = Affine(0.08, 0.06, 500_000, 0.06, -0.08, 5_500_000)
SOUTHWARD = Affine(0.5, 0.0, 100.0, 0.0, 0.5, 200.0)
DEGREES = Affine(1e-6, 0.0, 15.0, 0.0, -1e-6, 50.0)
OWN_MAP = "+proj=laea +lat_0=52 +lon_0=10 +ellps=WGS84"


async def found(path: Path) -> Georeference | None:
    there = (await inspect(path)).georeference
    return None if there is None else Georeference.of(there)


@pytest.mark.parametrize("transform", [UPRIGHT, TURNED, SOUTHWARD])
@pytest.mark.parametrize(
    "options",
    [
        *({}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"RASTERXSIZE": "1"}),
        {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
    ],
)
async def test_pixels_are_where_gdal_has_them(
    tmp_path: Path, transform: Affine, options: dict[str, Any]
) -> None:
    path = geotiff(tmp_path / "a.tif", SCENE, transform, "EPSG:32633", **options)
    there = await found(path)
    assert there is not None
    assert there.epsg == 32633
    pixels = [(0, 0), (7.25, 90.5), (160, 120)]
    with rasterio.open(path) as raster:
        a, b, c, d, e, f, *_ = raster.transform
    expected = [(a * x + b * y + c, d * x + e * y + f) for x, y in pixels]
    np.testing.assert_allclose(there.world.on_map(pixels), expected, rtol=1e-12)
    assert (await cut(path)).image().tolist() == SCENE.tolist()


async def test_a_file_may_count_from_the_middles_of_pixels(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", SCENE, UPRIGHT, "EPSG:32633")
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")
    assert (await found(path)) == await found(
        geotiff(tmp_path / "b.tif", SCENE, UPRIGHT, "EPSG:32633")
    )


@pytest.mark.parametrize(
    ("crs", "epsg"), [("EPSG:4326", 4326), ("EPSG:2263", 2263), (None, None), (OWN_MAP, None)]
)
async def test_the_map_is_known_by_its_number_if_it_has_one(
    tmp_path: Path, crs: str | None, epsg: int | None
) -> None:
    there = await found(geotiff(tmp_path / "a.tif", SCENE, DEGREES, crs))
    assert there is not None
    assert there.epsg == epsg


async def test_most_files_do_not_say_where_they_are(tmp_path: Path) -> None:
    points = [GroundControlPoint(row, col, col, -row) for row, col in [(0, 0), (0, 9), (9, 0)]]
    for path in (
        saved(tmp_path, "a.tif", SCENE),
        saved(tmp_path, "a.jpg", SCENE),
        geotiff(tmp_path / "points.tif", SCENE, None, "EPSG:32633", gcps=points),
    ):
        assert await found(path) is None


SCALE, TIE, MATRIX, KEYS = 33550, 33922, 34264, 34735
GOOD: dict[int, tuple[str, list[Any]]] = {
    SCALE: ("d", [1.0, 1.0, 0.0]),
    TIE: ("d", [0.0, 0.0, 0.0, 10.0, 20.0, 0.0]),
    KEYS: ("H", [1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633]),
}


def tagged(path: Path, tags: dict[int, tuple[str, list[Any]]], **options: Any) -> Path:
    extra = [(tag, form, len(values), values, True) for tag, (form, values) in tags.items()]
    imwrite(path, SCENE, photometric="rgb", extratags=extra, metadata=None, **options)
    return path


async def test_what_a_file_says_may_make_no_sense(tmp_path: Path) -> None:
    nan = float("nan")
    assert await found(tagged(tmp_path / "good.tif", GOOD)) is not None
    changes: list[dict[int, tuple[str, list[Any]]]] = [
        {SCALE: ("d", [0.0, 1.0, 0.0])},
        {SCALE: ("d", [nan, 1.0, 0.0])},
        {SCALE: ("d", [1.0])},
        {SCALE: ("H", [1, 1, 0])},
        {TIE: ("d", [0.0] * 5)},
        {SCALE: ("d", []), MATRIX: ("d", [1.0] * 16)},
    ]
    for number, change in enumerate(changes):
        tags = {tag: value for tag, value in (GOOD | change).items() if value[1]}
        assert await found(tagged(tmp_path / f"{number}.tif", tags)) is None, change
    for number, keys in enumerate([[], [1, 1], [1, 1, 0, 9], [1, 1, 0, 1, 1024, 0, 1], [7] * 8]):
        tags = GOOD | {KEYS: ("H", keys)} if keys else {**GOOD}
        there = await found(tagged(tmp_path / f"keys{number}.tif", tags))
        assert there is not None, keys
        assert there.epsg == (None if keys else 32633), keys


async def test_of_a_file_whose_rows_do_not_go_down_it_is_not_taken(tmp_path: Path) -> None:
    """GDAL takes no notice of the orientation, other tools do."""
    turned = GOOD | {274: ("H", [3])}
    facts = await inspect(tagged(tmp_path / "a.tif", turned))
    assert (facts.orientation, facts.georeference) == (3, None)
