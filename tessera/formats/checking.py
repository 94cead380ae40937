"""What all readers do with what they find: whatever a file says is checked as answers are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar
from xml.parsers import expat

import orjson

from tessera.formats.archive import Files
from tessera.formats.errors import BadFile, Code, Unfit
from tessera.formats.names import Stems, is_plain_name
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import (
    Attribute,
    ImageObject,
    InvalidAnswer,
    LabelClass,
    Question,
    Size,
    TileFrame,
    Window,
    fields,
    kind_of,
)
from tessera.kinds.attributes import Type, Value

MOST_BYTES = 512 * 2**20
"""Of a file that has to be read as a whole: decoded JSON takes some five times as much memory."""
MOST_PIXELS = 2**30
"""Of an image that a file tells the size of, where there is no project image to compare it with."""
MOST_NUMBERS = 1_000_000
"""Of one object."""
SURE = 1.0
_CHUNK = 2**16
_SHOWN = 300
_ROTATION = "rotation"
_NO_PLACE = frozenset({"class", "attributes", "confidence", "optional"})
"""What objects have beside their place."""
_FLAGS = {"true": True, "false": False}

Record = TypeVar("Record")


class Checking:
    """The project that files are read for, and the images that are known already."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._kind = wanted, kind_of(wanted.kind)
        self._classes = {each.name: each for each in wanted.schema.classes}
        self._known: set[str] = set()

    def of(self, kind: str) -> "Checking":
        """The same for objects of another kind; an image is known to both."""
        other = Checking(replace(self._wanted, kind=kind))
        other._known = self._known
        return other

    def named(self, name: object) -> LabelClass:
        """The class of that name.

        Raises:
            Unfit: There is none.
        """
        found = self._classes.get(name) if isinstance(name, str) else None
        if found is None:
            why = f"{_cut(name)} is not a class of this project"
            raise Unfit("class", why, Code.UNKNOWN_CLASS)
        return found

    def is_foreign(self, name: object) -> bool:
        """Whether it is the name of none of the images of the project, if these are known."""
        images = self._wanted.images
        return isinstance(name, str) and bool(images) and name not in images

    def image(
        self,
        at: str,
        name: object,
        size: Size | None,
        records: Iterable[tuple[str, Record]],
        read: Callable[[Record], Mapping[str, Any]],
    ) -> Iterator[Known | Refused]:
        """What a file says of one image, as far as it holds.

        Args:
            at: Where the file says it.
            name: Of the image, as the file has it.
            size: If the file tells it.
            records: What is there, and where each is.
            read: Makes an object as `Kind.known` takes it of a record, with `confidence` if there
                is one; raises InvalidAnswer where that cannot be.
        """
        try:
            plain, extent = self._image(name, size)
        except InvalidAnswer as error:
            yield refused(at, error, name)
            return
        question = self._about(plain, extent)
        objects: list[ImageObject] = []
        places: list[str] = []
        left_out: dict[tuple[int, str], Refused] = {}
        for there, record in records:
            try:
                said = self._asked(read(record), there, left_out)
                objects.append(self._object(said, question))
                places.append(there)
            except InvalidAnswer as error:
                yield refused(there, error, plain)
        try:
            self._together(objects, question)
        except InvalidAnswer as error:
            yield refused(at, error, plain)
        else:
            self._known.add(plain)
            yield Known(at, plain, objects, extent, places, [*left_out.values()])

    def _image(self, name: object, told: Size | None) -> tuple[str, Size]:
        if not isinstance(name, str):
            raise InvalidAnswer("", "has no name of an image")
        if self.is_foreign(name):
            raise Unfit("", f"{_cut(name)} is not an image of this project", Code.FOREIGN_IMAGE)
        if not is_plain_name(name):
            raise Unfit("", f"{_cut(name)} is no name that an image can have", Code.BAD_NAME)
        if name in self._known:
            raise Unfit("", f"{_cut(name)} is there twice", Code.REPEATED)
        size = self._wanted.images.get(name, told)
        if size is None:
            raise InvalidAnswer("", f"the size of {_cut(name)} is not known")
        if told is not None and told != size:
            asked, there = (f"{each.width} x {each.height}" for each in (told, size))
            why = f"is about {asked} pixels, but {_cut(name)} has {there}"
            raise Unfit("", why, Code.OTHER_SIZE)
        if min(size) < 1 or size.width * size.height > MOST_PIXELS:
            why = "is about an image without pixels, or with far too many"
            raise Unfit("", why, Code.OTHER_SIZE)
        return name, size

    def _about(self, name: str, size: Size) -> Question:
        window = Window(0, 0, *size)
        whole = TileFrame(window, window, size)
        return Question(self._wanted.schema, self._wanted.frames.get(name, whole))

    def _asked(
        self, said: Mapping[str, Any], at: str, left_out: dict[tuple[int, str], Refused]
    ) -> Mapping[str, Any]:
        """Without attributes that nobody asks for, as most tools have some."""
        named = self._wanted.schema.find(said["class"])
        attributes = said.get("attributes", {})
        if named is None or not attributes:
            return said
        for name in attributes:
            if not named.attribute(name):
                why = f"class {named.name!r} has no attribute {_cut(name)}; it is left out"
                first = Refused(at, why, Code.UNKNOWN_ATTRIBUTE)
                left_out.setdefault((named.id, name), first)
        asked = {each: attributes[each] for each in attributes if named.attribute(each)}
        return {**said, "attributes": asked}

    def _object(self, said: Mapping[str, Any], question: Question) -> ImageObject:
        value = {key: each for key, each in said.items() if key != "confidence"}
        if _has_no_point(value):
            raise Unfit("", "must have at least one point that is labelled", Code.UNLABELLED)
        try:
            found = self._kind.known(value, "", question)
        except InvalidAnswer as error:
            raise Unfit(error.facts["at"], error.facts["why"], Code.BAD_OBJECT) from error
        if "confidence" not in said:
            return found
        sure = said["confidence"]
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= SURE:
            raise InvalidAnswer("confidence", "must lie between 0 and 1")
        return found | {"confidence": float(sure)}

    def _together(self, objects: list[ImageObject], question: Question) -> None:
        """Refuse what is right one by one only: two regions of a pixel, two classes of a choice."""
        bare = [
            {key: each[key] for key in each if key not in {"confidence", "optional"}}
            for each in objects
        ]
        try:
            if self._wanted.kind == "semantic_mask":
                self._kind.validate({"regions": bare}, question)
            elif self._wanted.kind == "classify" and bare:
                self._kind.validate({"classes": [each["class"] for each in bare]}, question)
        except InvalidAnswer as error:
            raise Unfit(error.facts["at"], error.facts["why"], Code.BAD_OBJECT) from error


