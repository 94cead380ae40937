"""What must always be true of the money, asked of the data itself.

The database refuses what would break these rules; this finds what came past it (a restored
backup, a superuser). It detects and never repairs. Each rule reads whole tables: a scheduled job
runs it with a statement timeout of its own, and best on a `reading` session, which sees one
snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncSession

RULES: Mapping[str, str] = MappingProxyType(
    {
        "transfers_balance": """
            SELECT t.id FROM ledger_transfers AS t
            LEFT JOIN ledger_entries AS e ON e.transfer_id = t.id
            LEFT JOIN ledger_accounts AS a ON a.id = e.account_id
            GROUP BY t.id, a.currency
            HAVING count(e.id) < 2 OR sum(e.amount_micro) <> 0
        """,
        "balances_are_sums_of_entries": """
            SELECT a.id FROM ledger_accounts AS a
            LEFT JOIN ledger_entries AS e ON e.account_id = a.id
            GROUP BY a.id
            HAVING a.balance_micro <> coalesce(sum(e.amount_micro), 0)
        """,
        "currencies_sum_to_zero": """
            SELECT currency AS id FROM ledger_accounts
            GROUP BY currency HAVING sum(balance_micro) <> 0
        """,
    }
)
"""By name, a query for the ids of what breaks it."""


@dataclass(frozen=True)
class Finding:
    rule: str
    broken: int
    """How many break the rule; 0 is as it should be."""
    samples: list[str]
    """Ids of five of them."""


async def check(session: AsyncSession, rules: Mapping[str, str] = RULES) -> list[Finding]:
    """One finding for each rule, in their order."""
    return [await _find(session, rule, query) for rule, query in rules.items()]


async def _find(session: AsyncSession, rule: str, query: str) -> Finding:
    # not text(): it would take the colons in a reference for parameters
    connection = await session.connection()
    counted = (
        "SELECT count(*) AS broken, (array_agg(id::text ORDER BY id))[1:5] AS samples"  # noqa: S608
        f" FROM ({query}) AS broken"
    )
    row = (await connection.exec_driver_sql(counted)).mappings().one()
    return Finding(rule, row["broken"], row["samples"] or [])
