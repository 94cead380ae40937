"""What the demo asks of the database is what the scheduled check asks."""

import json
from typing import Any

import pytest

from demo.books import audit
from deploy.embedded.stack import Servers
from tessera.kernel import db
from tests.ledger.superuser import tamper
from tests.payouts.world import a_request, an_earner

FIELDS = ("ledger_balanced", "payouts_consistent", "queue_consistent")
PLACE = "'00000000-0000-0000-0000-000000000001'"
GIVEN_AWAY_TWICE = (
    f"INSERT INTO queue_entries (project_id, lane, task_id, place) VALUES ({PLACE}, 1, {PLACE}, 1)",
    f"""
    INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, expires_at)
    VALUES ({PLACE}, {PLACE}, {PLACE}, 1, 1, 'open', now())
    """,
)


async def books(sessions: db.Sessions) -> tuple[set[str], list[str]]:
    """What is said to be wrong, and the rules that say so."""
    found: dict[str, Any] = await audit(sessions)
    assert json.loads(json.dumps(found)) == found
    return {field for field in FIELDS if not found[field]}, found["broken_rules"]


async def test_books_in_order_are_said_to_be(sessions: db.Sessions) -> None:
    await a_request(sessions, await an_earner(sessions))
    assert await books(sessions) == (set(), [])


@pytest.mark.parametrize(
    ("acts", "wrong", "rule"),
    [
        (
            ["UPDATE ledger_accounts SET balance_micro = balance_micro + 1 WHERE kind = 'earner'"],
            "ledger_balanced",
            "balances_are_sums_of_entries",
        ),
        (
            ["UPDATE payouts SET amount_micro = amount_micro - 1"],
            "payouts_consistent",
            "in_transit_is_open_payouts",
        ),
        (GIVEN_AWAY_TWICE, "queue_consistent", "place-twice"),
    ],
    ids=FIELDS,
)
async def test_books_that_were_tampered_with_are_said_to_be_wrong(
    sessions: db.Sessions, servers: Servers, acts: list[str], wrong: str, rule: str
) -> None:
    await a_request(sessions, await an_earner(sessions))
    await tamper(servers, *acts)
    fields, rules = await books(sessions)
    assert fields == {wrong}
    assert rule in rules
