from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.ledger import service as ledger
from tessera.ledger import statement
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import OUTSIDE, Leg
from tessera.ledger.statement import Line
from tests.ledger.money import because


async def pages(session: AsyncSession, owner_id: UUID, limit: int) -> list[list[Line]]:
    found: list[list[Line]] = []
    before = None
    while page := await statement.lines(
        session, AccountKind.EARNER, owner_id, before=before, limit=limit
    ):
        found.append(list(page))
        before = page[-1].id
    return found


async def test_a_statement_has_every_line_once_newest_first_whatever_the_currency(
    session: AsyncSession,
) -> None:
    mine, theirs = uuid4(), uuid4()
    for i in range(7):
        for owner_id in (mine, theirs):
            await ledger.move(
                session,
                OUTSIDE,
                ledger.earner(owner_id),
                amount_micro=i + 1,
                currency="EUR" if i % 3 else "JPY",
                reason=because(f"{owner_id}:{i}"),
            )
    found = await pages(session, mine, limit=3)
    assert [len(page) for page in found] == [3, 3, 1]
    lines = [line for page in found for line in page]
    assert [line.amount_micro for line in lines] == [7, 6, 5, 4, 3, 2, 1]
    assert [line.currency for line in lines] == ["JPY", "EUR", "EUR"] * 2 + ["JPY"]
    assert all(line.event == Event.DEPOSIT for line in lines)
    assert lines[0].reference == f"{mine}:6"


async def test_a_line_that_has_a_reason_of_its_own_shows_that_one(session: AsyncSession) -> None:
    mine = uuid4()
    legs = [Leg(OUTSIDE, -3), Leg(ledger.earner(mine), 1, "answer:1"), Leg(ledger.earner(mine), 2)]
    await ledger.post(session, legs, currency="EUR", reason=because("day"))
    [page] = await pages(session, mine, limit=9)
    assert [line.reference for line in page] == ["day", "answer:1"]
