"""Files of an import of which no image is made: told by name, as far as they are not too many."""

import re
from enum import StrEnum

from tessera.formats.names import LONGEST_NAME
from tessera.images.errors import BadImageName, ImageNameTaken

MOST_TOLD = 1_000
"""By name; the others are counted."""
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


class Skip(StrEnum):
    """Stable and public: why a file was passed over."""

    BAD_NAME = BadImageName.code
    NAME_TAKEN = ImageNameTaken.code
    REPEATED = "repeated"
    LINK = "link"
    HIDDEN = "hidden"


WHY = {
    Skip.BAD_NAME: f"has a name of more than {LONGEST_NAME} characters, with a backslash or a "
    "control character, or one that leads out of its folder",
    Skip.NAME_TAKEN: "has the name of an image that the project had before",
    Skip.REPEATED: "has the name of another file before it",
    Skip.LINK: "is a link, which is not followed",
    Skip.HIDDEN: "is hidden: its name, or that of a folder, begins with a dot",
}
"""What each says of a file."""


class Skipped:
    """What one run of an import has passed over."""

    def __init__(self) -> None:
        self.count = 0
        self.told = list[dict[str, str]]()
        """Name and code of the first of them."""

    def add(self, name: str, code: Skip) -> None:
        self.count += 1
        if self.count <= MOST_TOLD:
            self.told.append({"name": shown(name), "code": code.value})


def shown(name: str) -> str:
    """A name of any length and letters, as the database and JSON take it."""
    cut = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", cut)
