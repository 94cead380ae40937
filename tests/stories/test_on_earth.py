"""From orthophotos to fields on earth: what was drawn on a map comes back on the map."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import shapely
from PIL import Image
from rasterio import warp
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from tessera.formats import world_files
from tessera.formats.archive import unpacked
from tests.images.geotiffs import geotiff
from tests.images.ingesting import Desk
from tests.images.pictures import scene
from tests.quality.bringing import brought, counts
from tests.quality.court import Court
from tests.world import World

FIELDS = {"classes": [{"id": 4, "name": "field", "colour": "#3cb44b"}]}
TILES = {"tile": 256, "margin": 32}
PHOTOS = {
    "east/a.tif": (420, "EPSG:32633", Affine(0.2, 0.0, 500_000, 0.0, -0.2, 5_000_000)),
    "west/a.tif": (430, "EPSG:25832", Affine(0.16, 0.12, 600_000, 0.12, -0.16, 5_500_000)),
}
HEIGHT = 300
DRAWN = {
    "east/a.tif": [[(20, 30), (400, 60), (300, 280), (60, 200)]],
    "west/a.tif": [[(5, 5), (100, 10), (90, 120), (10, 90)], [(200, 100), (410, 90), (320, 290)]],
}
"""In pixels; one lies across the seams of all tiles."""


@pytest.fixture
async def here(world: World, tmp_path: Path) -> Court:
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    schema = {"of": "polygon", **FIELDS}
    asked = {"kind": "verify", "label_schema": schema, "slicing": TILES}
    project = await world.project(operator, organisation_id, **asked)
    photos = {
        name: geotiff(tmp_path / "photo", scene(width, HEIGHT), transform, crs).read_bytes()
        for name, (width, crs, transform) in PHOTOS.items()
    }
    sent = Desk(world, operator, project["id"])
    images = await sent.bring(photos, content_type="image/tiff")
    for name, image in images.items():
        _, crs, (a, b, c, d, e, f, *_) = PHOTOS[name]
        world_file = [a, d, b, e, c + (a + b) / 2, f + (d + e) / 2]
        assert image["georeference"]["world"] == pytest.approx(world_file)
        assert f"EPSG:{image['georeference']['epsg']}" == crs
    return Court(world, operator, project, {})


def on_earth(name: str, ring: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """As GDAL has it."""
    _, crs, transform = PHOTOS[name]
    x, y = zip(*(transform @ point for point in ring), strict=True)
    return list(zip(*warp.transform(crs, "EPSG:4326", x, y)[:2], strict=True))


def in_degrees() -> bytes:
    """What a GIS saves: a polygon for each field, and whose photo shows it."""
    features = [
        {
            "type": "Feature",
            "properties": {"image": name, "class": "field"},
            "geometry": {"type": "Polygon", "coordinates": [on_earth(name, [*ring, ring[0]])]},
        }
        for name, rings in DRAWN.items()
        for ring in rings
    ]
    return orjson.dumps({"type": "FeatureCollection", "features": features})


async def test_fields_drawn_on_a_map_come_back_on_the_map(here: Court, tmp_path: Path) -> None:
    done = await brought(here, in_degrees(), format="geojson", purpose="predictions")
    assert (done["state"], counts(done)["images"], counts(done)["tasks"]) == ("done", 2, 8)
    await here.launch()
    for task in (await here.operator.get(f"{here.path}/tasks?limit=200"))["items"]:
        review = {"label": {"verdict": "yes"}}
        await here.operator.post(f"/v1/tasks/{task['id']}/review", review)
    files = await here.dataset(formats=["geojson", "json-lines", "coco"], pictures=True)
    manifest = orjson.loads(files["manifest.json"])
    assert {
        name: "georeference" in each["loses"] for name, each in manifest["formats"].items()
    } == {
        "coco": True,
        "geojson": False,
        "json-lines": False,
    }
    document = orjson.loads(files["annotations.geojson"])
    assert "coordinates" not in document
    assert [each["name"] for each in document["images"]] == sorted(PHOTOS)
    found = [
        (each["properties"]["image"], shapely.from_geojson(orjson.dumps(each["geometry"])))
        for each in document["features"]
    ]
    drawn = [
        (name, shapely.Polygon(on_earth(name, ring))) for name in DRAWN for ring in DRAWN[name]
    ]
    for (image, polygon), (name, expected) in zip(found, drawn, strict=True):
        assert image == name
        assert polygon.symmetric_difference(expected).area < 0.005 * expected.area
    lines = [orjson.loads(line) for line in files["labels.jsonl"].splitlines()]
    assert [each["georeference"]["epsg"] for each in lines] == [32633, 25832]
    with unpacked(_kept(tmp_path / "pictures.tar", files["geojson_images.tar"])) as pictures:
        for name, (_, crs, transform) in PHOTOS.items():
            path = f"images/{name}"
            with pictures.open(path) as photo, MemoryFile(photo.read()).open() as raster:
                assert (raster.crs.to_string(), raster.transform) == (crs, transform)
            with pictures.open(path.replace(".tif", ".tfw")) as beside:
                world = world_files.parsed(beside.read().decode())
            x, y = transform @ (0, 0)
            assert world.on_map([[0, 0]]).tolist() == [pytest.approx([x, y])]
    await _are_in_their_tiles(here, drawn, tmp_path)


async def _are_in_their_tiles(
    here: Court, drawn: Sequence[tuple[str, shapely.Polygon]], folder: Path
) -> None:
    """Each field, put together of what the tiles show of it, and each tile as it was seen."""
    files = await here.dataset(formats=["geojson", "json-lines"], pictures=True, tiles=True)
    lines = [orjson.loads(line) for line in files["labels.jsonl"].splitlines()]
    assert len(lines) == 8
    with unpacked(_kept(folder / "tiles.tar", files["geojson_images.tar"])) as pictures:
        for line in lines:
            ((left, top, right, bottom),) = [each["window"] for each in line["tiles"]]
            with pictures.open(f"images/{line['name']}") as file, Image.open(file) as tile:
                assert tile.size == (line["width"], line["height"]) == (right - left, bottom - top)
    pieces = [
        (each["properties"]["image"], shapely.from_geojson(orjson.dumps(each["geometry"])))
        for each in orjson.loads(files["annotations.geojson"])["features"]
    ]
    assert len(pieces) > len(drawn)
    for image, expected in drawn:
        near = [piece for name, piece in pieces if name.startswith(f"{image}/")]
        whole = shapely.union_all([each for each in near if each.intersects(expected)])
        assert whole.symmetric_difference(expected).area < 0.005 * expected.area


def _kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
