import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

from sqlalchemy import text
from structlog.contextvars import get_contextvars

from tessera.kernel import db
from tests.kernel.working import QUICK, eventually, working
from workers.sweeps import Sweep

SECOND = timedelta(seconds=1)


def sweep(
    name: str, run: Callable[[None], Awaitable[None]], *, every: timedelta = SECOND
) -> Sweep[None]:
    return Sweep(name, every, run, limit=timedelta(seconds=2))


async def test_two_workers_sweep_once_per_period_and_never_at_once(
    sessions: db.Sessions, database_url: str
) -> None:
    assert sessions
    starts: list[float] = []
    now = peak = 0

    async def expire(_context: None) -> None:
        nonlocal now, peak
        starts.append(asyncio.get_running_loop().time())
        now, peak = now + 1, max(peak, now + 1)
        await asyncio.sleep(0.3)
        now -= 1

    each = [sweep("once", expire)]
    async with (
        working(database_url, {}, sweeps=each),
        working(database_url, {}, sweeps=each),
    ):
        await eventually(lambda: len(starts) == 4)
    assert peak == 1
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert min(pauses) > 0.9
    assert max(pauses) < 2.5


async def test_a_sweep_longer_than_its_period_is_not_overtaken(
    sessions: db.Sessions, database_url: str
) -> None:
    assert sessions
    now = peak = ended = 0

    async def crawl(_context: None) -> None:
        nonlocal now, peak, ended
        now, peak = now + 1, max(peak, now + 1)
        await asyncio.sleep(0.6)
        now, ended = now - 1, ended + 1

    each = [sweep("crawl", crawl, every=SECOND / 10)]
    async with (
        working(database_url, {}, sweeps=each),
        working(database_url, {}, sweeps=each),
    ):
        await eventually(lambda: ended == 3)
    assert peak == 1


async def test_after_an_outage_a_sweep_runs_once_and_not_for_each_period_missed(
    sessions: db.Sessions, database_url: str
) -> None:
    runs: list[object] = []

    async def catch_up(_context: None) -> None:
        runs.append(get_contextvars()["request_id"])

    each = [sweep("catch-up", catch_up, every=timedelta(hours=1))]
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

    each = [sweep("fail", fail, every=SECOND / 2), sweep("hang", hang, every=SECOND / 2)]
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
        await asyncio.sleep(QUICK.grace.total_seconds() / 2)
        ended += 1

    async with working(database_url, {}, sweeps=[sweep("long", long)]):
        await eventually(lambda: begun == 1)
    assert ended == 1
