from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.payouts import batches, service
from tessera.payouts.errors import BatchChanged, NothingToPay, OwnBatch, WrongState
from tessera.payouts.models import BatchState, PayoutState
from tests.ledger.money import balances
from tests.payouts.world import UNIT, Finance, a_person, a_request, an_earner
from tests.world import World


async def test_a_batch_takes_what_waits_in_its_currency_oldest_first(
    sessions: db.Sessions, finance: Finance
) -> None:
    old, older_than_new, new = [
        await a_request(sessions, await an_earner(sessions)) for _ in range(3)
    ]
    await a_request(sessions, await an_earner(sessions, currency="USD"), currency="USD")
    batch = await finance.make(limit=2)
    assert (batch.state, batch.currency) == (BatchState.DRAFT, "EUR")
    assert await finance.items(batch) == dict.fromkeys(
        [old.id, older_than_new.id], PayoutState.BATCHED
    )
    assert await finance.items(await finance.make()) == {new.id: PayoutState.BATCHED}
    with pytest.raises(NothingToPay):
        await finance.make()


async def test_what_is_in_a_batch_is_no_longer_the_earners_to_cancel(
    sessions: db.Sessions, finance: Finance
) -> None:
    earner_id = await an_earner(sessions)
    payout = await a_request(sessions, earner_id)
    await finance.make()
    with pytest.raises(WrongState) as refused:
        async with db.transaction(sessions) as session:
            await service.cancel(session, payout_id=payout.id, earner_id=earner_id)
    assert refused.value.facts == {"state": "batched"}


async def test_m27_nobody_approves_a_batch_of_their_own(
    sessions: db.Sessions, finance: Finance
) -> None:
    await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    with pytest.raises(OwnBatch):
        await finance.approve(batch, by=finance.maker)
    approved = await finance.approve(batch)
    assert (approved.state, approved.approved_by) == (BatchState.APPROVED, finance.checker)
    with pytest.raises(WrongState):
        await finance.approve(batch)


async def test_m27_who_changed_a_batch_last_does_not_approve_it(
    sessions: db.Sessions, finance: Finance
) -> None:
    first, _ = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
    changed = await finance.remove(await finance.make(), first.id, by=finance.checker)
    with pytest.raises(OwnBatch):
        await finance.approve(changed)
    third = await a_person(sessions)
    assert (await finance.approve(changed, by=third)).approved_by == third


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE payout_batches SET approved_by = created_by, approved_at = now()",
        "UPDATE payout_batches SET state = 'approved'",
        "UPDATE payout_batches SET state = 'submitted', submitted_at = now()",
        "UPDATE payouts SET state = 'requested'",
        "UPDATE payouts SET state = 'settled'",
        "UPDATE payouts SET state = 'returned', returned_at = now()",
        "UPDATE payouts SET amount_micro = -amount_micro",
    ],
)
async def test_the_database_refuses_a_life_that_skips_a_step(
    sessions: db.Sessions, finance: Finance, attack: str
) -> None:
    await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    with pytest.raises(IntegrityError):
        async with db.transaction(sessions) as session:
            await session.execute(text(attack))
    assert (await finance.look(batch)).state == BatchState.DRAFT


async def test_m27_what_was_not_shown_is_not_approved(
    sessions: db.Sessions, finance: Finance
) -> None:
    first, _ = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
    shown = await finance.make()
    now = await finance.remove(shown, first.id)
    with pytest.raises(BatchChanged) as refused:
        await finance.approve(shown)
    assert refused.value.facts == {"items_sha256": now.items_sha256}
    assert (await finance.approve(now)).state == BatchState.APPROVED


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE payouts SET amount_micro = amount_micro + 10000",
        "UPDATE payouts SET destination = jsonb_set(destination, '{holder}', '\"Eve\"')",
    ],
)
async def test_m27_what_was_changed_behind_our_back_is_neither_approved_nor_sent(
    sessions: db.Sessions, tampering: str
) -> None:
    finance = Finance(sessions, await a_person(sessions), await a_person(sessions))
    await a_request(sessions, await an_earner(sessions))
    draft = await finance.make()
    await a_request(sessions, await an_earner(sessions))
    approved = await finance.approve(await finance.make())
    async with db.transaction(sessions) as session:
        await session.execute(text(tampering))
    with pytest.raises(BatchChanged):
        await finance.approve(draft)
    with pytest.raises(BatchChanged):
        await finance.export(approved)
    assert set((await finance.items(approved)).values()) == {PayoutState.BATCHED}


