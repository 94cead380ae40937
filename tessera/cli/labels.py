"""Labels that a command is given: in which format, of which kind, by which label schema."""

import colorsys
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from tessera.cli.errors import BadUsage, LabelsUnfit, Refusals
from tessera.formats import FORMATS, coco_reading
from tessera.formats.archive import MEDIA_TYPE, Files, Folder, unpacked
from tessera.formats.errors import BadFile, Code
from tessera.formats.protocol import Described, Known, Refused, Source, Wanted
from tessera.kinds import KINDS, NOT_ABOUT, LabelSchema, kind_of

ASKED = sorted({*KINDS} - NOT_ABOUT)
"""Kinds that are about images, not about what others say of them."""
SOURCES = {name: cast("Source", each) for name, each in FORMATS.items() if hasattr(each, "read")}
USUAL = "json-lines"
"""For labels of tiles."""
_MOST_LINES = 10
_OF_COCO = {"coco", "coco-panoptic"}
_GOLDEN = 0.618_034


class OneFile:
    """A file that may be called anything, by the name that its format has for it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self.name = path, name

    def names(self) -> Iterator[str]:
        return iter((self.name,))

    def has(self, name: str) -> bool:
        return name == self.name

    def open(self, name: str) -> BinaryIO:
        if name != self.name:
            raise FileNotFoundError(name)
        return self._path.open("rb")


def file_of(format_: str, dataset: Described) -> str:
    """What a format calls the one file that it leaves of a dataset without splits."""
    (name,) = FORMATS[format_].files(dataset)
    return name


@contextmanager
def _opened(path: Path, format_: str) -> Iterator[Files]:
    """A folder, an archive, or one file.

    Raises:
        BadUsage: There is nothing.
        BadFile: As whoever reads it does, but of this path.
    """
    if not path.exists():
        raise BadUsage(f"{path} is not there.")
    try:
        if path.is_dir():
            yield Folder(path)
        elif tarfile.is_tarfile(path) or zipfile.is_zipfile(path):
            with unpacked(path) as files:
                yield files
        else:
            yield OneFile(path, _usual_name(path, format_))
    except BadFile as error:
        raise BadFile(_where(path, format_, error.facts["at"]), error.facts["why"]) from error


def _usual_name(path: Path, format_: str) -> str:
    nothing = Described("", "", "box", LabelSchema(()))
    ((name, media_type),) = FORMATS[format_].files(nothing).items()
    return path.name if media_type == MEDIA_TYPE else name


def _where(path: Path, format_: str, at: str) -> str:
    """What readers say of a file, by the path that it has here."""
    below = at
    if path.is_file():
        below = at.removeprefix(path.name).removeprefix(_usual_name(path, format_)).lstrip(": ")
    return f"{path}: {below}" if below else str(path)


def read(path: Path, format_: str, wanted: Wanted, say: Callable[[str], None]) -> dict[str, Known]:
    """What is said of the images that are wanted, by name; of others it may say anything.

    Args:
        say: Is told what is left out: attributes that the label schema does not have, and what
            nobody has labelled.

    Raises:
        BadUsage: There is no such file.
        BadFile: It is not of this format.
        Refusals: Of `LabelsUnfit`, each about one thing in it that makes no sense.
    """
    known: dict[str, Known] = {}
    unfit: list[LabelsUnfit] = []
    left_out: list[Refused] = []
    with _opened(path, format_) as files:
        for each in SOURCES[format_].read(files, wanted):
            if isinstance(each, Refused):
                if each.code is Code.UNLABELLED:
                    left_out.append(replace(each, why=f"{each.why}; it is left out"))
                elif not each.foreign:
                    unfit.append(LabelsUnfit(f"{_where(path, format_, each.at)}: {each.why}"))
            else:
                known[each.name] = each
                left_out += each.left_out
    if unfit:
        raise Refusals("the labels do not fit", unfit)
    for each in left_out[:_MOST_LINES]:
        say(f"{_where(path, format_, each.at)}: {each.why}")
    if len(left_out) > _MOST_LINES:
        say(f"and {len(left_out) - _MOST_LINES} more were left out")
    return known


def schema_of(
    options: Namespace, format_: str, recorded: LabelSchema | None = None
) -> LabelSchema | None:
    """The label schema that a command was given.

    Args:
        recorded: Is it if none was; and else the categories of COCO files are the classes.

    Raises:
        BadUsage: There is no such file.
        BadFile: A file cannot be read.
        InvalidLabelSchema: It makes no sense as a label schema.
        LabelsUnfit: Nor do the categories.
    """
    if options.schema is not None:
        try:
            return LabelSchema.parse(orjson.loads(options.schema.read_bytes()))
        except FileNotFoundError as error:
            raise BadUsage(f"{options.schema} is not there.") from error
        except orjson.JSONDecodeError as error:
            raise BadFile(str(options.schema), f"is not JSON: {error}") from error
    if options.classes is not None:
        names = [name.strip() for name in options.classes.split(",")]
        return _of_classes({number: {"name": name} for number, name in enumerate(names, 1)})
    if recorded is not None or options.labels is None or format_ not in _OF_COCO:
        return recorded
    with _opened(options.labels, format_) as files:
        found = {
            number: {"name": category.name, **_skeleton(category.points)}
            for document in coco_reading.documents(files)
            for number, category in document.categories.items()
        }
    if low := [number for number in found if number < 1]:
        classes = ",".join(str(each["name"]) for _, each in sorted(found.items()))
        raise LabelsUnfit(
            f"{options.labels}: category {low[0]} cannot be a class, whose ids begin at 1. "
            f"Say which there are, which numbers them anew: --classes '{classes}'"
        )
    return _of_classes(found)


def _of_classes(classes: Mapping[int, Mapping[str, Any]]) -> LabelSchema:
    """Classes by id, each in a colour far from those of the ids beside it."""
    return LabelSchema.parse(
        {
            "classes": [
                {"id": number, "colour": _colour(number), **each}
                for number, each in sorted(classes.items())
            ]
        }
    )


def _colour(number: int) -> str:
    shares = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.7, 0.9)
    return "#" + "".join(f"{round(share * 255):02x}" for share in shares)


def _skeleton(points: object) -> dict[str, Any]:
    if not isinstance(points, list) or not points:
        return {}
    return {"skeleton": {"points": [{"name": point} for point in points]}}


def checked(kind: str | None, schema: LabelSchema | None) -> tuple[str, LabelSchema]:
    """What the labels are.

    Raises:
        BadUsage: The command does not tell.
        InvalidLabelSchema: This kind cannot be asked with this label schema.
    """
    if kind not in ASKED:
        raise BadUsage(f"--kind must say what the labels are: one of {', '.join(ASKED)}.")
    if schema is None:
        raise BadUsage("--classes or --schema must say which classes the labels may have.")
    kind_of(kind).check_schema(schema)
    return kind, schema
