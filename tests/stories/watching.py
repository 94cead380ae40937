"""People at work who keep all that they see, and what that tells of gold."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from httpx2 import AsyncClient, Response
from sqlalchemy import text

from tessera.kernel import db
from tests.client import As, browser
from tests.stories.observing import LIMIT, SURE, Observed, Seen, numbers
from tests.world import World, answers, photograph

Json = dict[str, Any]
Telling = Callable[[timedelta], AbstractAsyncContextManager[World]]
TILE = 128
ANYWHERE = {"objects": [{"class": 1, "box": [5, 5, 35, 35], "attributes": {}}]}


class Noting(As):
    """An earner who keeps all that they ever read."""

    def __init__(self, http: AsyncClient, token: str) -> None:
        super().__init__(http, token)
        self.read: list[Response] = []

    async def call(self, *args: Any, **kwargs: Any) -> Response:
        self.read.append(await super().call(*args, **kwargs))
        return self.read[-1]

    async def look(self, leases: list[Json]) -> list[Response]:
        async with browser() as outside:
            pictures = [await outside.get(each["picture"]["url"]) for each in leases]
        assert all(each.is_success for each in pictures)
        self.read += pictures
        return pictures


async def noting(world: World) -> Noting:
    return Noting(world.http, (await world.earner()).token)


async def statement(earner: As) -> list[Json]:
    items: list[Json] = (await earner.get("/v1/earnings?limit=200"))["items"]
    return items


class Watched:
    """Newcomers at work, each with one call: the chance of gold is the same for all they get.

    Later it falls, as everybody may know: that the tenth call has less of it than the first is
    not for this to find.
    """

    def __init__(self) -> None:
        self.leased: dict[str, Seen] = {}
        self.answered: dict[str, Seen] = {}
        self.tasks: dict[str, str] = {}
        self.gold: dict[str, bool] = {}

    async def newcomer(self, world: World, project_id: str, *, singly: bool = False) -> As:
        """Lease, look, answer.

        Args:
            singly: Answer one by one, so that how long each took can be told.
        """
        earner = await noting(world)
        before = len(earner.read)
        handed = await earner.post("/v1/work/leases", {"project_id": project_id})
        call = {"headers": dict(earner.read[before].headers), "handed": len(handed["leases"])}
        call["seconds"] = earner.read[before].elapsed.total_seconds()
        held = (await earner.get("/v1/work/leases"))["leases"]
        held_at = {each["lease_id"]: place for place, each in enumerate(held)}
        pictures = await earner.look(handed["leases"])
        results: dict[str, Json] = {}
        for some in [[each] for each in handed["leases"]] if singly else [handed["leases"]]:
            said = await earner.call("POST", "/v1/work/answers", answers(some, ANYWHERE))
            took = {"seconds": said.elapsed.total_seconds()} if singly else {}
            results |= {each["lease_id"]: each | took for each in said.json()["results"]}
        for place, (lease, picture) in enumerate(zip(handed["leases"], pictures, strict=True)):
            shown = {"headers": dict(picture.headers), "bytes": len(picture.content)}
            shown["seconds"] = picture.elapsed.total_seconds()
            at = (place, len(pictures) - place, held_at[lease["lease_id"]])
            seen = {"lease": lease, "call": call, "picture": shown, "at": at}
            self.leased[lease["lease_id"]] = dict(numbers(seen))
            result = results[lease["lease_id"]]
            told = {"result": result, "place": [*results].index(lease["lease_id"])}
            self.answered[lease["lease_id"]] = dict(numbers(told))
        return earner

    async def outcome(self, earner: As) -> None:
        listed = await statement(earner)
        together = Counter(each["decided_at"] for each in listed)
        for place, each in enumerate(listed):
            seen = {**each, "place": place, "together": together[each["decided_at"]]}
            if each["decided_at"] is not None:
                seen["delay"] = _at(each["decided_at"]) - _at(each["created_at"])
            lease_id = each["lease_id"]
            self.answered[lease_id] = {**self.answered[lease_id], **dict(numbers(seen, "earning"))}

    async def truth(self, world: World) -> None:
        async with db.reading(world.sessions) as reader:
            rows = await reader.execute(
                text("SELECT l.id, t.id, is_gold FROM leases l JOIN tasks t ON t.id = l.task_id")
            )
            for lease_id, task_id, is_gold in rows:
                self.tasks[str(lease_id)] = str(task_id)
                self.gold[str(lease_id)] = is_gold

    def observed(self, seen: dict[str, Seen]) -> Observed:
        ids = list(seen)
        return Observed(
            [seen[id_] for id_ in ids],
            [self.tasks[id_] for id_ in ids],
            [self.gold[id_] for id_ in ids],
        )


def _at(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


_GOLD = text(
    """
    WITH known AS (
      UPDATE tasks SET is_gold = true, label = :label, confidence = 1 WHERE id IN (
        SELECT id FROM tasks WHERE project_id = :project ORDER BY random() LIMIT :count
      ) RETURNING id
    )
    INSERT INTO gold (project_id, task_id, expected, source)
    SELECT :project, id, :label, 'import' FROM known
    """
)


async def watched(
    world: World, *, images: int, earners: int, rotated: bool = False, singly: bool = False
) -> Watched:
    """Tiles of one make, 25 to an image, of which any four in ten are gold.

    Args:
        rotated: Gold gets another picture after every fourth person.
        singly: As of `Watched.newcomer`; all is judged now and then, and not after each of them.
    """
    operator, organisation_id = await world.operator()
    await world.deposit(organisation_id, 10**12)
    project = await world.project(
        operator,
        organisation_id,
        slicing={"tile": TILE, "margin": 0},
        quality={"min_overlap": 3, "max_overlap": 4, **(OFTEN if rotated else {})},
    )
    pictures = [(f"{i}.jpg", photograph(5 * TILE, 5 * TILE)) for i in range(images)]
    await world.images(operator, project["id"], pictures)
    async with db.transaction(world.sessions) as session:
        await session.execute(
            _GOLD,
            {
                "project": UUID(project["id"]),
                "label": json.dumps(ANYWHERE),
                "count": images * 10,
            },
        )
    await operator.post(f"/v1/projects/{project['id']}/launch")
    await world.work.jobs()
    seen = Watched()
    people = []
    for number in range(earners):
        people.append(await seen.newcomer(world, project["id"], singly=singly))
        if rotated and number % 4 == 0:
            await world.work.sweep("rotate-gold")
        if not singly or number % 20 == 0:
            await world.work.jobs()
    await world.work.jobs()
    for each in people:
        await seen.outcome(each)
    await seen.truth(world)
    return seen


OFTEN = {"gold_exposure": 1, "may_flip": True}


def tells_nothing(observed: Observed) -> None:
    assert 0.2 < observed.gold.mean() < 0.8
    found = observed.told()
    assert not found, found
    learned, error = observed.learned()
    assert learned <= LIMIT + SURE * error
