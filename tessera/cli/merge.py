"""`tessera merge`: a folder of tiles and their labels in, labels of whole images out."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from tessera.cli import labels, tile_labels
from tessera.cli.errors import BadUsage
from tessera.cli.folder import Image, Index, beside
from tessera.datasets.assemble import ImageTiles, SettledTile, labelled
from tessera.datasets.options import Options
from tessera.formats import FORMATS, losses_of
from tessera.formats.protocol import Described
from tessera.kinds import Label, kind_of


def run(options: Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Merge the labels of all tiles into one new file.

    Returns:
        How many `images` and `objects`; the file, its format, and what that `loses`.

    Raises:
        DomainError: Something is refused; nothing is there then.
        Refusals: Several are.
    """
    index = Index.read(options.folder)
    tiles_as = options.tiles_as or index.tiles_as or labels.USUAL
    schema = labels.schema_of(options, tiles_as, index.label_schema)
    kind, schema = labels.checked(options.kind or index.kind, schema)
    Options((options.format, tiles_as)).check(kind)
    dataset = Described(
        project_id="",
        name=options.folder.resolve().name,
        kind=kind,
        schema=schema,
        georeferenced=any(image.georeference is not None for image in index.images),
        on_earth=all(image.is_on_earth for image in index.images),
    )
    objects = 0
    with beside(options.out, folder=False) as scratch:
        found = tile_labels.read(_path(options, index, dataset), tiles_as, dataset, index, say)
        with FORMATS[options.format].writer(scratch, dataset) as writer:
            for number, image in enumerate(index.images, 1):
                say(f"merging {image.name} ({number} of {len(index.images)})")
                merged = labelled(number, _tiles(image, found), kind_of(kind), schema)
                objects += len(merged.objects)
                writer.add(merged, None)
            writer.finish()
        (scratch / labels.file_of(options.format, dataset)).rename(os.path.realpath(options.out))
    return {
        "out": str(options.out),
        "format": options.format,
        "images": len(index.images),
        "objects": objects,
        "loses": losses_of(options.format, dataset),
    }


def _path(options: Namespace, index: Index, dataset: Described) -> Path:
    if options.labels is not None:
        return Path(options.labels)
    if index.tiles_as is None:
        raise BadUsage(f"--labels must be given: {options.folder} was sliced without labels.")
    return Path(options.folder / labels.file_of(index.tiles_as, dataset))


def _tiles(image: Image, found: Mapping[str, Label]) -> ImageTiles:
    """An image as the server has it when all of its tasks are settled."""
    tiles = [
        SettledTile(
            number=number,
            core=tile.core,
            window=tile.window,
            label=orjson.dumps(found[tile.file]).decode(),
            confidence=None,
            source=tile_labels.SOURCE,
        )
        for number, tile in enumerate(image.tiles)
    ]
    return ImageTiles(
        uuid=image.name,
        name=image.name,
        width=image.width,
        height=image.height,
        sha256=image.sha256,
        georeference=image.georeference,
        tiles=tiles,
    )
