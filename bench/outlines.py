"""Outlines of real objects, for benches: cut out of photographs, or from a COCO file."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import skimage
from numpy.typing import NDArray
from scipy import ndimage
from skimage import color, filters, measure, segmentation

PHOTOGRAPHS = ("coins.png", "gravel.png", "ihc.png", "hubble_deep_field.jpg", "cell.png")
"""What scikit-image brings along: apart and touching, few and many, large and small."""
ENLARGED = 3
"""Times: what stands out in them is 10 to 40 px wide, and people draw what is larger."""
LEAST_AREA = 30.0
_STRETCH = 8


def of_photographs() -> Iterator[list[shapely.Polygon]]:
    """Per photograph the outlines of what stands out in it, as a watershed divides it."""
    for name in PHOTOGRAPHS:
        picture = skimage.io.imread(Path(skimage.__file__).parent / "data" / name)
        grey = color.rgb2gray(picture[..., :3]) if picture.ndim > 2 else picture / picture.max()
        smooth = filters.gaussian(grey, 1.5)
        threshold = filters.threshold_otsu(smooth)
        bright = smooth > threshold if np.mean(smooth > threshold) < 0.5 else smooth < threshold
        distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 2)
        peaks = (ndimage.maximum_filter(distance, 15) == distance) & (distance > 2)
        seeds, _ = ndimage.label(peaks)
        yield _outlines(segmentation.watershed(-distance, seeds, mask=bright))


def of_coco(path: Path) -> Iterator[list[shapely.Polygon]]:
    """Per image of a COCO file the outlines of its objects."""
    coco = json.loads(path.read_bytes())
    by_image: dict[int, list[shapely.Polygon]] = {each["id"]: [] for each in coco["images"]}
    for each in coco["annotations"]:
        if isinstance(each.get("segmentation"), list):
            rings = [np.reshape(ring, (-1, 2)) for ring in each["segmentation"] if len(ring) >= 6]
            by_image[each["image_id"]] += _sound([shapely.Polygon(ring) for ring in rings])
    yield from (some for some in by_image.values() if some)


def mosaic(images: list[list[shapely.Polygon]], least: int) -> tuple[list[Any], tuple[int, int]]:
    """All outlines side by side, again and again until they are enough; and the mosaic's size."""
    placed: list[Any] = []
    left, top, row, widest = 0.0, 0.0, 0.0, 0.0
    while len(placed) < least:
        for some in images:
            right, bottom = shapely.total_bounds(some)[2:] + _STRETCH
            if left + right > 6_000:
                left, top, row = 0.0, top + row, 0.0
            at = np.array([left, top])
            placed += shapely.transform(some, partial(_moved, at=at)).tolist()
            left, row = left + right, max(row, bottom)
            widest = max(widest, left)
    return placed, (int(widest) + 1, int(top + row) + 1)


def _moved(points: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.round(points + at, 2))


def _outlines(labels: NDArray[np.int64]) -> list[shapely.Polygon]:
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        mask = np.pad(labels[place] == number, 1)
        contours = measure.find_contours(mask.astype(float), 0.5)
        offset = np.array([place[1].start - 0.5, place[0].start - 0.5])
        outer = max((shapely.Polygon(each[:, ::-1] + offset) for each in contours), key=_area)
        larger = shapely.transform(outer, lambda points: points * ENLARGED)
        found.append(larger.simplify(1.5))
    return _sound(found)


def _area(polygon: shapely.Polygon) -> float:
    return float(polygon.area)


def _sound(polygons: Sequence[shapely.Geometry]) -> list[shapely.Polygon]:
    parts = [part for each in polygons for part in shapely.get_parts(shapely.make_valid(each))]
    return [each for each in parts if each.geom_type == "Polygon" and each.area >= LEAST_AREA]
