"""Every route that moves money, sent ten times at the same moment: it moves once.

With an idempotency key all ten have the same answer. Without, the nature of the thing decides, as
the table says.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from httpx2 import Response

from api.idempotency import REPLAYED
from tessera.kernel import db
from tessera.ledger import invariants as ledger_rules
from tessera.ledger import service as ledger
from tessera.ledger.service import OUTSIDE
from tessera.payouts import invariants as payout_rules
from tests.api.authorisation_table import TABLE, filled
from tests.api.refusing import refused
from tests.api.tenants import IBAN
from tests.assignment.crowd import number
from tests.client import As
from tests.ledger.money import move
from tests.quality.court import ANIMALS, Court
from tests.world import World

AT_ONCE = 10
UNIT = 1_000_000
TRANSFERS = "SELECT count(*) FROM ledger_transfers"
_BATCH = "/v1/finance/payout-batches/{batch_id}"


@dataclass(frozen=True)
class Step:
    """One call of a life of money; each needs those before it."""

    route: str
    who: str
    body: Any = None
    transfers: int = 0
    """Ledger transfers that it makes."""
    otherwise: int | str = 200
    """What the others get without a key: the same answer by nature (its status), or a refusal
    (its code)."""
    learns: str = ""
    """Place for the id in the answer."""


STEPS = (
    Step(
        "POST /v1/finance/deposits",
        "maker",
        {
            "organisation_id": "{organisation_id}",
            "amount_micro": 10**9,
            "currency": "USD",
            "reference": "bank 1",
        },
        transfers=1,
        otherwise=201,
        learns="transfer_id",
    ),
    Step(
        "POST /v1/finance/deposits/{transfer_id}/reversal",
        "checker",
        {"reason": "Recorded twice."},
        1,
        "already-reversed",
    ),
    Step(
        "POST /v1/finance/deposits",
        "maker",
        {
            "organisation_id": "{organisation_id}",
            "amount_micro": 10**9,
            "currency": "USD",
            "reference": "bank 2",
        },
        transfers=1,
        otherwise=201,
    ),
    Step("POST /v1/projects/{project_id}/launch", "owner", None, 1),
    Step("POST /v1/projects/{project_id}/complete", "owner", None, 0, "wrong-state"),
    Step("POST /v1/payouts", "earner", {"currency": "USD"}, 1, "below-minimum", "payout_id"),
    Step("POST /v1/payouts/{payout_id}/cancel", "earner", None, 1, "wrong-state"),
    Step("POST /v1/payouts", "earner", {"currency": "USD"}, 1, "below-minimum", "payout_id"),
    Step(
        "POST /v1/finance/payout-batches",
        "maker",
        {"currency": "USD"},
        0,
        "nothing-to-pay",
        "batch_id",
    ),
    Step(f"POST {_BATCH}/cancel", "maker", None, 0, "wrong-state"),
    Step(
        "POST /v1/finance/payout-batches",
        "maker",
        {"currency": "USD"},
        0,
        "nothing-to-pay",
        "batch_id",
    ),
    Step(f"DELETE {_BATCH}/items/{{payout_id}}", "maker", None, 0, "not-found"),
    Step(
        "POST /v1/finance/payout-batches",
        "maker",
        {"currency": "USD"},
        0,
        "nothing-to-pay",
        "batch_id",
    ),
    Step(f"POST {_BATCH}/approve", "checker", {"items_sha256": "{items_sha256}"}, 0, "wrong-state"),
    Step(f"POST {_BATCH}/export", "maker"),
    Step(f"POST {_BATCH}/settled", "maker", {"payout_ids": ["{payout_id}"]}, 1),
    Step(
        f"POST {_BATCH}/items/{{payout_id}}/returned",
        "maker",
        {"reason": "Account closed."},
        1,
        "wrong-state",
    ),
)


def moves_money(route: str) -> bool:
    return not route.startswith("GET ") and (
        "/finance/" in route or "/payouts" in route or route.endswith(("/launch", "/complete"))
    )


def test_every_route_that_moves_money_is_among_the_steps() -> None:
    assert {step.route for step in STEPS} == {route for route in TABLE if moves_money(route)}


@dataclass
class Life:
    """People with money, and the ids of what has come of it so far."""

    world: World
    people: dict[str, As]
    place: dict[str, Any] = field(default_factory=dict)

    async def at_once(self, step: Step, **headers: str) -> list[Response]:
        method, path = step.route.split()
        path = path.format_map(self.place)
        body = filled(step.body, self.place)
        who = self.people[step.who]
        calls = (who.call(method, path, body, headers=headers) for _ in range(AT_ONCE))
        return await asyncio.gather(*calls)

    async def go_on(self, step: Step, send: Callable[[], Awaitable[list[Response]]]) -> None:
        """Send a step, and see that it happened once."""
        before = await number(self.world.sessions, TRANSFERS)
        got = await send()
        made = next(each for each in got if each.is_success)
        if step.learns:
            learned = made.json()
            self.place[step.learns] = learned.get(step.learns) or learned["id"]
            self.place |= {k: v for k, v in made.json().items() if k == "items_sha256"}
        after = await number(self.world.sessions, TRANSFERS)
        assert after - before == step.transfers, step.route


async def a_life(world: World) -> Life:
    maker, checker = await world.finance(2)
    owner, organisation_id = await world.operator()
    project = await world.project(
        owner, organisation_id, kind="classify", label_schema=ANIMALS, price_micro=1000
    )
    await Court(world, owner, project, {}).pictures("a.jpg")
    earner = await world.earner()
    earner_id = UUID((await earner.get("/v1/me"))["person_id"])
    await move(world.sessions, OUTSIDE, ledger.earner(earner_id), 10 * UNIT, currency="USD")
    bank = {"rail": "manual", "details": {"holder": "Ada", "iban": IBAN}}
    await earner.put("/v1/payout-destination", bank)
    people = {"maker": maker, "checker": checker, "owner": owner, "earner": earner}
    place = {"organisation_id": organisation_id, "project_id": project["id"]}
    return Life(world, people, place)


async def the_money_is_right(world: World) -> None:
    async with db.reading(world.sessions) as reader:
        for rules in (ledger_rules.RULES, payout_rules.RULES):
            found = await ledger_rules.check(reader, rules)
            assert not [each for each in found if each.broken]
    in_transit = "SELECT sum(balance_micro) FROM ledger_accounts WHERE kind = 'in_transit'"
    assert await number(world.sessions, in_transit) == 0


async def test_with_a_key_ten_at_once_are_one_and_all_hear_the_same(world: World) -> None:
    life = await a_life(world)
    for turn, step in enumerate(STEPS):

        async def send(step: Step = step, turn: int = turn) -> list[Response]:
            got = await life.at_once(step, **{"Idempotency-Key": f"step {turn}"})
            assert {(each.status_code, each.content) for each in got} == {
                (got[0].status_code, got[0].content)
            }, step.route
            stored = not step.route.endswith("/export")
            assert sum(REPLAYED in each.headers for each in got) == (AT_ONCE - 1) * stored
            return got

        await life.go_on(step, send)
    await the_money_is_right(world)


async def test_without_a_key_ten_at_once_move_money_once_too(world: World) -> None:
    life = await a_life(world)
    for step in STEPS:

        async def send(step: Step = step) -> list[Response]:
            got = await life.at_once(step)
            told = Counter(
                each.status_code if each.is_success else each.json()["code"] for each in got
            )
            done = next(each.status_code for each in got if each.is_success)
            alone = AT_ONCE if step.otherwise == done else 1
            others = {step.otherwise: AT_ONCE - 1} if alone == 1 else {}
            assert told == {done: alone, **others}, step.route
            return got

        await life.go_on(step, send)
    await the_money_is_right(world)


async def test_a_part_of_ones_money_is_not_asked_for_twice_by_a_retry_without_a_key(
    world: World,
) -> None:
    """To ask for everything again finds nothing left; to ask for an amount again finds it."""
    life = await a_life(world)
    some = Step("POST /v1/payouts", "earner", {"currency": "USD", "amount_micro": 2 * UNIT})
    got = await life.at_once(some)
    assert all(refused(each, 422, "idempotency-key-required") for each in got)
    assert await number(world.sessions, "SELECT count(*) FROM payouts") == 0
