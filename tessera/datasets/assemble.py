"""Settled tiles of one image, put together: in image pixels, every object once. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import orjson

from tessera.formats.records import DIGITS, LabelledImage, LabelledObject, LabelledTile
from tessera.kinds import Doubt, Kind, Label, LabelSchema, Piece, Question, Size, TileFrame, Window
from tessera.shapes.georeference import Georeference


@dataclass(frozen=True, slots=True)
class SettledTile:
    number: int
    core: Window
    window: Window
    label: str
    """JSON, tile pixels; parsed here and not by whoever reads the database."""
    confidence: float | None
    """None where a person decided: as certain as can be."""
    source: str
    subject: str | None = None
    """The existing annotation that the label is about, likewise."""
    picture: str = ""
    """The key that the store has it under."""

    @property
    def about(self) -> dict[str, Any] | None:
        return None if self.subject is None else orjson.loads(self.subject)


class Gap(StrEnum):
    """Why an image has no place in a dataset: half an image is a trap for training."""

    UNSETTLED = "unsettled"
    UNUSABLE = "unusable"
    """A reviewer found a tile that cannot be labelled."""


@dataclass(slots=True)
class ImageTiles:
    """One image and its tiles in reading order."""

    uuid: str
    name: str
    width: int
    height: int
    sha256: str
    georeference: dict[str, Any] | None = None
    tiles: list[SettledTile] = field(default_factory=list)
    gap: Gap | None = None
    decided: dict[Doubt, bool] = field(default_factory=dict)
    """What people have said of drawings that may be one object."""


_COMMON = frozenset({"class", "attributes", "confidence", "sources", "cut", "optional"})


def labelled(image_id: int, image: ImageTiles, kind: Kind, schema: LabelSchema) -> LabelledImage:
    """What the tiles of an image without a gap say together."""
    size = Size(image.width, image.height)
    labels = [orjson.loads(tile.label) for tile in image.tiles]
    pieces = [_piece(*said, kind, schema, size) for said in zip(image.tiles, labels, strict=True)]
    merged = kind.merge(pieces, schema, image.decided)
    return LabelledImage(
        id=image_id,
        uuid=image.uuid,
        name=image.name,
        width=image.width,
        height=image.height,
        sha256=image.sha256,
        objects=[_object(each, image.tiles) for each in merged],
        soft=_by_text(kind.soft(labels, schema)),
        georeference=image.georeference,
        tiles=[_tile(*pair) for pair in zip(image.tiles, pieces, strict=True)],
    )


def of_tiles(
    first_id: int, image: ImageTiles, kind: Kind, schema: LabelSchema
) -> list[LabelledImage]:
    """Every tile of an image without a gap as an image of its own, as people saw it: whole windows.

    Each is called by its image and its number, as if the image were a folder. `tiles` is the tile
    itself, in pixels of the image.
    """
    return [
        _of_tile(number, image, tile, kind, schema)
        for number, tile in enumerate(image.tiles, first_id)
    ]


def _of_tile(
    number: int, image: ImageTiles, tile: SettledTile, kind: Kind, schema: LabelSchema
) -> LabelledImage:
    size = tile.window.size
    alone = replace(tile, core=Window(0, 0, *size), window=Window(0, 0, *size))
    label = orjson.loads(tile.label)
    piece, soft = _piece(alone, label, kind, schema, size), kind.soft([label], schema)
    there = image.georeference
    if there is not None:
        there = Georeference.of(there).moved(tile.window.left, tile.window.top).as_json()
    return LabelledImage(
        id=number,
        uuid=image.uuid,
        name=f"{image.name}/{tile.number:06}{PurePosixPath(tile.picture).suffix}",
        width=size.width,
        height=size.height,
        sha256=image.sha256,
        objects=[_object({**each, "sources": [0]}, [tile]) for each in piece.objects],
        soft=_by_text(soft),
        georeference=there,
        tiles=[_tile(tile, piece)],
    )


def _by_text(soft: Mapping[int, float] | None) -> dict[str, float] | None:
    return None if soft is None else {str(class_id): p for class_id, p in soft.items()}


def _piece(tile: SettledTile, label: Label, kind: Kind, schema: LabelSchema, image: Size) -> Piece:
    frame = TileFrame(window=tile.window, core=tile.core, image=image)
    return Piece(frame, kind.to_image(label, Question(schema, frame, tile.about)))


def _object(merged: dict[str, Any], tiles: Sequence[SettledTile]) -> LabelledObject:
    shown_by = [tiles[piece] for piece in merged["sources"]]
    return LabelledObject(
        class_id=merged["class"],
        place={field: value for field, value in merged.items() if field not in _COMMON},
        attributes=dict(sorted(merged["attributes"].items())),
        confidence=round(merged["confidence"], DIGITS),
        source=shown_by[0].source,
        tiles=[each.number for each in shown_by],
        crowd=merged.get("optional", False),
    )


def _tile(tile: SettledTile, piece: Piece) -> LabelledTile:
    certain = 1.0 if tile.confidence is None else tile.confidence
    return LabelledTile(
        number=tile.number,
        core=list(tile.core),
        window=list(tile.window),
        source=tile.source,
        confidence=round(certain, DIGITS),
        classes=sorted({each["class"] for each in piece.objects if not each.get("optional")}),
    )
