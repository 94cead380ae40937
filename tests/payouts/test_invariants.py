import pytest

from deploy.embedded.stack import Servers
from tessera.kernel import db
from tests.ledger.superuser import tamper
from tests.payouts.world import Finance, a_person, a_request, an_earner, broken


@pytest.mark.parametrize(
    ("act", "rules"),
    [
        (
            "UPDATE payouts SET amount_micro = amount_micro - 1 WHERE state = 'requested'",
            ["in_transit_is_open_payouts"],
        ),
        ("DELETE FROM payouts WHERE state = 'requested'", ["in_transit_is_open_payouts"]),
        (
            "UPDATE payouts SET amount_micro = amount_micro - 1 WHERE state = 'settled'",
            ["settled_payouts_left_the_ledger"],
        ),
        (
            "UPDATE payouts SET settled_at = now() WHERE state = 'requested'",
            ["settled_payouts_left_the_ledger"],
        ),
        (
            "UPDATE payout_batches SET currency = 'USD'",
            ["items_have_the_currency_of_their_batch"],
        ),
    ],
)
async def test_m26_payouts_that_differ_from_the_ledger_are_found(
    sessions: db.Sessions, servers: Servers, act: str, rules: list[str]
) -> None:
    finance = Finance(sessions, await a_person(sessions), await a_person(sessions))
    settled = await a_request(sessions, await an_earner(sessions))
    await finance.settle(await finance.sent(), settled.id)
    await a_request(sessions, await an_earner(sessions))
    assert await broken(sessions) == []
    await tamper(servers, act)
    assert await broken(sessions) == rules
