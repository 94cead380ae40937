"""Labels of tiles: cut from what is known of their images, and read again to be merged.

In a file of them each tile is an image of its own, called by its path in the folder.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tessera.cli import labels
from tessera.cli.errors import TilesUnlabelled
from tessera.cli.folder import TILES, Image, Index, Tile
from tessera.formats import FORMATS
from tessera.formats.protocol import Described, Known, Loses, Wanted
from tessera.formats.records import DIGITS, LabelledImage, LabelledObject
from tessera.kinds import Label, LabelSchema, Question, TileFrame, Window, kind_of
from tessera.kinds.labels import label_of
from tessera.quality.views import views

SOURCE = "file"
"""What settled them; see `LabelledObject`."""
_NO_PLACE = frozenset({"class", "attributes", "confidence", "cut", "optional"})


class Labels(NamedTuple):
    """What is known of images, by name."""

    kind: str
    schema: LabelSchema
    known: Mapping[str, Known]


class Written(NamedTuple):
    file: str
    labelled: int
    """Of the tiles, those whose label the images' tell."""
    objects: int
    """On all tiles together."""


def write(folder: Path, index: Index, of_images: Labels, format_: str) -> Written:
    """Write the label of each tile that those of the images tell; the others have none yet."""
    dataset = Described("", TILES, of_images.kind, of_images.schema)
    labelled = objects = 0
    with FORMATS[format_].writer(folder, dataset) as writer:
        for image in index.images:
            for tile, label in _cut(image, of_images):
                labelled += 1
                found = _objects(tile, label, of_images)
                objects += len(found)
                writer.add(_record(labelled, tile, found), None)
        writer.finish()
    return Written(labels.file_of(format_, dataset), labelled, objects)


def _cut(image: Image, of_images: Labels) -> Iterator[tuple[Tile, Label]]:
    """In reading order."""
    kind, schema = kind_of(of_images.kind), of_images.schema
    objects = of_images.known[image.name].objects
    shown = views(kind.reach(objects, schema), [each.window for each in image.tiles])
    found = {
        number: kind.to_tile(
            [objects[i] for i in picks], Question(schema, image.frame(image.tiles[number]))
        )
        for number, picks in shown
    }
    for number, tile in enumerate(image.tiles):
        if (label := found[number]) is not None:
            yield tile, label


def _objects(tile: Tile, label: Label, of_images: Labels) -> list[LabelledObject]:
    whole = Window(0, 0, *tile.window.size)
    question = Question(of_images.schema, TileFrame(whole, whole, tile.window.size))
    return [
        LabelledObject(
            class_id=each["class"],
            place={field: value for field, value in each.items() if field not in _NO_PLACE},
            attributes=each["attributes"],
            confidence=round(each["confidence"], DIGITS),
            source=SOURCE,
            tiles=[],
            crowd=each.get("optional", False),
        )
        for each in kind_of(of_images.kind).to_image(label, question)
    ]


def _record(number: int, tile: Tile, objects: list[LabelledObject]) -> LabelledImage:
    width, height = tile.window.size
    return LabelledImage(
        id=number,
        uuid=tile.file,
        name=tile.file,
        width=width,
        height=height,
        sha256=tile.sha256,
        objects=objects,
        tiles=[],
    )


def read(
    path: Path, format_: str, dataset: Described, index: Index, say: Callable[[str], None]
) -> dict[str, Label]:
    """The label of every tile, by its file.

    Raises:
        TilesUnlabelled: Some have none: half an image would be a trap for training.
        BadUsage, BadFile, Refusals: As `labels.read`.
    """
    frames = {tile.file: image.frame(tile) for image in index.images for tile in image.tiles}
    sizes = {file: frame.window.size for file, frame in frames.items()}
    known = labels.read(path, format_, Wanted(dataset.kind, dataset.schema, sizes, frames), say)
    if Loses.EMPTY_IMAGES in FORMATS[format_].losses(dataset):
        known = {file: Known("", file, []) for file in sizes} | known
    told = {
        file: label_of(dataset.kind, each.objects, dataset.schema, sizes[file])
        for file, each in known.items()
    }
    found = {file: label for file, label in told.items() if label is not None}
    if missing := [file for file in frames if file not in found]:
        raise TilesUnlabelled(
            f"{len(missing)} of {len(frames)} tiles have no label, such as {missing[0]}",
            file=str(path),
        )
    return found
