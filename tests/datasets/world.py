"""Projects that are partly or wholly settled, written straight into the tables."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import insert

from tessera.accounts.models import Organisation, PersonKind
from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Task, TaskState
from tessera.datasets.models import DatasetRun, RunKind
from tessera.datasets.options import Options
from tessera.images.models import Image, ImageState, Tile
from tessera.kernel import db, jobs
from tessera.projects.models import Project

SPACE = UUID("5a11ad00-0000-4000-8000-000000000000")
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
USUAL = Options()
LONG_AFTER = THEN + timedelta(days=1)
Four = tuple[int, int, int, int]

SCHEMA: dict[str, Any] = {
    "classes": [
        {
            "id": 7,
            "name": "coin",
            "colour": "#e6194b",
            "attributes": [{"name": "worn", "type": "choice", "values": ["yes", "no"]}],
        },
        {"id": 2, "name": "dé, or die", "colour": "#3cb44b", "attributes": []},
        {"id": 40, "name": "never seen", "colour": "#4363d8", "attributes": []},
    ],
    "multiple": False,
}


@dataclass(frozen=True)
class Cut:
    """A tile and what became of its task."""

    window: Four
    core: Four | None = None
    label: Mapping[str, Any] | None = None
    by: str = "consensus"
    confidence: float | None = 0.9
    settled_at: datetime = THEN


@dataclass(frozen=True)
class Picture:
    name: str
    width: int
    height: int
    tiles: Sequence[Cut] = ()
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def box(class_id: int, *edges: float, sure: float = 0.9, **attributes: str) -> dict[str, Any]:
    return {
        "class": class_id,
        "box": list(edges),
        "attributes": attributes,
        "confidence": sure,
    }


def boxes(*each: dict[str, Any]) -> dict[str, Any]:
    return {"objects": list(each)}


def whole(name: str, label: Mapping[str, Any] | None, **cut: Any) -> Picture:
    return Picture(name, 100, 80, [Cut((0, 0, 100, 80), label=label, **cut)])


# One coin lies across the seam, and both windows see it whole; the other two are far from it.
ACROSS = Picture(
    "b seam.jpg",
    200,
    100,
    [
        Cut(
            (0, 0, 140, 100),
            (0, 0, 100, 100),
            boxes(box(7, 10, 10, 30, 30), box(7, 90, 40, 120, 60, sure=0.8, worn="yes")),
            confidence=0.8,
        ),
        Cut(
            (60, 0, 200, 100),
            (100, 0, 200, 100),
            boxes(box(7, 30, 40, 60, 60, worn="yes"), box(2, 100.25, 50.5, 120.75, 70.1)),
        ),
    ],
)
EMPTY = whole("a empty.jpg", boxes())
KNOWN = whole("Ω gold.png", boxes(box(2, 0, 0, 50, 40)), by="gold", confidence=None)
REVIEWED = whole("Z reviewed.png", boxes(box(7, 1, 2, 3, 4)), by="review", confidence=None)
HALF = Picture("c half.jpg", 200, 100, [ACROSS.tiles[0], Cut((60, 0, 200, 100))])
REFUSED = Picture("e refused.jpg", 100, 80, [], {"state": ImageState.REFUSED, "ready_at": None})
MIXED = (ACROSS, EMPTY, KNOWN, REVIEWED, HALF, REFUSED)
"""By bytes of the name: Z reviewed, a empty, b seam, Ω gold; the others have no place."""


@dataclass(frozen=True)
class World:
    project_id: UUID
    organisation_id: UUID
    caller: Caller
    run_id: UUID

    def job(self, name: str = "datasets.build") -> jobs.Run:
        return jobs.Run(1, name, {"run_id": str(self.run_id)}, 1, None)


async def a_world(
    sessions: db.Sessions,
    pictures: Sequence[Picture],
    *,
    name: str = "Coins",
    kind: str = "box",
    schema: Mapping[str, Any] = MappingProxyType(SCHEMA),
    seed: int = 0,
    options: Options = USUAL,
) -> World:
    """Always the same rows with the same ids; the seed decides in which order they are written."""
    project_id, organisation_id = uuid5(SPACE, name), uuid5(SPACE, f"organisation {name}")
    rows = _rows(project_id, pictures)
    run_id = uuid5(SPACE, f"run {name}")
    run = {"project_id": project_id, "kind": RunKind.BUILD, "as_of": LONG_AFTER}
    async with db.transaction(sessions) as session:
        session.add(Organisation(id=organisation_id, name="Museum"))
        await session.flush()
        session.add(_project(project_id, organisation_id, name, kind, schema))
        await session.flush()
        shuffle = random.Random(seed).shuffle
        for model, of_model in rows.items():
            shuffle(of_model)
            for row in of_model:
                await session.execute(insert(model).values(row))
        session.add(DatasetRun(id=run_id, options=options.as_json(), **run))
    rights = {organisation_id: frozenset(Right)}
    caller = Caller(uuid5(SPACE, "somebody"), PersonKind.OPERATOR, rights)
    return World(project_id, organisation_id, caller, run_id)


async def asked_again(sessions: db.Sessions, world: World, **changes: Any) -> World:
    """Another run in the same project."""
    run = {
        "project_id": world.project_id,
        "kind": RunKind.BUILD,
        "as_of": LONG_AFTER,
        "options": USUAL.as_json(),
        **changes,
    }
    async with db.transaction(sessions) as session:
        run_id = (
            await session.scalars(insert(DatasetRun).values(run).returning(DatasetRun.id))
        ).one()
    return replace(world, run_id=run_id)


def _project(
    project_id: UUID, organisation_id: UUID, name: str, kind: str, schema: Mapping[str, Any]
) -> Project:
    return Project(
        id=project_id,
        organisation_id=organisation_id,
        name=name,
        instructions="Draw a box around each coin.",
        kind=kind,
        label_schema=dict(schema),
        slicing={"tile": 140, "margin": 40},
        quality={"target_confidence": 0.95, "max_overlap": 5},
        currency="EUR",
        price_micro=40_000,
        fee_micro=8_000,
        lease_seconds=600,
    )


def _rows(project_id: UUID, pictures: Sequence[Picture]) -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = {Image: [], Tile: [], Task: []}
    for picture in pictures:
        rows[Image].append(_image(project_id, picture))
        for number, cut in enumerate(picture.tiles):
            tile = _tile(project_id, picture, number, cut)
            rows[Tile].append(tile)
            rows[Task].append(_task(project_id, tile["id"], cut))
    return rows


def image_id(project_id: UUID, name: str) -> UUID:
    return uuid5(project_id, name)


def _image(project_id: UUID, picture: Picture) -> dict[str, Any]:
    return {
        "id": image_id(project_id, picture.name),
        "project_id": project_id,
        "name": picture.name,
        "state": ImageState.READY,
        "content_type": "image/jpeg",
        "sha256": uuid5(SPACE, picture.name).hex * 2,
        "width": picture.width,
        "height": picture.height,
        "ready_at": THEN,
        **picture.changes,
    }


def tile_of(project_id: UUID, name: str, number: int) -> UUID:
    return uuid5(project_id, f"{name} {number}")


def _tile(project_id: UUID, picture: Picture, number: int, cut: Cut) -> dict[str, Any]:
    edges = ("left", "top", "right", "bottom")
    return {
        "id": tile_of(project_id, picture.name, number),
        "project_id": project_id,
        "image_id": image_id(project_id, picture.name),
        "number": number,
        **{f"core_{e}": v for e, v in zip(edges, cut.core or cut.window, strict=True)},
        **{f"window_{e}": v for e, v in zip(edges, cut.window, strict=True)},
        "key": "tiles/unused.jpg",
        "content_type": "image/jpeg",
        "bytes": 1,
    }


def _task(project_id: UUID, tile_id: UUID, cut: Cut) -> dict[str, Any]:
    settled = {
        "state": TaskState.SETTLED,
        "label": cut.label,
        "confidence": cut.confidence,
        "settled_at": cut.settled_at,
        "settled_by": cut.by,
        "is_gold": cut.by == "gold",
    }
    return {
        "id": uuid5(tile_id, "task"),
        "project_id": project_id,
        "tile_id": tile_id,
        **({"state": TaskState.OPEN} if cut.label is None else settled),
    }
