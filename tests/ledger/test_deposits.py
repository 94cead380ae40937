"""What finance records of money that arrives, and what it takes back of it."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tessera.accounts.models import Organisation
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.ledger import deposits
from tessera.ledger import service as ledger
from tessera.ledger.errors import AlreadyReversed, InsufficientFunds
from tessera.ledger.invariants import check
from tessera.ledger.service import OUTSIDE
from tests.api.refusing import refused
from tests.client import As
from tests.ledger.money import balance, move
from tests.payouts.world import a_person
from tests.seeds import examples
from tests.world import World

UNIT = 1_000_000


class Desk:
    """Two people of finance, and an organisation whose money they record."""

    def __init__(self, maker: As, checker: As, owner: As, organisation_id: str) -> None:
        self.maker = maker
        self.checker = checker
        self.owner = owner
        self.organisation_id = organisation_id

    async def record(self, reference: str, units: int = 10, **changes: Any) -> Response:
        body = {
            "organisation_id": self.organisation_id,
            "amount_micro": units * UNIT,
            "currency": "USD",
            "reference": reference,
        }
        return await self.maker.call("POST", "/v1/finance/deposits", body | changes)

    async def recorded(self, reference: str = "bank 1", units: int = 10) -> int:
        return int((await self.record(reference, units)).json()["transfer_id"])

    async def reverse(
        self, transfer_id: int, units: int | None = None, *, by: As | None = None, key: str = ""
    ) -> Response:
        amount = {} if units is None else {"amount_micro": units * UNIT}
        return await (by or self.checker).call(
            "POST",
            f"/v1/finance/deposits/{transfer_id}/reversal",
            {"reason": "A zero too many.", **amount},
            headers={} if units is None else {"Idempotency-Key": key or str(uuid4())},
        )

    async def has(self) -> dict[str, int]:
        money = await self.owner.get(f"/v1/organisations/{self.organisation_id}/balance")
        return {currency: micro // UNIT for currency, micro in money["available_micro"].items()}

    async def statement(self) -> list[dict[str, Any]]:
        page = await self.owner.get(f"/v1/organisations/{self.organisation_id}/statement")
        items: list[dict[str, Any]] = page["items"]
        return items


@pytest.fixture
async def desk(world: World) -> Desk:
    maker, checker = await world.finance(2)
    return Desk(maker, checker, *await world.operator())


async def test_a_bank_transfer_counts_once_however_its_reference_is_spelled(desk: Desk) -> None:
    first = await desk.record("RF18 5390 ab")
    for spelling in (
        " rf18  5390\tAB ",
        "RF185390AB",
        "RF18\u00a05390 aB",
        "\uff32\uff2618 5390 ab",
    ):
        again = await desk.record(spelling)
        assert (again.status_code, again.json()) == (201, first.json())
        assert refused(await desk.record(spelling, units=11), 409, "reference-reused")
    assert await desk.has() == {"USD": 10}
    assert (await desk.record("RF18 5391 ab")).is_success
    assert await desk.has() == {"USD": 20}


async def test_a_bank_transfer_is_not_credited_to_two_organisations(
    desk: Desk, world: World
) -> None:
    await desk.record("bank 1")
    other, organisation_id = await world.operator()
    again = await desk.record("Bank 1", organisation_id=organisation_id)
    assert refused(again, 409, "reference-reused")
    assert await Desk(desk.maker, desk.checker, other, organisation_id).has() == {}


@pytest.mark.parametrize("reference", [" ", "\t\n", "\u00a0", "12\u200b34", "12\u00ad34"])
async def test_a_reference_that_nobody_can_see_is_refused(desk: Desk, reference: str) -> None:
    assert refused(await desk.record(reference), 422, "invalid-reference")
    assert await desk.has() == {}


async def test_deposits_of_more_than_an_account_holds_are_refused_in_words(
    desk: Desk, sessions: db.Sessions
) -> None:
    most = 10**17
    await move(sessions, OUTSIDE, ledger.FEES, ledger.MAX_MICRO - most, currency="VND")
    for reference, fits in (("bank 1", True), ("bank 2", False)):
        got = await desk.record(reference, amount_micro=most, currency="VND")
        assert got.is_success if fits else refused(got, 422, "amount-too-large")
    assert await desk.has() == {"VND": most // UNIT}


async def test_a_wrong_deposit_is_taken_back_in_parts_and_the_organisation_reads_why(
    desk: Desk,
) -> None:
    deposit = await desk.recorded()
    got = (await desk.reverse(deposit, 4)).json()
    assert got.items() >= {"amount_micro": 4 * UNIT, "left_micro": 6 * UNIT}.items()
    assert got.items() >= {"organisation_id": desk.organisation_id, "currency": "USD"}.items()
    assert await desk.has() == {"USD": 6}
    rest = (await desk.reverse(deposit)).json()
    assert (rest["amount_micro"], rest["left_micro"]) == (6 * UNIT, 0)
    assert await desk.has() == {"USD": 0}
    assert [(line["event"], line["amount_micro"] // UNIT) for line in await desk.statement()] == [
        ("deposit_reversed", -6),
        ("deposit_reversed", -4),
        ("deposit", 10),
    ]
    assert (await desk.statement())[0]["reference"] == f"reversal:{deposit}:2: A zero too many."
    # what was taken back is not credited again by a repeat
    assert (await desk.record("bank 1")).json() == {"transfer_id": deposit}
    assert await desk.has() == {"USD": 0}


async def test_no_more_is_taken_back_than_was_recorded(desk: Desk) -> None:
    deposit = await desk.recorded()
    await desk.recorded("bank 2")
    assert refused(await desk.reverse(deposit, 11), 409, "already-reversed")
    await desk.reverse(deposit, 7)
    again = await desk.reverse(deposit, 4)
    assert refused(again, 409, "already-reversed")
    assert again.json()["left_micro"] == 3 * UNIT
    assert (await desk.reverse(deposit)).is_success
    assert refused(await desk.reverse(deposit), 409, "already-reversed")
    assert await desk.has() == {"USD": 10}


async def test_each_deposit_has_reversals_of_its_own(desk: Desk, world: World) -> None:
    """Also where the number of one begins like another's."""
    first = await desk.recorded("bank 1")
    async with db.transaction(world.sessions) as session:
        await session.execute(text(NEXT_IS), {"id": 10 * first})
    other = await desk.recorded("bank 2")
    assert other == 10 * first
    assert (await desk.reverse(other)).status_code == 201
    assert (await desk.reverse(first)).status_code == 201
    assert sum((await desk.has()).values()) == 0


