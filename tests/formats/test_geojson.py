"""GDAL opens the files; shapely (GEOS) reads every geometry; the properties are plain JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.formats import geojson
from tessera.formats.archive import Folder
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Refused, Wanted
from tessera.formats.records import LabelledObject
from tessera.kinds import LabelClass, LabelSchema, Size
from tessera.shapes import solids, turned
from tests.formats import some_records
from tests.formats.some_records import CAMERA, Case

SCHEMA = LabelSchema((LabelClass(7, "car", "#ff0000"), LabelClass(3, "bus", "#00ff00")))


@given(some_records.cases)
def test_what_is_written_is_read_back(case: Case) -> None:
    assert some_records.round_trip(geojson, case) == some_records.as_known(case[1])


@given(some_records.cases)
def test_gdal_opens_the_files(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        some_records.written(geojson, case, folder)
        for split, name in zip(dataset.splits or (None,), geojson.files(dataset), strict=True):
            meta, _, geometries, columns = pyogrio.raw.read(folder / name)
            found = dict(zip(meta["fields"], columns, strict=True))
            expected = [
                (image.name, each)
                for image in records
                if image.split == split
                for each in image.objects
            ]
            assert len(geometries) == len(expected)
            assert list(found.get("image", [])) == [name for name, _ in expected]
            assert list(found.get("class_id", [])) == [each.class_id for _, each in expected]


@given(some_records.cases)
def test_geos_reads_every_geometry_as_the_records_have_it(case: Case) -> None:
    dataset, records = case
    with some_records.a_folder() as folder:
        some_records.written(geojson, case, folder)
        documents = {
            split: orjson.loads((folder / name).read_bytes())
            for split, name in zip(dataset.splits or (None,), geojson.files(dataset), strict=True)
        }
    for split, document in documents.items():
        assert (document["type"], document["coordinates"]) == ("FeatureCollection", "pixels")
        images = [each for each in records if each.split == split]
        assert [(e["name"], e["width"], e["height"]) for e in document["images"]] == [
            (each.name, each.width, each.height) for each in images
        ]
        expected = [(image, each) for image in images for each in image.objects]
        for feature, (image, each) in zip(document["features"], expected, strict=True):
            said = feature["properties"]
            assert said["image"] == image.name
            assert (said["class_id"], said["class"]) == (
                each.class_id,
                some_records.named(dataset, each),
            )
            assert (said["attributes"], said["confidence"]) == (each.attributes, each.confidence)
            assert (said["source"], said["crowd"]) == (each.source, each.crowd)
            if dataset.kind == "classify":
                assert feature["geometry"] is None
                continue
            shape = shapely.from_geojson(orjson.dumps(feature["geometry"]))
            same(shape, said, each, Size(image.width, image.height))


def same(shape: Any, said: dict[str, Any], each: LabelledObject, size: Size) -> None:
    assert shape.is_valid
    if shape.geom_type.endswith("Polygon"):
        oriented = shapely.orient_polygons(shape)  # counter-clockwise, if y went upwards
        assert shapely.to_wkb(shape) == shapely.to_wkb(oriented)
    match each.place:
        case {"box": [left, top, right, bottom]}:
            assert shape.equals(shapely.box(left, top, right, bottom))
        case {"box": box}:
            corners = turned.corners(np.array([box]))[0]
            np.testing.assert_allclose(shapely.get_coordinates(shape)[:-1], corners)
        case {"polygon": parts}:
            polygons = [shapely.Polygon(outer, holes) for outer, *holes in parts]
            assert shape.equals_exact(shapely.MultiPolygon(polygons))
        case {"line": line}:
            assert shape.equals_exact(shapely.LineString(line))
        case {"points": points}:
            seen = [(x, y) for x, y, v in points if v]
            assert shapely.get_coordinates(shape).tolist() == [list(at) for at in seen]
            assert said["visibility"] == [v for *_, v in points if v]
        case {"mask": mask}:
            pixels = some_records.drawn(mask, size)
            rows, columns = np.nonzero(pixels)
            assert shape.area == len(rows)
            assert shapely.contains_xy(shape, columns + 0.5, rows + 0.5).all()
        case {"cuboid": corners}:
            assert said["cuboid"] == corners
            assert shape.equals(shapely.convex_hull(shapely.multipoints(corners)))
        case {"solid": {"centre": centre, "size": sides, "yaw": yaw}}:
            row = np.array([[*centre, *sides, yaw]])
            seen = solids.projected(row, np.array(CAMERA))[0][0]
            hull = shapely.convex_hull(shapely.multipoints(seen))
            assert shape.hausdorff_distance(hull) < 0.01


def read(folder: Path, content: Any, schema: LabelSchema = SCHEMA, kind: str = "box") -> list[Any]:
    path = folder / "a.geojson"
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return list(geojson.read(Folder(folder), Wanted(kind, schema, {"a.jpg": Size(9, 9)})))


def collection(*features: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)} | more


RING = [[1, 5], [4, 5], [4, 1], [1, 1], [1, 5]]


def feature(
    type_: str = "Polygon", coordinates: Any = (RING,), **properties: Any
) -> dict[str, Any]:
    geometry = {"type": type_, "coordinates": coordinates}
    said = {"image": "a.jpg", "class": "car"} | properties
    return {"type": "Feature", "geometry": geometry, "properties": said}


def test_a_file_of_another_tool_needs_image_and_class_only(tmp_path: Path) -> None:
    (known,) = read(tmp_path, collection(feature()))
    assert (known.name, known.size) == ("a.jpg", Size(9, 9))
    assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]


@pytest.mark.parametrize(
    ("found", "at", "why"),
    [
        (feature(**{"class": "tram"}), "class", "'tram' is not a class"),
        (feature(coordinates=[RING[:-1]]), "geometry.coordinates[0]", "must be a ring"),
        (feature(coordinates=[]), "geometry.coordinates", "one ring"),
        (feature(coordinates=[RING, RING]), "geometry.coordinates", "at most 1"),
        (feature(coordinates=[[[1, 1], [40, 1], [40, 4], [1, 4], [1, 1]]]), "box[2]", "outside"),
        (feature(coordinates=[[[1, 1], [4, 2], [4, 4], [1, 1]]]), "geometry.coordinates", "four"),
        (
            feature(coordinates=[[[1, 1], [4, 2], [4, 4], [1, 5], [1, 1]]]),
            "geometry.coordinates",
            "not the",
        ),
        (feature(coordinates=[[[1, 1, 1, 1]]]), "geometry.coordinates[0][0]", "2 numbers"),
        (feature("Point"), "geometry.type", "is 'Point', not 'Polygon'"),
        (feature() | {"geometry": None}, "geometry", "an object"),
        (feature(confidence=2), "confidence", "between"),
        (feature(attributes=3), "properties.attributes", "an object"),
        (feature(image=None), "properties.image", "the name"),
        (feature() | {"properties": None}, "properties", "an object"),
        (3, "", "an object"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, found: Any, at: str, why: str
) -> None:
    refused, known = read(tmp_path, collection(found, feature()))
    assert refused.at == f"a.geojson: features[0]{at and '.'}{at}"
    assert why in refused.why
    assert len(known.objects) == 1


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        ("polygon", feature(coordinates=[[[1, 1], [4, 4], [1, 4], [4, 1], [1, 1]]]), "crosses"),
        ("polyline", feature("LineString", [[1, 1]]), "two points"),
        (
            "instance_mask",
            feature(coordinates=[[[1, 1], [40, 1], [40, 4], [1, 4], [1, 1]]]),
            "out of",
        ),
        ("instance_mask", feature(coordinates=[[[1, 1], [1, 1], [1, 1], [1, 1]]]), "no pixel"),
        ("instance_mask", feature("MultiPolygon", []), "one part"),
        ("keypoints", feature("MultiPoint", [[1, 1]]), "a list"),
        (
            "keypoints",
            feature("MultiPoint", [[1, 1]], points=["a"], visibility=[]),
            "of each point",
        ),
        ("keypoints", feature("MultiPoint", [[1, 1]], points=["a"], visibility=[2]), "point 'a'"),
        ("cuboid", feature(), "field 'cuboid' is missing"),
    ],
)
def test_every_kind_of_shape_is_checked(
    tmp_path: Path, kind: str, found: dict[str, Any], why: str
) -> None:
    refused, _ = read(tmp_path, collection(found), kind=kind)
    assert why in refused.why


def test_images_are_checked(tmp_path: Path) -> None:
    about: list[Any] = [{"name": "a.jpg", "width": 8, "height": 9}, {"name": 3}, 3]
    about.append({"name": "b.jpg", "width": 9, "height": "9"})
    found = read(tmp_path, collection(feature(image="../a.jpg"), images=about))
    assert all(isinstance(each, Refused) for each in found)
    whys = [each.why for each in found]
    expected = ("the name", "an object", "whole number", "not an image", "8 x 9 pixels")
    assert all(why in said for why, said in zip(expected, whys, strict=True))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Half of a letter, which JSON can write and nothing else can hold."""
    about = rb'[{"name":"\ud800.jpg","width":8,"height":9},{"name":"a.jpg","width":9,"height":9}]'
    refused, known = read(
        tmp_path, b'{"type":"FeatureCollection","images":' + about + b',"features":[]}'
    )
    assert (refused.at, refused.code) == ("a.geojson: images[0]", Code.BAD_RECORD)
    assert (known.name, known.objects) == ("a.jpg", [])


