import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import text
from structlog.contextvars import get_contextvars

from tessera.kernel import db
from tests.kernel.working import eventually, working
from workers.sweeps import Sweep

SECOND = timedelta(seconds=1)


async def test_two_workers_sweep_once_per_period_and_never_at_once(
    sessions: db.Sessions, database_url: str
) -> None:
    every = SECOND / 2
    starts: list[datetime] = []
    now = peak = 0

    async def expire(_context: None) -> None:
        nonlocal now, peak
        now, peak = now + 1, max(peak, now + 1)
        async with db.reading(sessions) as reader:
            started = "SELECT last_run FROM pgqueuer_schedules WHERE entrypoint = 'once'"
            starts.append((await reader.execute(text(started))).scalar_one())
        await asyncio.sleep(0.3)
        now -= 1

    each = [Sweep("once", every, expire)]
    async with (
        working(database_url, {}, sweeps=each),
        working(database_url, {}, sweeps=each),
    ):
        await eventually(lambda: len(starts) >= 4)
    assert peak == 1
    pauses = sorted(later - earlier for earlier, later in pairwise(starts))
    assert pauses[0] >= every
    assert pauses[1] < 2 * every, "no period is left out, unless the machine was busy"


async def test_a_sweep_longer_than_its_period_is_not_overtaken(
    sessions: db.Sessions, database_url: str
) -> None:
    assert sessions
    now = peak = ended = 0

    async def crawl(_context: None) -> None:
        nonlocal now, peak, ended
        now, peak = now + 1, max(peak, now + 1)
        await asyncio.sleep(0.3)
        now, ended = now - 1, ended + 1

    each = [Sweep("crawl", SECOND / 10, crawl)]
    async with (
        working(database_url, {}, sweeps=each),
        working(database_url, {}, sweeps=each),
    ):
        await eventually(lambda: ended >= 3)
    assert peak == 1


async def test_after_an_outage_a_sweep_runs_once_and_not_for_each_period_missed(
    sessions: db.Sessions, database_url: str
) -> None:
    runs: list[object] = []

    async def catch_up(_context: None) -> None:
        runs.append(get_contextvars()["request_id"])

    each = [Sweep("catch-up", timedelta(hours=1), catch_up)]
    async with working(database_url, {}, sweeps=each):
        await eventually(lambda: len(runs) == 1)
    async with db.transaction(sessions) as session:
        await session.execute(
            text("UPDATE pgqueuer_schedules SET last_run = now() - interval '9 hours'")
        )
    async with working(database_url, {}, sweeps=each):
        await eventually(lambda: len(runs) == 2)
        await asyncio.sleep(0.5)
    assert len(set(runs)) == len(runs) == 2


async def test_a_sweep_that_fails_or_hangs_is_tried_again_and_holds_up_no_other(
    sessions: db.Sessions, database_url: str
) -> None:
    assert sessions
    runs: list[str] = []

    async def fail(_context: None) -> None:
        runs.append("fail")
        raise ZeroDivisionError

    async def hang(_context: None) -> None:
        runs.append("hang")
        await asyncio.sleep(3600)

    each = [
        Sweep("fail", SECOND / 4, fail),
        Sweep("hang", SECOND / 4, hang, limit=SECOND / 2),
    ]
    async with working(database_url, {}, sweeps=each):
        await eventually(lambda: runs.count("fail") >= 3 and runs.count("hang") >= 2)


async def test_a_sweep_that_runs_when_its_worker_is_stopped_has_its_grace(
    sessions: db.Sessions, database_url: str
) -> None:
    assert sessions
    begun = ended = 0

    async def long(_context: None) -> None:
        nonlocal begun, ended
        begun += 1
        await asyncio.sleep(0.5)
        ended += 1

    async with working(database_url, {}, sweeps=[Sweep("long", SECOND, long)]):
        await eventually(lambda: begun == 1)
    assert ended == 1
