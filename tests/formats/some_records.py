"""Records of every kind as a dataset may have them, and what a reader makes of them."""

import math
import string
import tarfile
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tessera.formats.archive import Folder, unpacked
from tessera.formats.protocol import Described, Format, Known, Refused, Source, Split, Wanted
from tessera.formats.records import LabelledImage, LabelledObject
from tessera.kinds import (
    Attribute,
    InvalidAnswer,
    LabelClass,
    LabelSchema,
    Question,
    Size,
    TileFrame,
    Window,
    kind_of,
)
from tessera.kinds.attributes import Type
from tessera.kinds.skeleton import Point, Skeleton
from tessera.shapes import rle
from tests.seeds import examples

CAMERA = ((700.0, 0.0, 600.0, 0.0), (0.0, 700.0, 180.0, 0.0), (0.0, 0.0, 1.0, 0.0))
KINDS = (
    "box",
    "rotated",
    "classify",
    "cuboid",
    "instance_mask",
    "keypoints",
    "polygon",
    "polyline",
    "semantic_mask",
    "solid",
)
"""Of `tessera.kinds`, and two that are sorts of one."""
_SORTS = {"rotated": "box", "solid": "cuboid"}

BY_OTHERS = settings(max_examples=examples(40), phases=(Phase.generate,))
"""For readers of others: they are slow, and to shrink what they fail on takes minutes."""

names = st.text(string.ascii_letters + "0123456789 -&<\"',é日", min_size=1, max_size=8).map(
    str.strip
)
names = names.filter(lambda name: name and name.isprintable())
plain = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6)
sure = st.integers(0, 10_000).map(lambda parts: parts / 10_000)


@st.composite
def attributes(draw: st.DrawFn) -> Attribute:
    type_ = draw(st.sampled_from(Type))
    values = tuple(draw(st.lists(names, min_size=1, max_size=3, unique=True)))
    return Attribute(draw(names), type_, values if type_ is Type.CHOICE else ())


def soft_labels(schema: LabelSchema) -> st.SearchStrategy[dict[str, float]]:
    return st.dictionaries(st.sampled_from([str(id_) for id_ in schema.ids]), sure)


@st.composite
def schemas(draw: st.DrawFn, sort: str, *, class_names: st.SearchStrategy[str] = names) -> Any:
    called = draw(st.lists(class_names, min_size=2, max_size=4, unique=True))
    ids = draw(
        st.lists(st.integers(1, 99), min_size=len(called), max_size=len(called), unique=True)
    )
    classes = []
    for number, name in zip(ids, called, strict=True):
        asked = draw(st.lists(attributes(), max_size=2, unique_by=lambda each: each.name))
        skeleton = None
        if sort == "keypoints":
            points = draw(st.lists(names, min_size=1, max_size=4, unique=True))
            edges = ((0, len(points) - 1),) if len(points) > 1 else ()
            skeleton = Skeleton(tuple(Point(each) for each in points), edges)
        colour = f"#{draw(st.integers(0, 2**24 - 1)):06x}"
        classes.append(LabelClass(number, name, colour, tuple(asked), skeleton=skeleton))
    return LabelSchema(
        tuple(classes),
        multiple=sort == "classify" and draw(st.booleans()),
        rotated=sort == "rotated",
        camera=CAMERA if sort == "solid" else None,
    )


def values(asked: Attribute) -> st.SearchStrategy[Any]:
    return {
        Type.CHOICE: st.sampled_from(asked.values or ("",)),
        Type.TEXT: names,
        Type.NUMBER: st.floats(-1e6, 1e6).map(lambda v: v + 0.0),
        Type.FLAG: st.booleans(),
    }[asked.type]


def _hundredths(least: float, most: float) -> st.SearchStrategy[float]:
    return st.integers(math.ceil(least * 100), math.floor(most * 100)).map(lambda n: n / 100)


