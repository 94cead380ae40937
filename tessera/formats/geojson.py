"""GeoJSON: a feature for each object, on earth or in pixels of its image.

`annotations.geojson`, or one file for each split. If of every image of the dataset its file says
where on earth it is, coordinates are longitudes and latitudes, as RFC 7946 asks for. Else they are
pixels, y downwards, of all images, and the member `coordinates: pixels` says so. Each vertex is
where it belongs; between them an edge that is straight on the picture is straight in degrees too,
which of very long ones is not quite the same.

Pictures are `images/` in `geojson_images.tar`, each with a world file beside it, for GIS tools to
lay picture and features over each other: of the map that the image is of, if its file says so, else
of pixels. `images` has the images with their sizes and georeferences, `classes` the classes. Rings
are closed, and go as the right-hand rule has it: in pixels to the right, down, left and up, which
is that rule if y is taken for what it is numerically.

Boxes are Polygons of four corners, polygons and masks MultiPolygons (masks along the edges of their
pixels), polylines LineStrings, keypoints MultiPoints of what is labelled, with the names and the
visibility of each among the properties. A cuboid is the Polygon around its corners, and stands
itself among the properties. What is said of a whole image has no geometry.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
import orjson
import shapely

from tessera.formats import archive, outlines, painting, world_files
from tessera.formats.archive import TarWriter
from tessera.formats.geojson_reading import read
from tessera.formats.protocol import Described, Loses
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import KINDS as _ALL
from tessera.kinds import LabelClass, LabelSchema
from tessera.shapes import rasters, solids
from tessera.shapes.georeference import PIXELS, Georeference

__all__ = ["KINDS", "MEDIA_TYPE", "PICTURES", "files", "losses", "read", "writer"]

MEDIA_TYPE = "application/geo+json"
PICTURES = "geojson_images.tar"
KINDS = frozenset(_ALL) - {"join", "verify"}


def _file(split: str | None) -> str:
    return "annotations.geojson" if split is None else f"annotations_{split}.geojson"


def files(dataset: Described) -> dict[str, str]:
    pictures = {PICTURES: archive.MEDIA_TYPE} if dataset.pictures else {}
    return {_file(split): MEDIA_TYPE for split in dataset.splits or (None,)} | pictures


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
                dataset,
            )
            for split in dataset.splits or (None,)
        }
        out = undo.enter_context((folder / PICTURES).open("wb")) if dataset.pictures else None
        yield GeoJsonWriter(documents, dataset, TarWriter(out) if out else None)


class GeoJsonWriter:
    def __init__(
        self,
        documents: Mapping[str | None, "_Document"],
        dataset: Described,
        pictures: TarWriter | None,
    ) -> None:
        self._documents, self._schema, self._pictures = documents, dataset.schema, pictures
        self._classes = {each.id: each for each in dataset.schema.classes}
        self._on_earth = dataset.on_earth

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        document = self._documents[image.split]
        about = {"name": image.name, "width": image.width, "height": image.height}
        there = None
        if image.georeference is not None:
            there = Georeference.of(image.georeference)
            about["georeference"] = image.georeference
        document.add_image(about)
        ground = _Ground(there, image) if there is not None and self._on_earth else None
        for each in image.objects:
            feature = self._feature(image.name, each)
            if ground is not None and feature["geometry"] is not None:
                feature["geometry"] = ground.laid(feature["geometry"])
            document.add(feature)
        if picture is not None and self._pictures is not None:
            self._pictures.add_file(f"images/{image.name}", picture)
            beside = f"images/{world_files.name_of(image.name)}"
            world = PIXELS if there is None else there.world
            self._pictures.add(beside, world_files.written(world).encode())

    def finish(self) -> None:
        for each in self._documents.values():
            each.finish()
        if self._pictures is not None:
            self._pictures.close()

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

    def __init__(self, out: BinaryIO, spool: BinaryIO, dataset: Described) -> None:
        self._out, self._spool = out, spool
        self._features = self._images = b"\n"
        head = {
            "type": "FeatureCollection",
            **({} if dataset.on_earth else {"coordinates": "pixels"}),
            "classes": [{"id": each.id, "name": each.name} for each in dataset.schema.classes],
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


class _Ground:
    """Where the geometries of an image are on earth."""

    def __init__(self, there: Georeference, image: LabelledImage) -> None:
        self._there, self._flips = there, there.flips(image.width, image.height)

    def laid(self, geometry: Mapping[str, Any]) -> dict[str, Any]:
        around = geometry["type"].endswith("Polygon")
        return {**geometry, "coordinates": self._lists(geometry["coordinates"], around=around)}

    def _lists(self, value: list[Any], *, around: bool) -> list[Any]:
        """Of a list of points, or of lists of them."""
        if not value:
            return value
        if isinstance(value[0][0], list):
            return [self._lists(each, around=around) for each in value]
        places: list[Any] = self._there.on_earth(value).tolist()
        return places[::-1] if around and self._flips else places


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
