"""Whatever earners and finance do, in whatever order: no money appears and none is lost."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.kernel import db
from tessera.kernel.errors import DomainError
from tessera.payouts import service
from tessera.payouts.models import Payout, PayoutBatch, PayoutState
from tests.ledger.money import balances
from tests.payouts.world import UNIT, Finance, a_request, an_earner, broken
from tests.seeds import examples

OPEN = {PayoutState.REQUESTED, PayoutState.BATCHED, PayoutState.SENT}

Act = Callable[["Play", int], Awaitable[object]]


class Play:
    """Two earners and a history so far; every act may be refused, and must then change nothing."""

    def __init__(self, finance: Finance, earners: list[UUID]) -> None:
        self.finance = finance
        self.earners = earners
        self.asked: list[Payout] = []
        self.made: list[PayoutBatch] = []

    async def ask(self, n: int) -> None:
        earner_id = self.earners[n % 2]
        self.asked.append(
            await a_request(self.finance.sessions, earner_id, amount_micro=(n + 1) * UNIT)
        )

    async def think_again(self, n: int) -> None:
        for payout in self.asked[n % 3 :: 3]:
            async with db.transaction(self.finance.sessions) as session:
                await service.cancel(session, payout_id=payout.id, earner_id=payout.earner_id)

    async def gather(self, n: int) -> None:
        self.made.append(await self.finance.make(limit=1 + n % 3))

    async def approve(self, n: int) -> None:
        for batch in self.made[n % 2 :: 2]:
            await self.finance.approve(await self.finance.look(batch))

    async def remove(self, n: int) -> None:
        batch = self.made[n % len(self.made)]
        item = (await self._items(batch, n))[0]
        await self.finance.remove(batch, item, to_balance=n % 2 == 1)

    async def cancel(self, n: int) -> None:
        await self.finance.cancel(self.made[n % len(self.made)])

    async def export(self, n: int) -> None:
        await self.finance.export(self.made[n % len(self.made)])

    async def settle(self, n: int) -> None:
        batch = self.made[n % len(self.made)]
        await self.finance.settle(batch, *(await self._items(batch, n)))

    async def give_back(self, n: int) -> None:
        batch = self.made[n % len(self.made)]
        await self.finance.give_back(batch, (await self._items(batch, n))[0])

    async def _items(self, batch: PayoutBatch, n: int) -> list[UUID]:
        items = list(await self.finance.items(batch))
        return items[n % (len(items) or 1) :] or [UUID(int=0)]


ACTS: list[Act] = [
    Play.ask,
    Play.ask,
    Play.think_again,
    Play.gather,
    Play.gather,
    Play.approve,
    Play.approve,
    Play.remove,
    Play.cancel,
    Play.export,
    Play.export,
    Play.settle,
    Play.give_back,
]
histories = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), min_size=5, max_size=25)


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
async def test_m26_an_earners_money_is_in_the_balance_on_its_way_or_paid(
    finance: Finance, history: list[tuple[Act, int]]
) -> None:
    sessions = finance.sessions
    play = Play(finance, [await an_earner(sessions, has=10 * UNIT) for _ in range(2)])
    for act, n in history:
        if play.made or act in {Play.ask, Play.think_again, Play.gather}:
            with suppress(DomainError):
                await act(play, n)
    for earner_id in play.earners:
        async with db.reading(sessions) as session:
            payouts = await service.mine(session, earner_id=earner_id, after=None, limit=99)
        balance, in_transit = await balances(sessions, earner_id)
        paid = sum(p.amount_micro for p in payouts if p.state is PayoutState.SETTLED)
        assert in_transit == sum(p.amount_micro for p in payouts if p.state in OPEN)
        assert balance + in_transit + paid == 10 * UNIT
    assert await broken(sessions) == []