@st.composite
def places(  # noqa: PLR0911
    draw: st.DrawFn, sort: str, named: LabelClass, size: Size
) -> dict[str, Any]:
    """Not yet canonical, and now and then nothing that is right."""
    width, height = size
    point = st.tuples(_hundredths(0, width), _hundredths(0, height)).map(list)
    if sort in {"box", "rotated"}:
        (left, top), (right, bottom) = draw(point), draw(point)
        box = [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]
        return {"box": box + ([draw(_hundredths(-45, 44.99))] if sort == "rotated" else [])}
    if sort == "polygon":
        count = draw(st.integers(1, 2))
        return {"polygon": [draw(_part(i / count, 1 / count, size)) for i in range(count)]}
    if sort == "polyline":
        return {"line": draw(st.lists(point, min_size=2, max_size=6))}
    if sort == "keypoints":
        assert named.skeleton is not None
        return {"points": [[*draw(point), draw(st.integers(0, 2))] for _ in named.skeleton.points]}
    if sort == "cuboid":
        x, y = draw(point)
        w, h = draw(_hundredths(1, 40)), draw(_hundredths(1, 40))
        right, down, small = draw(_hundredths(-9, 9)), draw(_hundredths(-9, 9)), 0.5
        front = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
        rear = [[x + right + (a - x) * small, y + down + (b - y) * small] for a, b in front]
        return {"cuboid": [[round(v, 2) for v in each] for each in front + rear]}
    if sort == "solid":
        centre = [draw(_hundredths(-5, 5)), draw(_hundredths(-1, 2)), draw(_hundredths(8, 40))]
        sides = [draw(_hundredths(0.5, 6)) for _ in range(3)]
        return {"solid": {"centre": centre, "size": sides, "yaw": draw(_hundredths(-3, 3))}}
    if sort in {"instance_mask", "semantic_mask"}:
        w, h = draw(st.integers(1, min(9, width))), draw(st.integers(1, min(9, height)))
        left, top = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
        bits = np.array(draw(st.lists(st.booleans(), min_size=w * h, max_size=w * h)))
        counts = rle.to_string(rle.encode(bits.reshape(h, w)))
        return {"mask": {"left": left, "top": top, "size": [h, w], "counts": counts}}
    return {}


@st.composite
def _part(draw: st.DrawFn, begin: float, share: float, size: Size) -> list[list[list[float]]]:
    """An outline around the middle of its share of the image, perhaps with a hole in it."""
    centre = np.array([(begin + share / 2) * size.width, size.height / 2])
    reach = np.array([share * size.width, size.height]) * 0.45

    def ring(least: float, most: float) -> list[list[float]]:
        count = draw(st.integers(3, 7))
        radii = draw(st.lists(_hundredths(least, most), min_size=count, max_size=count))
        turns = np.arange(count) * 2 * np.pi / count
        around = np.stack((np.cos(turns), np.sin(turns)), axis=1) * np.array(radii)[:, None]
        outline: list[list[float]] = np.round(centre + around * reach, 2).tolist()
        return outline

    return [ring(0.8, 1.0), *([ring(0.1, 0.3)] if draw(st.booleans()) else [])]


@st.composite
def objects(draw: st.DrawFn, sort: str, schema: LabelSchema, size: Size, crowds: bool) -> Any:  # noqa: FBT001
    named = draw(st.sampled_from(schema.classes))
    place = draw(places(sort, named, size))
    window = Window(0, 0, *size)
    question = Question(schema, TileFrame(window, window, size))
    said = {each.name: draw(values(each)) for each in named.attributes if draw(st.booleans())}
    value = {"class": named.id, **place, "attributes": said}
    try:
        found = kind_of(_SORTS.get(sort, sort)).known(value, "", question)
    except InvalidAnswer:
        return None
    return LabelledObject(
        class_id=named.id,
        place={key: found[key] for key in place},
        attributes=found["attributes"],
        confidence=draw(sure),
        source=draw(st.sampled_from(("consensus", "review", "gold"))),
        tiles=[0],
        crowd=crowds and draw(st.booleans()),
    )


def drawn(mask: dict[str, Any], size: Size) -> NDArray[np.bool_]:
    """The whole image; shape (height, width)."""
    height, width = mask["size"]
    whole = np.zeros((size.height, size.width), dtype=np.bool_)
    pixels = rle.decode(rle.from_string(mask["counts"]), height, width)
    whole[mask["top"] : mask["top"] + height, mask["left"] : mask["left"] + width] = pixels
    return whole


def _apart(
    found: Sequence[LabelledObject | None], sort: str, schema: LabelSchema, size: Size
) -> list[Any]:
    """Without what cannot stand in one image together."""
    kept: list[LabelledObject] = [each for each in found if each is not None]
    if sort not in {"classify", "semantic_mask"}:
        return kept
    kept = list({each.class_id: each for each in kept}.values())
    if sort == "classify":
        return kept if schema.multiple else kept[:1]
    taken: set[tuple[int, int]] = set()
    apart = []
    for each in kept:
        pixels = {(y, x) for y, x in np.argwhere(drawn(each.place["mask"], size)).tolist()}
        if not pixels & taken:
            apart.append(each)
            taken |= pixels
    return apart


Case = tuple[Described, list[LabelledImage]]


