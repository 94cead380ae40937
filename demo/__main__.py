"""`make demo`: run the main job against a fresh instance; fail unless the results are right."""

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient, Limits

from demo import books, crowd
from demo.main_job import Report, label, open_office, pay_out, say, stop_early
from demo.verdict import failures
from demo.ways import WAYS
from deploy.embedded.clean import discard_outside
from deploy.embedded.instance import instance
from tessera.kernel import db
from tessera.kernel.errors import DomainError, Unavailable

ROOT = Path("var/demo")
SEED = 20
LONGEST = timedelta(minutes=20)
"""Many times what it takes: one that hangs fails, and says at what."""


class TookTooLong(Unavailable):
    code = "demo-took-too-long"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of pictures and people")
    try:
        report = _fresh(parser.parse_args().seed)
    except DomainError as error:
        say(f"✗ {error.detail}")
        return 1
    return concluded(report, ROOT)


def concluded(report: dict[str, Any], folder: Path) -> int:
    """Write a report down and say what is wrong with it; returns the exit status."""
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    _table(report)
    wrong = failures(report)
    for line in wrong:
        say(f"✗ {line}")
    say("✗ the results are not right" if wrong else "✓ all results are right")
    return 1 if wrong else 0


def _fresh(seed: int) -> dict[str, Any]:
    """Everything from nothing; what an earlier demo left is removed."""
    discard_outside(ROOT, say=say)
    shutil.rmtree(ROOT, ignore_errors=True)
    settings = {
        "TESSERA_RATE_LIMITS": "false",  # a whole crowd behind one address
        "TESSERA_DECISIONS_EVERY": "PT0S",  # it works for minutes, not for days
    }
    with instance(ROOT, env={**os.environ, **settings}, say=say) as running:
        return asyncio.run(_run(running.url, running.database_url, seed))


async def _run(url: str, database_url: str, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    engine = db.create_engine(database_url, application_name="demo")
    sessions = db.create_sessions(engine)
    report = Report()
    async with in_time(report, LONGEST):
        await _main_job(url, sessions, seed, report)
        report.facts |= await books.audit(sessions)
    await engine.dispose()
    report.facts["seconds"] = round(time.monotonic() - started, 1)
    return report.facts


@asynccontextmanager
async def in_time(report: Report, longest: timedelta) -> AsyncIterator[None]:
    """Raises TookTooLong, which says what was waited for, if the block is not over by then."""
    try:
        async with asyncio.timeout(longest.total_seconds()) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TookTooLong(f"given up after {longest}: waited for {report.waits_for}") from None


async def _main_job(url: str, sessions: db.Sessions, seed: int, report: Report) -> None:
    limits = Limits(max_connections=60, max_keepalive_connections=60)
    async with AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        office = await open_office(http, sessions)
        people = await crowd.gather(http, seed=seed)
        say(f"· {len(people)} earners signed up")
        projects = [
            project for kind in WAYS for project in await label(office, people, kind, seed, report)
        ]
        projects += await stop_early(office, people, projects[0], seed, report)
        report.facts |= crowd.counted(people, projects)
        await pay_out(office, people, report)


def _table(report: dict[str, Any]) -> None:
    say("")
    for name, value in report.items():
        if name not in {"stopped", "kinds"}:
            shown = f"{value / 1e6:,.2f} USD" if name.endswith("_micro") else value
            say(f"  {name:<20} {shown}")
    for kind, found in report["kinds"].items():
        say(f"  {kind:<20} {found['value']} ({found['metric']}; at least {found['floor']})")
    for project, models in report["stopped"].items():
        say(f"  stopped in {project!r}")
        for model, count in models.items():
            say(f"    {model:<18} {count['stopped']} of {count['worked']} who worked there")
    say("")


if __name__ == "__main__":
    sys.exit(main())
