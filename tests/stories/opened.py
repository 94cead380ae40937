"""Datasets, opened by tools that nobody here wrote: pycocotools, and Datumaro's own importer."""

import contextlib
import io
import tarfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pycocotools.coco import COCO
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from shapely import affinity

from tessera.kinds import Size, Window
from tessera.shapes.masks import from_json
from tests.stories.real_coins import NAMES, Known

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own code
    # here, and not when it is used: what it sets as it is imported, it sets in the context of
    # whoever does that, and that of an async test is gone with it
    datumaro = import_module("datumaro")

Place = NDArray[np.float64] | NDArray[np.bool_] | shapely.Geometry
"""Points, shape (N, 2); the pixels of a whole picture; or an outline or a line."""
AS_DATUMARO_DRAWS = (0, 4, 5, 1, 7, 6, 2, 3)
"""Corners of a cuboid."""


def coco_of(data: bytes, folder: Path) -> COCO:
    (folder / "coco.json").write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "coco.json"))


def coco_boxes(coco: COCO, name: str) -> Known:
    """What COCO's own reader finds on a picture, as boxes of ours, of classes by their names."""
    ids = {named: id_ for id_, named in NAMES.items()}
    (image,) = [each for each in coco.loadImgs(coco.getImgIds()) if each["file_name"] == name]
    found = []
    for each in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
        (category,) = coco.loadCats(each["category_id"])
        left, top, width, height = each["bbox"]
        said = {"class": ids[category["name"]], "attributes": each["attributes"]}
        found.append({**said, "box": [left, top, left + width, top + height]})
    return found


def same_boxes(found: Known, expected: Known, within: float) -> None:
    """Object by object, in any order."""
    assert len(found) == len(expected)
    drawn, known = (
        [np.reshape(each["box"], (2, 2)) for each in some] for some in (found, expected)
    )
    for at, of in zip(*pairs(drawn, known), strict=True):
        assert apart(drawn[at], known[of]) <= within, found[at]
        for said in ("class", "attributes"):
            assert found[at][said] == expected[of][said]


@dataclass(frozen=True)
class Archive:
    """What Datumaro finds, and where it was unpacked."""

    root: Path
    labels: Sequence[str]
    said: Mapping[str, Sequence[Any]]
    """Annotations by the name of their picture."""


def datumaro_of(data: bytes, folder: Path) -> Archive:
    root = folder / "datumaro"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(root, filter="data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own code
        dataset = datumaro.Dataset.import_from(str(root), "datumaro")
        items = list(dataset)
        labels = [each.name for each in next(iter(dataset.categories().values())).items]
    said = {Path(each.media.path).name: each.annotations for each in items}
    assert len(said) == len(items)
    return Archive(root, labels, said)


def compare(archive: Archive, name: str, expected: Known, size: Size, within: float) -> None:
    """What Datumaro says of a picture is what is expected, object by object.

    It knows no holes, and of what is in parts each is an object of its own.

    Args:
        expected: Objects of ours, in image pixels, in any order.
        within: How far apart places may be, pixels.
    """
    found, expected = archive.said[name], [part for each in expected for part in _apart(each)]
    assert len(found) == len(expected)
    drawn = [(each, as_drawn(each)) for each in found]
    known = [(each, as_known(each, size)) for each in expected]
    for at, of in zip(*pairs([p for _, p in drawn], [p for _, p in known]), strict=True):
        (annotation, place), (each, truth) = drawn[at], known[of]
        assert archive.labels[annotation.label] == NAMES[each["class"]]
        beside = annotation.attributes.keys() - {"score", "rotated"}
        assert {name: annotation.attributes[name] for name in beside} == each["attributes"]
        if "confidence" in each:
            assert annotation.attributes["score"] == each["confidence"]
        if "points" in each:
            assert [int(v) for v in annotation.visibility] == [v for *_, v in each["points"]]
        assert apart(place, truth) <= within, f"{name}, {NAMES[each['class']]}: {place}"


def _apart(each: Mapping[str, Any]) -> Known:
    if "polygon" not in each:
        return [dict(each)]
    return [{**each, "polygon": [[outer]]} for outer, *_ in each["polygon"]]


def pairs(
    found: Sequence[Place | None], known: Sequence[Place | None]
) -> tuple[Sequence[int], Sequence[int]]:
    """Which of some objects is which: those whose middles are closest together."""
    first, second = (np.array([_middle(each) for each in some]) for some in (found, known))
    far = np.linalg.norm(first[:, None] - second[None], axis=2)
    rows, columns = linear_sum_assignment(far)
    return rows.tolist(), columns.tolist()


def _middle(place: Place | None) -> Any:
    if place is None:
        return (0.0, 0.0)
    if isinstance(place, shapely.Geometry):
        left, top, right, bottom = shapely.bounds(place)
        return ((left + right) / 2, (top + bottom) / 2)
    if place.dtype == np.bool_:
        return ndimage.center_of_mass(place)[::-1]
    return (place.min(axis=0) + place.max(axis=0)) / 2


def as_drawn(annotation: Any) -> Place | None:
    """An annotation of Datumaro's."""
    if annotation.type.name == "label":
        return None
    if annotation.type.name == "mask":
        return np.asarray(annotation.image).astype(np.bool_)
    if annotation.type.name == "cuboid_3d":
        return np.array([annotation.position, annotation.rotation, annotation.scale])
    points = np.array(annotation.points, dtype=np.float64).reshape(-1, 2)
    outlines = {"polygon": shapely.LinearRing, "polyline": shapely.LineString}
    shape = outlines.get(annotation.type.name)
    return points if shape is None else shape(points)


def as_known(each: Mapping[str, Any], size: Size) -> Place | None:
    """An object of ours, likewise."""
    place: Place | None = None
    match each:
        case {"box": [_, _, _, _, angle]}:
            place = affinity.rotate(shapely.box(*each["box"][:4]), angle).exterior
        case {"box": box}:
            place = np.reshape(box, (2, 2))
        case {"polygon": [[outer]]}:
            place = shapely.LinearRing(outer)
        case {"line": line}:
            place = shapely.LineString(line)
        case {"points": points}:
            place = np.array(points, dtype=np.float64)[:, :2]
        case {"cuboid": corners}:
            place = np.array(corners)[list(AS_DATUMARO_DRAWS)]
        case {"solid": {"centre": centre, "size": sides, "yaw": yaw}}:
            place = np.array([centre, [0, yaw, 0], sides])
        case {"mask": mask}:
            place = whole(mask, size)
    return place


def whole(mask: dict[str, Any], size: Size) -> NDArray[np.bool_]:
    """All pixels of a picture, of which a mask has those of a part."""
    crop = from_json(mask).within(Window(0, 0, *size))
    left, top, right, bottom = crop.window
    pixels = np.zeros((size.height, size.width), dtype=np.bool_)
    pixels[top:bottom, left:right] = crop.pixels
    return pixels


def apart(first: Place | None, second: Place | None) -> float:
    """How far two places are from each other where they are farthest, pixels."""
    if first is None or second is None:
        return 0.0 if first is second else np.inf
    if isinstance(first, shapely.Geometry) and isinstance(second, shapely.Geometry):
        return float(shapely.hausdorff_distance(first, second, densify=0.1))
    one, other = np.asarray(first), np.asarray(second)
    if one.dtype == np.bool_:
        deep = sum(ndimage.distance_transform_cdt(each, "chessboard") for each in (other, ~other))
        return float(np.max(deep, where=one != other, initial=0))
    return float(np.abs(one - other).max())