def refused(at: str, error: InvalidAnswer, image: object = "") -> Refused:
    """Of a record at a place, what the error says of a value of it.

    Args:
        image: What the file says that its image is called, as far as that can be read.
    """
    where = str(error.facts["at"]).lstrip(".")
    code = error.reason if isinstance(error, Unfit) else Code.BAD_RECORD
    there, name = f"{at}.{where}" if where else at, image if isinstance(image, str) else ""
    return Refused(there, str(error.facts["why"]), code, name[:_SHOWN])


def unreadable(error: BadFile) -> Refused:
    """One file of many."""
    return Refused(str(error.facts["at"]), str(error.facts["why"]), Code.BAD_FILE)


def _has_no_point(value: Mapping[str, Any]) -> bool:
    match value:
        case {"points": [_, *_] as seen}:
            return all(isinstance(each, list) and each[2:] == [0] for each in seen)
    return False


def _cut(value: object) -> str:
    """What a file says, for people; whatever it contains."""
    return repr(str(value)[:_SHOWN])


def mapping(value: object, at: str) -> Mapping[str, Any]:
    """Of hostile JSON.

    Raises:
        InvalidAnswer: It is something else.
    """
    if not isinstance(value, dict):
        raise InvalidAnswer(at, "must be an object")
    return value


def place_of(value: object) -> Mapping[str, Any]:
    """Where an object is, and nothing else that is said of it.

    Raises:
        InvalidAnswer: It is something else.
    """
    place = mapping(value, "place")
    if other := sorted(_NO_PLACE & place.keys()):
        raise InvalidAnswer(f"place.{other[0]}", "is nothing that a place has")
    return place


