"""Why a file is not taken, and the limits that decide it.

Light on purpose: the decoder process imports this file, and it has to start fast.
"""

from dataclasses import dataclass
from enum import StrEnum

from tessera.kernel.errors import Invalid, Unavailable


class Reason(StrEnum):
    """Stable and public: operators filter by it."""

    EMPTY_FILE = "empty-file"
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"
    TOO_MANY_BYTES = "too-many-bytes"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_FRAMES = "too-many-frames"
    TOO_MANY_TILES = "too-many-tiles"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_SLOW = "too-slow"
    TOO_MUCH_MEMORY = "too-much-memory"
    DECODER_CRASHED = "decoder-crashed"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    OUR_FAULT = "our-fault"


OUR_FAULT = "Something went wrong on our side, and we have been told. Please send it again later."
ABOUT_THE_RUN = frozenset({Reason.TOO_SLOW, Reason.TOO_MUCH_MEMORY, Reason.DECODER_CRASHED})


class Refused(Invalid):
    """This file will not become an image of the project.

    Attributes:
        detail: A sentence for the operator.
        evidence: What the decoder wrote before it ended; for logs, not for operators.
    """

    code = "image-refused"

    def __init__(self, reason: Reason, detail: str, *, evidence: str = "") -> None:
        super().__init__(detail, reason=reason.value)
        self.reason = reason
        self.evidence = evidence

    @property
    def about_the_run(self) -> bool:
        """A busy machine or a passing fault may have caused it, so one more try is fair."""
        return self.reason in ABOUT_THE_RUN


class NoRoom(Unavailable):
    """The machine's fault, not the file's: the same file may pass later."""

    code = "no-disk-space"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may ask of a machine.

    Attributes:
        side: Longest width or height, pixels.
        pixels: Of a file that is read in strips.
        held_pixels: Of a file, or of a tile, that has to be in memory as a whole: progressive
            JPEG, interlaced PNG, and the tile that is the whole image. WebP takes more memory:
            five sixths are the most for a file, and half of it for the tile.
        tiles: That one image may be cut into.
        memory_bytes: Data segment of the decoder process (RLIMIT_DATA).
        cpu_seconds: Of the decoder process, over all its threads.
        seconds: Longest silence of the decoder process.
    """

    file_bytes: int = 4 * 2**30
    side: int = 60_000
    pixels: int = 1_200_000_000
    held_pixels: int = 120_000_000
    tiles: int = 200_000
    memory_bytes: int = 2**31
    cpu_seconds: int = 900
    seconds: float = 180
