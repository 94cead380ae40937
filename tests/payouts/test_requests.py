from uuid import uuid4

import pytest

from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.ledger.errors import InsufficientFunds, UnknownCurrency
from tessera.payouts import service
from tessera.payouts.errors import (
    BadDestination,
    BelowMinimum,
    NoDestination,
    NotPayable,
    WrongState,
)
from tessera.payouts.models import PayoutState, Rail
from tests.ledger.money import balances
from tests.payouts.world import IBAN, UNIT, Finance, a_person, a_request, an_earner
from tests.world import World


@pytest.mark.usefixtures("finance")
async def test_a_request_takes_money_out_of_the_balance_and_cancelling_brings_it_back(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=10 * UNIT)
    payout = await a_request(sessions, earner_id, amount_micro=4 * UNIT)
    assert (payout.state, payout.rail) == (PayoutState.REQUESTED, Rail.MANUAL)
    assert await balances(sessions, earner_id) == [6 * UNIT, 4 * UNIT]
    async with db.transaction(sessions) as session:
        await service.cancel(session, payout_id=payout.id, earner_id=earner_id)
    assert await balances(sessions, earner_id) == [10 * UNIT, 0]


@pytest.mark.usefixtures("finance")
@pytest.mark.parametrize(
    ("currency", "has", "paid"),
    [
        ("EUR", 10_129_999, 10_120_000),
        ("JPY", 1_234_999_999, 1_234_000_000),
        ("KWD", 1_234_999, 1_234_000),
    ],
)
async def test_m32_everything_is_whole_minor_units_and_the_rest_stays(
    sessions: db.Sessions, currency: str, has: int, paid: int
) -> None:
    earner_id = await an_earner(sessions, has=has, currency=currency)
    payout = await a_request(sessions, earner_id, currency=currency)
    assert payout.amount_micro == paid
    assert await balances(sessions, earner_id, currency) == [has - paid, paid]


@pytest.mark.parametrize(
    ("has", "amount", "refusal"),
    [
        (10 * UNIT, 10_000_001, NotPayable),
        (10 * UNIT, 10_010_000, InsufficientFunds),
        (10 * UNIT, 990_000, BelowMinimum),
        (10 * UNIT, 0, BelowMinimum),
        (10 * UNIT, -5 * UNIT, BelowMinimum),
        (999_999, None, BelowMinimum),
        (0, None, BelowMinimum),
    ],
)
async def test_m30_an_amount_that_cannot_be_paid_is_refused_and_moves_nothing(
    sessions: db.Sessions, has: int, amount: int | None, refusal: type[Exception]
) -> None:
    earner_id = await an_earner(sessions, has=has)
    with pytest.raises(refusal):
        await a_request(sessions, earner_id, amount_micro=amount)
    assert await balances(sessions, earner_id) == [has, 0]
    async with db.reading(sessions) as session:
        assert not await service.mine(session, earner_id=earner_id, after=None, limit=9)


async def test_who_asks_for_more_than_there_is_reads_how_much_there_is(world: World) -> None:
    earner = await world.earner()
    await earner.put(
        "/v1/payout-destination",
        {"rail": "manual", "details": {"holder": "Ada", "iban": IBAN}},
    )
    refused = await earner.call(
        "POST",
        "/v1/payouts",
        {"currency": "USD", "amount_micro": 5 * UNIT},
        headers={"Idempotency-Key": "once"},
    )
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "insufficient-funds")
    asked = {"amount_micro": 5 * UNIT, "available_micro": 0, "currency": "USD"}
    assert asked.items() <= problem.items()
    assert (await earner.get("/v1/payouts"))["items"] == []


async def test_a_currency_nobody_has_or_knows_is_refused(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions)
    with pytest.raises(BelowMinimum):
        await a_request(sessions, earner_id, currency="USD")
    with pytest.raises(UnknownCurrency):
        await a_request(sessions, earner_id, currency="XXX")


async def test_without_a_destination_nothing_is_asked_for(sessions: db.Sessions) -> None:
    earner_id = await a_person(sessions)
    with pytest.raises(NoDestination):
        await a_request(sessions, earner_id)
    async with db.reading(sessions) as session:
        with pytest.raises(NoDestination):
            await service.destination(session, earner_id=earner_id)


@pytest.mark.usefixtures("finance")
async def test_a_new_destination_does_not_reach_what_was_asked_for_before(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions)
    before = await a_request(sessions, earner_id, amount_micro=UNIT)
    async with db.transaction(sessions) as session:
        details = {"holder": "Ada", "account": "021000021 / 123456789"}
        await service.set_destination(session, earner_id=earner_id, rail="manual", details=details)
    after = await a_request(sessions, earner_id, amount_micro=UNIT)
    assert after.destination == details
    async with db.reading(sessions) as session:
        found = await service.mine(session, earner_id=earner_id, after=None, limit=9)
        assert (await service.destination(session, earner_id=earner_id)).details == details
    pinned = {payout.id: payout.destination for payout in found}
    assert pinned == {before.id: {"holder": "Ada", "iban": IBAN}, after.id: details}


async def test_a_bad_destination_changes_nothing(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions)
    with pytest.raises(BadDestination):
        async with db.transaction(sessions) as session:
            await service.set_destination(
                session, earner_id=earner_id, rail="manual", details={"holder": "Eve"}
            )
    async with db.reading(sessions) as session:
        assert (await service.destination(session, earner_id=earner_id)).details["iban"] == IBAN


@pytest.mark.usefixtures("finance")
async def test_a_request_is_its_earners_alone_to_cancel_and_once(sessions: db.Sessions) -> None:
    earner_id, stranger = await an_earner(sessions), await an_earner(sessions)
    payout = await a_request(sessions, earner_id)
    for payout_id, who in ((payout.id, stranger), (uuid4(), earner_id)):
        with pytest.raises(NotFound):
            async with db.transaction(sessions) as session:
                await service.cancel(session, payout_id=payout_id, earner_id=who)
    async with db.transaction(sessions) as session:
        await service.cancel(session, payout_id=payout.id, earner_id=earner_id)
    with pytest.raises(WrongState) as refused:
        async with db.transaction(sessions) as session:
            await service.cancel(session, payout_id=payout.id, earner_id=earner_id)
    assert refused.value.facts == {"state": "cancelled"}
    assert await balances(sessions, earner_id) == [10 * UNIT, 0]


async def test_an_earner_pages_through_their_payouts_newest_first(sessions: db.Sessions) -> None:
    earner_id, stranger = await an_earner(sessions), await an_earner(sessions)
    await a_request(sessions, stranger)
    asked = [await a_request(sessions, earner_id, amount_micro=UNIT) for _ in range(5)]
    found, after = [], None
    async with db.reading(sessions) as session:
        while page := await service.mine(session, earner_id=earner_id, after=after, limit=2):
            found += [payout.id for payout in page]
            after = page[-1].created_at, page[-1].id
    assert found == [payout.id for payout in reversed(asked)]


async def test_a_returned_request_can_be_made_again(
    sessions: db.Sessions, finance: Finance
) -> None:
    earner_id = await an_earner(sessions, has=2 * UNIT)
    payout = await a_request(sessions, earner_id)
    batch = await finance.sent()
    await finance.give_back(batch, payout.id)
    again = await a_request(sessions, earner_id)
    assert again.amount_micro == 2 * UNIT
    await finance.settle(await finance.sent(), again.id)
    assert await balances(sessions, earner_id) == [0, 0]
