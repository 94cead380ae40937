"""A worker to try things on: in this process, or in one of its own that may be killed."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tessera.kernel import db, jobs
from tessera.kernel.jobs import Handler, Held, Run
from tests.forks import forks
from workers import runner
from workers.sweeps import Sweep

PATIENCE = 60.0
QUICK = runner.Pace(
    concurrency=10,
    poll=timedelta(milliseconds=50),
    grace=timedelta(seconds=10),
    attempts=3,
    first_delay=timedelta(milliseconds=100),
    longest_delay=timedelta(seconds=1),
    crashes=4,
)
KILLED = replace(QUICK, heartbeat=timedelta(seconds=1), grace=timedelta(seconds=3))
"""What a killed worker had in hand is soon missed; so is what one has that was only stalled."""


@asynccontextmanager
async def working(
    database_url: str,
    handlers: Mapping[str, Handler[None]],
    *,
    limits: Mapping[str, int] | None = None,
    sweeps: Sequence[Sweep[None]] = (),
    pace: runner.Pace = QUICK,
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    work = asyncio.create_task(
        runner.run(database_url, handlers, None, stop=stop, limits=limits, sweeps=sweeps, pace=pace)
    )
    try:
        yield
    finally:
        stop.set()
        await work


async def eventually(true: Callable[[], bool], *, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


async def until_held(
    sessions: db.Sessions,
    *,
    meanwhile: Callable[[], object] = lambda: None,
    patience: float = PATIENCE,
) -> list[Held]:
    """Wait until a job is held."""
    deadline = time.monotonic() + patience
    while True:
        async with db.reading(sessions) as reader:
            if found := await jobs.held(reader):
                return found
        meanwhile()
        assert time.monotonic() < deadline, "no job was held"
        await asyncio.sleep(0.05)


class Notes:
    """What the jobs of all processes have written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def count(self, word: str) -> Counter[int]:
        lines = (line.split() for line in self.path.read_text().splitlines())
        return Counter(int(n) for begun_or_ended, n in lines if begun_or_ended == word)


Spawn = Callable[[], ForkServerProcess]


@contextmanager
def spawning(database_url: str, notes: Notes) -> Iterator[Spawn]:
    """Starts workers in processes of their own; none is left behind."""
    started: list[ForkServerProcess] = []

    def spawn() -> ForkServerProcess:
        process = forks.Process(target=_work, args=(database_url, notes.path))
        process.start()
        started.append(process)
        return process

    try:
        yield spawn
    finally:
        for process in started:
            process.kill()
            process.join()


async def ending(process: ForkServerProcess) -> int | None:
    """The exit status, once there is one."""
    await asyncio.to_thread(process.join, PATIENCE)
    return process.exitcode


def _work(database_url: str, notes: Path) -> None:
    asyncio.run(_run(database_url, os.open(notes, os.O_WRONLY | os.O_APPEND)))


async def _run(database_url: str, notes: int) -> None:
    async def note(_context: None, run: Run) -> None:
        os.write(notes, f"begin {run.payload['n']}\n".encode())
        await asyncio.sleep(run.payload["seconds"])
        os.write(notes, f"end {run.payload['n']}\n".encode())

    async def die(_context: None, _run: Run) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def look(_context: None) -> None: ...

    handlers: dict[str, Handler[None]] = {"note": note, "die": die}
    await runner.run(
        database_url,
        handlers,
        None,
        stop=runner.stop_on_signals(),
        sweeps=[Sweep("look", timedelta(seconds=1), look)],
        pace=KILLED,
    )
