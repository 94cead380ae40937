"""What an image may be called, and the files that belong to it are."""

import re
import unicodedata
from pathlib import PurePosixPath

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


class Stems:
    """Image names without their ending, made different where two images would share one.

    `a/b.jpg` is `a/b`; a `a/b.png` after it is `a/b~2`. Names come in byte order, in which all that
    begin alike up to the first dot of the last part stand together: only those are remembered.
    """

    def __init__(self) -> None:
        self._begin = ""
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        path = PurePosixPath(name)
        begin = str(path.with_name(path.name.split(".", 1)[0] or path.name))
        if begin != self._begin:
            self._begin, self._taken = begin, set()
        stem = plain = str(path.with_name(path.stem))
        number = 1
        while stem in self._taken:
            number += 1
            stem = f"{plain}~{number}"
        self._taken.add(stem)
        return stem
