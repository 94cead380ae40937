"""`tessera slice`: images in, a folder of tiles with their labels out."""

import asyncio
import hashlib
import os
import shutil
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tessera.cli import labels, tile_labels
from tessera.cli.errors import BadUsage, LabelsUnfit, Refusals
from tessera.cli.folder import INDEX, TILES, Image, Index, Tile, beside
from tessera.cli.tile_labels import Labels
from tessera.datasets.options import Options
from tessera.formats.names import LONGEST_NAME, is_plain_name
from tessera.formats.protocol import Wanted
from tessera.images.errors import BadImageName, ImageNameTaken
from tessera.images.inspection import DEFAULT_LIMITS, Facts, check_tiles, inspect
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.images.refusals import Refused
from tessera.images.slicing import SlicedTile, slice_image
from tessera.kinds import Size, Window
from tessera.shapes.georeference import Georeference


class Picture(NamedTuple):
    """A file that can be cut."""

    path: Path
    facts: Facts


def run(options: Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Cut images, and what is known of them, into a new folder.

    Returns:
        How many `images` and `tiles`, and the `index`; with labels also their `kind`, the file
        (`labels`), how many tiles are `labelled`, and the `objects` on all of these together.

    Raises:
        DomainError: Something is refused; nothing is there then.
        Refusals: Several are.
    """
    policy, paths = _policy(options), _named(options.images)
    if options.labels is None and (options.kind or options.schema or options.classes):
        raise BadUsage("--kind, --classes and --schema say what --labels are, which are not given.")
    with beside(options.out, folder=True) as scratch:
        pictures = _inspected(paths, policy, say)
        known = None if options.labels is None else _known(options, pictures, say)
        made = scratch / "made"
        made.mkdir()
        index = Index(asdict(policy), _cut(pictures, policy, made, say))
        told = {
            "index": str(options.out / INDEX),
            "images": len(index.images),
            "tiles": sum(len(image.tiles) for image in index.images),
        }
        if known is not None:
            index = replace(
                index, kind=known.kind, label_schema=known.schema, tiles_as=options.tiles_as
            )
            written = tile_labels.write(made, index, known, options.tiles_as)
            told |= {
                "kind": known.kind,
                "labels": str(options.out / written.file),
                "labelled": written.labelled,
                "objects": written.objects,
            }
        index.write(made)
        made.rename(os.path.realpath(options.out))
    return told


def _policy(options: Namespace) -> SlicePolicy:
    if 2 * options.margin >= options.tile:
        raise BadUsage(f"--margin must be less than half of --tile, not {options.margin}.")
    return SlicePolicy(
        tile=options.tile,
        margin=options.margin,
        format=TileFormat(options.picture_format),
        quality=options.quality,
        whole=options.whole,
    )


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Images by name, which is the path below the folder that holds them all; in byte order.

    Raises:
        BadUsage: A file is not there.
        BadImageName: A name cannot be given to others.
        ImageNameTaken: A file is there twice.
    """
    full = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - links keep their names
    root = os.path.commonpath([path.parent for path in full])
    named: dict[str, Path] = {}
    for path, given in zip(full, paths, strict=True):
        if not path.is_file():
            raise BadUsage(f"{given} is {'a folder' if path.is_dir() else 'not there'}.")
        name = path.relative_to(root).as_posix()
        if not is_plain_name(f"{TILES}/{name}/{DEFAULT_LIMITS.tiles}.webp"):
            raise BadImageName(
                f"{name!r} cannot be the name of an image: the paths of its tiles have at most "
                f"{LONGEST_NAME} characters, none of them a backslash or a control character."
            )
        if name in named:
            raise ImageNameTaken(f"{given} is there twice.")
        named[name] = path
    return dict(sorted(named.items(), key=lambda item: item[0].encode()))


def _inspected(
    paths: Mapping[str, Path], policy: SlicePolicy, say: Callable[[str], None]
) -> dict[str, Picture]:
    """What is in each of them.

    Raises:
        Refusals: Of each that cannot be an image.
    """
    found, refused = {}, []
    for number, (name, path) in enumerate(paths.items(), 1):
        say(f"checking {name} ({number} of {len(paths)})")
        try:
            facts = asyncio.run(inspect(path))
            check_tiles(policy, facts)
            found[name] = Picture(path, facts)
        except Refused as error:
            error.facts["file"] = name
            refused.append(error)
    if refused:
        raise Refusals("images are refused", refused)
    return found


def _known(
    options: Namespace, pictures: Mapping[str, Picture], say: Callable[[str], None]
) -> Labels:
    """What the file says of each image.

    Raises:
        LabelsUnfit: It says nothing of one.
    """
    kind, schema = labels.checked(options.kind, labels.schema_of(options, options.format))
    Options((options.format, options.tiles_as)).check(kind)
    sizes = {name: Size(each.facts.width, each.facts.height) for name, each in pictures.items()}
    there = {
        name: Georeference.of(each.facts.georeference)
        for name, each in pictures.items()
        if each.facts.georeference is not None
    }
    wanted = Wanted(kind, schema, sizes, georeferences=there)
    known = labels.read(options.labels, options.format, wanted, say)
    if missing := [name for name in pictures if name not in known]:
        raise LabelsUnfit(
            f"nothing is said of {len(missing)} of {len(pictures)} images, such as {missing[0]}",
            file=str(options.labels),
        )
    return Labels(kind, schema, known)


def _cut(
    pictures: Mapping[str, Picture], policy: SlicePolicy, made: Path, say: Callable[[str], None]
) -> tuple[Image, ...]:
    images = []
    for number, (name, (path, facts)) in enumerate(pictures.items(), 1):
        boxes = policy.boxes(facts.width, facts.height)
        say(f"slicing {name} ({number} of {len(pictures)}) into {len(boxes)} tiles")
        folder = f"{TILES}/{name}"
        (made / folder).mkdir(parents=True)
        try:
            digests = asyncio.run(_cut_one(path, facts, policy, made / folder))
        except Refused as error:
            error.facts["file"] = name
            raise
        tiles = tuple(
            Tile(
                f"{folder}/{policy.file_name(each.index)}",
                Window(*each.window),
                Window(*each.core),
                digests[each.index],
            )
            for each in boxes
        )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        images.append(Image(name, facts.width, facts.height, digest, tiles, facts.georeference))
    return tuple(images)


async def _cut_one(path: Path, facts: Facts, policy: SlicePolicy, folder: Path) -> dict[int, str]:
    """Returns the SHA-256 of each tile, by its index."""
    digests = {}
    with TemporaryDirectory(dir=folder.parent) as scratch:
        async with slice_image(path, facts, policy, Path(scratch)) as slices:
            async for piece in slices:
                if isinstance(piece, SlicedTile):
                    shutil.copyfile(piece.path, folder / piece.path.name)
                    digests[piece.box.index] = piece.sha256
                slices.release(piece)
    return digests
