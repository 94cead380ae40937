"""A project whose pictures need not be sliced: what comes after goes through the front door."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import insert

from tessera.assignment import launch as launching
from tessera.assignment.lease import NEWCOMER_TASKS
from tessera.images.models import Image, ImageState, Tile
from tessera.kernel import db
from tessera.storage import keys
from tests.client import As
from tests.world import World

SIDE = 256
ANIMALS = {
    "classes": [
        {"id": 1, "name": "cat", "colour": "#e6194b"},
        {"id": 2, "name": "dog", "colour": "#3cb44b"},
        {"id": 3, "name": "owl", "colour": "#4363d8"},
    ]
}
CAT, DOG, OWL = ({"classes": [id_]} for id_ in (1, 2, 3))
Leases = list[dict[str, Any]]
Choose = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True)
class Court:
    """A project in which people answer and are judged."""

    world: World
    operator: As
    project: Mapping[str, Any]
    names: dict[str, str]
    """Of images, by the key of the tile that shows them: what an earner sees."""

    @property
    def path(self) -> str:
        return f"/v1/projects/{self.project['id']}"

    async def pictures(self, *names: str) -> None:
        """Images of one tile and one task each, as if they had been uploaded and sliced."""
        project_id = UUID(self.project["id"])
        rows = [(uuid4(), name, _key(project_id, name)) for name in names]
        self.names.update({key: name for _, name, key in rows})
        async with db.transaction(self.world.sessions) as session:
            await session.execute(insert(Image), [_image(project_id, *row) for row in rows])
            await session.execute(insert(Tile), [_tile(project_id, *row) for row in rows])
            for image_id, _, _ in rows:
                await launching.make_tasks(session, project_id=project_id, image_id=image_id)

    async def gold(self, names: Iterable[str], category: str = "cat", *, status: int = 201) -> Any:
        """Import that some images show one thing all over."""
        body = {"coco": coco(names, category)}
        return await self.operator.post(f"{self.path}/gold", body, status=status)

    async def launch(self) -> None:
        await self.operator.post(f"{self.path}/launch")
        await self.judge()

    async def judge(self) -> None:
        """Run all jobs."""
        await self.world.work.jobs()

    async def earners(self, count: int) -> list[As]:
        return [await self.world.earner() for _ in range(count)]

    async def lease(self, earner: As, count: int = 50) -> Leases:
        """Lease up to so many, a few at a time: large batches have little gold for newcomers."""
        leases: Leases = []
        wanted = {"project_id": self.project["id"]}
        while few := min(NEWCOMER_TASKS, count - len(leases)):
            handed = await earner.post("/v1/work/leases", {**wanted, "count": few})
            if not handed["leases"]:
                break
            leases += handed["leases"]
        return leases

    def seen(self, lease: Mapping[str, Any]) -> str:
        """The name of the image that a lease's picture shows."""
        path = urlsplit(lease["picture"]["url"]).path
        return self.names[path[path.index("tiles/") :]]

    async def answer(self, earner: As, leases: Sequence[Mapping[str, Any]], say: Choose) -> None:
        """Answer leases by what their pictures show; all must be taken."""
        if leases:
            body = {"answers": [given(lease, say(self.seen(lease))) for lease in leases]}
            taken = await earner.post("/v1/work/answers", body)
            assert all(result["accepted"] for result in taken["results"]), taken

    async def work(self, earner: As, say: Choose) -> list[str]:
        """Take everything there is and answer it; returns what was seen."""
        seen: list[str] = []
        while leases := await self.lease(earner):
            await self.answer(earner, leases, say)
            seen += map(self.seen, leases)
        return seen

    async def say(self, *answers: Mapping[str, Any]) -> list[As]:
        """Somebody new for each answer, who gives it to all there is; then all is judged."""
        people = await self.earners(len(answers))
        for person, answer in zip(people, answers, strict=True):
            await self.work(person, always(answer))
            await self.judge()
        return people

    async def tasks(self) -> dict[str, dict[str, Any]]:
        """All tasks with tile and answers, by the name of their image."""
        listed = (await self.operator.get(f"{self.path}/tasks?limit=200"))["items"]
        images = (await self.operator.get(f"{self.path}/images?limit=200"))["items"]
        by_id = {image["id"]: image["name"] for image in images}
        found = await asyncio.gather(
            *(self.operator.get(f"/v1/tasks/{task['id']}") for task in listed)
        )
        return {by_id[task["tile"]["image_id"]]: task for task in found}

    async def dataset(self, **asked: Any) -> dict[str, bytes]:
        """Build a version now, and download its files, by name."""
        return await self.world.dataset(self.operator, self.path, **asked)

    async def earnings(self, earner: As) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await earner.get("/v1/earnings?limit=200"))["items"]
        return items


async def court(world: World, *pictures: str, beside: Court | None = None, **changes: Any) -> Court:
    """A funded classify project with pictures, not launched yet.

    Args:
        beside: Another project, whose operator this one has too.
    """
    if beside is None:
        operator, organisation_id = await world.operator()
        await world.deposit(organisation_id, 10**12)
    else:
        operator, organisation_id = beside.operator, beside.project["organisation_id"]
    body = {"kind": "classify", "label_schema": ANIMALS, **changes}
    project = await world.project(operator, organisation_id, **body)
    made = Court(world, operator, project, {})
    if pictures:
        await made.pictures(*pictures)
    return made


def always(answer: Mapping[str, Any]) -> Choose:
    return lambda _: answer


def given(lease: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"outcome": ...}` for what is no answer."""
    said = answer if "outcome" in answer else {"outcome": "answered", "answer": answer}
    return {"lease_id": lease["lease_id"], "fence": lease["fence"], **said}


def coco(names: Iterable[str], category: str = "cat") -> dict[str, Any]:
    listed = list(names)
    return {
        "images": [
            {"id": i, "file_name": name, "width": SIDE, "height": SIDE}
            for i, name in enumerate(listed)
        ],
        "categories": [{"id": 9, "name": category}],
        "annotations": [{"id": i, "image_id": i, "category_id": 9} for i in range(len(listed))],
    }


def _key(project_id: UUID, name: str) -> str:
    return keys.tile(project_id, hashlib.sha256(name.encode()).hexdigest(), "jpg")


def _image(project_id: UUID, image_id: UUID, name: str, key: str) -> dict[str, Any]:
    return {
        "id": image_id,
        "project_id": project_id,
        "name": name,
        "state": ImageState.READY,
        "content_type": "image/jpeg",
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "bytes": 1000,
        "width": SIDE,
        "height": SIDE,
        "orientation": 1,
        "ready_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def _tile(project_id: UUID, image_id: UUID, name: str, key: str) -> dict[str, Any]:
    del name
    edges = {"left": 0, "top": 0, "right": SIDE, "bottom": SIDE}
    return {
        "id": uuid4(),
        "project_id": project_id,
        "image_id": image_id,
        "number": 0,
        **{f"core_{edge}": place for edge, place in edges.items()},
        **{f"window_{edge}": place for edge, place in edges.items()},
        "key": key,
        "content_type": "image/jpeg",
        "bytes": 1000,
    }
