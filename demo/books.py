"""What the database itself swears to once a run is over."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer
from tessera.earnings import invariants as earnings
from tessera.earnings.models import Earning, EarningState
from tessera.kernel import db
from tessera.ledger import invariants as ledger
from tessera.ledger.models import Account, AccountKind, Entry, Event, Transfer
from tessera.payouts import invariants as payouts
from tessera.quality.models import Gold
from workers.invariants import QUEUE_RULES


async def audit(sessions: db.Sessions) -> dict[str, Any]:
    """Totals, and whether every rule holds that the scheduled check watches too."""
    async with db.reading(sessions) as reader:
        in_ledger = await _broken(reader, ledger.RULES)
        in_earnings = await _broken(reader, earnings.RULES)
        in_payouts = await _broken(reader, payouts.RULES)
        in_queue = [
            name
            for name, count in QUEUE_RULES.items()
            if (await reader.execute(text(count))).scalar_one()
        ]
        totals = await _totals(reader)
    return {
        **totals,
        "ledger_balanced": not in_ledger,
        "earnings_consistent": not in_earnings,
        "payouts_consistent": not in_payouts,
        "queue_consistent": not in_queue,
        "broken_rules": in_ledger + in_earnings + in_payouts + in_queue,
    }


async def _broken(reader: AsyncSession, rules: Mapping[str, str]) -> list[str]:
    return [finding.rule for finding in await ledger.check(reader, rules) if finding.broken]


async def _totals(reader: AsyncSession) -> dict[str, int]:
    spent = await reader.scalar(
        select(-func.sum(Entry.amount_micro))
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .join(Account, Account.id == Entry.account_id)
        .where(Transfer.event == Event.EARN, Account.kind == AccountKind.ESCROW)
    )
    undecided = await reader.scalar(
        select(func.count())
        .select_from(Earning)
        .where(Earning.state.in_({EarningState.PENDING, EarningState.APPROVED}))
    )
    gold = await reader.scalar(
        select(func.count())
        .select_from(Answer)
        .join(Gold, (Gold.project_id == Answer.project_id) & (Gold.task_id == Answer.task_id))
    )
    return {
        "spent_micro": int(spent or 0),
        "gold_answers": gold or 0,
        "undecided_earnings": undecided or 0,
    }
