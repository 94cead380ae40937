"""Answers of simulated people, in the database as if they had arrived one by one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select

from bench.adversaries import Project as Simulated
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
from tests.quality.court import Court

USUAL_CHANCE = 0.05
"""Of gold, of people who have worked for a while."""
Row = dict[str, Any]


async def id_of(earner: As) -> UUID:
    return UUID((await earner.get("/v1/me"))["person_id"])


async def write(here: Court, simulated: Simulated, earner_ids: Sequence[UUID]) -> None:
    """Everything that was answered, paid and settled: by a reviewer, so nothing is judged again."""
    project_id, votes = UUID(here.project["id"]), simulated.log.votes
    seconds, at = simulated.log.seconds, simulated.log.at
    assert seconds is not None
    assert at is not None
    tasks = [uuid4() for _ in range(votes.n_items)]
    began = await _now(here) - timedelta(seconds=float(at[-1]), days=1)
    leases, answers, earnings = list[Row](), list[Row](), list[Row]()
    places = [0] * votes.n_items
    for number in range(len(votes)):
        item = int(votes.items[number])
        places[item] += 1
        came = began + timedelta(seconds=float(at[number]))
        took = float(seconds[number])
        theirs = {
            "project_id": project_id,
            "task_id": tasks[item],
            "earner_id": earner_ids[int(votes.earners[number])],
        }
        lease_id = uuid4()
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
                "value": _label(int(votes.labels[number])),
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
            _task(simulated, item, project_id=project_id, tile_id=tile_id, id=task_id)
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
                    "expected": _label(int(simulated.truth[item])),
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


def _label(index: int) -> Row:
    return {"classes": [index + 1]}


def _task(simulated: Simulated, item: int, **of: Any) -> Row:
    """Of gold without a label, as nobody decides it."""
    if int(simulated.log.known[item]) != UNKNOWN:
        return {**of, "pair": item + 1, "is_gold": True}
    label = _label(int(simulated.truth[item]))
    return {**of, "pair": item + 1, "is_gold": False, "label": label}
