"""GeoTIFFs, as GDAL writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from tests.images.pictures import Pixels


def geotiff(
    path: Path, pixels: Pixels, transform: Affine | None, crs: str | None, **options: Any
) -> Path:
    height, width, bands = pixels.shape
    shape = {"height": height, "width": width, "count": bands, "dtype": "uint8"}
    with rasterio.open(path, "w", "GTiff", crs=crs, transform=transform, **shape, **options) as out:
        out.write(np.moveaxis(pixels, -1, 0))
    return path