NEXT_IS = "SELECT setval(pg_get_serial_sequence('ledger_transfers', 'id'), :id, false)"


async def test_nobody_takes_back_what_they_recorded_themselves(desk: Desk) -> None:
    deposit = await desk.recorded()
    assert refused(await desk.reverse(deposit, by=desk.maker), 403, "own-deposit")
    assert refused(await desk.reverse(deposit, by=desk.owner), 403, "forbidden")
    assert await desk.has() == {"USD": 10}


async def test_what_is_no_deposit_is_not_taken_back(desk: Desk) -> None:
    deposit = await desk.recorded()
    reversal = (await desk.reverse(deposit, 4)).json()["transfer_id"]
    for transfer_id in (reversal, deposit + 10**6):
        assert refused(await desk.reverse(transfer_id), 404, "not-found")
    assert await desk.has() == {"USD": 6}


async def test_what_the_organisation_has_reserved_is_not_taken_back(
    desk: Desk, sessions: db.Sessions
) -> None:
    deposit = await desk.recorded()
    mine = ledger.organisation(UUID(desk.organisation_id))
    await move(sessions, mine, ledger.escrow(uuid4()), 3 * UNIT, currency="USD")
    late = await desk.reverse(deposit)
    assert refused(late, 409, "insufficient-funds")
    assert (late.json()["needed_micro"], late.json()["available_micro"]) == (10 * UNIT, 7 * UNIT)
    assert (await desk.reverse(deposit, 7)).is_success
    assert await desk.has() == {"USD": 0}


async def test_an_amount_is_taken_back_once_for_each_key(desk: Desk) -> None:
    deposit = await desk.recorded()
    first, again = [await desk.reverse(deposit, 4, key="one") for _ in range(2)]
    assert first.json() == again.json()
    assert await desk.has() == {"USD": 6}
    path = f"/v1/finance/deposits/{deposit}/reversal"
    body = {"amount_micro": UNIT, "reason": "A zero too many."}
    assert refused(await desk.checker.call("POST", path, body), 422, "idempotency-key-required")


async def test_many_who_take_back_at_once_take_no_more_than_was_recorded(desk: Desk) -> None:
    await desk.recorded("another")
    deposit = await desk.recorded()
    got = await asyncio.gather(*(desk.reverse(deposit, 3) for _ in range(10)))
    assert sum(each.is_success for each in got) == 3
    assert all(each.is_success or refused(each, 409, "already-reversed") for each in got)
    assert await desk.has() == {"USD": 11}


acts = st.tuples(
    st.sampled_from(["record", "reverse", "reserve"]), st.integers(0, 2), st.integers(1, 9)
)


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(acts, max_size=20))
async def test_whatever_is_recorded_reserved_and_taken_back_adds_up(
    sessions: db.Sessions, history: list[tuple[str, int, int]]
) -> None:
    """Against a model of two things: what is left of each deposit, and of the balance."""
    maker, checker = await a_person(sessions), await a_person(sessions)
    organisation_id = await an_organisation(sessions)
    mine = ledger.organisation(organisation_id)
    left: dict[int, int] = {}
    has = 0

    async def act(what: str, which: int, micro: int) -> int:
        """What it adds to the balance."""
        if what == "reserve":
            await move(sessions, mine, ledger.escrow(uuid4()), micro)
            return -micro
        async with db.transaction(sessions) as session:
            if what == "record":
                made = await deposits.deposit(
                    session,
                    organisation_id=organisation_id,
                    amount_micro=micro,
                    currency="EUR",
                    reference=str(uuid4()),
                    actor_id=maker,
                )
                left[made] = micro
                return micro
            taken = await deposits.reverse(
                session,
                transfer_id=[*left, 0, 0, 0][which],
                amount_micro=micro,
                reason="Wrong.",
                actor_id=checker,
            )
        return -taken.amount_micro

    for what, which, micro in history:
        deposit = [*left, 0, 0, 0][which]
        wanted: type[Exception] | None = None
        if what == "reverse" and not deposit:
            wanted = NotFound
        elif what == "reverse" and left[deposit] < micro:
            wanted = AlreadyReversed
        elif what != "record" and has < micro:
            wanted = InsufficientFunds
        if wanted:
            with pytest.raises(wanted):
                await act(what, which, micro)
            continue
        has += await act(what, which, micro)
        if what == "reverse":
            left[deposit] -= micro
    async with db.reading(sessions) as session:
        assert await balance(session, mine) == has
        assert not [finding for finding in await check(session) if finding.broken]


async def an_organisation(sessions: db.Sessions) -> UUID:
    async with db.transaction(sessions) as session:
        organisation = Organisation(name="Mosaic Ltd")
        session.add(organisation)
        await session.flush()
        return organisation.id
