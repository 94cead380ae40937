"""Gold on real pictures, and people who remember every picture they have seen."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

import numpy as np
from PIL import Image
from sqlalchemy import text

from tessera.kernel import db
from tests.client import As, browser
from tests.world import World, photograph

SIDE = 128
HASH_SIDE = 8
ALIKE = 10
"""Bits of 64 in which hashes of one picture may differ, as those who use them say."""
Json = dict[str, Any]


def difference_hash(content: bytes) -> int:
    """64 bits: whether each place of a small grey copy is darker than the next one."""
    with Image.open(io.BytesIO(content)) as picture:
        small = picture.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(small, dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


@dataclass(frozen=True)
class Fingerprint:
    sha256: str
    hash: int

    @classmethod
    def of(cls, content: bytes) -> "Fingerprint":
        return cls(sha256(content).hexdigest(), difference_hash(content))


@dataclass(frozen=True)
class Met:
    """A lease, and what its earner saw."""

    lease: Json
    task_id: UUID
    first: UUID
    """The first of its family of gold; of others the task itself."""
    is_gold: bool
    seen: Fingerprint


@dataclass
class Gallery:
    """A launched project on real pictures."""

    world: World
    operator: As
    project: Json
    met: list[tuple[As, Met]] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v1/projects/{self.project['id']}"

    async def work(self, earner: As, say: Callable[[Json], Json], *, count: int = 4) -> list[Met]:
        """Lease some tasks, look at them, answer; then all is judged."""
        wanted = {"project_id": self.project["id"], "count": count}
        leases = (await earner.post("/v1/work/leases", wanted))["leases"]
        if not leases:
            return []
        async with browser() as outside:
            contents = [
                (await outside.get(each["picture"]["url"])).raise_for_status().content
                for each in leases
            ]
        body = [
            {
                "lease_id": each["lease_id"],
                "fence": each["fence"],
                "outcome": "answered",
                "answer": say(each),
            }
            for each in leases
        ]
        await earner.post("/v1/work/answers", {"answers": body})
        await self.world.work.jobs()
        told = await self._told([UUID(each["lease_id"]) for each in leases])
        found = [
            Met(each, *told[UUID(each["lease_id"])], Fingerprint.of(content))
            for each, content in zip(leases, contents, strict=True)
        ]
        self.met += [(earner, each) for each in found]
        return found

    async def _told(self, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, UUID, bool]]:
        async with db.reading(self.world.sessions) as reader:
            rows = await reader.execute(_TOLD, {"ids": ids})
            return {id_: (task_id, first, is_gold) for id_, task_id, first, is_gold in rows}

    async def rotate(self) -> None:
        await self.world.work.sweep("rotate-gold")
        await self.world.work.jobs()

    async def rows(self, sql: str) -> list[Any]:
        async with db.reading(self.world.sessions) as reader:
            return list((await reader.execute(text(sql))).all())

    async def committed(self) -> int:
        """Places that were paid for: what the committed money is for."""
        ((places,),) = await self.rows("SELECT sum(places) FROM tasks")
        return int(places)


_TOLD = text(
    """
    SELECT l.id, l.task_id, coalesce(g.view_of, l.task_id), t.is_gold FROM leases l
    JOIN tasks t ON t.project_id = l.project_id AND t.id = l.task_id
    LEFT JOIN gold g ON g.project_id = l.project_id AND g.task_id = l.task_id
    WHERE l.id = any(:ids)
    """
)


async def gallery(
    world: World,
    *,
    images: int = 2,
    gold: int = 1,
    side: int = 3 * SIDE,
    whole: bool = False,
    **quality: Any,
) -> Gallery:
    """Photographs, each of nine tiles; of some all tiles are gold, with a coin in the middle."""
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    project = await world.project(
        operator,
        organisation_id,
        slicing={"whole": True} if whole else {"tile": SIDE, "margin": 0},
        quality={"min_overlap": 2, "max_overlap": 3, **quality},
    )
    names = [f"{number}.jpg" for number in range(images)]
    await world.images(operator, project["id"], [(each, photograph(side, side)) for each in names])
    await operator.post(
        f"/v1/projects/{project['id']}/gold", {"coco": coins(names[:gold], side, whole=whole)}
    )
    await operator.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    return Gallery(world, operator, project)


def coins(names: Sequence[str], side: int, *, whole: bool) -> Json:
    """One coin in the middle of each tile."""
    tile = side if whole else SIDE
    return {
        "images": [
            {"id": i, "file_name": name, "width": side, "height": side}
            for i, name in enumerate(names)
        ],
        "categories": [{"id": 7, "name": "coin"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 7, "bbox": [left + 44, top + 44, 40, 40]}
            for n, (i, left, top) in enumerate(
                (i, left, top)
                for i in range(len(names))
                for left in range(0, side, tile)
                for top in range(0, side, tile)
            )
        ],
    }
