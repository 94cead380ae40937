"""What the files that belong to an image are called."""

from pathlib import PurePosixPath


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
