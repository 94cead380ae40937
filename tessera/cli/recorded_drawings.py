"""Recorded drawings, and what is known to be there, in COCO files.

Each annotation of the recorded ones has an `annotator`. Who drew nothing on an image is told by its
`annotators`, if the file has them: `{"id": 7, "file_name": "a.jpg", "annotators": ["ada", "ben"]}`;
else only those count who drew something. People come in the order in which the file first names
them of an image.
"""

import re
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from tessera.cli import labels
from tessera.cli.errors import BadUsage, LabelsUnfit, Refusals
from tessera.cli.recorded import BadRecords, is_drawn
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Known, Refused, Wanted
from tessera.kinds import Answer, Label, Objects, Question, Size, TileFrame, Window, kind_of
from tessera.quality.planting import as_drawn
from tessera.quality.replay_drawings import Drawings

_NAME = "labels.json"
_NUMBER = re.compile(r"annotations\[(\d+)\]")
_MOST = 20


@dataclass(frozen=True)
class RecordedDrawings:
    kind: Objects
    drawings: list[Drawings]
    """One for each image of the recorded file; those that are gold know it."""
    truths: list[Label | None]
    """Of each, what is there, if that is known."""


def read(options: Namespace, gold_share: float, say: Callable[[str], None]) -> RecordedDrawings:
    """Read both files.

    Raises:
        DomainError: One cannot be used.
        Refusals: Some of their annotations.
    """
    if options.classes is None and options.schema is None:
        found = labels.schema_of(Namespace(**{**vars(options), "labels": options.truth}), "coco")
    else:
        found = labels.schema_of(options, "coco")
    kind_name, schema = labels.checked(options.kind, found)
    kind = kind_of(kind_name)
    if not isinstance(kind, Objects):
        raise BadUsage(f"--kind {kind_name} draws no objects: give answers to it as CSV.")
    document = _document(options.labels)
    sizes = _sizes(document, options.labels)
    wanted = Wanted(kind_name, schema, sizes, georeferences={})
    questions = {
        name: Question(schema, TileFrame(Window(0, 0, *size), Window(0, 0, *size), size))
        for name, size in sizes.items()
    }
    answers: dict[str, list[tuple[str, Answer]]] = defaultdict(list)
    for annotator, theirs, numbers in _by_annotator(document, options.labels):
        for known in _known(theirs, numbers, wanted, options.labels):
            answer = as_drawn(kind, known.objects, questions[known.name])
            if answer is not None:
                answers[known.name].append((annotator, answer))
    truth = labels.read(options.truth, "coco", wanted, say)
    told: dict[str, Label] = {
        name: kind.to_tile(each.objects, questions[name]) for name, each in truth.items()
    }
    named = sorted(sizes)
    truths = [told.get(name) for name in named]
    drawings = [
        Drawings(
            questions[name], answers[name], told.get(name) if is_drawn(name, gold_share) else None
        )
        for name in named
    ]
    return RecordedDrawings(kind, drawings, truths)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadRecords(f"is not JSON: {error}", file=path.name) from error
    parts = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(
        isinstance(document.get(part), list)
        and all(isinstance(each, dict) for each in document[part])
        for part in parts
    ):
        raise BadRecords(f"must have lists of objects: {', '.join(parts)}", file=path.name)
    for number, each in enumerate(document["annotations"]):
        if not isinstance(each.get("annotator"), str | int) or each["annotator"] in {"", True}:
            raise BadRecords(f"annotations[{number}]: annotator is missing", file=path.name)
    return document


def _sizes(document: Mapping[str, Any], path: Path) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for number, image in enumerate(document["images"]):
        name, width, height = (image.get(key) for key in ("file_name", "width", "height"))
        whole = all(type(side) is int and 0 < side < 2**31 for side in (width, height))
        if not isinstance(name, str) or not name or not whole:
            why = "needs a file_name, and a width and height in whole pixels"
            raise BadRecords(f"images[{number}]: {why}", file=path.name)
        if name in sizes:
            raise BadRecords(f"images[{number}]: file_name is there twice", file=path.name)
        sizes[name] = Size(width, height)
    return sizes


def _by_annotator(
    document: Mapping[str, Any], path: Path
) -> Iterator[tuple[str, dict[str, Any], list[int]]]:
    """What each has drawn, as a COCO file of the images that they were asked about.

    And which number each of its annotations has in the whole file.
    """
    images = {image.get("id"): image for image in document["images"]}
    drawn: dict[str, list[int]] = defaultdict(list)
    asked: dict[str, dict[Any, None]] = defaultdict(dict)
    for number, image in enumerate(document["images"]):
        people = image.get("annotators", [])
        if not isinstance(people, list) or not all(isinstance(each, str | int) for each in people):
            raise BadRecords(f"images[{number}]: annotators must be a list", file=path.name)
        for each in people:
            asked[str(each)][image.get("id")] = None
    for number, each in enumerate(document["annotations"]):
        if each.get("image_id") not in images:
            why = "image_id is the id of nothing in this file"
            raise BadRecords(f"annotations[{number}]: {why}", file=path.name)
        annotator = str(each["annotator"])
        asked[annotator][each["image_id"]] = None
        drawn[annotator].append(number)
    for annotator, theirs in asked.items():
        part = {
            "images": [images[number] for number in theirs],
            "categories": document["categories"],
            "annotations": [document["annotations"][number] for number in drawn[annotator]],
        }
        yield annotator, part, drawn[annotator]


def _known(
    document: Mapping[str, Any], numbers: Sequence[int], wanted: Wanted, path: Path
) -> list[Known]:
    def told(at: str) -> str:
        """A place, with the number that it has in the whole file."""
        return _NUMBER.sub(lambda found: f"annotations[{numbers[int(found[1])]}]", at)

    found: list[Known] = []
    unfit: list[LabelsUnfit] = []
    try:
        for each in labels.SOURCES["coco"].read(_Memory(orjson.dumps(document)), wanted):
            if isinstance(each, Refused):
                at = told(each.at.removeprefix(f"{_NAME}: "))
                unfit.append(LabelsUnfit(f"{at}: {each.why}", file=path.name))
            else:
                found.append(each)
    except BadFile as error:
        raise BadRecords(str(error.facts["why"]), file=path.name) from error
    if unfit:
        raise Refusals("the drawings do not fit", unfit[:_MOST])
    return found


class _Memory:
    """One file that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def names(self) -> Iterator[str]:
        return iter((_NAME,))

    def has(self, name: str) -> bool:
        return name == _NAME

    def open(self, name: str) -> BinaryIO:
        if name != _NAME:
            raise FileNotFoundError(name)
        return BytesIO(self._content)


def hits(recorded: RecordedDrawings, number: int, label: Label) -> Sequence[tuple[float, bool]]:
    """Of each object of a label: how sure it is, and whether it is so; none where nobody knows."""
    truth, question = recorded.truths[number], recorded.drawings[number].question
    if truth is None:
        return []
    return [
        (
            float(each.get("confidence", 1.0)),
            recorded.kind.tally({"objects": [each]}, truth, question).found == 1,
        )
        for each in label["objects"]
        if not each.get("optional")
    ]
