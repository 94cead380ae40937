"""Schemas, tiles and objects for tests of kinds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera.kinds import (
    KINDS,
    ImageObject,
    Kind,
    LabelSchema,
    Opinion,
    Piece,
    Question,
    Size,
    TileFrame,
    Window,
    box,
)
from tessera.shapes.boxes import Boxes, as_boxes, ious

BOX, CLASSIFY = KINDS["box"], KINDS["classify"]


def a_schema(classes: int = 3, *, multiple: bool = False) -> LabelSchema:
    """Classes 1, 2, ...; class 1 may be occluded or not."""
    occluded = {"name": "occluded", "values": ["yes", "no"]}
    return LabelSchema.parse(
        {
            "classes": [
                {
                    "id": i,
                    "name": f"class {i}",
                    "colour": "#e6194b",
                    "attributes": [occluded] if i == 1 else [],
                }
                for i in range(1, classes + 1)
            ],
            "multiple": multiple,
        }
    )


def a_box(*edges: float, label: int = 1, **more: Any) -> dict[str, Any]:
    return {"class": label, "box": list(edges), "attributes": {}, **more}


def boxes(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(objects)}


def opinions(*answers: dict[str, Any], trust: float = 0.9) -> list[Opinion]:
    return [Opinion(f"earner {i}", answer, trust) for i, answer in enumerate(answers)]


def asked(frame: TileFrame, schema: LabelSchema | None = None) -> Question:
    return Question(a_schema() if schema is None else schema, frame)


def about(tile: Size, schema: LabelSchema | None = None) -> Question:
    """The question of a task that asks about a whole image at once."""
    return asked(whole(tile), schema)


def whole(image: Size) -> TileFrame:
    """The frame of a task that asks about a whole image at once."""
    all_of_it = Window(0, 0, *image)
    return TileFrame(all_of_it, all_of_it, image)


def tiles_of(image: Size, *, tile: int, margin: int) -> list[TileFrame]:
    """Cores of tile - 2 * margin, windows moved inward at the image's end."""
    core = tile - 2 * margin
    frames = []
    for top in range(0, image.height, core):
        for left in range(0, image.width, core):
            right, bottom = min(left + core, image.width), min(top + core, image.height)
            window_left = min(max(0, left - margin), max(0, image.width - tile))
            window_top = min(max(0, top - margin), max(0, image.height - tile))
            window = Window(
                window_left,
                window_top,
                min(window_left + tile, image.width),
                min(window_top + tile, image.height),
            )
            frames.append(TileFrame(window, Window(left, top, right, bottom), image))
    return frames


def scattered(
    rng: np.random.Generator, image: Size, count: int, *, sides: tuple[float, float]
) -> list[dict[str, Any]]:
    """Objects that hardly overlap, a third of them with a neighbour that touches, of one class."""
    placed = np.empty((0, 4))
    objects: list[dict[str, Any]] = []
    for _ in range(50 * count):
        if len(objects) >= count:
            break
        width, height = np.exp(rng.uniform(np.log(sides[0]), np.log(sides[1]), 2))
        left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        row = [left, top, left + width, top + height]
        rows = [row]
        if rng.random() < 1 / 3:
            rows.append([row[2], top, row[2] + width, top + height * rng.uniform(0.8, 1.2)])
        new = np.round(as_boxes(rows), 2)
        if (new[:, 2:] > (image.width, image.height)).any():
            continue
        if len(placed) and (ious(new, placed) > 0).any():
            continue
        placed = np.vstack((placed, new))
        label = int(rng.integers(1, 4))
        objects += [a_box(*each, label=label) for each in new.tolist()]
    return objects


def gold_of(kind: Kind, known: Sequence[dict[str, Any]], question: Question) -> dict[str, Any]:
    """Known objects as the gold of a tile that they do tell the answer of."""
    label = kind.to_tile(known, question)
    assert label is not None
    return label


def known_to(known: dict[str, Any], frame: TileFrame) -> list[dict[str, Any]]:
    """An object as one tile's gold has it; none where it is not seen."""
    objects: list[dict[str, Any]] = gold_of(BOX, [known], asked(frame))["objects"]
    return objects


def seen_by(
    rng: np.random.Generator,
    objects: list[dict[str, Any]],
    frames: list[TileFrame],
    *,
    jitter: float = 0.0,
    misses: float = 0.0,
) -> tuple[list[Piece], list[list[int]]]:
    """What each tile says of the objects, and which object each of its boxes is."""
    places = as_boxes([each["box"] for each in objects])
    pieces, truth = [], []
    for frame in frames:
        left, top, right, bottom = frame.window
        inside = (places[:, :2] < (right, bottom)) & (places[:, 2:] > (left, top))
        drawn, which = [], []
        for index in np.flatnonzero(inside.all(axis=1)).tolist():
            if rng.random() < misses:
                continue
            for each in known_to(objects[index], frame):
                size = np.tile(frame.window.size, 2)
                edges = np.clip(each["box"] + rng.normal(0, jitter, 4), 0, size)
                if (edges[2:] - edges[:2]).min() >= box.THINNEST:
                    drawn.append({**each, "box": edges.tolist()})
                    which.append(index)
        pieces.append(Piece(frame, BOX.to_image(boxes(*drawn), asked(frame))))
        truth.append(which)
    return pieces, truth


def edges_of(objects: list[ImageObject]) -> Boxes:
    return as_boxes([each["box"] for each in objects])
