"""Reading JSON of any size: a list, or those of an object, come an element at a time."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from tessera.formats.errors import BadFile

MOST_LETTERS = 32 * 2**20
"""Of one element of a list, or of one member that is no list."""
MOST_OF_IMAGE = 192 * 2**20
"""Of one that is an image with all that is said of it. It takes 15 times as much memory until its
objects are known, and whoever reads has 4 GiB."""
_CHUNK = 2**18
_SPACE = re.compile(r"[ \t\n\r]*")
_GOES_ON = re.compile(r"[-+.eE0-9]*")
"""What may follow the part of a number that is read."""
_decoded = json.JSONDecoder().raw_decode
_finite = json.JSONDecoder(parse_constant=lambda _: None).raw_decode


def members(
    file: BinaryIO, path: str, *, images: bool = False
) -> Iterator[tuple[str, int | None, Any]]:
    """The members of an object, in their order, by name.

    A list is None and an empty list, to say that it is there, and then each element with its
    number. Numbers may be NaN, infinite, or far too large.

    Args:
        images: Whether elements are images with all that is said of them: they may be larger, and
            NaN is null.

    Raises:
        BadFile: It is no object, or no JSON; says in which element.
    """
    text = _Text(file, path, images=images)
    if text.peek() == "[":
        raise text.bad("it is a list, of what nothing tells what it belongs to")
    text.take("{")
    seen: set[str] = set()
    ended = text.skip("}")
    while not ended:
        name = text.value()
        if not isinstance(name, str) or name in seen:
            raise text.bad(f"has a member {str(name)[:50]!r} that is no name, or there twice")
        seen.add(name)
        text.at = f"{path}: {name[:100]}"
        text.take(":")
        if text.peek() == "[":
            yield name, None, []
            yield from ((name, *element) for element in _elements(text))
        else:
            yield name, None, text.value()
        text.at = path
        ended = text.take(",}") == "}"
    if text.peek():
        raise text.bad("has something after its end")


def elements(file: BinaryIO, path: str) -> Iterator[tuple[int, Any]]:
    """The elements of a list of images with all that is said of them, each with its number.

    Raises:
        BadFile: It is no list, or no JSON; says in which element.
    """
    text = _Text(file, path, images=True)
    if text.peek() != "[":
        raise text.bad("it is no list")
    text.at = f"{path}: "
    yield from _elements(text)
    text.at = path
    if text.peek():
        raise text.bad("has something after its end")


def _elements(text: "_Text") -> Iterator[tuple[int, Any]]:
    """Each with its number; `enumerate` would keep one until the next is read."""
    at, number = text.at, 0
    text.take("[")
    ended = text.skip("]")
    while not ended:
        text.at = f"{at}[{number}]"
        yield number, text.value()
        ended = text.take(",]") == "]"
        number += 1


class _Text:
    """What is not yet read of a file, and where that is, for people."""

    def __init__(self, file: BinaryIO, path: str, *, images: bool) -> None:
        self.at, self._most = path, MOST_OF_IMAGE if images else MOST_LETTERS
        self._advice = "send COCO, which is read object by object" if images else "divide it"
        self._decoded = _finite if images else _decoded
        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._place = "", 0

    def peek(self) -> str:
        """The next letter that is no space; nothing at the end."""
        while True:
            space = _SPACE.match(self._text, self._place)
            self._place = space.end() if space else self._place
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def take(self, letters: str) -> str:
        """The next letter, one of these."""
        found = self.peek()
        if not found or found not in letters:
            raise self.bad(f"has {found or 'its end'!r} where {' or '.join(letters)} must be")
        self._place += 1
        return found

    def skip(self, letter: str) -> bool:
        """Whether it is the next one; then it is taken."""
        there = self.peek() == letter
        self._place += there
        return there

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = self._decoded(self._text, self._place)
            except RecursionError as error:
                raise self.bad("is nested too deeply") from error
            except ValueError as error:
                if not self._more():
                    raise self.bad(str(getattr(error, "msg", error))) from error
                continue
            length = end - self._place
            if not _GOES_ON.fullmatch(self._text, end) or not self._more():
                self._place += length
                if length > _CHUNK:  # whoever takes it may need the memory
                    self._text, self._place = self._text[self._place :], 0
                return value

    def bad(self, why: str) -> BadFile:
        return BadFile(self.at, f"cannot be read as JSON: {why}")

    def _more(self) -> bool:
        """Twice as much of what has begun; whether there was any."""
        self._text, self._place = self._text[self._place :], 0
        if len(self._text) > self._most:
            raise self.bad(f"there is no end of it within {self._most // 2**20} MB; {self._advice}")
        chunk = self._file.read(max(_CHUNK, min(len(self._text), self._most - len(self._text) + 1)))
        try:
            self._text += self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise self.bad("it is not UTF-8") from error
        return bool(chunk)
