"""The API and workers in processes of their own, to be killed at any moment."""

import asyncio
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from httpx2 import AsyncClient, HTTPError
from sqlalchemy import text

import api.__main__
import api.admin
import workers.__main__
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tests.forks import forks
from workers.registry import HANDLERS, LIMITS
from workers.runner import Pace
from workers.schedule import SWEEPS

PATIENCE = 60.0
BUSY = text("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")
QUICK = Pace(
    poll=timedelta(milliseconds=50),
    heartbeat=timedelta(seconds=1),
    grace=timedelta(seconds=1),
    first_delay=timedelta(milliseconds=100),
    longest_delay=timedelta(seconds=1),
    # we kill far more often than any machine dies by itself
    crashes=50,
)


class Module:
    """`python -m` with some words, in a fork: what the module imports is there already.

    It is one that is imported above, by its whole name: `api.__main__`.
    """

    def __init__(self, name: str, *words: str, env: Mapping[str, str], out: Path) -> None:
        """
        Args:
            env: All of its environment.
            out: A file for what it says, and writes to stderr.
        """
        self._process = forks.Process(target=_run, args=((name, *words), env, out), daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> int | None:
        """Its status at the end; None if it has not come by then."""
        self._process.join(seconds)
        return self._process.exitcode

    def stop(self) -> None:
        if self._process.is_alive():
            self._process.terminate()
        if self.wait(20) is None:
            self._process.kill()
            raise TimeoutError("it did not stop")


class Mortal:
    """A program that is started, killed -9 and started again."""

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        self._target = target
        self._args = args
        self._process: ForkServerProcess | None = None
        self.deaths = 0

    def start(self) -> None:
        self._process = forks.Process(target=self._target, args=self._args, daemon=True)
        self._process.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.deaths += 1

    async def reborn(self, *, after: float = 0.0) -> None:
        """Killed, and started again a moment later."""
        self.kill()
        try:
            await asyncio.sleep(after)
        finally:
            self.start()


@contextmanager
def running(*programs: Mortal) -> Iterator[None]:
    try:
        for program in programs:
            program.start()
        yield
    finally:
        for program in programs:
            program.kill()


def worker(
    settings: Settings, folder: Path, *, names: Sequence[str] = (), pace: Pace = QUICK
) -> Mortal:
    """`python -m workers`, by default quick to notice that another one has died.

    Args:
        folder: For its log, and for what it leaves behind when it is killed.
        names: Of the only jobs it takes, and then it does not sweep.
    """
    return Mortal(_work, environment(settings), folder, tuple(names), pace)


def serving(settings: Settings, folder: Path) -> tuple[Mortal, str]:
    """`python -m api`, and its address, which stays the same."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**environment(settings), "TESSERA_API_PORT": str(port)}
    return Mortal(_serve, env, folder), f"http://127.0.0.1:{port}"


async def ready(url: str) -> None:
    async with AsyncClient(base_url=url) as http:

        async def is_ready() -> bool:
            try:
                return (await http.get("/readyz")).is_success
            except HTTPError:
                return False

        await eventually(is_ready)


async def eventually(true: Callable[[], Awaitable[bool]], *, patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not await true():  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.03)


async def idle(sessions: db.Sessions) -> bool:
    """Whether no job waits or runs."""
    async with db.reading(sessions) as reader:
        return not (await reader.execute(BUSY)).scalar_one()


def environment(settings: Settings) -> dict[str, str]:
    said = settings.model_dump(mode="json", exclude_none=True, exclude={"s3_secret_key"})
    said["s3_secret_key"] = settings.s3_secret_key.get_secret_value()
    return {f"TESSERA_{name.upper()}": str(value) for name, value in said.items()}


def _run(words: Sequence[str], env: Mapping[str, str], out: Path) -> None:
    os.environ.clear()
    os.environ.update(env)
    _log_to(out)
    sys.argv = [*words]
    del sys.modules[words[0]]  # imported by us: Python warns of what then runs a second time
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def _serve(env: Mapping[str, str], folder: Path) -> None:
    os.environ.update(env)
    _log_to(folder / "api.log")
    asyncio.run(api.__main__.main())


def _work(env: Mapping[str, str], folder: Path, names: Sequence[str], pace: Pace) -> None:
    os.environ.update(env)
    _log_to(folder / "worker.log")
    tempfile.tempdir = str(folder)
    changes: dict[str, object] = {"PACE": pace}
    if pace != Pace():
        hurry = timedelta(seconds=1)
        changes["SWEEPS"] = [replace(each, every=min(each.every, hurry)) for each in SWEEPS]
    if names:
        changes["HANDLERS"] = {name: HANDLERS[name] for name in names}
        changes["LIMITS"] = {name: LIMITS[name] for name in names if name in LIMITS}
        changes["SWEEPS"] = ()
    vars(workers.__main__).update(changes)
    asyncio.run(workers.__main__.main())


def _log_to(path: Path) -> None:
    with path.open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