@pytest.mark.parametrize("member", ["confidence", "crowd", "attributes"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999"])
def test_what_is_no_number_is_not_nothing(tmp_path: Path, member: str, number: str) -> None:
    """To other members of a feature it is: nobody reads them."""
    ignored = feature(area=0.5)
    wrong = feature()
    wrong["properties"][member] = 0.5
    text = json.dumps(collection(wrong, ignored)).replace("0.5", number)
    refused, known = read(tmp_path, text.encode())
    at = f"a.geojson: features[0].properties.{member}"
    assert (refused.at, refused.why, refused.image) == (at, "must be finite", "a.jpg")
    assert len(known.objects) == 1


def test_what_is_something_else_is_a_bad_file(tmp_path: Path) -> None:
    contents: list[Any] = [
        b"",
        [],
        {"type": "Feature"},
        {"type": "FeatureCollection", "features": 3},
        collection(coordinates="degrees"),
    ]
    for content in contents:
        with pytest.raises(BadFile):
            read(tmp_path, content)
    (tmp_path / "a.geojson").unlink()
    with pytest.raises(BadFile, match="no GeoJSON"):
        list(geojson.read(Folder(tmp_path), Wanted("box", SCHEMA)))


def test_a_mask_is_the_pixels_whose_middles_an_outline_holds(tmp_path: Path) -> None:
    slanted = feature(coordinates=[[[1, 1], [4.6, 1], [4.4, 3], [1, 3], [1, 1]]])
    (known,) = read(tmp_path, collection(slanted), kind="instance_mask")
    pixels = some_records.drawn(known.objects[0]["mask"], Size(9, 9))
    assert np.argwhere(pixels).tolist() == [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [2, 3]]


@given(st.data())
def test_masks_are_the_same_after_their_outlines(data: st.DataObject) -> None:
    case = data.draw(some_records.datasets("instance_mask"))
    assert some_records.round_trip(geojson, case) == some_records.as_known(case[1])


def test_what_a_gis_writes_of_one_object_is_one(tmp_path: Path) -> None:
    """Heights, several parts of which there is one, rings in either direction, no map at all."""
    with_heights = [[x, y, 3.5] for x, y in RING]
    for coordinates in ([with_heights], [RING[::-1]]):
        (known,) = read(tmp_path, collection(feature(coordinates=coordinates), crs=None))
        assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]
    (known,) = read(tmp_path, collection(feature("MultiPolygon", [[RING]])))
    assert known.objects == [{"class": 7, "box": [1, 1, 4, 5], "attributes": {}}]
    line = feature("MultiLineString", [[[1, 1], [4, 5]]])
    (known,) = read(tmp_path, collection(line), kind="polyline")
    assert known.objects[0]["line"] == [[1, 1], [4, 5]]
    two = feature("MultiPolygon", [[RING], [RING]])
    refused, _ = read(tmp_path, collection(two))
    assert "is 'MultiPolygon'" in refused.why


def test_a_box_at_an_angle_goes_either_way_around(tmp_path: Path) -> None:
    corners = [[3.0, 1.0], [5.0, 3.0], [3.0, 5.0], [1.0, 3.0]]
    schema = LabelSchema(SCHEMA.classes, rotated=True)
    found = []
    for ring in ([*corners, corners[0]], [corners[0], *corners[::-1]]):
        (known,) = read(tmp_path, collection(feature(coordinates=[ring])), schema)
        found.append(known.objects[0]["box"])
    np.testing.assert_allclose(found[0], found[1])
    assert found[0][4] == pytest.approx(-45)
