"""Somebody who is judged: stopped by gold, with answers that are pending or rejected."""

from typing import Any

from sqlalchemy import text

from tessera.kernel import db
from tests.client import As
from tests.quality.court import DOG, Court, always, court
from tests.world import World

GOLD = [f"gold {number}.jpg" for number in range(8)]
COMMON = [f"common {number}.jpg" for number in range(16)]
Receipt = dict[str, Any]


async def mixed(world: World, *, beside: Court | None = None, **quality: Any) -> Court:
    policy = {"min_overlap": 2, "max_overlap": 4, "redo": 2, "gold_share": 0.5, **quality}
    here = await court(world, *GOLD, *COMMON, beside=beside, quality=policy)
    await here.gold(GOLD)
    await here.launch()
    return here


async def stopped(here: Court) -> As:
    """Somebody who gets all gold wrong, and all the rest."""
    (bad,) = await here.earners(1)
    await here.work(bad, always(DOG))
    await here.judge()
    return bad


async def receipts(earner: As, effect: str | None = None) -> list[Receipt]:
    found = (await earner.get("/v1/decisions?limit=200"))["items"]
    return [each for each in found if effect in {None, each["effect"]}]


async def states(here: Court, earner: As) -> set[str]:
    return {each["state"] for each in await here.earnings(earner)}


async def later(here: Court, days: int) -> None:
    """As if all that was decided and contested so far had been so many days ago."""
    async with db.transaction(here.world.sessions) as session:
        moved = f"interval '{days} days'"
        await session.execute(
            text(
                f"UPDATE decisions SET created_at = created_at - {moved}, due_at = due_at - {moved}"
            )
        )
        await session.execute(
            text(
                f"UPDATE earnings SET contestable_until = contestable_until - {moved},"
                f" decided_at = decided_at - {moved} WHERE state = 'rejected'"
            )
        )


async def escrow(here: Court) -> int:
    async with db.reading(here.world.sessions) as reader:
        found = await reader.scalar(
            text(
                "SELECT balance_micro FROM ledger_accounts WHERE kind = 'escrow' AND owner_id = :id"
            ),
            {"id": here.project["id"]},
        )
        return int(found or 0)
