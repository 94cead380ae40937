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

from demo import books, crowd
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
from tessera.kernel import db

ROOT = Path("var/demo")


def main() -> int:
    shutil.rmtree(ROOT, ignore_errors=True)
    settings = {
        "TESSERA_RATE_LIMITS": "false",  # a whole crowd behind one address
        "TESSERA_DECISIONS_EVERY": "PT0S",  # it works for minutes, not for days
    }
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
    report.facts |= await books.audit(sessions)
    await engine.dispose()
    report.facts["seconds"] = round(time.monotonic() - started, 1)
    return report.facts


def _table(report: dict[str, Any]) -> None:
    say("")
    for name, value in report.items():
        shown = f"{value / 1e6:,.2f} USD" if name.endswith("_micro") else value
        say(f"  {name:<20} {shown}")
    say("")


if __name__ == "__main__":
    sys.exit(main())
