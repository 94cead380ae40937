"""What earners see of their money."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tessera.kernel import db
from tests.quality.court import CAT, court
from tests.world import World


async def test_the_statement_tells_of_every_answer_and_pages_through_them(world: World) -> None:
    here = await court(world, *(f"{number}.jpg" for number in range(7)))
    await here.launch()
    (earner,) = await here.say(CAT)
    everything = await here.earnings(earner)
    assert len(everything) == 7
    assert all(each["amount_micro"] == here.project["price_micro"] for each in everything)
    seen, cursor = [], ""
    while True:
        page = await earner.get(f"/v1/earnings?limit=3{cursor}")
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == everything
    moments = [(each["created_at"], each["lease_id"]) for each in everything]
    assert moments == sorted(moments, reverse=True), "newest first"


async def test_totals_are_the_sums_of_the_statement(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", "c.jpg", quality={"min_overlap": 2})
    await here.launch()
    one, _ = await here.say(CAT, CAT)
    await world.work.sweep("post-earnings")
    await here.pictures("d.jpg")
    await here.launch()
    await here.work(one, lambda _: CAT)
    await here.judge()
    price = here.project["price_micro"]
    money = await one.get("/v1/earnings/balance")
    assert money["earned_micro"] == {"USD": {"available": 3 * price, "pending": price}}
    assert money["available_micro"] == {"USD": 3 * price}
    by_state: dict[str, int] = {}
    for each in await here.earnings(one):
        by_state[each["state"]] = by_state.get(each["state"], 0) + each["amount_micro"]
    assert money["earned_micro"]["USD"] == by_state


async def test_nobody_sees_the_earnings_of_others(world: World) -> None:
    here = await court(world, "a.jpg")
    await here.launch()
    await here.say(CAT)
    (other,) = await here.earners(1)
    assert await here.earnings(other) == []
    assert (await other.get("/v1/earnings/balance"))["earned_micro"] == {}
    await here.operator.get("/v1/earnings", status=403)


async def test_the_database_takes_no_rejection_without_a_reason(world: World) -> None:
    here = await court(world, "a.jpg")
    await here.launch()
    await here.say(CAT)
    with pytest.raises(IntegrityError, match="rejection_has_reason"):
        async with db.transaction(world.sessions) as session:
            await session.execute(text("UPDATE earnings SET state = 'rejected'"))
    with pytest.raises(IntegrityError, match="posted"):
        async with db.transaction(world.sessions) as session:
            await session.execute(text("UPDATE earnings SET state = 'available'"))
