"""Another picture of an image that was sliced: made of its file, as its tiles were."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from tessera.images import sandbox
from tessera.images.frames import TURNS, Upright
from tessera.images.job import Job
from tessera.images.models import Image
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Limits
from tessera.images.tiling import Rect
from tessera.storage import keys
from tessera.storage.context import JobContext

LIMITS = Limits()


@dataclass(frozen=True)
class Source:
    """An image's file, and how pictures of it are stored."""

    image_id: UUID
    project_id: UUID
    sha256: str
    upright: Upright
    policy: SlicePolicy

    @classmethod
    def of(cls, image: Image, slicing: Mapping[str, Any]) -> Self | None:
        """None if the image was not sliced, or is not any more."""
        if image.sha256 is None or not (image.width and image.height and image.orientation):
            return None
        stored = (image.width, image.height)
        if TURNS[image.orientation].transpose:
            stored = stored[::-1]
        return cls(
            image.id,
            image.project_id,
            image.sha256,
            Upright(image.orientation, *stored),
            SlicePolicy(**{**slicing, "format": TileFormat(slicing["format"])}),
        )

    @property
    def content_type(self) -> str:
        return self.policy.format.content_type

    def key(self, sha256: str) -> str:
        """As the key of a tile with these bytes, so that it tells nothing."""
        job = Job(
            self.image_id,
            self.project_id,
            self.sha256,
            source_key=None,
            import_bucket=None,
            policy=self.policy,
            is_resumed=False,
            is_refused=False,
        )
        return job.tile_key(sha256)


@dataclass(frozen=True)
class Picture:
    """A view as a file."""

    path: Path
    key: str
    size: int
    """Bytes."""


async def fetch(context: JobContext, source: Source, path: Path) -> None:
    """Bring the image's file here.

    Raises:
        ObjectNotFound: It is gone.
    """
    key = keys.original(source.project_id, source.image_id, source.sha256)
    await context.store.get_to_file(key, path, max_bytes=LIMITS.file_bytes)


async def cut(file: Path, source: Source, window: Rect, *, mirror: bool, into: Path) -> Picture:
    """Make the picture of a window, in a process of its own.

    Raises:
        Refused: The file is not as it was when it was sliced, or a fault of the run.
        NoRoom: The disk is full.
    """
    request = {
        "path": str(file),
        "into": str(into),
        "upright": list(source.upright),
        "window": list(window),
        "mirror": mirror,
        "format": source.policy.format.value,
        "quality": source.policy.quality,
    }
    async with sandbox.decoder("view", request, LIMITS) as child:
        while True:
            message = await child.hear()  # most are signs of life
            if "done" in message:
                return Picture(into, source.key(message["sha256"]), message["size"])
