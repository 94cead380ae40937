"""What a project costs, from the estimate to the last micro-unit given back."""

from typing import Any

from tessera.accounts.models import Role
from tessera.kernel import db
from tessera.ledger import invariants
from tessera.ledger import service as ledger
from tests.client import As
from tests.quality.court import CAT, DOG, Court, always, court
from tests.world import World

PRICE, FEE = 33_333, 6_667
FUNDS = 10**12


async def balance(here: Court) -> int:
    return (await balances(here))["USD"]


async def balances(here: Court) -> dict[str, int]:
    money = await here.operator.get(f"/v1/organisations/{here.project['organisation_id']}/balance")
    available: dict[str, int] = money["available_micro"]
    return available


async def estimate(here: Court) -> dict[str, Any]:
    made: dict[str, Any] = await here.operator.get(f"{here.path}/estimate")
    return made


async def test_the_launch_reserves_the_estimated_worst_case_to_the_micro_unit(
    world: World,
) -> None:
    here = await court(
        world,
        *(f"{number}.jpg" for number in range(7)),
        price_micro=PRICE,
        quality={"min_overlap": 2, "max_overlap": 4, "redo": 1, "gold_share": 0.1},
    )
    await here.gold(["0.jpg", "1.jpg"])
    planned = await estimate(here)
    assert (planned["tasks"], planned["gold_tasks"]) == (5, 2)
    assert planned["best_micro"] == 5 * 2 * (PRICE + FEE)
    # 2 + 0.35 of the 2 up to 4 are 2.7 for each task, 13.5 in all: nine tenths, beside gold
    assert planned["expected_micro"] == 15 * (PRICE + FEE)
    assert planned["worst_micro"] == (5 * 5 + 2 * 20) * (PRICE + FEE)
    assert planned["available_micro"] == FUNDS
    launched = await here.operator.post(f"{here.path}/launch")
    assert launched["reserved_micro"] == planned["worst_micro"]
    assert await balance(here) == FUNDS - planned["worst_micro"]
    await here.judge()
    after = await estimate(here)
    assert (after["tasks"], after["worst_micro"]) == (0, 0)


async def test_an_estimate_shows_the_balance_to_those_who_may_see_it(world: World) -> None:
    here = await court(world, "a.jpg", price_micro=PRICE)
    organisation_id = here.project["organisation_id"]
    manager, reviewer = [
        await world.member(here.operator, organisation_id, role)
        for role in (Role.MANAGER, Role.REVIEWER)
    ]
    keys = f"/v1/organisations/{organisation_id}/api-keys"
    reads = {"name": "program", "scopes": ["projects:read"]}
    program = As(world.http, (await here.operator.post(keys, reads))["key"])
    seen = [
        await someone.get(f"{here.path}/estimate")
        for someone in (here.operator, manager, reviewer, program)
    ]
    assert [each["available_micro"] for each in seen] == [FUNDS, FUNDS, None, None]
    assert len({each["worst_micro"] for each in seen}) == 1


