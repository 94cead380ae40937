"""GeoJSON of a map: GDAL has every object where it is."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio import warp

from tessera.formats import geojson, outlines, world_files
from tessera.formats.archive import Folder, unpacked
from tessera.formats.errors import Code
from tessera.formats.protocol import Described, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import Size
from tessera.shapes.georeference import PIXELS, Georeference, World
from tests.formats import some_records
from tests.formats.some_records import Case
from tests.formats.test_geojson import RING, SCHEMA, collection, feature, read


def test_of_a_map_a_world_file_tells_where_the_pixels_are(tmp_path: Path) -> None:
    on_map = {"type": "name", "properties": {"name": "EPSG:25832"}}
    world = World(0.2, 0.0, 0.0, -0.2, 500_000.1, 5_000_000.9)
    ring = world.on_map(RING).tolist()
    (refused,) = read(tmp_path, collection(feature(coordinates=[ring]), crs=on_map))
    assert (refused.code, refused.image) == (Code.MISSING, "a.jpg")
    (tmp_path / "a.jgw").write_text(world_files.written(world))
    for more in ({"crs": on_map}, {}):
        (known,) = read(tmp_path, collection(feature(coordinates=[ring]), **more))
        assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]
    (known,) = read(tmp_path, collection(feature(), coordinates="pixels"))
    assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]
    far = collection(feature(coordinates=[[[1e300, 1e308]] * 5]), crs=on_map)
    refused, _ = read(tmp_path, far)
    assert refused.code in {Code.BAD_RECORD, Code.BAD_OBJECT}
    (tmp_path / "a.jgw").write_text("1 2 3")
    (refused,) = read(tmp_path, collection(feature(coordinates=[ring]), crs=on_map))
    assert (refused.code, "a.jgw: must be six" in refused.why) == (Code.BAD_FILE, True)


@pytest.mark.parametrize("kind", ["polygon", "instance_mask", "polyline", "box"])
def test_every_geometry_is_taken_from_the_map(tmp_path: Path, kind: str) -> None:
    world = World(0.5, 0.25, 0.25, -0.5, 100.0, 200.0)
    (tmp_path / "a.jpgw").write_text(world_files.written(world))
    ring = world.on_map(RING).tolist()
    type_, on_map, plain = {
        "polyline": ("LineString", ring, RING),
        "box": ("Polygon", [ring], [RING]),
    }.get(kind, ("MultiPolygon", [[ring]], [[RING]]))
    (from_map,) = read(tmp_path, collection(feature(type_, on_map)), kind=kind)
    in_pixels = collection(feature(type_, plain), coordinates="pixels")
    assert [from_map] == read(tmp_path, in_pixels, kind=kind)
    assert from_map.objects


def test_pictures_have_a_world_file_that_lays_them_under_their_features(tmp_path: Path) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"any")
    dataset = Described("p", "d", "box", SCHEMA, (), pictures=True)
    record = LabelledImage(1, "u", "a/b.jpg", 9, 9, "0" * 64, [], [])
    (tmp_path / "out").mkdir()
    some_records.written(geojson, (dataset, [record]), tmp_path / "out", picture)
    with unpacked(tmp_path / "out" / geojson.PICTURES) as files:
        assert list(files.names()) == ["images/a/b.jgw", "images/a/b.jpg"]
        with files.open("images/a/b.jgw") as file:
            world = world_files.parsed(file.read().decode())
    assert world.on_map(RING).tolist() == RING, "a pixel is where the features have it"


HUNDREDTHS = 0.021
"""Pixels: a corner is rounded when it is written, and the box when it is read."""
UTM, LAMBERT, DEGREES = 32633, 3034, 4326
GROUNDS = {
    UTM: World(0.2, 0.0, 0.0, -0.2, 500_000.1, 5_000_000.9),
    LAMBERT: World(0.8, 0.6, 0.6, -0.8, 4_000_000.0, 2_800_000.0),
    DEGREES: World(1e-6, 0.0, 0.0, -1e-6, 15.0, 50.0),
}


def on_earth(case: Case, data: st.DataObject) -> Case:
    """Every image somewhere, on a map of its own."""
    dataset, records = case
    epsgs = [data.draw(st.sampled_from(sorted(GROUNDS))) for _ in records]
    there = [Georeference(GROUNDS[epsg], epsg).as_json() for epsg in epsgs]
    laid = [replace(each, georeference=at) for each, at in zip(records, there, strict=True)]
    return replace(dataset, georeferenced=True, on_earth=True), laid


@given(some_records.cases, st.data())
def test_what_is_on_earth_is_read_back(case: Case, data: st.DataObject) -> None:
    found = some_records.round_trip(geojson, on_earth(case, data))
    expected = some_records.as_known(case[1])
    assert found.keys() == expected.keys()
    for name, objects in expected.items():
        for there, each in zip(found[name], objects, strict=True):
            # an angle is what corners to 1/100 px tell of it: of a box of half a pixel, little
            if "box" in each:
                one, other = (
                    shapely.Polygon(outlines.corners_of(some.pop("box"))) for some in (there, each)
                )
                assert shapely.hausdorff_distance(one, other) <= HUNDREDTHS
            assert there == each


@given(some_records.cases, st.data())
def test_of_images_on_earth_gdal_has_the_objects_where_they_are(
    case: Case, data: st.DataObject
) -> None:
    """RFC 7946: longitude and latitude, outer rings counter-clockwise, and no word of a map."""
    dataset, records = on_earth(case, data)
    flat = replace(dataset, georeferenced=False, on_earth=False)
    found, plain = (
        [each for name in geojson.files(said) for each in _written(said, records)[name]["features"]]
        for said in (dataset, flat)
    )
    maps = {each.name: each.georeference or {} for each in records}
    for there, pixels in zip(found, plain, strict=True):
        assert there["properties"] == pixels["properties"]
        if pixels["geometry"] is None:
            assert there["geometry"] is None
            continue
        shape, drawn = (
            shapely.from_geojson(orjson.dumps(each["geometry"])) for each in (there, pixels)
        )
        epsg = maps[there["properties"]["image"]]["epsg"]
        back = shapely.transform(shape, partial(_from_degrees, epsg))
        off = shapely.hausdorff_distance(back.normalize(), drawn.normalize())
        assert off < 0.01 or shape.is_empty
        if shape.geom_type.endswith("Polygon"):
            oriented = shapely.orient_polygons(shape)
            assert shapely.to_wkb(shape) == shapely.to_wkb(oriented)


def test_gdal_opens_the_file_and_knows_that_it_is_on_earth(tmp_path: Path) -> None:
    there = Georeference(GROUNDS[UTM], UTM)
    found = LabelledObject(7, {"box": [1, 1, 4, 5]}, {"worn": "yes"}, 0.9, "gold", [0], crowd=False)
    image = LabelledImage(1, "u", "a.tif", 9, 9, "s", [found], [], georeference=there.as_json())
    dataset = Described("p", "d", "box", SCHEMA, georeferenced=True, on_earth=True)
    some_records.written(geojson, (dataset, [image]), tmp_path)
    meta, _, (polygon,), columns = pyogrio.raw.read(tmp_path / "annotations.geojson")
    assert meta["crs"] == "EPSG:4326"
    (west, north), (east, south) = there.on_earth([[1, 1], [4, 5]])
    around = pytest.approx((west, south, east, north), abs=1e-8)
    assert shapely.from_wkb(polygon).bounds == around
    assert dict(zip(meta["fields"], columns, strict=True))["confidence"].tolist() == [0.9]


def _written(dataset: Described, records: list[LabelledImage]) -> dict[str, Any]:
    with some_records.a_folder() as folder:
        some_records.written(geojson, (dataset, records), folder)
        documents = {each.name: orjson.loads(each.read_bytes()) for each in folder.iterdir()}
    for document in documents.values():
        assert ("coordinates" in document) is not dataset.on_earth
        assert "crs" not in document
    return documents


def _from_degrees(epsg: int, places: Any) -> Any:
    x, y = warp.transform("EPSG:4326", f"EPSG:{epsg}", *places.T)[:2]
    a, d, b, e, c, f = GROUNDS[epsg]
    matrix = np.array([[a, b], [d, e]])
    return np.linalg.solve(matrix, np.array([x, y]) - [[c], [f]]).T + 0.5


def test_one_image_that_is_nowhere_leaves_all_in_pixels(tmp_path: Path) -> None:
    """And its georeference is told all the same, and its picture laid on its map."""
    picture = tmp_path / "picture"
    picture.write_bytes(b"any")
    there = Georeference(GROUNDS[UTM], UTM)
    records = [
        LabelledImage(1, "u", "a.tif", 9, 9, "s", [], [], georeference=there.as_json()),
        LabelledImage(2, "u", "b.tif", 9, 9, "s", [], []),
    ]
    dataset = Described("p", "d", "box", SCHEMA, pictures=True, georeferenced=True)
    (tmp_path / "out").mkdir()
    some_records.written(geojson, (dataset, records), tmp_path / "out", picture)
    document = orjson.loads((tmp_path / "out" / "annotations.geojson").read_bytes())
    assert document["coordinates"] == "pixels"
    assert [each.get("georeference") for each in document["images"]] == [there.as_json(), None]
    with unpacked(tmp_path / "out" / geojson.PICTURES) as files:
        worlds = []
        for name in ("images/a.tfw", "images/b.tfw"):
            with files.open(name) as file:
                worlds.append(world_files.parsed(file.read().decode()))
    assert worlds == [there.world, PIXELS]


def laid_out(folder: Path, document: Any, there: Georeference | None) -> list[Any]:
    (folder / "a.geojson").write_bytes(orjson.dumps(document))
    known = {} if there is None else {"a.jpg": there}
    wanted = Wanted("box", SCHEMA, {"a.jpg": Size(9, 9)}, georeferences=known)
    return list(geojson.read(Folder(folder), wanted))


EXPECTED = [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]


@pytest.mark.parametrize("epsg", GROUNDS)
def test_of_an_image_whose_place_is_known_degrees_are_taken(tmp_path: Path, epsg: int) -> None:
    there = Georeference(GROUNDS[epsg], epsg)
    degrees = collection(feature(coordinates=[there.on_earth(RING).tolist()]))
    (known,) = laid_out(tmp_path, degrees, there)
    assert known.objects == EXPECTED
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"):
        crs = {"type": "name", "properties": {"name": name}}
        (known,) = laid_out(tmp_path, degrees | {"crs": crs}, there)
        assert known.objects == EXPECTED
    about = {"name": "a.jpg", "width": 9, "height": 9, "georeference": there.as_json()}
    (known,) = laid_out(tmp_path, degrees | {"images": [about]}, None)
    assert known.objects == EXPECTED, "the file tells itself where its images are"
    (tmp_path / "a.jgw").write_text(world_files.written(PIXELS))
    (known,) = laid_out(tmp_path, degrees | {"images": [about]}, None)
    assert known.objects == EXPECTED, "whatever the world file of the picture says"


def test_pixels_where_degrees_must_be_are_far_away(tmp_path: Path) -> None:
    there = Georeference(GROUNDS[UTM], UTM)
    refused, _ = laid_out(tmp_path, collection(feature(coordinates=[RING])), there)
    assert refused.why.startswith("is far away from the image: it must be in degrees")


@pytest.mark.parametrize("name", ["EPSG:25833", "urn:ogc:def:crs:EPSG::25833"])
def test_so_are_coordinates_of_any_map(tmp_path: Path, name: str) -> None:
    there = Georeference(GROUNDS[UTM], UTM)
    x, y = warp.transform("EPSG:32633", "EPSG:25833", *there.world.on_map(RING).T)[:2]
    crs = {"type": "name", "properties": {"name": name}}
    ring = [list(at) for at in zip(x, y, strict=True)]
    (known,) = laid_out(tmp_path, collection(feature(coordinates=[ring]), crs=crs), there)
    assert known.objects == EXPECTED


@pytest.mark.parametrize(
    "crs",
    [
        *(3, {}, {"properties": {"name": 3}}, {"properties": {"name": "EPSG:999999"}}),
        *({"properties": {"name": "EPSG:5703"}}, {"properties": {"name": "Gauss"}}),
    ],
)
def test_a_map_must_be_known(tmp_path: Path, crs: Any) -> None:
    there = Georeference(GROUNDS[UTM], UTM)
    (refused,) = laid_out(tmp_path, collection(feature(), crs=crs), there)
    assert (refused.code, refused.image) == (Code.BAD_FILE, "a.jpg")
    assert "crs" in refused.why


def test_what_a_file_says_of_where_its_images_are_may_make_no_sense(tmp_path: Path) -> None:
    about = {"name": "a.jpg", "width": 9, "height": 9, "georeference": {"world": [1]}}
    found = laid_out(tmp_path, collection(feature(), images=[about]), None)
    assert [each.at for each in found if isinstance(each, Refused)] == [
        "a.geojson: images[0].georeference"
    ]
    lost = Georeference(GROUNDS[UTM], None).as_json()
    (refused, _) = laid_out(
        tmp_path, collection(feature(), images=[about | {"georeference": lost}]), None
    )
    assert refused.at.startswith("a.geojson: features[0]"), "of no map, nothing can be told"


def test_of_images_that_are_not_asked_about_no_map_is_needed(tmp_path: Path) -> None:
    there = Georeference(GROUNDS[UTM], UTM)
    ring = there.world.on_map(RING).tolist()
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    other = feature(coordinates=[ring], image="z.tif")
    document = collection(feature(coordinates=[ring]), other, crs=crs)
    known, refused = laid_out(tmp_path, document, there)
    assert (known.objects, refused.foreign) == (EXPECTED, True)


def test_what_is_known_of_an_image_counts_more_than_a_world_file(tmp_path: Path) -> None:
    """In degrees, or of the map that `crs` names; the file beside is of the map of the image."""
    there = Georeference(GROUNDS[UTM], UTM)
    (tmp_path / "a.jgw").write_text(world_files.written(there.world))
    degrees = collection(feature(coordinates=[there.on_earth(RING).tolist()]))
    (known,) = laid_out(tmp_path, degrees, there)
    assert known.objects == EXPECTED
