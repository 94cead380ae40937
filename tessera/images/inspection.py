"""Whether a file can be an image of a project, and what there is to know about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tessera.images import sandbox
from tessera.images.formats import Format
from tessera.images.frames import Upright
from tessera.images.policy import SlicePolicy
from tessera.images.refusals import Limits, Reason, Refused

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found in a file whose every pixel could be read.

    Attributes:
        width: Upright, after the EXIF orientation, pixels; likewise height.
        stored_width: As stored in the file; likewise stored_height.
        size: Of the file, bytes.
        georeference: Where it says that its pixels are, if it does; as
            `shapes.georeference.Georeference.as_json` has it.
    """

    format: Format
    width: int
    height: int
    stored_width: int
    stored_height: int
    orientation: int
    size: int
    georeference: dict[str, Any] | None

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """What the decoder has found, after a journey through JSON."""
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


def check_tiles(policy: SlicePolicy, facts: Facts, limits: Limits = DEFAULT_LIMITS) -> None:
    """Whether an image can be cut like this.

    Raises:
        Refused: There would be too many tiles.
    """
    tiles = len(policy.boxes(facts.width, facts.height))
    if tiles > limits.tiles:
        raise Refused(
            Reason.TOO_MANY_TILES,
            f"The image would be cut into {tiles:,} tiles, and {limits.tiles:,} are the most. "
            "It needs larger ones, or a smaller margin.",
        )