async def test_m27_a_removed_item_waits_again_and_voids_the_approval(
    sessions: db.Sessions, finance: Finance
) -> None:
    out, kept = [await a_request(sessions, await an_earner(sessions)) for _ in range(2)]
    batch = await finance.approve(await finance.make())
    changed = await finance.remove(batch, out.id)
    assert changed.state == BatchState.DRAFT
    assert (changed.approved_by, changed.approved_at) == (None, None)
    assert changed.items_sha256 != batch.items_sha256
    assert await finance.items(batch) == {kept.id: PayoutState.BATCHED}
    with pytest.raises(WrongState):
        await finance.export(batch)
    assert set(await finance.items(await finance.make())) == {out.id}


async def test_an_item_is_removed_once_and_only_from_its_own_batch(
    sessions: db.Sessions, finance: Finance
) -> None:
    first = await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    await a_request(sessions, await an_earner(sessions))
    other = await finance.make()
    for where, which in ((other, first.id), (batch, uuid4())):
        with pytest.raises(NotFound):
            await finance.remove(where, which)
    await finance.remove(batch, first.id)
    with pytest.raises(NotFound):
        await finance.remove(batch, first.id)


async def test_a_batch_with_nothing_left_is_not_approved(
    sessions: db.Sessions, finance: Finance
) -> None:
    only = await a_request(sessions, await an_earner(sessions))
    empty = await finance.remove(await finance.make(), only.id)
    with pytest.raises(NothingToPay):
        await finance.approve(empty)
    assert (await finance.cancel(empty)).state == BatchState.CANCELLED


@pytest.mark.parametrize("approved", [False, True])
async def test_a_cancelled_batch_lets_its_items_wait_again(
    sessions: db.Sessions, finance: Finance, *, approved: bool
) -> None:
    earner_id = await an_earner(sessions)
    payout = await a_request(sessions, earner_id)
    batch = await finance.make()
    if approved:
        await finance.approve(batch)
    assert (await finance.cancel(batch)).state == BatchState.CANCELLED
    assert await finance.items(batch) == {}
    assert await balances(sessions, earner_id) == [0, 10 * UNIT]
    with pytest.raises(WrongState):
        await finance.approve(batch)
    assert await finance.items(await finance.make()) == {payout.id: PayoutState.BATCHED}


async def test_what_was_sent_is_neither_cancelled_nor_changed(
    sessions: db.Sessions, finance: Finance
) -> None:
    payout = await a_request(sessions, await an_earner(sessions))
    batch = await finance.sent()
    with pytest.raises(WrongState):
        await finance.cancel(batch)
    with pytest.raises(WrongState):
        await finance.remove(batch, payout.id)
    assert await finance.items(batch) == {payout.id: PayoutState.SENT}


async def test_a_batch_that_is_not_there_is_not_found(
    sessions: db.Sessions, finance: Finance
) -> None:
    await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    batch.id = uuid4()
    for act in (finance.look, finance.approve, finance.cancel, finance.export, finance.settle):
        with pytest.raises(NotFound):
            await act(batch)


async def test_batches_and_items_are_paged(sessions: db.Sessions, finance: Finance) -> None:
    made = []
    for _ in range(3):
        await a_request(sessions, await an_earner(sessions))
        made.append((await finance.make()).id)
    found, after = [], None
    async with db.reading(sessions) as session:
        while page := await batches.page(session, after=after, limit=2):
            found += [batch.id for batch in page]
            after = page[-1].created_at, page[-1].id
    assert found == made[::-1]
    for _ in range(3):
        await a_request(sessions, await an_earner(sessions))
    batch = await finance.make()
    async with db.reading(sessions) as session:
        first = await batches.items(session, batch_id=batch.id, after=None, limit=2)
        rest = await batches.items(session, batch_id=batch.id, after=first[-1].id, limit=2)
    assert [len(first), len(rest)] == [2, 1]


async def test_a_batch_says_how_many_items_it_has_and_how_much_they_are(
    world: World, finance: Finance
) -> None:
    out, _ = [await a_request(world.sessions, await an_earner(world.sessions)) for _ in range(2)]
    batch = await finance.make()
    (reader,) = await world.finance(1)
    path = f"/v1/finance/payout-batches/{batch.id}"
    (listed,) = (await reader.get("/v1/finance/payout-batches"))["items"]
    smaller = await reader.delete(f"{path}/items/{out.id}", status=200)
    empty = await reader.post(f"{path}/cancel")
    assert [(each["items"], each["total_micro"]) for each in (listed, smaller, empty)] == [
        (2, 20 * UNIT),
        (1, 10 * UNIT),
        (0, 0),
    ]
    assert await reader.get(path) == empty
