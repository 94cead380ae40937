"""What an image may be called, whichever way it comes in."""

import re
import unicodedata

LONGEST_NAME = 300
_DRIVE = re.compile(r"[A-Za-z]:")


def is_plain_name(name: str) -> bool:
    """Whether a name is a path below some folder, the same to every system that reads it.

    It goes into files for others as it is, and somebody will join it to a folder of theirs.
    """
    return (
        0 < len(name) <= LONGEST_NAME
        and "\\" not in name
        and not _DRIVE.match(name)
        and not {"", ".", ".."}.intersection(name.split("/"))
        and not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name)
    )
