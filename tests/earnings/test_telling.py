"""Earners hear of approved answers together, so that no moment tells which of them were gold."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.earnings.service import projects_due, told_at
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tests.client import Work, api
from tests.quality.court import CAT, court
from tests.world import World

ONE_IS_ENOUGH = {"min_overlap": 1, "max_overlap": 1, "target_confidence": 0.5}
HOUR = timedelta(hours=1)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, 22, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("decided", "told"),
    [(at(9), at(10)), (at(9, 0, 1), at(10)), (at(9, 59, 59), at(10))],
)
def test_a_decision_is_told_at_the_next_full_hour(decided: datetime, told: datetime) -> None:
    assert told_at(decided, HOUR) == told
    assert told_at(decided, timedelta(0)) == decided


async def test_approved_answers_become_known_and_paid_together(
    world: World, settings: Settings, context: JobContext
) -> None:
    hourly = settings.model_copy(update={"decisions_every": HOUR})
    work = Work(hourly, replace(context, decisions_every=HOUR))
    async with api(hourly, world.sessions, world.store) as http:
        here = await court(
            World(http, world.sessions, world.store, work), "a.jpg", "b.jpg", quality=ONE_IS_ENOUGH
        )
        await here.launch()
        (earner,) = await here.say(CAT)
        await approved_at(world, minutes=10)
        assert await due(world) == []
        await here.world.work.sweep("post-earnings")
        price = here.project["price_micro"]
        assert await told(here, earner) == {("pending", None)}
        money = await earner.get("/v1/earnings/balance")
        assert money["earned_micro"] == {"USD": {"pending": 2 * price}}
        assert money["available_micro"] == {}
        await approved_at(world, minutes=-50)
        assert await due(world) == [UUID(here.project["id"])]
        await here.world.work.sweep("post-earnings")
        ((state, moment),) = await told(here, earner)
        assert (state, datetime.fromisoformat(str(moment)).minute) == ("available", 0)
        money = await earner.get("/v1/earnings/balance")
        assert money["earned_micro"] == {"USD": {"available": 2 * price}}
        assert money["available_micro"] == {"USD": 2 * price}


async def due(world: World) -> Sequence[UUID]:
    """Projects that are looked at every five seconds: only those with something to tell."""
    async with db.reading(world.sessions) as reader:
        return await projects_due(reader, every=HOUR)


async def told(here: Any, earner: Any) -> set[tuple[str, str | None]]:
    return {(each["state"], each["decided_at"]) for each in await here.earnings(earner)}


async def approved_at(world: World, *, minutes: int) -> None:
    """Have the two answers been approved so many minutes after the last full hour, and later."""
    async with db.transaction(world.sessions) as session:
        for offset, order in enumerate(("ASC", "DESC")):
            await session.execute(
                text(
                    "UPDATE earnings SET decided_at = date_trunc('hour', now())"
                    " + make_interval(mins => :minutes) WHERE lease_id ="
                    f" (SELECT lease_id FROM earnings ORDER BY lease_id {order} LIMIT 1)"
                ),
                {"minutes": minutes + offset},
            )
