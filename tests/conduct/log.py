"""Answers of simulated people, in the database as if they had arrived one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

import numpy as np
from sqlalchemy import func, insert, select

from bench.adversaries import Project as Simulated
from bench.artists import SIDE as SIDE_OF_ARTISTS
from bench.drawn_adversaries import Drawings
from tessera.assignment.models import (
    Answer,
    Lane,
    Lease,
    LeaseState,
    Standing,
    Task,
    TaskState,
    Verdict,
)
from tessera.earnings.models import Earning, EarningState
from tessera.images.models import Tile
from tessera.kernel import db, jobs
from tessera.quality.models import Gold, GoldSource
from tessera.truth.votes import UNKNOWN
from tests.client import As
from tests.quality.court import SIDE, Court

USUAL_CHANCE = 0.05
"""Of gold, of people who have worked for a while."""
Row = dict[str, Any]


async def id_of(earner: As) -> UUID:
    return UUID((await earner.get("/v1/me"))["person_id"])


class Said(NamedTuple):
    item: int
    earner: int
    value: Row
    seconds: float
    at: float


@dataclass(frozen=True)
class Log:
    """What was answered, in order of time."""

    said: Sequence[Said]
    truth: Sequence[Row]
    """Of each item."""
    gold: Sequence[bool]


def of_choices(simulated: Simulated, value: Callable[[int], Row]) -> Log:
    """Of answers that say one class of each item.

    Args:
        value: The answer that says the class of such an id.
    """
    log = simulated.log
    votes, seconds, at = log.votes, log.seconds, log.at
    assert seconds is not None
    assert at is not None
    labels = [value(1 + each) for each in votes.labels.tolist()]
    columns = (votes.items.tolist(), votes.earners.tolist(), labels, seconds.tolist(), at.tolist())
    truth = [value(1 + each) for each in simulated.truth.tolist()]
    return Log(list(map(Said, *columns)), truth, (log.known != UNKNOWN).tolist())


def of_drawings(made: Drawings) -> Log:
    """Of boxes, which are drawn in larger pictures than a court has."""
    said = [
        Said(each.item, each.earner, _smaller(each.answer), each.seconds, each.at)
        for each in made.drawings
    ]
    truth = [_smaller(made.truth(number)) for number in range(len(made.scenes))]
    return Log(said, truth, made.gold.tolist())


def _smaller(answer: Row) -> Row:
    shrunk = SIDE / SIDE_OF_ARTISTS
    objects = [
        each | {"box": (np.array(each["box"]) * shrunk).round(2).tolist(), "attributes": {}}
        for each in answer["objects"]
    ]
    return {"objects": objects}


async def write(here: Court, log: Log, earner_ids: Sequence[UUID]) -> None:
    """Everything that was answered, paid and settled: by a reviewer, so nothing is judged again."""
    project_id = UUID(here.project["id"])
    # by these ids, and the order of those of leases, it is chosen what is looked at
    tasks = [uuid5(NAMESPACE_OID, f"task {number}") for number in range(len(log.truth))]
    began = await _now(here) - timedelta(seconds=log.said[-1].at, days=1)
    leases, answers, earnings = list[Row](), list[Row](), list[Row]()
    places = [0] * len(tasks)
    for number, (item, earner, value, took, at) in enumerate(log.said):
        places[item] += 1
        came = began + timedelta(seconds=at)
        theirs = {
            "project_id": project_id,
            "task_id": tasks[item],
            "earner_id": earner_ids[earner],
        }
        lease_id = uuid5(NAMESPACE_OID, f"lease {number}")
        leases.append(
            {
                **theirs,
                "id": lease_id,
                "lane": Lane.NORMAL,
                "place": places[item],
                "fence": number + 1,
                "state": LeaseState.ANSWERED,
                "leased_at": came - timedelta(seconds=took),
                "expires_at": came + timedelta(hours=1),
            }
        )
        answers.append(
            {
                **theirs,
                "lease_id": lease_id,
                "outcome": "answered",
                "value": value,
                "answered_at": came,
                "seconds": took,
                "verdict": Verdict.ACCEPTED,
            }
        )
        earnings.append(
            {
                **theirs,
                "lease_id": lease_id,
                "currency": "USD",
                "amount_micro": here.project["price_micro"],
                "fee_micro": here.project["fee_micro"],
                "state": EarningState.APPROVED,
                "created_at": came,
            }
        )
    async with db.transaction(here.world.sessions) as session:
        tile_id = await session.scalar(select(Tile.id).where(Tile.project_id == project_id))
        rows = [
            _task(log, item, project_id=project_id, tile_id=tile_id, id=task_id)
            | {"places": places[item], "places_used": places[item], "opened_at": began}
            for item, task_id in enumerate(tasks)
        ]
        decided = {"state": TaskState.SETTLED, "settled_by": "review", "settled_at": began}
        for is_gold, more in ((True, {"state": TaskState.OPEN}), (False, decided)):
            some = [row | more for row in rows if row["is_gold"] == is_gold]
            await session.execute(insert(Task), some)
        await session.execute(
            insert(Gold),
            [
                {
                    "project_id": project_id,
                    "task_id": row["id"],
                    "expected": log.truth[item],
                    "source": GoldSource.IMPORT,
                    "created_at": began - timedelta(days=1),
                }
                for item, row in enumerate(rows)
                if row["is_gold"]
            ],
        )
        await session.execute(
            insert(Standing),
            [
                {"project_id": project_id, "earner_id": each, "gold_chance": USUAL_CHANCE}
                for each in earner_ids
            ],
        )
        for table, filled in ((Lease, leases), (Answer, answers), (Earning, earnings)):
            await session.execute(insert(table), filled)


async def watch(here: Court) -> None:
    """Look at how everybody has answered, by the job."""
    async with db.transaction(here.world.sessions) as session:
        payload = {"project_id": here.project["id"]}
        await jobs.enqueue(session, "conduct.watch", payload=payload)
    await here.judge()
    async with db.reading(here.world.sessions) as reader:
        assert not await jobs.held(reader)


async def _now(here: Court) -> datetime:
    async with db.reading(here.world.sessions) as reader:
        now: datetime = (await reader.execute(select(func.now()))).scalar_one()
        return now


def _task(log: Log, item: int, **of: Any) -> Row:
    """Of gold without a label, as nobody decides it."""
    if log.gold[item]:
        return {**of, "pair": item + 1, "is_gold": True}
    return {**of, "pair": item + 1, "is_gold": False, "label": log.truth[item]}
