"""From approved to the balance: each earning once, whatever happens on the way."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tessera.earnings import service as earnings
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.models import AccountKind
from tests.client import As
from tests.ledger.money import at_once, move
from tests.quality.court import CAT, Court, court
from tests.quality.facts import broken
from tests.world import World

PRICE, FEE = 33_333, 6_667
PICTURES = [f"{number}.jpg" for number in range(12)]


class CrashError(Exception):
    """As if the process had died here."""


async def approved(world: World, *, beside: Court | None = None) -> tuple[Court, list[As]]:
    """Three people with twelve approved earnings each, not in the ledger yet."""
    here = await court(
        world,
        *PICTURES,
        beside=beside,
        price_micro=PRICE,
        quality={"min_overlap": 3, "max_overlap": 3},
    )
    await here.launch()
    return here, await here.say(CAT, CAT, CAT)


async def available(earner: As) -> int:
    money = await earner.get("/v1/earnings/balance")
    return int(money["available_micro"].get("USD", 0))


async def test_ten_posters_of_which_some_crash_pay_each_earning_once(world: World) -> None:
    here, people = await approved(world)
    rng = random.Random(4)

    async def post() -> None:
        posted = 1
        while posted:
            limit, crashes = rng.randint(1, 7), rng.random() < 0.3
            async with db.transaction(world.sessions) as session:
                posted = await earnings.post_approved(
                    session, project_id=UUID(here.project["id"]), every=timedelta(0), limit=limit
                )
                if crashes:
                    raise CrashError

    failed = await at_once(post() for _ in range(10))
    assert all(isinstance(error, CrashError) for error in failed)
    await world.work.sweep("post-earnings")
    assert await broken(world.sessions) == []
    assert [await available(person) for person in people] == [12 * PRICE] * 3
    async with db.reading(world.sessions) as reader:
        assert await ledger.balances(reader, AccountKind.FEES, None) == {"USD": 36 * FEE}
        lines = await reader.scalars(
            text("SELECT reference FROM ledger_entries WHERE reference LIKE 'earning:%'")
        )
        paid = list(lines)
    assert len(paid) == len(set(paid)) == 36


async def test_posting_again_moves_nothing(world: World) -> None:
    _, people = await approved(world)
    for _ in range(3):
        await world.work.sweep("post-earnings")
    assert [await available(person) for person in people] == [12 * PRICE] * 3


async def test_one_project_that_cannot_pay_does_not_keep_others_from_being_paid(
    world: World,
) -> None:
    here, people = await approved(world)
    there, others = await approved(world, beside=here)
    async with db.reading(world.sessions) as reader:
        held = await ledger.balances(reader, AccountKind.ESCROW, UUID(here.project["id"]))
    await move(
        world.sessions,
        ledger.escrow(UUID(here.project["id"])),
        ledger.OUTSIDE,
        held["USD"],
        currency="USD",
    )
    with pytest.raises(ExceptionGroup, match="left as they were"):
        await world.work.sweep("post-earnings")
    both = [*people, *others]
    assert [await available(person) for person in both] == [0, 0, 0] + [12 * PRICE] * 3
    assert {each["state"] for each in await here.earnings(people[0])} == {"approved"}
    assert there.project["id"] != here.project["id"]


async def test_what_nobody_decided_within_a_week_is_approved(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", quality={"min_overlap": 3})
    await here.launch()
    early, late = await here.say(CAT, CAT)
    await age(world, early, days=7.01)
    await age(world, late, days=6.99)
    for _ in range(2):
        await world.work.sweep("approve-overdue")
    assert {each["state"] for each in await here.earnings(early)} == {"approved"}
    assert {each["state"] for each in await here.earnings(late)} == {"pending"}
    await world.work.sweep("post-earnings")
    assert await available(early) == 2 * here.project["price_micro"]
    assert await broken(world.sessions) == []
    # the decision comes after all, and pays nobody twice
    await here.say(CAT)
    await world.work.sweep("post-earnings")
    assert await available(early) == await available(late) == 2 * here.project["price_micro"]
    assert await broken(world.sessions) == []


async def test_one_project_that_cannot_be_decided_does_not_keep_others_from_it(
    world: World,
) -> None:
    first = await court(world, "a.jpg", quality={"min_overlap": 3})
    second = await court(world, "a.jpg", quality={"min_overlap": 3}, beside=first)
    by_project: dict[UUID, tuple[Court, As]] = {}
    for here in (first, second):
        await here.launch()
        (earner,) = await here.say(CAT)
        await age(world, earner, days=8)
        by_project[UUID(here.project["id"])] = here, earner
    async with db.reading(world.sessions) as reader:
        stuck, free = await earnings.projects_waiting(reader, longer_than=timedelta(days=7))
    async with refusing(world, stuck):
        with pytest.raises(ExceptionGroup, match="left as they were"):
            await world.work.sweep("approve-overdue")
    for project_id, state in ((stuck, "pending"), (free, "approved")):
        here, earner = by_project[project_id]
        assert [each["state"] for each in await here.earnings(earner)] == [state]


@asynccontextmanager
async def refusing(world: World, project_id: UUID) -> AsyncIterator[None]:
    """Have the database refuse every change to a project's earnings."""
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text(
                "ALTER TABLE earnings ADD CONSTRAINT refused"
                f" CHECK (project_id <> '{project_id}') NOT VALID"
            )
        )
    try:
        yield
    finally:
        async with db.transaction(world.sessions) as session:
            await session.execute(text("ALTER TABLE earnings DROP CONSTRAINT refused"))


async def age(world: World, earner: As, *, days: float) -> None:
    """As if an earner had answered so long ago."""
    async with db.transaction(world.sessions) as session:
        await session.execute(
            text(
                "UPDATE earnings SET created_at = now() - make_interval(secs => :seconds)"
                " WHERE earner_id = :earner_id"
            ),
            {
                "seconds": days * 86_400,
                "earner_id": (await earner.get("/v1/me"))["person_id"],
            },
        )
