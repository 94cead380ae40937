import pytest
from sqlalchemy import text

from deploy.embedded.stack import Servers
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.invariants import RULES, check
from tessera.ledger.service import FEES, OUTSIDE
from tests.ledger.money import an_earner, move
from tests.ledger.superuser import tamper


async def broken(sessions: db.Sessions) -> dict[str, list[str]]:
    async with db.reading(sessions) as session:
        found = await check(session)
    assert [finding.rule for finding in found] == list(RULES)
    assert all((finding.broken > 0) == bool(finding.samples) for finding in found)
    return {finding.rule: finding.samples for finding in found if finding.broken}


async def test_nothing_is_broken_at_first_nor_after_money_has_moved(
    sessions: db.Sessions,
) -> None:
    assert await broken(sessions) == {}
    earner_id = await an_earner(sessions, has=700)
    await move(sessions, ledger.earner(earner_id), FEES, 5)
    assert await broken(sessions) == {}


@pytest.mark.parametrize(
    ("act", "rules"),
    [
        (
            "UPDATE ledger_accounts SET balance_micro = 701 WHERE kind = 'earner'",
            {"balances_are_sums_of_entries", "currencies_sum_to_zero"},
        ),
        (
            "UPDATE ledger_entries SET amount_micro = 701 WHERE amount_micro = 700",
            {"transfers_balance", "balances_are_sums_of_entries"},
        ),
        (
            "DELETE FROM ledger_entries",
            {"transfers_balance", "balances_are_sums_of_entries"},
        ),
        (
            "UPDATE ledger_entries SET amount_micro = -amount_micro",
            {"balances_are_sums_of_entries"},
        ),
        (
            "INSERT INTO ledger_transfers (reference, event) VALUES ('empty', 'deposit')",
            {"transfers_balance"},
        ),
    ],
)
async def test_m45_what_a_superuser_has_changed_is_found(
    sessions: db.Sessions, servers: Servers, act: str, rules: set[str]
) -> None:
    await an_earner(sessions, has=700)
    await tamper(servers, act)
    assert set(await broken(sessions)) == rules


async def test_the_rows_that_break_a_rule_are_named(
    sessions: db.Sessions, servers: Servers
) -> None:
    earners = [await an_earner(sessions, has=700) for _ in range(6)]
    await move(sessions, OUTSIDE, ledger.earner(earners[0]), 5)
    await tamper(servers, "UPDATE ledger_accounts SET balance_micro = 0 WHERE balance_micro = 705")
    async with db.reading(sessions) as session:
        account = await session.scalar(
            text("SELECT id FROM ledger_accounts WHERE owner_id = :owner_id"),
            {"owner_id": earners[0]},
        )
    assert (await broken(sessions))["balances_are_sums_of_entries"] == [str(account)]
    await tamper(servers, "DELETE FROM ledger_entries")
    async with db.reading(sessions) as session:
        found = {finding.rule: finding for finding in await check(session)}
    assert found["transfers_balance"].broken == 7
    assert len(found["transfers_balance"].samples) == 5
