"""A project that trains people before they work, and what trainees do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from tessera.kernel import db
from tests.client import As
from tests.quality.court import CAT, Choose, Court, always, court, given
from tests.world import World

HINT = "Whiskers tell cats from owls."
Json = dict[str, Any]


@dataclass(frozen=True)
class Ground:
    court: Court
    trains: Sequence[str]
    """Names of the images that train people: they show cats."""
    task_ids: Sequence[str]
    """Of these, in the same order."""

    @property
    def project_id(self) -> str:
        id_: str = self.court.project["id"]
        return id_

    @property
    def path(self) -> str:
        return f"/v1/work/training/{self.project_id}"

    async def look(self, earner: As, *, status: int = 200) -> Any:
        return await earner.get(self.path, status=status)

    async def begin(self, earner: As, *, status: int = 200) -> Any:
        return await earner.post(f"{self.path}/attempts", status=status)

    async def say(
        self, earner: As, question: Json, answer: Mapping[str, Any] = CAT, *, status: int = 200
    ) -> Any:
        return await earner.post(f"{self.path}/answers", given(question, answer), status=status)

    async def attempt(self, earner: As, choose: Choose) -> Json:
        """Begin, and answer all; returns how it stands then."""
        begun = await self.begin(earner)
        training: Json = begun["training"]
        for question in begun["questions"]:
            told = await self.say(earner, question, choose(self.court.seen(question)))
            training = told["training"]
        return training

    async def passed(self, count: int = 1) -> list[As]:
        """People who have."""
        people = await self.court.earners(count)
        for each in people:
            assert (await self.attempt(each, always(CAT)))["state"] == "passed"
        return people

    async def wants(self, earner: As, *, status: int = 200) -> Any:
        wanted = {"project_id": self.project_id, "count": 8}
        return await earner.post("/v1/work/leases", wanted, status=status)


async def ground(
    world: World,
    *,
    trains: int = 5,
    gold: int = 4,
    work: int = 40,
    launched: bool = True,
    **changes: Any,
) -> Ground:
    """Ordinary tasks, gold, and tasks that train, as they are in a project before its launch.

    Unless told otherwise each ordinary task has one free place.
    """
    policy = {"min_overlap": 1, "max_overlap": 1, "redo": 0, **changes.pop("quality", {})}
    names = [f"trains {number}.jpg" for number in range(trains)]
    known = [f"gold {number}.jpg" for number in range(gold)]
    others = [f"work {number}.jpg" for number in range(work)]
    here = await court(world, *names, *known, *others, quality=policy, **changes)
    if names or known:
        await here.gold([*names, *known])
    made = Ground(here, names, [await task_of(here, name) for name in names])
    for task_id in made.task_ids:
        await here.operator.put(f"/v1/tasks/{task_id}/training", {"hint": HINT})
    if launched:
        await here.launch()
    return made


async def task_of(here: Court, name: str) -> str:
    """The id of the only task of an image."""
    sql = (
        "SELECT tasks.id FROM tasks JOIN tiles ON tiles.id = tile_id JOIN images"
        " ON images.id = image_id WHERE tasks.project_id = :id AND name = :name"
    )
    return str(await one(here.world, sql, id=UUID(here.project["id"]), name=name))


async def later(world: World, minutes: float) -> None:
    """So much time goes by for all who train."""
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text(
                "UPDATE trainees SET begun_at = begun_at - gone, ends_at = ends_at - gone,"
                " again_at = again_at - gone, passed_at = passed_at - gone"
                " FROM (SELECT make_interval(secs => :seconds) AS gone) AS time"
            ),
            {"seconds": minutes * 60},
        )


async def one(world: World, sql: str, **values: Any) -> Any:
    """One value, straight from the database."""
    async with db.reading(world.sessions) as reader:
        return await reader.scalar(text(sql), values)


def project_id(here: Ground) -> UUID:
    return UUID(here.project_id)
