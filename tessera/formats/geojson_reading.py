"""Reading GeoJSON; see `geojson`.

In files that do not say `coordinates: pixels` they are longitudes and latitudes, or of the map that
`crs` names, if the file tells the image's georeference or its project knows it. Else they are of
the map of the world file beside the image; without one, and without `crs`, they are pixels.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import orjson

from tessera.formats import checking, json_stream, outlines, painting, world_files
from tessera.formats.archive import Files
from tessera.formats.checking import Checking, mapping, numbers
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.names import is_plain_name
from tessera.formats.pile import Pile, a_pile
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import InvalidAnswer, LabelClass, Size, fields
from tessera.shapes.georeference import DEGREES, PIXELS, Georeference, Points, World, is_known

_MOST, _DEEPEST = 1_000_000, 3
_LONGEST_WORLD = 4_096
_NAME = re.compile(
    r"(?:urn:ogc:def:crs:)?(?:EPSG:(?:[\d.]*:)?(?P<epsg>\d{4,6})|OGC:(?:[\d.]*:)?CRS84)"
)
_InPixels = Callable[[Any], Points]
"""Of places, shape (N, 2), and the pixels likewise."""
_WITH_HEIGHT = 3
_OF_POINTS, _OF_CORNERS = 2, 6
"""Digits of pixels; an angle is the exacter, the exacter its corners are."""
_FAR = 1e6
"""Pixels; more than any image has, and than what is drawn reaches out of one."""
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


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; the image is the feature's property `image`."""
    documents = [name for name in files.names() if name.endswith((".geojson", ".json"))]
    if not documents:
        raise BadFile("", "has no GeoJSON file")
    reader = _Reader(files, wanted)
    for name in documents:
        with a_pile() as features:
            yield from reader.images(name, features)


_LISTS = {"images", "features"}


class _Told(NamedTuple):
    """Of an image in the list of them."""

    size: Size | None = None
    there: Georeference | None = None