@st.composite
def datasets(
    draw: st.DrawFn,
    sort: str,
    *,
    crowds: bool = True,
    class_names: st.SearchStrategy[str] = names,
    image_names: st.SearchStrategy[str] = names,
    endings: Sequence[str] = ("jpg", "png"),
    folders: Sequence[str] = ("", "a/", "a/b/"),
) -> Case:
    kind = _SORTS.get(sort, sort)
    schema = draw(schemas(sort, class_names=class_names))
    splits = tuple(draw(st.lists(st.sampled_from(Split), max_size=3, unique=True)))
    called = st.tuples(st.sampled_from(folders), image_names, st.sampled_from(endings))
    paths = called.map(lambda parts: f"{parts[0]}{parts[1]}.{parts[2]}")
    records = []
    least = 400 if sort == "solid" else 20
    crowds = crowds and sort not in {"classify", "semantic_mask"}
    for number, path in enumerate(sorted(draw(st.lists(paths, max_size=4, unique=True))), 1):
        size = Size(draw(st.integers(least, 1300)), draw(st.integers(least, 900)))
        found = draw(st.lists(objects(sort, schema, size, crowds), max_size=3))
        records.append(
            LabelledImage(
                id=number,
                uuid=f"uuid {number}",
                name=path,
                width=size.width,
                height=size.height,
                sha256=f"{number:064x}",
                objects=_apart(found, sort, schema, size),
                tiles=[],
                split=draw(st.sampled_from(splits)) if splits else None,
                soft=draw(soft_labels(schema)) if sort == "classify" else None,
            )
        )
    return Described("a project", "a dataset", kind, schema, splits), records


def with_stems_of_their_own(sort: str) -> st.SearchStrategy[Case]:
    """For readers to whom two images of one name are one, whatever their endings are."""
    return datasets(sort, endings=("jpg",))


cases = st.sampled_from(KINDS).flatmap(datasets)


def written(format_: Format, case: Case, folder: Path, pictures: Path | None = None) -> Path:
    """A dataset in a folder; nothing but what the format says that it leaves is there."""
    dataset, records = case
    with format_.writer(folder, dataset) as writer:
        for each in records:
            writer.add(each, pictures)
        writer.finish()
    assert sorted(each.name for each in folder.iterdir()) == sorted(format_.files(dataset))
    return folder


def extracted(folder: Path) -> Path:
    """What is in its only archive, beside it."""
    (archive,) = folder.glob("*.tar")
    with tarfile.open(archive, "r:") as tar:
        tar.extractall(folder / "out", filter="data")
    return folder / "out"


def wanted(case: Case) -> Wanted:
    dataset, records = case
    sizes = {each.name: Size(each.width, each.height) for each in records}
    return Wanted(dataset.kind, dataset.schema, sizes)


def read_folder(source: Source, folder: Path, asked: Wanted) -> list[Known | Refused]:
    archives = list(folder.glob("*.tar"))
    if not archives:
        return list(source.read(Folder(folder), asked))
    found: list[Known | Refused] = []
    for each in sorted(archives):
        with unpacked(each) as files:
            found += source.read(files, asked)
    return found


@contextmanager
def a_folder() -> Any:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def round_trip(format_: Any, case: Case) -> dict[str, list[dict[str, Any]]]:
    """What a reader makes of what the writer left, by image; nothing is refused."""
    with a_folder() as folder:
        written(format_, case, folder)
        found = read_folder(format_, folder, wanted(case))
    refused = [each for each in found if isinstance(each, Refused)]
    assert refused == []
    known = [each for each in found if isinstance(each, Known)]
    assert len({each.name for each in known}) == len(known)
    assert all(len(each.places) == len(each.objects) and not each.left_out for each in known)
    return {each.name: [dict(found) for found in each.objects] for each in known}


def as_known(
    records: Iterable[LabelledImage], *, confidence: bool = True, attributes: bool = True
) -> dict[str, list[dict[str, Any]]]:
    """What a reader should make of records, by image."""
    return {
        image.name: [
            {
                "class": each.class_id,
                **each.place,
                "attributes": each.attributes if attributes else {},
                **({"optional": True} if each.crowd else {}),
                **({"confidence": each.confidence} if confidence else {}),
            }
            for each in image.objects
        ]
        for image in records
    }


def opened(root: Path, format_: str, **options: Any) -> tuple[list[str], list[Any]]:
    """What Datumaro reads: names of labels, and items with all that they say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own code
        dataset = import_module("datumaro").Dataset.import_from(str(root), format_, **options)
        items = list(dataset)
        labels = [each.name for each in next(iter(dataset.categories().values())).items]
    return labels, items


def named(described: Described, each: LabelledObject) -> str:
    found = described.schema.find(each.class_id)
    assert found is not None
    return found.name


def outlines(each: LabelledObject) -> list[tuple[LabelledObject, dict[str, Any]]]:
    """An object and its place, or the outer ring of each part of it."""
    if "polygon" in each.place:
        return [(each, {"outline": outer}) for outer, *_ in each.place["polygon"]]
    return [(each, each.place)]
