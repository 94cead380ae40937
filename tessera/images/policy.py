"""How the images of a project are cut and stored."""

from dataclasses import dataclass
from enum import StrEnum

from tessera.images.tiling import Grid, grid, whole

THUMBNAIL_SIDE = 512
THUMBNAIL_NAME = "thumbnail.jpg"


class TileFormat(StrEnum):
    """JPEG is the format for tiles; WebP costs ten times as much to make, PNG is exact."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        return f"image/{self}"

    @property
    def suffix(self) -> str:
        return "jpg" if self is TileFormat.JPEG else self.value


@dataclass(frozen=True, slots=True)
class SlicePolicy:
    """What the operator chose for a project.

    Attributes:
        tile: Side of a window, pixels.
        margin: Least context around a core, pixels.
        quality: 1 to 100, of JPEG and WebP. From 90 on, JPEG keeps colours at full resolution.
        whole: The image is its only tile, and `tile` and `margin` mean nothing.
    """

    tile: int = 512
    margin: int = 32
    format: TileFormat = TileFormat.JPEG
    quality: int = 90
    whole: bool = False

    def boxes(self, width: int, height: int) -> Grid:
        """The tiles of an upright image of this size, in reading order."""
        if self.whole:
            return whole(width, height)
        return grid(width, height, tile=self.tile, margin=self.margin)

    def file_name(self, index: int) -> str:
        return f"{index}.{self.format.suffix}"