class _Reader:
    def __init__(self, files: Files, wanted: Wanted) -> None:
        self._files, self._wanted, self._checking = files, wanted, Checking(wanted)

    def images(self, path: str, features: Pile) -> Iterator[Known | Refused]:
        """All of a file.

        Args:
            features: Empty, for what the file says of images: it may be of any length.
        """
        document = dict[str, Any]()
        told = dict[str, _Told]()
        """Of all images in their order; of some nothing is told."""
        with self._files.open(path) as file:
            for member, number, value in json_stream.members(file, path):
                at = f"{path}: {member}" if number is None else f"{path}: {member}[{number}]"
                if member not in _LISTS:
                    document |= {member: value} if number is None else {}
                elif number is not None:
                    try:
                        self._take(member, at, value, told, features)
                    except InvalidAnswer as error:
                        yield checking.refused(at, error, _whose(member, value))
                elif value != []:
                    raise BadFile(at, "must be a list")
        if document.get("type") != "FeatureCollection":
            raise BadFile(path, "is not a FeatureCollection")
        if document.get("coordinates", "pixels") != "pixels":
            raise BadFile(path, "has coordinates that are no pixels")
        features.index()
        for name, about in told.items():
            size = self._wanted.images.get(name, about.size)
            try:
                in_pixels = self._in_pixels(name, document, about.there)
            except InvalidAnswer as error:
                yield checking.refused(path, error, name)
                continue
            # of an unknown one nothing is read
            read = partial(self._object, size or Size(0, 0), in_pixels)
            yield from self._checking.image(path, name, about.size, features.of(name), read)

    def _take(
        self, member: str, at: str, value: object, told: dict[str, _Told], features: Pile
    ) -> None:
        plain = checking.as_json(value)
        found = mapping(orjson.loads(plain), "")
        if member == "features":
            properties = mapping(found.get("properties"), "properties")
            _refuse_no_number(value)
            name = _name(properties.get("image"), "properties.image")
            features.add(name, at, plain)
            told.setdefault(name, _Told())
            return
        name = _name(found.get("name"), "name")
        if name in told and told[name].size is not None:
            raise Unfit("name", "is there twice", Code.REPEATED)
        sides = (fields.whole(found.get(e), e, InvalidAnswer) for e in ("width", "height"))
        there = found.get("georeference")
        told[name] = _Told(
            Size(*sides), None if there is None else _georeference(there, "georeference")
        )

    def _in_pixels(
        self, name: str, document: Mapping[str, Any], told: Georeference | None
    ) -> _InPixels:
        """What makes pixels of the coordinates of an image."""
        images = self._wanted.images
        if "coordinates" in document or (images and name not in images):
            return PIXELS.in_pixels
        if told is not None:
            return partial(told.in_pixels, epsg=_map_of(document))
        known = self._wanted.georeferences.get(name)
        if known is not None and known.epsg is not None:
            return partial(known.in_pixels, epsg=_map_of(document))
        world = self._world_beside(name)
        if world is not None:
            return world.in_pixels
        if document.get("crs") is not None:
            why = f"is of a map, and nothing tells where {name[:300]!r} is on it: no world file"
            raise Unfit("", why, Code.MISSING)
        return PIXELS.in_pixels

    def _world_beside(self, name: str) -> World | None:
        beside = world_files.names_of(name) if is_plain_name(name) else []
        there = [each for each in beside if self._files.has(each)]
        if not there:
            return None
        with self._files.open(there[0]) as file:
            text = file.read(_LONGEST_WORLD).decode(errors="replace")
        try:
            return world_files.parsed(text)
        except ValueError as error:
            raise Unfit("", f"{there[0][:300]}: {error}", Code.BAD_FILE) from error

    def _object(
        self, size: Size, in_pixels: _InPixels, feature: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        properties = mapping(feature.get("properties"), "properties")
        named = self._checking.named(properties.get("class"))
        found: dict[str, Any] = {
            "class": named.id,
            "attributes": mapping(properties.get("attributes") or {}, "properties.attributes"),
        }
        if properties.get("confidence") is not None:
            found["confidence"] = properties["confidence"]
        if checking.flag(properties, "crowd"):
            found["optional"] = True
        if self._wanted.kind == "classify":
            return found
        geometry = mapping(feature.get("geometry"), "geometry")
        expected = _TYPES[self._wanted.kind]
        match geometry:
            case {"type": "Polygon", "coordinates": only} if expected == "MultiPolygon":
                geometry = {"type": expected, "coordinates": [only]}
            case {"type": str(type_), "coordinates": [only]} if type_ == f"Multi{expected}":
                geometry = {"type": expected, "coordinates": only}
        if geometry.get("type") != expected:
            type_ = str(geometry.get("type"))[:50]
            raise InvalidAnswer("geometry.type", f"is {type_!r}, not {expected!r}")
        digits = _OF_CORNERS if expected == "Polygon" else _OF_POINTS
        at = "geometry.coordinates"
        coordinates = _pixels(geometry.get("coordinates"), at, in_pixels, digits)
        return found | self._place(coordinates, properties, named, size)

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


def _georeference(value: object, at: str) -> Georeference:
    try:
        return Georeference.of(value)
    except ValueError as error:
        raise InvalidAnswer(at, str(error)) from error


def _map_of(document: Mapping[str, Any]) -> int:
    """The number of the map that the coordinates are of.

    Raises:
        Unfit: It has none, or there is no such map.
    """
    if document.get("crs") is None:
        return DEGREES
    match document["crs"]:
        case {"properties": {"name": str(name)}} if found := _NAME.fullmatch(name):
            number = DEGREES if found["epsg"] is None else int(found["epsg"])
            if is_known(number):
                return number
    raise Unfit("", "is of a map that is not known here by its crs", Code.BAD_FILE)


def _pixels(
    value: object, at: str, in_pixels: _InPixels, digits: int, lists: int = _DEEPEST
) -> object:
    """Lists of places, or of lists of them; what is something else is as it was."""
    if in_pixels == PIXELS.in_pixels or not isinstance(value, list) or not value or not lists:
        return value
    if isinstance(value[0], list) and value[0] and isinstance(value[0][0], list):
        listed = fields.items(value, at, InvalidAnswer, most=_MOST)
        return [_pixels(each, there, in_pixels, digits, lists - 1) for there, each in listed]
    with np.errstate(all="ignore"):
        found = in_pixels(_line(value, at)).round(digits)
    if not (np.abs(found) < _FAR).all():
        why = "is far away from the image: it must be in degrees, or of the map that `crs` names"
        raise InvalidAnswer(at, why)
    return found.tolist()


def _whose(member: str, value: object) -> object:
    """What a record says that its image is called, before it is known to make sense."""
    entry = value if isinstance(value, dict) else {}
    if member == "images":
        return entry.get("name")
    properties = entry.get("properties")
    return properties.get("image") if isinstance(properties, dict) else None


def _refuse_no_number(feature: Any) -> None:
    """Of what is left away where it is null, which JSON makes of NaN."""
    for key in ("confidence", "crowd", "attributes"):
        value = feature["properties"].get(key)
        if isinstance(value, float) and not isfinite(value):
            raise InvalidAnswer(f"properties.{key}", "must be finite")


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
    """Without heights, which RFC 7946 allows."""
    listed = fields.items(value, at, InvalidAnswer, most=_MOST)
    return [numbers(_on_the_ground(each), there, 2) for there, each in listed]


def _on_the_ground(place: object) -> object:
    return place[:-1] if isinstance(place, list) and len(place) == _WITH_HEIGHT else place


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
    found: dict[str, list[object]] = {}
    for name, at, v in zip(map(str, names), points, visible, strict=True):
        if name in found:
            why = f"has the point {name[:50]!r} twice"
            raise Unfit("properties.points", why, Code.REPEATED)
        found[name] = [*at, v]
    asked = () if named.skeleton is None else named.skeleton.points
    if foreign := found.keys() - {each.name for each in asked}:
        why = f"has a point {min(foreign)[:50]!r}"
        raise Unfit("properties.points", why, Code.UNKNOWN_POINT)
    return [found.get(each.name, [0.0, 0.0, 0]) for each in asked]