def flag(entry: Mapping[str, Any], field: str) -> bool:
    """0 or 1, as COCO has it, or false or true; nothing is false.

    Raises:
        InvalidAnswer: It is something else.
    """
    value = entry.get(field)
    if value not in (None, 0, 1):
        raise InvalidAnswer(field, "must be true or false")
    return value == 1


def numbers(value: object, at: str, count: int | None = None) -> list[float]:
    """Of hostile JSON, finite ones.

    Raises:
        InvalidAnswer: It is something else, or not so many.
    """
    found = fields.numbers(value, at, InvalidAnswer, most=MOST_NUMBERS)
    if count is not None and len(found) != count:
        raise InvalidAnswer(at, f"must be {count} numbers")
    return found


def points(value: object, at: str) -> list[list[float]]:
    """Of hostile JSON, numbers x, y, x, y, ... two by two.

    Raises:
        InvalidAnswer: It is something else.
    """
    found = numbers(value, at)
    if len(found) % 2:
        raise InvalidAnswer(at, "must be x and y of each point")
    return [found[i : i + 2] for i in range(0, len(found), 2)]


def typed(said: Mapping[str, object], named: LabelClass) -> dict[str, object]:
    """Attributes of a format in which they are text; what is no such value stays text.

    Without those that are empty: nobody has said anything of them.
    """
    return {
        name: _typed(value, named.attribute(name)) if isinstance(value, str) else value
        for name, value in said.items()
        if value != ""
    }


def turned(place: Mapping[str, Any], said: dict[str, Any], named: LabelClass) -> Mapping[str, Any]:
    """Where a box is that CVAT has written into a format without angles.

    Args:
        said: Its attributes. What it is turned by about its middle, degrees, is taken out of them.

    Raises:
        InvalidAnswer: It is no number.
    """
    if "box" not in place or _ROTATION not in said or named.attribute(_ROTATION) is not None:
        return place
    angle = fields.number(said.pop(_ROTATION), f"attributes.{_ROTATION}", InvalidAnswer)
    match place["box"]:
        case [_, _, _, _] as upright if angle:
            return {"box": [*upright, angle]}
    return place


def _typed(text: str, asked: Attribute | None) -> Value:
    if asked is not None and asked.type is Type.FLAG:
        return _FLAGS.get(text, text)
    if asked is not None and asked.type is Type.NUMBER:
        try:
            return float(text)
        except ValueError:
            return text
    return text


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Names of images by what a writer calls their files, if it writes one for each of them."""
    stems = Stems()
    return {stems.of(name): name for name in sorted(names)}


def as_json(value: object) -> bytes:
    """Of what was read as JSON; numbers that are none become null, which is none either."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise InvalidAnswer("", f"has a value that nothing can have: {error}") from error


def loaded(files: Files, name: str) -> Any:
    """A file of JSON.

    Raises:
        BadFile: It is none, or larger than `MOST_BYTES`.
    """
    with files.open(name) as file:
        refuse_large(file, name)
        try:
            return orjson.loads(file.read())
        except orjson.JSONDecodeError as error:
            raise BadFile(name, f"is not JSON: {error}") from error


def refuse_large(file: BinaryIO, name: str) -> None:
    """Leave it at its beginning.

    Raises:
        BadFile: It is larger than `MOST_BYTES`.
    """
    file.seek(0, 2)
    if file.tell() > MOST_BYTES:
        raise BadFile(name, f"is larger than {MOST_BYTES // 2**20} MB; divide it")
    file.seek(0)


NOT_XML = (expat.ExpatError, LookupError, ValueError)
"""What a parser says of it, or of an encoding that it does not know."""


def refuse_doctype(file: BinaryIO, name: str) -> None:
    """Leave a file of XML at its beginning; without a DTD it has no entities that could grow.

    Raises:
        BadFile: It has one, or is no XML.
    """

    def refuse(*_: object) -> None:
        raise BadFile(name, "has a document type declaration, which is not read")

    begun: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, _: begun.append(tag)
    try:
        while not begun and (chunk := file.read(_CHUNK)):
            parser.Parse(chunk)
    except NOT_XML as error:
        raise BadFile(name, f"is not XML: {error}") from error
    file.seek(0)
