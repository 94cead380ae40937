import csv
import io
from uuid import uuid4

import pytest

from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.ledger import statement
from tessera.ledger.models import AccountKind, Event
from tessera.payouts.errors import WrongState
from tessera.payouts.models import BatchState, PayoutState
from tests.ledger.money import balances
from tests.payouts.world import IBAN, UNIT, Finance, a_request, an_earner

SENT, SETTLED, RETURNED = PayoutState.SENT, PayoutState.SETTLED, PayoutState.RETURNED


async def test_taking_the_file_sends_the_batch_and_taking_it_again_gives_the_same_bytes(
    sessions: db.Sessions, finance: Finance
) -> None:
    payout = await a_request(sessions, await an_earner(sessions, has=12_345_678, holder="=Ada"))
    batch = await finance.approve(await finance.make())
    file = await finance.export(batch)
    assert (file.items, file.total_micro) == (1, 12_340_000)
    assert file.name == f"payouts-EUR-{batch.id}.csv"
    line, total = csv.DictReader(io.StringIO(file.content.decode(), newline=""))
    assert (line["item_id"], line["holder"], line["iban"]) == (str(payout.id), "'=Ada", IBAN)
    assert line["net"] == total["net"] == "12.34"
    assert (await finance.look(batch)).state == BatchState.SUBMITTED
    assert await finance.items(batch) == {payout.id: SENT}
    assert await finance.export(batch) == file
    await finance.settle(batch, payout.id)
    await finance.give_back(batch, payout.id)
    assert await finance.export(batch) == file


async def test_only_an_approved_batch_is_sent(sessions: db.Sessions, finance: Finance) -> None:
    payout = await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    with pytest.raises(WrongState) as refused:
        await finance.export(batch)
    assert refused.value.facts == {"state": "draft"}
    assert await finance.items(batch) == {payout.id: PayoutState.BATCHED}
    await finance.cancel(batch)
    with pytest.raises(WrongState):
        await finance.export(batch)


async def test_settled_money_is_gone_and_a_batch_closes_with_its_last_item(
    sessions: db.Sessions, finance: Finance
) -> None:
    earners = [await an_earner(sessions, has=(i + 1) * UNIT) for i in range(3)]
    one, two, three = [await a_request(sessions, earner_id) for earner_id in earners]
    batch = await finance.sent()
    await finance.settle(batch, one.id, two.id)
    assert await finance.items(batch) == {one.id: SETTLED, two.id: SETTLED, three.id: SENT}
    assert (await finance.look(batch)).state == BatchState.SUBMITTED
    back = await finance.give_back(batch, three.id, "No such account.")
    assert (back.state, back.reason) == (RETURNED, "No such account.")
    assert (await finance.look(batch)).state == BatchState.CLOSED
    assert [await balances(sessions, earner_id) for earner_id in earners] == [
        [0, 0],
        [0, 0],
        [3 * UNIT, 0],
    ]


async def test_what_is_settled_twice_is_paid_once(sessions: db.Sessions, finance: Finance) -> None:
    one, two = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
    batch = await finance.sent()
    [first] = await finance.settle(batch, one.id)
    both = await finance.settle(batch, one.id, two.id, two.id)
    assert {payout.id: payout.state for payout in both} == {one.id: SETTLED, two.id: SETTLED}
    [again] = await finance.settle(batch, one.id)
    assert again.settled_at == first.settled_at


async def test_items_are_settled_together_or_not_at_all(
    sessions: db.Sessions, finance: Finance
) -> None:
    one, two = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
    batch = await finance.sent()
    await finance.give_back(batch, two.id)
    with pytest.raises(WrongState) as refused:
        await finance.settle(batch, one.id, two.id)
    assert refused.value.facts == {"state": "returned", "payout_id": str(two.id)}
    with pytest.raises(NotFound):
        await finance.settle(batch, one.id, uuid4())
    assert await finance.items(batch) == {one.id: SENT, two.id: RETURNED}


async def test_nothing_is_settled_or_returned_that_was_not_sent(
    sessions: db.Sessions, finance: Finance
) -> None:
    payout = await a_request(sessions, await an_earner(sessions))
    batch = await finance.approve(await finance.make())
    with pytest.raises(WrongState):
        await finance.settle(batch, payout.id)
    with pytest.raises(WrongState):
        await finance.give_back(batch, payout.id)
    assert await finance.items(batch) == {payout.id: PayoutState.BATCHED}


async def test_m25_money_that_comes_back_late_is_the_earners_again_once(
    sessions: db.Sessions, finance: Finance
) -> None:
    earner_id = await an_earner(sessions, has=5 * UNIT)
    payout = await a_request(sessions, earner_id)
    batch = await finance.sent()
    await finance.settle(batch, payout.id)
    assert (await finance.look(batch)).state == BatchState.CLOSED
    back = await finance.give_back(batch, payout.id, "Bounced after three weeks.")
    assert back.settled_at is not None
    assert back.returned_at is not None
    assert await balances(sessions, earner_id) == [5 * UNIT, 0]
    with pytest.raises(WrongState):
        await finance.give_back(batch, payout.id)
    with pytest.raises(WrongState):
        await finance.settle(batch, payout.id)
    assert (await finance.look(batch)).state == BatchState.CLOSED
    assert await balances(sessions, earner_id) == [5 * UNIT, 0]


async def test_the_statement_says_what_became_of_a_payout(
    sessions: db.Sessions, finance: Finance
) -> None:
    earner_id = await an_earner(sessions, has=5 * UNIT)
    payout = await a_request(sessions, earner_id)
    batch = await finance.sent()
    await finance.settle(batch, payout.id)
    await finance.give_back(batch, payout.id)
    async with db.reading(sessions) as session:
        mine, moving = [
            [
                (line.event, line.reference, line.amount_micro)
                for line in await statement.lines(session, kind, earner_id, before=None, limit=9)
            ]
            for kind in (AccountKind.EARNER, AccountKind.IN_TRANSIT)
        ]
    assert mine[:2] == [
        (Event.PAYOUT_RETURNED, f"payout:{payout.id}:returned", 5 * UNIT),
        (Event.PAYOUT_REQUESTED, f"payout:{payout.id}:requested", -5 * UNIT),
    ]
    assert moving == [
        (Event.PAYOUT_SETTLED, f"payout:{payout.id}:settled", -5 * UNIT),
        (Event.PAYOUT_REQUESTED, f"payout:{payout.id}:requested", 5 * UNIT),
    ]


async def test_m26_items_batch_and_ledger_add_up(sessions: db.Sessions, finance: Finance) -> None:
    earners = [await an_earner(sessions, has=(i + 1) * 1_234_567) for i in range(5)]
    asked = [await a_request(sessions, earner_id) for earner_id in earners]
    batch = await finance.approve(await finance.make())
    file = await finance.export(batch)
    assert file.total_micro == sum(payout.amount_micro for payout in asked)
    in_transit = sum([(await balances(sessions, earner_id))[1] for earner_id in earners])
    assert in_transit == file.total_micro
    await finance.settle(batch, *[payout.id for payout in asked])
    async with db.reading(sessions) as session:
        [line, *_] = await statement.lines(session, AccountKind.OUTSIDE, None, before=None, limit=1)
    assert (line.event, line.amount_micro) == (Event.PAYOUT_SETTLED, file.total_micro)
