"""Whether a file can be an image of a project, and what there is to know about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tessera.images import sandbox
from tessera.images.formats import Format
from tessera.images.frames import Upright
from tessera.images.refusals import Limits

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found in a file whose every pixel could be read.

    Attributes:
        width: Upright, after the EXIF orientation, pixels; likewise height.
        stored_width: As stored in the file; likewise stored_height.
        size: Of the file, bytes.
    """

    format: Format
    width: int
    height: int
    stored_width: int
    stored_height: int
    orientation: int
    size: int

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """What `dataclasses.asdict` made of facts, after a journey through JSON."""
        return cls(**{**facts, "format": Format(facts["format"])})

    @property
    def upright(self) -> Upright:
        return Upright(self.orientation, self.stored_width, self.stored_height)


async def inspect(path: Path, limits: Limits = DEFAULT_LIMITS) -> Facts:
    """Look at a file in a process of its own, down to the last pixel.

    Raises:
        Refused: The file is not taken, with the reason.
        NoRoom: The disk is full.
    """
    async with sandbox.decoder("inspect", {"path": str(path)}, limits) as child:
        while True:
            message = await child.hear()  # most are signs of life
            if "facts" in message:
                return Facts.from_json(message["facts"])
