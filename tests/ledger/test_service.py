from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.ledger import service as ledger
from tessera.ledger.errors import AmountTooLarge, InsufficientFunds, ReferenceReused
from tessera.ledger.models import AccountKind
from tessera.ledger.service import FEES, MAX_MICRO, OUTSIDE, Leg, Purse
from tests.ledger.money import balance, because


async def deposit(
    session: AsyncSession, target: Purse, amount_micro: int, *, reference: str | None = None
) -> int:
    return await ledger.move(
        session,
        OUTSIDE,
        target,
        amount_micro=amount_micro,
        currency="EUR",
        reason=because(reference),
    )


async def test_money_leaves_one_purse_and_arrives_in_another(session: AsyncSession) -> None:
    somebody = ledger.earner(uuid4())
    before = await balance(session, OUTSIDE)
    await deposit(session, somebody, 700)
    assert await balance(session, somebody) == 700
    assert await balance(session, OUTSIDE) == before - 700


async def test_the_same_reference_moves_money_once(session: AsyncSession) -> None:
    somebody = ledger.earner(uuid4())
    first = await deposit(session, somebody, 700, reference="gift")
    assert await deposit(session, somebody, 700, reference="gift") == first
    assert await balance(session, somebody) == 700


async def test_the_same_reference_for_other_money_is_refused(session: AsyncSession) -> None:
    somebody = ledger.earner(uuid4())
    await deposit(session, somebody, 700, reference="gift")
    with pytest.raises(ReferenceReused):
        await deposit(session, somebody, 701, reference="gift")
    with pytest.raises(ReferenceReused):
        await deposit(session, ledger.earner(uuid4()), 700, reference="gift")


async def test_the_same_reference_for_other_lines_is_refused(session: AsyncSession) -> None:
    somebody = ledger.earner(uuid4())
    monday = [Leg(OUTSIDE, -5), Leg(somebody, 5, "answer:1")]
    tuesday = [Leg(OUTSIDE, -5), Leg(somebody, 5, "answer:2")]
    await ledger.post(session, monday, currency="EUR", reason=because("day"))
    with pytest.raises(ReferenceReused):
        await ledger.post(session, tuesday, currency="EUR", reason=because("day"))


async def test_a_line_is_paid_once_whichever_transfer_carries_it(session: AsyncSession) -> None:
    somebody = ledger.earner(uuid4())
    legs = [Leg(OUTSIDE, -5), Leg(somebody, 5, "answer:1")]
    await ledger.post(session, legs, currency="EUR", reason=because("monday"))
    with pytest.raises(ReferenceReused):
        async with session.begin_nested():
            await ledger.post(session, legs, currency="EUR", reason=because("tuesday"))
    assert await balance(session, somebody) == 5


async def test_many_lines_of_one_purse_add_up(session: AsyncSession) -> None:
    people = [ledger.earner(uuid4()) for _ in range(3)]
    lines = [Leg(people[i % 3], i + 1, f"answer:{i}") for i in range(3000)]
    total = sum(leg.amount_micro for leg in lines)
    legs = [Leg(OUTSIDE, -total - 9), *lines, Leg(FEES, 9)]
    await ledger.post(session, legs, currency="EUR", reason=because())
    assert sum([await balance(session, somebody) for somebody in people]) == total


async def test_nobody_but_the_outside_world_spends_more_than_they_have(
    session: AsyncSession,
) -> None:
    poor = ledger.earner(uuid4())
    await deposit(session, poor, 700)
    with pytest.raises(InsufficientFunds):
        async with session.begin_nested():
            await ledger.move(
                session, poor, FEES, amount_micro=701, currency="EUR", reason=because()
            )
    assert await balance(session, poor) == 700


async def test_money_of_another_currency_does_not_help(session: AsyncSession) -> None:
    poor = ledger.earner(uuid4())
    await deposit(session, poor, 700)
    with pytest.raises(InsufficientFunds):
        async with session.begin_nested():
            await ledger.move(session, poor, FEES, amount_micro=1, currency="USD", reason=because())
    assert await ledger.balances(session, AccountKind.EARNER, poor.owner_id) == {"EUR": 700}


@pytest.mark.parametrize("amount", [0, -1])
async def test_a_move_goes_forwards_or_not_at_all(session: AsyncSession, amount: int) -> None:
    with pytest.raises(ValueError, match="forwards"):
        await deposit(session, FEES, amount)


@pytest.mark.parametrize("legs", [[], [Leg(FEES, 0)], [Leg(FEES, 1), Leg(OUTSIDE, -2)]])
async def test_legs_that_make_no_transfer_are_our_bug(
    session: AsyncSession, legs: list[Leg]
) -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        await ledger.post(session, legs, currency="EUR", reason=because())


@pytest.mark.parametrize("amounts", [[MAX_MICRO + 1], [MAX_MICRO - 5, 6]])
async def test_more_money_than_an_account_holds_is_refused_in_words(
    session: AsyncSession, amounts: list[int]
) -> None:
    rich = ledger.earner(uuid4())
    with pytest.raises(AmountTooLarge):
        async with session.begin_nested():
            for amount in amounts:
                await deposit(session, rich, amount)
