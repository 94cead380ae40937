"""GeoJSON: a feature for each object, in pixels of its image, y downwards.

`annotations.geojson`, or one file for each split. The member `coordinates: pixels` says that they
are no degrees, which RFC 7946 asks for: nothing here knows where on earth an image lies. Rings are
closed; outer ones go to the right, down, left and up, as the right-hand rule has it if y is taken
for what it is numerically. `images` has the images and their sizes, `classes` the classes.

Boxes are Polygons of four corners, polygons and masks MultiPolygons (masks along the edges of their
pixels), polylines LineStrings, keypoints MultiPoints of what is labelled, with the names and the
visibility of each among the properties. A cuboid is the Polygon around its corners, and stands
itself among the properties. What is said of a whole image has no geometry.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
import orjson
import shapely

from tessera.formats import checking, outlines, painting
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping, numbers
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import InvalidAnswer, LabelClass, LabelSchema, Size, fields
from tessera.shapes import rasters, solids

MEDIA_TYPE = "application/geo+json"
KINDS = frozenset(_ALL) - {"join", "verify"}
_MOST = 1_000_000
_SLACK = 1.0
"""Pixels that the outline of a mask may lie beyond the image, as in answers."""
_TYPES = {
    "box": "Polygon",
    "cuboid": "Polygon",
    "instance_mask": "MultiPolygon",
    "keypoints": "MultiPoint",
    "polygon": "MultiPolygon",
    "polyline": "LineString",
    "semantic_mask": "MultiPolygon",
}


def _file(split: str | None) -> str:
    return "annotations.geojson" if split is None else f"annotations_{split}.geojson"


def files(dataset: Described) -> dict[str, str]:
    return {_file(split): MEDIA_TYPE for split in dataset.splits or (None,)}


def losses(dataset: Described) -> list[Loses]:
    """Readers of GeoJSON see of a cuboid the outline only."""
    return [Loses.TILES, *([Loses.SHAPE] if dataset.kind == "cuboid" else [])]


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["GeoJsonWriter"]:
    with ExitStack() as undo:
        documents: dict[str | None, _Document] = {
            split: _Document(
                undo.enter_context((folder / _file(split)).open("wb")),
                undo.enter_context(TemporaryFile(dir=folder)),
                dataset.schema,
            )
            for split in dataset.splits or (None,)
        }
        yield GeoJsonWriter(documents, dataset.schema)


class GeoJsonWriter:
    def __init__(self, documents: Mapping[str | None, "_Document"], schema: LabelSchema) -> None:
        self._documents, self._schema = documents, schema
        self._classes = {each.id: each for each in schema.classes}

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        del picture
        document = self._documents[image.split]
        document.add_image({"name": image.name, "width": image.width, "height": image.height})
        for each in image.objects:
            document.add(self._feature(image.name, each))

    def finish(self) -> None:
        for each in self._documents.values():
            each.finish()

    def _feature(self, image: str, found: LabelledObject) -> dict[str, Any]:
        named = self._classes[found.class_id]
        geometry, more = _geometry(found.place, named, self._schema)
        properties = {
            "image": image,
            "class": named.name,
            "class_id": named.id,
            "attributes": found.attributes,
            "confidence": found.confidence,
            "source": found.source,
            "crowd": found.crowd,
        }
        return {"type": "Feature", "geometry": geometry, "properties": properties | more}


class _Document:
    """Features go straight out; the images, which follow them, wait on disk until the end."""

    def __init__(self, out: BinaryIO, spool: BinaryIO, schema: LabelSchema) -> None:
        self._out, self._spool = out, spool
        self._features = self._images = b"\n"
        head = {
            "type": "FeatureCollection",
            "coordinates": "pixels",
            "classes": [{"id": each.id, "name": each.name} for each in schema.classes],
        }
        out.write(orjson.dumps(head).removesuffix(b"}") + b',"features":[')

    def add_image(self, about: Mapping[str, Any]) -> None:
        self._spool.write(self._images + orjson.dumps(about))
        self._images = b",\n"

    def add(self, feature: Mapping[str, Any]) -> None:
        self._out.write(self._features + orjson.dumps(feature))
        self._features = b",\n"

    def finish(self) -> None:
        self._out.write(b'],"images":[')
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._out)
        self._out.write(b"]}\n")


def _geometry(place: Mapping[str, Any], named: LabelClass, schema: LabelSchema) -> tuple[Any, Any]:
    """Geometry, and properties without which it does not say all."""
    coordinates: Any = None
    type_, more = "Polygon", {}
    match place:
        case {"box": box}:
            coordinates = [_closed(outlines.corners_of(box))]
        case {"polygon": parts}:
            type_, coordinates = (
                "MultiPolygon",
                [[_closed(ring) for ring in part] for part in parts],
            )
        case {"mask": mask}:
            parts = painting.outlined(rasters.from_json(mask))
            type_, coordinates = (
                "MultiPolygon",
                [[_closed(ring) for ring in part] for part in parts],
            )
        case {"line": line}:
            type_, coordinates = "LineString", line
        case {"points": points} if named.skeleton is not None:
            seen = [
                (each.name, *at) for each, at in zip(named.skeleton.points, points, strict=True)
            ]
            type_, coordinates = "MultiPoint", [[x, y] for _, x, y, v in seen if v]
            more["points"] = [name for name, _, _, v in seen if v]
            more["visibility"] = [v for *_, v in seen if v]
        case {"cuboid": corners}:
            coordinates, more = [_around(corners)], dict(place)
        case {"solid": {"centre": centre, "size": size, "yaw": yaw}}:
            row = np.array([[*centre, *size, yaw]])
            corners = solids.projected(row, np.array(schema.camera))[0][0].round(2)
            coordinates, more = [_around(corners)], dict(place)
        case _:
            return None, {}
    return {"type": type_, "coordinates": coordinates}, more


def _closed(ring: list[list[float]]) -> list[list[float]]:
    return [*ring, ring[0]]


def _around(corners: Any) -> list[list[float]]:
    hull = shapely.orient_polygons(shapely.convex_hull(shapely.multipoints(corners)))
    around: list[list[float]] = shapely.get_coordinates(hull).tolist()
    return around


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; the image is the feature's property `image`."""
    documents = [name for name in files.names() if name.endswith((".geojson", ".json"))]
    if not documents:
        raise BadFile("", "has no GeoJSON file")
    reader = _Reader(wanted)
    for name in documents:
        document = checking.loaded(files, name)
        if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
            raise BadFile(name, "is not a FeatureCollection")
        if document.get("coordinates", "pixels") != "pixels" or "crs" in document:
            raise BadFile(name, "has coordinates that are no pixels")
        yield from reader.images(name, document)


