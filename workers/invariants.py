"""Facts that must always hold, looked at on a schedule: alarm, never repair."""

import structlog
from prometheus_client import Gauge
from sqlalchemy import text

from tessera.earnings import invariants as earnings
from tessera.kernel import db
from tessera.ledger import invariants as ledger
from tessera.payouts import invariants as payouts
from tessera.storage.context import JobContext

BROKEN = Gauge("tessera_invariant_broken", "Rows that break an invariant", ["invariant"])

log = structlog.get_logger()

PATIENCE_MS = 240_000
"""The rules read whole tables; and the sweep is stopped after five minutes."""
QUEUE_RULES = {
    # a place is an entry, or a live lease, or used up; never two of these
    "place-twice": """
        SELECT count(*) FROM queue_entries e JOIN leases l
          ON (l.project_id, l.task_id, l.place) = (e.project_id, e.task_id, e.place)
        WHERE l.state IN ('open', 'answered')
    """,
    "over-assigned": """
        SELECT count(*) FROM (
          SELECT 1 FROM leases l JOIN tasks t ON (t.project_id, t.id) = (l.project_id, l.task_id)
          WHERE l.state IN ('open', 'answered')
          GROUP BY t.project_id, t.id, t.places HAVING count(*) > t.places
        ) over
    """,
    "answer-without-earning": """
        SELECT count(*) FROM answers a LEFT JOIN earnings e USING (project_id, lease_id)
        WHERE e.lease_id IS NULL
    """,
}


async def check(context: JobContext) -> None:
    async with db.reading(context.sessions) as reader:
        await reader.execute(text(f"SET LOCAL statement_timeout = {PATIENCE_MS}"))
        for rules in (ledger.RULES, earnings.RULES, payouts.RULES):
            for finding in await ledger.check(reader, rules):
                _report(finding.rule, finding.broken)
        for name, sql in QUEUE_RULES.items():
            _report(name, (await reader.execute(text(sql))).scalar_one())


def _report(name: str, broken: int) -> None:
    BROKEN.labels(name).set(broken)
    if broken:
        log.error("invariant broken", invariant=name, rows=broken)
