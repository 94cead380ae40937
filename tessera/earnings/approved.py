"""What is earned the moment it is known: nobody decides about it later."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.earnings.models import Earning, EarningState
from tessera.earnings.service import Expected


async def earn(session: AsyncSession, earnings: Sequence[Expected]) -> None:
    """Note what was earned, approved; the next batch writes it to the ledger."""
    decided = {"state": EarningState.APPROVED, "decided_at": func.now()}
    await session.execute(
        insert(Earning).values([{**asdict(earning), **decided} for earning in earnings])
    )