_Features = list[tuple[str, Mapping[str, Any]]]


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._checking = wanted, Checking(wanted)

    def images(self, path: str, document: Mapping[str, Any]) -> Iterator[Known | Refused]:
        told: dict[str, Size | None] = {}
        features: dict[str, _Features] = {}
        for at, value in self._listed(path, document, "images"):
            try:
                about = mapping(value, "")
                name = _name(about.get("name"), "name")
                told[name] = Size(
                    *(fields.whole(about.get(e), e, InvalidAnswer) for e in ("width", "height"))
                )
                features[name] = []
            except InvalidAnswer as error:
                yield checking.refused(at, error)
        for at, value in self._listed(path, document, "features"):
            try:
                properties = mapping(mapping(value, "").get("properties"), "properties")
                name = _name(properties.get("image"), "properties.image")
                features.setdefault(name, []).append((at, mapping(value, "")))
            except InvalidAnswer as error:
                yield checking.refused(at, error)
        for name, found in features.items():
            size = self._wanted.images.get(name, told.get(name))
            read = partial(self._object, size or Size(0, 0))  # of an unknown one nothing is read
            yield from self._checking.image(path, name, told.get(name), found, read)

    def _listed(
        self, path: str, document: Mapping[str, Any], name: str
    ) -> list[tuple[str, object]]:
        try:
            listed = fields.items(document.get(name, []), name, InvalidAnswer, most=10 * _MOST)
            return [(f"{path}: {at}", each) for at, each in listed]
        except InvalidAnswer as error:
            raise BadFile(f"{path}: {name}", str(error.facts["why"])) from error

    def _object(self, size: Size, feature: Mapping[str, Any]) -> Mapping[str, Any]:
        properties = mapping(feature.get("properties"), "properties")
        named = self._checking.named(properties.get("class"))
        found: dict[str, Any] = {
            "class": named.id,
            "attributes": mapping(properties.get("attributes") or {}, "properties.attributes"),
        }
        if properties.get("confidence") is not None:
            found["confidence"] = properties["confidence"]
        if properties.get("crowd") is True:
            found["optional"] = True
        if self._wanted.kind == "classify":
            return found
        geometry = mapping(feature.get("geometry"), "geometry")
        expected = _TYPES[self._wanted.kind]
        if geometry.get("type") == "Polygon" and expected == "MultiPolygon":
            geometry = {"type": expected, "coordinates": [geometry.get("coordinates")]}
        if geometry.get("type") != expected:
            type_ = str(geometry.get("type"))[:50]
            raise InvalidAnswer("geometry.type", f"is {type_!r}, not {expected!r}")
        return found | self._place(geometry.get("coordinates"), properties, named, size)

    def _place(
        self, value: object, properties: Mapping[str, Any], named: LabelClass, size: Size
    ) -> dict[str, Any]:
        at = "geometry.coordinates"
        place: dict[str, Any] = {}
        match self._wanted.kind:
            case "box":
                (corners,) = _rings(value, at, most=1)
                place = {"box": outlines.box_of(corners, at)}
            case "polygon":
                place = {"polygon": _parts(value, at)}
            case "instance_mask" | "semantic_mask":
                place = {"mask": _mask(_parts(value, at), size)}
            case "polyline":
                place = {"line": _line(value, at)}
            case "keypoints":
                place = {"points": _seen(_line(value, at), properties, named)}
            case "cuboid":
                place = {key: properties[key] for key in ("cuboid", "solid") if key in properties}
        return place


