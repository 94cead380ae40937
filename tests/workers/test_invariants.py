"""What must always hold is looked at, and what does not hold is shown."""

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from deploy.embedded.stack import Servers
from tessera.earnings import invariants as earnings
from tessera.kernel import db
from tessera.ledger import invariants as ledger
from tessera.ledger.service import OUTSIDE, escrow
from tessera.payouts import invariants as payouts
from tests.assignment.crowd import RIGHT, Earner, a_project, settle_all
from tests.client import Work
from tests.ledger.money import an_earner, move
from tests.ledger.superuser import tamper
from workers import invariants

EVERY_RULE = {*ledger.RULES, *earnings.RULES, *payouts.RULES, *invariants.QUEUE_RULES}
DISAGREE = {"earnings_agree_with_the_ledger"}
TAMPERING = {
    "UPDATE ledger_accounts SET balance_micro = 701 WHERE kind = 'earner'": {
        "balances_are_sums_of_entries",
        "currencies_sum_to_zero",
    },
    "INSERT INTO queue_entries (project_id, lane, task_id, place)"
    " SELECT project_id, 0, task_id, place FROM leases LIMIT 1": {"place-twice"},
    "UPDATE tasks SET places = 0, places_used = 0": {"over-assigned"},
    "DELETE FROM earnings": {"answer-without-earning", *DISAGREE},
    "UPDATE earnings SET amount_micro = amount_micro - 1": DISAGREE,
    "UPDATE earnings SET fee_micro = fee_micro + 1": DISAGREE,
    "UPDATE earnings SET earner_id = gen_random_uuid()": DISAGREE,
    "UPDATE earnings SET state = 'approved', transfer_id = NULL": DISAGREE,
    "UPDATE ledger_accounts SET owner_id = gen_random_uuid() WHERE kind = 'escrow'": DISAGREE,
}


@pytest.fixture
async def used(sessions: db.Sessions, work: Work) -> None:
    """Money in the ledger, a task that is answered and paid for, and one that is leased."""
    await an_earner(sessions, has=700)
    project_id = await a_project(sessions, tasks=2, target_confidence=0.5)
    earner = Earner(sessions)
    await earner.answer(await earner.lease(project_id, 1), RIGHT)
    await settle_all(sessions, project_id)
    await move(sessions, OUTSIDE, escrow(project_id), 24_000, currency="USD")
    await work.sweep("post-earnings")
    await earner.lease(project_id, 1)


def shown() -> dict[str, float]:
    found = {rule: REGISTRY.get_sample_value(METRIC, {"invariant": rule}) for rule in EVERY_RULE}
    return {rule: value for rule, value in found.items() if value is not None}


METRIC = "tessera_invariant_broken"


@pytest.mark.usefixtures("used")
async def test_all_is_shown_to_be_well_while_it_is(work: Work) -> None:
    invariants.BROKEN.clear()
    with capture_logs() as logs:
        await work.sweep("check-invariants")
    assert shown() == dict.fromkeys(EVERY_RULE, 0)
    assert logs == []


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("act", TAMPERING)
async def test_what_is_broken_is_shown_and_logged(act: str, work: Work, servers: Servers) -> None:
    await tamper(servers, act)
    with capture_logs() as logs:
        await work.sweep("check-invariants")
    broken = TAMPERING[act]
    assert {rule for rule, rows in shown().items() if rows} == broken
    assert {line["invariant"] for line in logs if line["log_level"] == "error"} == broken


async def test_rules_may_take_longer_than_a_request(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = "SELECT extract(epoch FROM current_setting('statement_timeout')::interval)::int"
    monkeypatch.setitem(invariants.QUEUE_RULES, "seconds", seconds.replace("::", "\\:\\:"))
    await work.sweep("check-invariants")
    assert REGISTRY.get_sample_value(METRIC, {"invariant": "seconds"}) == 240
    invariants.BROKEN.clear()
