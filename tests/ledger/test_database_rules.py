"""What the database refuses to anybody who comes past the service with SQL of their own."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.service import OUTSIDE
from tests.ledger.money import an_earner, balance, balances, move

TRANSFER = "INSERT INTO ledger_transfers (reference, event) VALUES (:reference, 'deposit')"
ENTRIES = """
    INSERT INTO ledger_entries (transfer_id, account_id, amount_micro)
    SELECT t.id, a.id, CASE a.kind WHEN 'outside' THEN CAST(:out AS bigint) ELSE :into END
    FROM ledger_transfers AS t, ledger_accounts AS a
    WHERE t.reference = :reference AND (a.kind = 'outside' OR a.owner_id = :earner_id)
"""

RICH = """
    INSERT INTO ledger_accounts (kind, owner_id, currency, balance_micro)
    VALUES ('earner', gen_random_uuid(), 'EUR', 1000000000)
"""


async def write(
    session: AsyncSession, reference: str, out: int, into: int, earner_id: UUID
) -> None:
    await session.execute(
        text(ENTRIES), {"reference": reference, "out": out, "into": into, "earner_id": earner_id}
    )


async def test_a_balanced_transfer_written_by_hand_is_taken_and_moves_the_balance(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=700)
    async with db.transaction(sessions) as session:
        await session.execute(text(TRANSFER), {"reference": "by hand"})
        await write(session, "by hand", -5, 5, earner_id)
    assert await balances(sessions, earner_id) == [705, 0]


async def test_an_unbalanced_transfer_does_not_commit(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions, has=700)
    with pytest.raises(IntegrityError, match="does not balance"):
        async with db.transaction(sessions) as session:
            await session.execute(text(TRANSFER), {"reference": "gift"})
            await write(session, "gift", -5, 6, earner_id)
    assert await balances(sessions, earner_id) == [700, 0]


async def test_a_transfer_between_two_currencies_does_not_commit(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions, has=700)
    await move(sessions, OUTSIDE, ledger.earner(earner_id), 700, currency="USD")
    with pytest.raises(IntegrityError, match="does not balance"):
        async with db.transaction(sessions) as session:
            await session.execute(text(TRANSFER), {"reference": "gift"})
            await session.execute(
                text(
                    "INSERT INTO ledger_entries (transfer_id, account_id, amount_micro)"
                    " SELECT t.id, a.id, CASE a.currency WHEN 'EUR' THEN -5 ELSE 5 END"
                    " FROM ledger_transfers AS t, ledger_accounts AS a"
                    " WHERE t.reference = 'gift' AND a.owner_id = :earner_id"
                ),
                {"earner_id": earner_id},
            )
    assert await balances(sessions, earner_id) == [700, 0]


async def test_a_transfer_without_entries_does_not_commit(sessions: db.Sessions) -> None:
    with pytest.raises(IntegrityError, match="does not balance"):
        async with db.transaction(sessions) as session:
            await session.execute(text(TRANSFER), {"reference": "nothing"})


@pytest.mark.parametrize("when", ["later", "in the same transaction"])
async def test_a_transfer_is_never_added_to(sessions: db.Sessions, when: str) -> None:
    earner_id = await an_earner(sessions, has=700)
    if when == "later":
        await move(sessions, OUTSIDE, ledger.earner(earner_id), 5, reference="gift")
    with pytest.raises(IntegrityError, match="never added to"):
        async with db.transaction(sessions) as session:
            if when != "later":
                await session.execute(text(TRANSFER), {"reference": "gift"})
                await write(session, "gift", -5, 5, earner_id)
                await session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            await write(session, "gift", -7, 7, earner_id)


async def test_a_second_transfer_for_the_same_reason_is_refused(sessions: db.Sessions) -> None:
    earner_id = await an_earner(sessions)
    await move(sessions, OUTSIDE, ledger.earner(earner_id), 5, reference="gift")
    with pytest.raises(IntegrityError, match="uq_ledger_transfers_reference"):
        async with db.transaction(sessions) as session:
            await session.execute(text(TRANSFER), {"reference": "gift"})


async def test_entries_that_would_leave_less_than_nothing_are_refused(
    sessions: db.Sessions,
) -> None:
    earner_id = await an_earner(sessions, has=700)
    with pytest.raises(IntegrityError, match="ck_ledger_accounts_floor"):
        async with db.transaction(sessions) as session:
            await session.execute(text(TRANSFER), {"reference": "theft"})
            await write(session, "theft", 701, -701, earner_id)
    assert await balances(sessions, earner_id) == [700, 0]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE ledger_entries SET amount_micro = amount_micro * 2",
        "UPDATE ledger_entries SET amount_micro = 1 WHERE false",
        "UPDATE ledger_transfers SET reference = reference || '!'",
        "UPDATE ledger_accounts SET balance_micro = 1000000000",
        "UPDATE ledger_accounts SET currency = 'USD'",
        "UPDATE ledger_accounts SET owner_id = gen_random_uuid() WHERE kind = 'earner'",
        RICH,
        "DELETE FROM ledger_entries",
        "DELETE FROM ledger_transfers",
        "DELETE FROM ledger_accounts",
        "TRUNCATE ledger_entries",
        "TRUNCATE ledger_transfers CASCADE",
        "TRUNCATE ledger_accounts CASCADE",
    ],
)
async def test_what_is_written_stays_as_it_was_written(sessions: db.Sessions, attack: str) -> None:
    earner_id = await an_earner(sessions, has=700)
    with pytest.raises(IntegrityError, match="append-only"):
        async with db.transaction(sessions) as session:
            await session.execute(text(attack))
    assert await balances(sessions, earner_id) == [700, 0]


@pytest.mark.parametrize("setting", ["session_replication_role = replica", "ROLE postgres"])
async def test_the_applications_role_is_no_superuser_nor_can_it_act_as_one(
    session: AsyncSession, setting: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with session.begin_nested():
            await session.execute(text(f"SET {setting}"))


@pytest.mark.parametrize(
    "account",
    [
        {"kind": "earner", "owner_id": None, "currency": "EUR"},
        {"kind": "fees", "owner_id": uuid4(), "currency": "EUR"},
        {"kind": "earner", "owner_id": uuid4(), "currency": "eur"},
    ],
)
async def test_an_account_that_makes_no_sense_is_refused(
    session: AsyncSession, account: dict[str, object]
) -> None:
    with pytest.raises(IntegrityError, match=r"owned|currency_is_a_code"):
        async with session.begin_nested():
            await session.execute(
                text(
                    "INSERT INTO ledger_accounts (kind, owner_id, currency, balance_micro)"
                    " VALUES (:kind, :owner_id, :currency, 0)"
                ),
                account,
            )


async def test_there_is_one_outside_world_per_currency(sessions: db.Sessions) -> None:
    await an_earner(sessions, has=5)
    async with db.reading(sessions) as session:
        assert await balance(session, OUTSIDE) == -5
    with pytest.raises(IntegrityError, match="uq_ledger_accounts"):
        async with db.transaction(sessions) as session:
            await session.execute(
                text(
                    "INSERT INTO ledger_accounts (kind, currency, balance_micro)"
                    " VALUES ('outside', 'EUR', 0)"
                )
            )