def _name(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise InvalidAnswer(at, "must be the name of an image")
    return value


def _parts(value: object, at: str) -> list[list[list[list[float]]]]:
    listed = list(fields.items(value, at, InvalidAnswer, most=_MOST))
    if not listed:
        raise InvalidAnswer(at, "must have at least one part")
    return [_rings(each, there, most=_MOST) for there, each in listed]


def _mask(parts: list[list[list[list[float]]]], size: Size) -> dict[str, Any]:
    """The pixels whose middles are inside."""
    around = np.array([point for part in parts for ring in part for point in ring])
    if (around < -_SLACK).any() or (around > np.add(size, _SLACK)).any():
        raise InvalidAnswer("geometry", "reaches out of the image")
    strokes = painting.filled(parts, size)
    if not strokes.pixels:
        raise InvalidAnswer("geometry", "has no pixel")
    return strokes.as_json()


def _rings(value: object, at: str, *, most: int) -> list[list[list[float]]]:
    """Without the last point of each, which is the first."""
    rings = []
    for there, each in fields.items(value, at, InvalidAnswer, most=most):
        ring = _line(each, there)
        if len(ring) < 4 or ring[0] != ring[-1]:  # noqa: PLR2004
            raise InvalidAnswer(there, "must be a ring, whose last point is its first")
        rings.append(ring[:-1])
    if not rings:
        raise InvalidAnswer(at, "must have at least one ring")
    return rings


def _line(value: object, at: str) -> list[list[float]]:
    return [
        numbers(each, there, 2)
        for there, each in fields.items(value, at, InvalidAnswer, most=_MOST)
    ]


def _seen(
    points: Sequence[list[float]], properties: Mapping[str, Any], named: LabelClass
) -> list[list[object]]:
    """In the order of the class; what is not there is not labelled."""
    names, visible = (
        [
            each
            for _, each in fields.items(
                properties.get(key), f"properties.{key}", InvalidAnswer, most=_MOST
            )
        ]
        for key in ("points", "visibility")
    )
    if not len(names) == len(visible) == len(points):
        raise InvalidAnswer("properties", "must have a name and a visibility of each point")
    found = {str(n): [*at, v] for n, at, v in zip(names, points, visible, strict=True)}
    asked = () if named.skeleton is None else named.skeleton.points
    if foreign := found.keys() - {each.name for each in asked}:
        raise InvalidAnswer("properties.points", f"has a point {min(foreign)[:50]!r}")
    return [found.get(each.name, [0.0, 0.0, 0]) for each in asked]
