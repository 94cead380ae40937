"""WebDataset: a tar whose files of one key, up to the first dot, are one sample.

`webdataset.tar`, or one for each split. The key is the image's number: names may have dots, which
would end it. `.json` has the whole record, as `records` says, and the class's name of each object;
with pictures they are the ending of the image's name, in small letters. Where an image has one of
several classes, `.cls` has its id too. Readers that want shards cut the tar between samples.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from tessera.formats import archive, checking
from tessera.formats.archive import Files, TarWriter
from tessera.formats.checking import Checking, mapping
from tessera.formats.errors import BadFile
from tessera.formats.protocol import Described, Known, Loses, Refused, Wanted
from tessera.formats.records import LabelledImage
from tessera.kinds import KINDS as _ALL
from tessera.kinds import InvalidAnswer, Size, fields

KINDS = frozenset(_ALL) - {"join", "verify"}
WITHOUT_ENDING = "image"
_DIGITS = 9


def _file(split: str | None) -> str:
    return "webdataset.tar" if split is None else f"webdataset_{split}.tar"


def files(dataset: Described) -> dict[str, str]:
    return {_file(split): archive.MEDIA_TYPE for split in dataset.splits or (None,)}


def losses(dataset: Described) -> list[Loses]:
    del dataset
    return []


@contextmanager
def writer(folder: Path, dataset: Described) -> Iterator["WebDatasetWriter"]:
    with ExitStack() as undo:
        tars: dict[str | None, TarWriter] = {
            split: TarWriter(undo.enter_context((folder / _file(split)).open("wb")))
            for split in dataset.splits or (None,)
        }
        yield WebDatasetWriter(tars, dataset)


class WebDatasetWriter:
    def __init__(self, tars: Mapping[str | None, TarWriter], dataset: Described) -> None:
        self._tars = tars
        self._names = {each.id: each.name for each in dataset.schema.classes}
        self._one_class = dataset.kind == "classify" and not dataset.schema.multiple

    def add(self, image: LabelledImage, picture: Path | None) -> None:
        tar, key = self._tars[image.split], f"{image.id:0{_DIGITS}}"
        record = orjson.loads(orjson.dumps(image))
        for each in record["objects"]:
            each["class"] = self._names[each["class_id"]]
        tar.add(f"{key}.json", orjson.dumps(record))
        if self._one_class and image.objects:
            tar.add(f"{key}.cls", str(image.objects[0].class_id).encode())
        if picture is not None:
            ending = PurePosixPath(image.name).suffix.lower() or f".{WITHOUT_ENDING}"
            tar.add_file(f"{key}{ending}", picture)

    def finish(self) -> None:
        for each in self._tars.values():
            each.close()


def read(files: Files, wanted: Wanted) -> Iterator[Known | Refused]:
    """See `protocol.Source`; of each sample only its JSON counts."""
    samples = [name for name in files.names() if name.endswith(".json")]
    if not samples:
        raise BadFile("", "has no sample with JSON")
    reader = _Reader(wanted)
    for name in samples:
        try:
            yield from reader.image(name, mapping(checking.loaded(files, name), ""))
        except InvalidAnswer as error:
            yield checking.refused(name, error)
        except BadFile as error:
            yield checking.unreadable(error)


class _Reader:
    def __init__(self, wanted: Wanted) -> None:
        self._checking = Checking(wanted)

    def image(self, path: str, record: Mapping[str, Any]) -> Iterator[Known | Refused]:
        sides = ("width", "height")
        size = Size(*(fields.whole(record.get(each), each, InvalidAnswer) for each in sides))
        listed = fields.items(record.get("objects"), "objects", InvalidAnswer, most=1_000_000)
        objects = [(f"{path}: {at}", each) for at, each in listed]
        yield from self._checking.image(path, record.get("name"), size, objects, self._object)

    def _object(self, value: object) -> Mapping[str, Any]:
        found = mapping(value, "")
        return {
            **checking.place_of(found.get("place")),
            "class": self._checking.named(found.get("class")).id,
            "attributes": mapping(found.get("attributes", {}), "attributes"),
            **({"optional": True} if checking.flag(found, "crowd") else {}),
            **({"confidence": found["confidence"]} if "confidence" in found else {}),
        }
