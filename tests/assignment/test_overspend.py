"""Money for exactly the worst case, many people at once, and calls that end anywhere."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tests.assignment.crowd import audit, number
from tests.assignment.door import given, wanted
from tests.assignment.many import many_earners
from tests.client import As, Work
from tests.quality import facts
from tests.quality.court import ANIMALS, CAT, DOG, OWL, Court
from tests.world import World

PRICE = 33_333
CUT = 0.25
"""Part of all calls that are ended while they run."""
LONGEST = 0.2
"""Seconds until then."""
BALANCES = "SELECT coalesce(sum(balance_micro), 0) FROM ledger_accounts WHERE kind = :kind"
NEGATIVE = "SELECT count(*) FROM ledger_accounts WHERE balance_micro < 0 AND kind <> 'outside'"
OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'tests' AND state LIKE 'idle in transaction%'
"""


@dataclass
class Hasty:
    """Somebody whose connection breaks all the time, and who then looks what they still have."""

    earner: As
    project_id: str
    rng: random.Random
    cut: int = 0
    statuses: set[int] = field(default_factory=set)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """None if it was cut off; whether it had an effect nobody knows then."""
        calling = asyncio.create_task(self.earner.call(method, path, body))
        if self.rng.random() < CUT:
            await asyncio.wait([calling], timeout=self.rng.uniform(0, LONGEST))
            self.cut += calling.cancel()
        try:
            response = await calling
        except asyncio.CancelledError:
            return None
        self.statuses.add(response.status_code)
        return response.json()

    async def work(self, turns: int) -> None:
        for _ in range(turns):
            count = self.rng.randint(1, 4)
            await self.call("POST", "/v1/work/leases", wanted(self.project_id, count))
            held = (await self.call("GET", "/v1/work/leases") or {}).get("leases", [])
            some = self.rng.sample(held, self.rng.randint(0, len(held)))
            body = {
                "answers": [given(each, self.rng.choice((CAT, CAT, DOG, OWL))) for each in some]
            }
            for _ in range(self.rng.choice((1, 1, 2)) if some else 0):
                await self.call("POST", "/v1/work/answers", body)
            if held and self.rng.random() < 0.1:
                back = {"lease_ids": [held[0]["lease_id"]], "reason": "later"}
                await self.call("POST", "/v1/work/leases/return", back)


async def just_enough(world: World, *, images: int, gold: int) -> tuple[Court, int]:
    """A launched project, paid for to the micro-unit, and what that was."""
    operator, organisation_id = await world.operator()
    quality = {"min_overlap": 2, "max_overlap": 3, "redo": 2, "minimum_trust": 0.7}
    project = await world.project(
        operator,
        organisation_id,
        kind="classify",
        label_schema=ANIMALS,
        price_micro=PRICE,
        quality=quality,
    )
    here = Court(world, operator, project, {})
    names = [f"{i}.jpg" for i in range(images + gold)]
    await here.pictures(*names)
    await here.gold(names[:gold])
    worst: int = (await operator.get(f"{here.path}/estimate"))["worst_micro"]
    finance = await world.deposit(organisation_id, worst - 1)
    refused = await operator.post(f"{here.path}/launch", status=409)
    assert refused["code"] == "insufficient-funds"
    last = {"organisation_id": organisation_id, "amount_micro": 1, "currency": "USD"}
    await finance.post("/v1/finance/deposits", {**last, "reference": "the last micro-unit"})
    await here.launch()
    assert await number(world.sessions, BALANCES, kind="organisation") == 0
    assert await number(world.sessions, BALANCES, kind="escrow") == worst
    return here, worst


async def crowd(here: Court, *, earners: int, turns: int, seed: int) -> list[Hasty]:
    world, rng = here.world, random.Random(seed)
    people = [
        Hasty(each, here.project["id"], random.Random(rng.random()))
        for each in await many_earners(world.sessions, world.http, earners)
    ]
    working = asyncio.gather(*(each.work(turns) for each in people))
    while not working.done():
        await world.work.jobs(limit=600)
        await world.work.sweep("post-earnings")
        await world.work.sweep("expire-leases")
    await working
    await world.work.jobs()
    return people


@pytest.fixture
async def working(settings: Settings, context: JobContext) -> AsyncIterator[Work]:
    """A worker with connections of its own, as it has outside of tests."""
    engine = db.create_engine(str(settings.database_url), application_name="worker", pool_size=20)
    yield Work(settings, replace(context, sessions=db.create_sessions(engine)))
    await engine.dispose()


@pytest.mark.parametrize("earners", [25, pytest.param(100, marks=pytest.mark.long)])
async def test_many_at_once_whose_calls_end_anywhere_never_spend_more_than_there_is(
    world: World, working: Work, earners: int
) -> None:
    world.work = working
    here, worst = await just_enough(world, images=30, gold=4)
    people = await crowd(here, earners=earners, turns=2, seed=11)
    assert sum(each.cut for each in people) > earners // 3
    # 503: a connection whose call was cut off is closed, which takes its time, and others wait
    assert {status for each in people for status in each.statuses} <= {200, 403, 404, 409, 503}
    await audit(world.sessions)

    await world.work.sweep("post-earnings")
    answers = await number(world.sessions, "SELECT count(*) FROM answers")
    assert answers > earners // 4
    await here.operator.post(f"{here.path}/complete")
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE leases SET expires_at = now() - interval '1 hour'"))
    for _ in range(2):
        for sweep in ("expire-leases", "post-earnings", "release-completed"):
            await world.work.sweep(sweep)
            await world.work.jobs()
    assert await facts.broken(world.sessions) == []
    assert await number(world.sessions, NEGATIVE) == 0
    kinds = ("earner", "fees", "organisation", "escrow")
    earned, fees, left, escrow = [
        await number(world.sessions, BALANCES, kind=kind) for kind in kinds
    ]
    assert earned > 0
    assert earned % PRICE == 0
    assert (earned + fees + left, escrow) == (worst, 0)
    await _nothing_hangs(world.sessions)


async def _nothing_hangs(sessions: db.Sessions) -> None:
    """Every connection is back in the pool, and none of them is in a transaction."""
    engine = sessions.kw["bind"]
    assert isinstance(engine, AsyncEngine)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool's
    assert await number(sessions, OPEN) == 0