async def test_images_added_later_are_paid_for_by_a_launch_of_their_own(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", price_micro=PRICE)
    await here.gold(["a.jpg"])
    await here.launch()
    before = await balance(here)
    await here.pictures("c.jpg", "d.jpg")
    await here.gold(["d.jpg"])
    planned = await estimate(here)
    assert (planned["tasks"], planned["gold_tasks"]) == (1, 1)
    await here.launch()
    assert await balance(here) == before - planned["worst_micro"]
    (earner,) = await here.earners(1)
    assert {"b.jpg", "c.jpg"} <= set(await here.work(earner, always(CAT)))


async def test_gold_that_comes_with_a_later_launch_is_handed_out_too(world: World) -> None:
    # it is drawn by chance: of 24 leases half, so that none at all is next to impossible
    here = await court(world, "a.jpg", quality={"gold_share": 0.5})
    await here.launch()
    await here.pictures(*(f"gold {number}.jpg" for number in range(8)), "b.jpg", "c.jpg", "d.jpg")
    await here.gold([f"gold {number}.jpg" for number in range(8)])
    planned = await estimate(here)
    before = await balance(here)
    await here.launch()
    assert await balance(here) == before - planned["worst_micro"]
    earners = await here.earners(6)
    seen = {name for earner in earners for name in await here.work(earner, always(CAT))}
    assert any(name.startswith("gold") for name in seen)


async def test_what_was_not_spent_comes_back_on_completion_and_not_before(world: World) -> None:
    here = await court(world, "a.jpg", "b.jpg", price_micro=PRICE, quality={"min_overlap": 2})
    await here.launch()
    reserved = FUNDS - await balance(here)
    first, second, idle = await here.earners(3)
    for earner in (first, second):
        await here.work(earner, always(CAT))
    await here.judge()
    await world.work.sweep("post-earnings")
    assert await balance(here) == FUNDS - reserved, "open projects keep their reserve"
    await here.operator.post(f"{here.path}/complete")
    await here.judge()
    assert await balance(here) == FUNDS - 4 * (PRICE + FEE)
    for earner in (first, second):
        assert (await earner.get("/v1/earnings/balance"))["available_micro"] == {"USD": 2 * PRICE}
    assert (await idle.get("/v1/earnings/balance"))["available_micro"] == {}


async def test_on_completion_everything_that_was_answered_is_paid(world: World) -> None:
    here = await court(world, "a.jpg", price_micro=PRICE, quality={"min_overlap": 2})
    await here.launch()
    people = await here.say(CAT, DOG)
    assert (await here.tasks())["a.jpg"]["state"] == "open"
    await here.operator.post(f"{here.path}/complete")
    await settle_up(here)
    for person in people:
        assert [each["state"] for each in await here.earnings(person)] == ["available"]
    assert await balance(here) == FUNDS - 2 * (PRICE + FEE)


async def test_a_task_that_is_out_at_completion_is_still_paid_and_holds_the_reserve(
    world: World,
) -> None:
    here = await court(world, "a.jpg", price_micro=PRICE)
    await here.launch()
    reserved = FUNDS - await balance(here)
    (earner,) = await here.earners(1)
    leases = await here.lease(earner)
    await here.operator.post(f"{here.path}/complete")
    await world.work.sweep("release-completed")
    assert await balance(here) == FUNDS - reserved
    await here.answer(earner, leases, always(CAT))
    await settle_up(here)
    assert [each["state"] for each in await here.earnings(earner)] == ["available"]
    assert await balance(here) == FUNDS - (PRICE + FEE)


async def test_money_of_one_currency_never_pays_for_work_in_another(world: World) -> None:
    in_usd = await court(world, "a.jpg", "b.jpg", price_micro=PRICE)
    in_eur = await court(world, "c.jpg", beside=in_usd, price_micro=50_000, currency="EUR")
    refused = await in_eur.operator.post(f"{in_eur.path}/launch", status=409)
    assert refused["code"] == "insufficient-funds"
    await world.deposit(in_eur.project["organisation_id"], 10**6, "EUR")
    (earner,) = await in_usd.earners(1)
    for here in (in_usd, in_eur):
        await here.launch()
        await here.work(earner, always(CAT))
        await here.operator.post(f"{here.path}/complete")
    await settle_up(in_usd)
    fees = {"USD": 2 * FEE, "EUR": 10_000}
    paid = {"USD": 2 * PRICE, "EUR": 50_000}
    assert (await earner.get("/v1/earnings/balance"))["available_micro"] == paid
    assert await balances(in_usd) == {
        "USD": FUNDS - paid["USD"] - fees["USD"],
        "EUR": 10**6 - paid["EUR"] - fees["EUR"],
    }
    async with db.reading(world.sessions) as reader:
        assert await ledger.balances(reader, ledger.FEES.kind, ledger.FEES.owner_id) == fees
        assert [each.rule for each in await invariants.check(reader) if each.broken] == []


async def settle_up(here: Court) -> None:
    """Let a completed project approve, post and give back, without the pauses in between."""
    for _ in range(3):
        await here.world.work.sweep("release-completed")
        await here.judge()
        await here.world.work.sweep("post-earnings")
