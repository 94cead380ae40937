"""`make demo`: run the main job against a fresh instance; fail unless the results are right."""

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient, Limits
from sqlalchemy import func, select

from demo import crowd
from demo.main_job import (
    Report,
    count_people,
    label_boxes,
    label_classes,
    open_office,
    pay_out,
    say,
)
from demo.verdict import failures
from deploy.embedded.instance import instance
from tessera.assignment.models import Answer
from tessera.earnings.models import Earning, EarningState
from tessera.kernel import db
from tessera.ledger import invariants
from tessera.quality.models import Gold

ROOT = Path("var/demo")


def main() -> int:
    shutil.rmtree(ROOT, ignore_errors=True)
    settings = {"TESSERA_RATE_LIMITS": "false"}  # a whole crowd behind one address
    with instance(ROOT, env={**os.environ, **settings}, say=say) as running:
        report = asyncio.run(_run(running.url, running.database_url))
    (ROOT / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    _table(report)
    wrong = failures(report)
    for line in wrong:
        say(f"✗ {line}")
    say("✗ the results are not right" if wrong else "✓ all results are right")
    return 1 if wrong else 0


async def _run(url: str, database_url: str) -> dict[str, Any]:
    started = time.monotonic()
    engine = db.create_engine(database_url, application_name="demo")
    sessions = db.create_sessions(engine)
    report = Report()

    limits = Limits(max_connections=60, max_keepalive_connections=60)
    async with AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        office = await open_office(http, sessions)
        people = await crowd.gather(http, seed=1)
        say(f"· {len(people)} earners signed up")
        await label_classes(office, people, report)
        await label_boxes(office, people, report)
        count_people(people, report)
        await pay_out(office, people, report)
    report.facts |= await _money(sessions)
    await engine.dispose()
    report.facts["seconds"] = round(time.monotonic() - started, 1)
    return report.facts


async def _money(sessions: db.Sessions) -> dict[str, Any]:
    """What only the database itself can swear to."""
    async with db.reading(sessions) as reader:
        broken = [finding for finding in await invariants.check(reader) if finding.broken]
        paid = Earning.state == EarningState.AVAILABLE
        spent = await reader.scalar(
            select(func.sum(Earning.amount_micro + Earning.fee_micro)).where(paid)
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
        "gold_answers": gold,
        "undecided_earnings": undecided,
        "ledger_balanced": not broken,
    }


def _table(report: dict[str, Any]) -> None:
    say("")
    for name, value in report.items():
        shown = f"{value / 1e6:,.2f} USD" if name.endswith("_micro") else value
        say(f"  {name:<20} {shown}")
    say("")


if __name__ == "__main__":
    sys.exit(main())
