from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.errors import InsufficientFunds, ReferenceReused
from tessera.ledger.service import FEES, OUTSIDE, Leg
from tests.ledger.money import an_earner, at_once, balance, balances, because, move

SERIALIZATION_FAILURE = "40001"


def gave_way(error: BaseException) -> bool:
    """Too little money, or a conflict that the stricter isolation levels report."""
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) == SERIALIZATION_FAILURE
    return isinstance(error, InsufficientFunds)


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_m3_sixty_spenders_at_once_do_not_spend_more_than_there_is(
    sessions: db.Sessions, isolation: str
) -> None:
    earner_id = await an_earner(sessions, has=1000)

    async def spend() -> None:
        async with db.transaction(sessions) as session:
            await session.connection(execution_options={"isolation_level": isolation})
            await ledger.move(
                session,
                ledger.earner(earner_id),
                FEES,
                amount_micro=90,
                currency="EUR",
                reason=because(),
            )

    failed = await at_once(spend() for _ in range(60))
    assert all(gave_way(error) for error in failed)
    assert 1 <= 60 - len(failed) <= 11
    if isolation == "READ COMMITTED":
        assert 60 - len(failed) == 11
    assert await balances(sessions, earner_id) == [1000 - 90 * (60 - len(failed)), 0]


async def test_opposite_transfers_queue_up_instead_of_deadlocking(sessions: db.Sessions) -> None:
    one, two = [ledger.earner(await an_earner(sessions, has=1000)) for _ in range(2)]
    failed = await at_once(
        move(sessions, *((one, two) if i % 2 else (two, one)), 5) for i in range(40)
    )
    assert failed == []


async def test_many_who_post_the_same_reference_move_money_once(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions)
    failed = await at_once(
        move(sessions, OUTSIDE, ledger.earner(earner_id), 5, reference="gift") for _ in range(20)
    )
    assert failed == []
    assert await balances(sessions, earner_id) == [5, 0]


async def test_an_answer_in_two_batches_at_once_is_paid_once(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions)

    async def pay(batch: int) -> None:
        legs = [Leg(OUTSIDE, -5), Leg(ledger.earner(earner_id), 5, "answer:1")]
        async with db.transaction(sessions) as session:
            await ledger.post(session, legs, currency="EUR", reason=because(f"batch:{batch}"))

    failed = await at_once(pay(batch) for batch in range(10))
    assert [type(error) for error in failed] == [ReferenceReused] * 9
    assert await balances(sessions, earner_id) == [5, 0]


async def test_a_purse_used_first_by_many_at_once_is_one_account(sessions: db.Sessions) -> None:
    earner_id = uuid4()
    failed = await at_once(move(sessions, OUTSIDE, ledger.earner(earner_id), 5) for _ in range(20))
    assert failed == []
    async with db.reading(sessions) as session:
        assert await balance(session, ledger.earner(earner_id)) == 100
        accounts = await session.scalar(text("SELECT count(*) FROM ledger_accounts"))
    assert accounts == 2
