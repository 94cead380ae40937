"""What must be true of answers, money and places, whatever happened before."""

from sqlalchemy import text

from tessera.earnings import invariants as earnings
from tessera.kernel import db
from tessera.ledger import invariants
from workers.invariants import QUEUE_RULES

RULES = {
    "a scored answer counts once": """
        SELECT earner_id FROM trust t WHERE seen <> (
          SELECT count(*) FROM answers a
          WHERE (a.project_id, a.earner_id) = (t.project_id, t.earner_id) AND score IS NOT NULL
            AND a.answered_at > coalesce(t.forgiven_at, '-infinity')
        )
    """,
    "a verdict and its earning agree": """
        SELECT lease_id FROM answers a JOIN earnings e USING (project_id, lease_id)
        WHERE (a.verdict = 'rejected' AND e.state <> 'rejected')
           OR (a.verdict = 'accepted' AND e.state NOT IN ('approved', 'available'))
           OR (a.verdict = 'pending' AND e.state = 'rejected')
    """,
    "the ledger and the earnings agree": """
        SELECT e.lease_id FROM earnings e
        FULL JOIN (SELECT * FROM ledger_entries WHERE reference LIKE 'earning:%') l
          ON l.reference = 'earning:' || e.lease_id
        LEFT JOIN ledger_accounts a ON a.id = l.account_id
        WHERE (e.state = 'available') IS DISTINCT FROM (l.id IS NOT NULL)
           OR l.amount_micro <> e.amount_micro OR l.transfer_id <> e.transfer_id
           OR a.owner_id <> e.earner_id
    """,
    "a reserve is in escrow, spent or given back": """
        SELECT p.id FROM projects p WHERE reserved_micro <> (
          SELECT coalesce(sum(amount_micro + fee_micro), 0) FROM earnings e
          WHERE e.project_id = p.id AND e.state = 'available'
        ) + (
          SELECT coalesce(sum(balance_micro), 0) FROM ledger_accounts
          WHERE kind = 'escrow' AND owner_id = p.id
        ) + (
          SELECT coalesce(sum(l.amount_micro), 0) FROM ledger_entries l
          JOIN ledger_transfers t ON t.id = l.transfer_id
          WHERE t.event = 'release' AND t.reference LIKE 'release:' || p.id || ':%'
            AND l.amount_micro > 0
        )
    """,
    "a settled task waits for nobody": """
        SELECT t.id FROM tasks t
        JOIN queue_entries q ON (q.project_id, q.task_id) = (t.project_id, t.id)
        WHERE t.state <> 'open' AND NOT t.is_gold
    """,
}


async def broken(sessions: db.Sessions) -> list[str]:
    """The rules that do not hold, with what breaks them."""
    found = []
    async with db.reading(sessions) as reader:
        for rule, query in RULES.items():
            rows = (await reader.execute(text(query))).all()
            found += [f"{rule}: {rows[:5]}"] if rows else []
        for rule, query in QUEUE_RULES.items():
            count = (await reader.execute(text(query))).scalar_one()
            found += [f"{rule}: {count}"] if count else []
        checked = await invariants.check(reader, {**invariants.RULES, **earnings.RULES})
        found += [f"{each.rule}: {each.samples}" for each in checked if each.broken]
    return found


async def nothing_contradicts(sessions: db.Sessions) -> None:
    """All of these rules hold."""
    found = await broken(sessions)
    assert not found, "\n".join(found)
