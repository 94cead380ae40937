"""What the demo asks of the database is what the scheduled check asks."""

import json
from typing import Any
from uuid import uuid4

import pytest

from demo.books import audit
from deploy.embedded.stack import Servers
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.models import Event
from tessera.ledger.service import FEES, OUTSIDE, Leg, Reason
from tests.ledger.money import move
from tests.ledger.superuser import tamper
from tests.payouts.world import a_request, an_earner

FIELDS = ("ledger_balanced", "earnings_consistent", "payouts_consistent", "queue_consistent")
PLACE = "'00000000-0000-0000-0000-000000000001'"
NEVER_POSTED = f"""
INSERT INTO earnings (project_id, lease_id, task_id, earner_id, currency, amount_micro, fee_micro,
  state, transfer_id)
VALUES ({PLACE}, {PLACE}, {PLACE}, {PLACE}, 'EUR', 5, 1, 'available', 1)
"""
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
        ([NEVER_POSTED], "earnings_consistent", "earnings_agree_with_the_ledger"),
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


async def test_spent_is_what_left_escrow_for_earners_and_fees(sessions: db.Sessions) -> None:
    escrow, earner = ledger.escrow(uuid4()), ledger.earner(uuid4())
    await move(sessions, OUTSIDE, escrow, 100)
    async with db.transaction(sessions) as session:
        legs = [Leg(escrow, -60), Leg(earner, 50), Leg(FEES, 10)]
        await ledger.post(session, legs, currency="EUR", reason=Reason(Event.EARN, "a batch"))
    await move(sessions, escrow, ledger.organisation(uuid4()), 40)
    assert (await audit(sessions))["spent_micro"] == 60
