"""Driving what runs in another process: its lines, its children, its end."""

import http.client
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import psutil

CHECKOUT = Path(__file__).parents[2]
NOTHING_GIVEN: dict[str, str] = {}


def environment(**more: str) -> dict[str, str]:
    """Ours, without servers that the machine may name."""
    given = ("DATABASE_URL", "REDIS_URL", "S3_", "TESSERA_", "MAKE")
    return {k: v for k, v in os.environ.items() if not k.startswith(given)} | more


class Driven:
    """A process that prints lines, and its children."""

    def __init__(self, argv: list[str], **env: str) -> None:
        self.process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=CHECKOUT,
            env=environment(**env),
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._rest = b""
        self._looked_at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened, leave no process of it."""
        with suppress(psutil.NoSuchProcess):
            for process in [*self.family(), psutil.Process(self.process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.communicate()

    def wait_for(self, text: str, *, patience: float = 60) -> str:
        """Read on until a line contains `text`."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            while self._looked_at < len(self.lines):
                line = self.lines[self._looked_at]
                self._looked_at += 1
                if text in line:
                    return line
            self._read_some()
        raise AssertionError(f"{text!r} not among:\n" + "\n".join(self.lines))

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, *, patience: float = 60) -> int:
        """Wait for the end and read the rest."""
        rest, _ = self.process.communicate(timeout=patience)
        self.lines += (self._rest + rest).decode().splitlines()
        self._rest = b""
        return self.process.returncode

    def _read_some(self) -> None:
        assert self.process.stdout is not None
        if select.select([self.process.stdout], [], [], 0.1)[0]:
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise AssertionError("it ended:\n" + "\n".join(self.lines))
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            self.lines += [line.decode() for line in whole]


def names(processes: Iterable[psutil.Process]) -> set[str]:
    """Of those that still run."""
    found = set[str]()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def eventually(claim: Callable[[], object], *, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not claim():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def allowed_origin(endpoint: str, *, asking: str) -> str | None:
    """Whose pages may write to a store, as it says to a browser with a page from `asking`."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    with closing(connection):
        wanted = {"Origin": asking, "Access-Control-Request-Method": "PUT"}
        connection.request("OPTIONS", "/tessera/x", headers=wanted)
        return connection.getresponse().getheader("Access-Control-Allow-Origin")
