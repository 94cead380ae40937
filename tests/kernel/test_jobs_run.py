import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.contextvars import bound_contextvars, get_contextvars

from tessera.kernel import db, jobs
from tessera.kernel.errors import Invalid, Unavailable
from tests.kernel.working import KILLED, QUICK, eventually, until_held, working
from workers import runner


async def enqueue(sessions: db.Sessions, name: str, **payload: object) -> None:
    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, name, payload=payload)


async def left(sessions: db.Sessions) -> Counter[str]:
    async with db.reading(sessions) as reader:
        return Counter((await reader.scalars(text("SELECT status::text FROM pgqueuer"))).all())


async def test_what_was_unavailable_is_tried_again_until_it_is_there(
    sessions: db.Sessions, database_url: str
) -> None:
    attempts: list[tuple[int, float]] = []

    async def fetch(_context: None, run: jobs.Run) -> None:
        attempts.append((run.attempt, asyncio.get_running_loop().time()))
        if run.attempt < 3:
            raise Unavailable("the store is away")

    await enqueue(sessions, "fetch")
    async with working(database_url, {"fetch": fetch}):
        await eventually(lambda: len(attempts) == 3)
    assert [number for number, _ in attempts] == [1, 2, 3]
    assert attempts[2][1] - attempts[1][1] >= 0.1, "the second pause is longer"
    assert await left(sessions) == {}


@given(st.integers(1, 100))
def test_pauses_double_up_to_the_longest_and_are_never_less_than_half(attempt: int) -> None:
    pace = runner.Pace()
    full = min(pace.first_delay * 2 ** min(attempt - 1, 20), pace.longest_delay)
    assert full / 2 <= runner.backoff(attempt, pace) <= full


async def test_what_fails_at_every_attempt_is_held_and_can_be_sent_again(
    sessions: db.Sessions, database_url: str
) -> None:
    attempts: list[int] = []

    async def divide(_context: None, run: jobs.Run) -> None:
        attempts.append(run.attempt)
        if len(attempts) <= QUICK.attempts:
            raise ZeroDivisionError("by nothing")

    await enqueue(sessions, "divide", n=7)
    async with working(database_url, {"divide": divide}):
        (job,) = await until_held(sessions)
        assert (job.name, job.payload, job.attempts) == ("divide", {"n": 7}, 2)
        assert job.error == "ZeroDivisionError"
        for _ in range(2):  # by two people at once: it runs once
            async with db.transaction(sessions) as session:
                await jobs.requeue(session, [job.id])
        await eventually(lambda: len(attempts) == 4)
    assert attempts == [1, 2, 3, 1]
    assert await left(sessions) == {}


async def test_what_cannot_become_right_is_held_at_once(
    sessions: db.Sessions, database_url: str
) -> None:
    async def refuse(_context: None, _run: jobs.Run) -> None:
        raise Invalid("no such class")

    await enqueue(sessions, "refuse")
    async with working(database_url, {"refuse": refuse}):
        (job,) = await until_held(sessions)
    assert job.error == "Invalid: no such class"


async def test_a_chain_of_jobs_carries_the_request_that_began_it(
    sessions: db.Sessions, database_url: str
) -> None:
    seen: list[tuple[jobs.Run, dict[str, object]]] = []

    async def parent(_context: None, _run: jobs.Run) -> None:
        await enqueue(sessions, "child")

    async def child(_context: None, run: jobs.Run) -> None:
        seen.append((run, get_contextvars()))

    with bound_contextvars(request_id="request-1"):
        await enqueue(sessions, "parent")
    async with working(database_url, {"parent": parent, "child": child}):
        await eventually(lambda: len(seen) == 1)
    ((run, logged),) = seen
    assert run.request_id == "request-1"
    assert logged == {"request_id": "request-1", "job_id": run.id, "job": "child", "attempt": 1}


async def test_no_more_run_at_once_than_their_limit_over_all_workers(
    sessions: db.Sessions, database_url: str
) -> None:
    now = peak = done = 0

    async def slice_(_context: None, _run: jobs.Run) -> None:
        nonlocal now, peak, done
        now, peak = now + 1, max(peak, now + 1)
        await asyncio.sleep(0.05)
        now, done = now - 1, done + 1

    for _ in range(12):
        await enqueue(sessions, "slice")
    handlers = {"slice": slice_}
    async with (
        working(database_url, handlers, limits={"slice": 2}),
        working(database_url, handlers, limits={"slice": 2}),
    ):
        await eventually(lambda: done == 12)
    assert peak == 2


async def test_a_limit_for_a_job_that_is_not_there_is_refused(database_url: str) -> None:
    with pytest.raises(ValueError, match="slcie"):
        await runner.run(database_url, {}, None, stop=asyncio.Event(), limits={"slcie": 2})


@pytest.mark.parametrize(
    ("seconds", "grace", "attempts"),
    [(0.5, 60, [1]), (3600, 0.1, [1, 2])],
    ids=["finished", "given back"],
)
async def test_a_worker_that_is_stopped_finishes_what_it_can_and_gives_back_the_rest(
    sessions: db.Sessions, database_url: str, seconds: float, grace: float, attempts: list[int]
) -> None:
    pace = replace(QUICK, grace=timedelta(seconds=grace))
    begun: list[int] = []
    ended: list[int] = []

    async def nap(_context: None, run: jobs.Run) -> None:
        begun.append(run.attempt)
        await asyncio.sleep(seconds if len(begun) == 1 else 0)
        ended.append(run.attempt)

    await enqueue(sessions, "nap")
    async with working(database_url, {"nap": nap}, pace=pace):
        await eventually(lambda: len(begun) == 1)
    assert await left(sessions) == ({"queued": 1} if len(attempts) > 1 else {})
    async with working(database_url, {"nap": nap}):
        await eventually(lambda: len(ended) == 1)
    assert begun == attempts
    assert ended == attempts[-1:]


async def test_a_job_whose_task_was_cancelled_is_not_lost(
    sessions: db.Sessions, database_url: str
) -> None:
    runs: list[int] = []

    async def cancelled(_context: None, run: jobs.Run) -> None:
        runs.append(run.id)
        if len(runs) == 1:
            raise asyncio.CancelledError

    await enqueue(sessions, "cancelled")
    async with working(database_url, {"cancelled": cancelled}, pace=KILLED):
        await eventually(lambda: len(runs) == 2)
    assert await left(sessions) == {}


async def test_the_queue_can_be_watched(sessions: db.Sessions, database_url: str) -> None:
    async def refuse(_context: None, _run: jobs.Run) -> None:
        raise Invalid("never")

    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "later", payload={})
        await session.execute(text("UPDATE pgqueuer SET execute_after = now() + interval '1 hour'"))
        await jobs.enqueue(session, "watched", payload={})
        await jobs.enqueue(session, "nobodys", payload={})
    async with working(database_url, {"watched": refuse}):
        await until_held(sessions)
    async with working(database_url, {}):
        await eventually(lambda: value("tessera_jobs", name="watched", status="failed") == 1)
    assert value("tessera_jobs", name="later", status="queued") == 1
    assert value("tessera_job_oldest_seconds", name="later") == 0
    assert (value("tessera_job_oldest_seconds", name="nobodys") or 0) > 0
    assert value("tessera_job_seconds_count", name="watched", outcome="held") == 1


def value(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(metric, labels)
