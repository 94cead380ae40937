"""Money that somebody asked for before they were shut out: theirs, and paid only on purpose."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tessera.accounts import credentials
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.models import Transfer
from tessera.ledger.service import OUTSIDE
from tests.api.refusing import refused
from tests.client import As
from tests.ledger.money import balances, move
from tests.payouts.world import IBAN, UNIT, broken
from tests.world import World

BATCHES = "/v1/finance/payout-batches"


@dataclass
class Case:
    """An earner who asked for their ten dollars and was shut out; and two people of finance."""

    world: World
    earner: As
    earner_id: UUID
    maker: As
    checker: As

    async def disable(self) -> None:
        async with db.transaction(self.world.sessions) as session:
            await credentials.disable(session, email=self.earner.email)

    async def gather(self, *, disabled: bool = True) -> Any:
        return await self.maker.post(BATCHES, {"currency": "USD", "disabled": disabled})

    async def nothing_waits(self, *, disabled: bool) -> bool:
        body = {"currency": "USD", "disabled": disabled}
        return refused(await self.maker.call("POST", BATCHES, body), 409, "nothing-to-pay")

    async def last_actor(self) -> UUID | None:
        async with db.reading(self.world.sessions) as reader:
            last = select(Transfer.actor_id).order_by(Transfer.id.desc()).limit(1)
            return await reader.scalar(last)

    async def money(self) -> list[int]:
        """In the balance, and on its way."""
        return await balances(self.world.sessions, self.earner_id, "USD")


@pytest.fixture
async def case(world: World) -> Case:
    maker, checker = await world.finance(2)
    earner = await world.earner()
    earner_id = UUID((await earner.get("/v1/me"))["person_id"])
    await move(world.sessions, OUTSIDE, ledger.earner(earner_id), 10 * UNIT, currency="USD")
    bank = {"rail": "manual", "details": {"holder": "Ada", "iban": IBAN}}
    await earner.put("/v1/payout-destination", bank)
    await earner.post("/v1/payouts", {"currency": "USD"})
    return Case(world, earner, earner_id, maker, checker)


async def test_who_was_shut_out_is_paid_by_a_batch_of_their_own(case: Case) -> None:
    await case.disable()
    assert await case.nothing_waits(disabled=False)
    batch = await case.gather()
    one = f"{BATCHES}/{batch['id']}"
    (item,) = (await case.checker.get(f"{one}/items"))["items"]
    assert item["earner_disabled"]
    await case.checker.post(f"{one}/approve", {"items_sha256": batch["items_sha256"]})
    assert (await case.maker.call("POST", f"{one}/export")).is_success
    await case.maker.post(f"{one}/settled", {"payout_ids": [item["id"]]})
    assert await case.money() == [0, 0]
    assert await broken(case.world.sessions) == []


async def test_who_was_not_shut_out_is_in_no_such_batch(case: Case) -> None:
    assert await case.nothing_waits(disabled=True)
    assert (await case.gather(disabled=False))["state"] == "draft"


@pytest.mark.parametrize("to_balance", [False, True])
async def test_what_finance_does_not_want_to_pay_waits_or_goes_back_to_the_balance(
    case: Case, *, to_balance: bool
) -> None:
    batch = await case.gather(disabled=False)
    items = f"{BATCHES}/{batch['id']}/items"
    assert not (await case.maker.get(items))["items"][0]["earner_disabled"]
    await case.disable()
    (item,) = (await case.maker.get(items))["items"]
    assert item["earner_disabled"]
    path = f"{BATCHES}/{batch['id']}/items/{item['id']}"
    await case.maker.delete(f"{path}?to_balance={to_balance}", status=200)
    assert await case.nothing_waits(disabled=False)
    assert await case.nothing_waits(disabled=True) == to_balance
    assert await case.money() == ([10 * UNIT, 0] if to_balance else [0, 10 * UNIT])
    if to_balance:
        assert await case.last_actor() == UUID((await case.maker.get("/v1/me"))["person_id"])
    assert await broken(case.world.sessions) == []
