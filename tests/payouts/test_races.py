import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from tessera.kernel import db
from tessera.ledger.errors import InsufficientFunds
from tessera.payouts import service
from tessera.payouts.errors import BatchChanged, BelowMinimum, NothingToPay, WrongState
from tessera.payouts.models import BatchState, Payout, PayoutState
from tests.ledger.money import at_once, balances
from tests.payouts.world import UNIT, Finance, a_request, an_earner

T = TypeVar("T")


async def cancel(sessions: db.Sessions, payout: Payout) -> None:
    async with db.transaction(sessions) as session:
        await service.cancel(session, payout_id=payout.id, earner_id=payout.earner_id)


async def outcomes(*calls: Awaitable[T]) -> list[T | BaseException]:
    """What each returned or raised, all run together."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


@pytest.mark.usefixtures("finance")
async def test_m3_fifty_requests_at_once_do_not_take_more_than_the_balance(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=10 * UNIT)
    failed = await at_once(a_request(sessions, earner_id, amount_micro=3 * UNIT) for _ in range(50))
    assert [type(error) for error in failed] == [InsufficientFunds] * 47
    assert await balances(sessions, earner_id) == [UNIT, 9 * UNIT]


@pytest.mark.usefixtures("finance")
async def test_everything_asked_for_many_times_at_once_is_everything_once(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=10 * UNIT)
    failed = await at_once(a_request(sessions, earner_id) for _ in range(20))
    assert [type(error) for error in failed] == [BelowMinimum] * 19
    assert await balances(sessions, earner_id) == [0, 10 * UNIT]


@pytest.mark.usefixtures("finance")
async def test_a_request_cancelled_many_times_at_once_comes_back_once(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=10 * UNIT)
    payout = await a_request(sessions, earner_id)
    failed = await at_once(cancel(sessions, payout) for _ in range(10))
    assert [type(error) for error in failed] == [WrongState] * 9
    assert await balances(sessions, earner_id) == [10 * UNIT, 0]


async def test_a_request_is_either_cancelled_or_gathered(
    sessions: db.Sessions, finance: Finance
) -> None:
    for _ in range(8):
        earner_id = await an_earner(sessions)
        payout = await a_request(sessions, earner_id)
        cancelled, made = await outcomes(cancel(sessions, payout), finance.make())
        if isinstance(made, NothingToPay):
            assert cancelled is None
            assert await balances(sessions, earner_id) == [10 * UNIT, 0]
        else:
            assert isinstance(cancelled, WrongState)
            assert await balances(sessions, earner_id) == [0, 10 * UNIT]


async def test_two_who_gather_at_once_never_gather_the_same(
    sessions: db.Sessions, finance: Finance
) -> None:
    asked = {(await a_request(sessions, await an_earner(sessions))).id for _ in range(12)}
    made = await outcomes(*[finance.make(limit=4) for _ in range(5)])
    batches = [batch for batch in made if not isinstance(batch, BaseException)]
    assert all(isinstance(b, NothingToPay) for b in made if isinstance(b, BaseException))
    gathered = [item for batch in batches for item in await finance.items(batch)]
    assert len(gathered) == len(asked)
    assert set(gathered) == asked
    for batch in batches:  # each has what it was made of
        assert (await finance.approve(batch)).state == BatchState.APPROVED


async def test_m27_what_is_approved_while_an_item_is_removed_is_never_the_changed_batch(
    sessions: db.Sessions, finance: Finance
) -> None:
    for _ in range(8):
        first, _ = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
        batch = await finance.make()
        approved, _ = await outcomes(finance.approve(batch), finance.remove(batch, first.id))
        assert not isinstance(approved, BaseException) or isinstance(approved, BatchChanged)
        now = await finance.look(batch)
        assert (now.state, now.approved_by) == (BatchState.DRAFT, None)


async def test_items_removed_at_the_same_time_leave_the_right_hash(
    sessions: db.Sessions, finance: Finance
) -> None:
    asked = [await a_request(sessions, await an_earner(sessions)) for _ in range(6)]
    batch = await finance.make()
    assert await at_once(finance.remove(batch, payout.id) for payout in asked[:5]) == []
    left = await finance.look(batch)
    assert (await finance.approve(left)).state == BatchState.APPROVED
    assert (await finance.export(left)).items == 1


async def test_a_batch_is_either_sent_or_cancelled(sessions: db.Sessions, finance: Finance) -> None:
    for _ in range(8):
        payout = await a_request(sessions, await an_earner(sessions))
        batch = await finance.approve(await finance.make())
        sent, cancelled = await outcomes(finance.export(batch), finance.cancel(batch))
        assert isinstance(sent, BaseException) != isinstance(cancelled, BaseException)
        if isinstance(sent, BaseException):
            assert await finance.items(batch) == {}
            await finance.make()
        else:
            assert await finance.items(batch) == {payout.id: PayoutState.SENT}


async def test_m28_taken_many_times_at_once_the_file_is_the_same(
    sessions: db.Sessions, finance: Finance
) -> None:
    for _ in range(3):
        await a_request(sessions, await an_earner(sessions))
    batch = await finance.approve(await finance.make())
    files = await outcomes(*[finance.export(batch) for _ in range(8)])
    assert all(file == files[0] for file in files)


async def test_m28_settled_many_times_at_once_in_any_order_money_leaves_once(
    sessions: db.Sessions, finance: Finance
) -> None:
    earners = [await an_earner(sessions) for _ in range(4)]
    ids = [(await a_request(sessions, earner_id)).id for earner_id in earners]
    batch = await finance.sent()
    failed = await at_once(
        finance.settle(batch, *ids[i % 4 :], *ids[: i % 4][::-1]) for i in range(12)
    )
    assert failed == []
    assert [await balances(sessions, earner_id) for earner_id in earners] == [[0, 0]] * 4
    assert (await finance.look(batch)).state == BatchState.CLOSED


async def test_an_item_settled_and_returned_at_once_ends_as_returned_and_is_paid_for_once(
    sessions: db.Sessions, finance: Finance
) -> None:
    for _ in range(8):
        earner_id = await an_earner(sessions)
        payout = await a_request(sessions, earner_id)
        batch = await finance.sent()
        settled, back = await outcomes(
            finance.settle(batch, payout.id), finance.give_back(batch, payout.id)
        )
        assert isinstance(settled, list | WrongState)
        assert not isinstance(back, BaseException)
        assert await balances(sessions, earner_id) == [10 * UNIT, 0]
        assert (await finance.look(batch)).state == BatchState.CLOSED
