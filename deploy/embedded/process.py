"""Child processes that die with this one, log to a file, and are found again after a kill -9.

Three nets, because each has a hole:
- `tether` asks Linux to signal the child when its parent dies, however it dies. The signal is
  tied to the *thread* that started the child, so children are started from the main thread only.
- every child inherits a locked file, so as long as any process of it lives, on any system, the
  next run sees the lock, reads the process id, and stops the leftover before it starts its own.
- each child leads a process group, which is killed once the child itself has ended.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded import tether
from deploy.embedded.places import Lock, Places, Say, try_lock
from tessera.kernel.errors import Unavailable

_LOOK_EVERY = 0.02
_SAY_EVERY = 3.0
_LAST_WORDS = 4_000
_LONG_LOG = 10_000_000


class StartFailed(Unavailable):
    """A child stopped or did not become ready; the detail ends with the last lines of its log."""

    code = "embedded-start-failed"


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        argv: Begins with an absolute path.
        orphan_signal: What it gets when we die. Nobody escalates then, so it must be enough.
        files: Open files that it gets, by the numbers they have here.
        patience: Seconds it has to stop, before it is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    files: tuple[int, ...] = ()
    patience: float = 10.0


class Child:
    """A running program. Its log is `<root>/log/<name>.log`."""

    def __init__(self, program: Program, places: Places, *, say: Say) -> None:
        """Start it, after whatever is left of it from an earlier run has been stopped."""
        self.program = program
        self._say = say
        self._swept = False
        self._log = places.log(program.name)
        lock = _claim(program, places, say)
        if self._log.exists() and self._log.stat().st_size > _LONG_LOG:
            self._log.replace(self._log.with_suffix(".old.log"))
        try:
            with self._log.open("ab") as log:
                self._log_start = self._read_to = log.tell()
                self._process = subprocess.Popen(
                    _tethered(program, lock),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=program.cwd,
                    env=program.env,
                    pass_fds=[lock, *program.files],
                    start_new_session=True,  # Ctrl-C is for us; children are stopped in order
                )
        finally:
            os.close(lock)  # from here on the child alone holds it

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs. Noticing its end also ends what is left of its group."""
        status = self._process.poll()
        if status is not None and not self._swept:
            self._swept = True  # once, at once: later the number may be somebody else's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return status

    def stop(self) -> None:
        """Ask it to stop, and kill it if it does not in time."""
        if self.exit_status is None:
            self._process.send_signal(self.program.stop_signal)
            deadline = time.monotonic() + self.program.patience
            while self.exit_status is None and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY)
        while self.exit_status is None:
            self._process.kill()
            time.sleep(_LOOK_EVERY)

    def wait_until_ready(self, why_not: Callable[[], str | None], patience: float) -> None:
        """Wait until `why_not` has no reason left.

        Raises:
            StartFailed: It stopped, or `patience` seconds have passed.
        """
        began = said = time.monotonic()
        while reason := why_not():
            now = time.monotonic()
            if self.exit_status is not None:
                raise StartFailed(self.obituary())
            if now - began > patience:
                raise StartFailed(f"{self.program.name}: {reason}\n{self.last_words()}")
            if now - said > _SAY_EVERY:
                said = now
                self._say(f"· waiting for {self.program.name} ({now - began:.0f} s): {reason}")
            time.sleep(_LOOK_EVERY)
        if self.exit_status is not None:  # then something else answered on its port
            raise StartFailed(self.obituary())

    def wait_until_done(self) -> None:
        """Wait until it has ended.

        Raises:
            StartFailed: With another status than 0.
        """
        began = said = time.monotonic()
        try:
            while self.exit_status is None:
                now = time.monotonic()
                if now - said > _SAY_EVERY:
                    said = now
                    self._say(f"· still busy with {self.program.name} ({now - began:.0f} s)")
                time.sleep(_LOOK_EVERY)
        finally:
            self.stop()
        if self.exit_status:
            raise StartFailed(self.obituary())

    def read_on(self) -> Iterator[str]:
        """What it has logged since this was last asked, by whole lines."""
        with self._log.open("rb") as log:
            log.seek(self._read_to)
            for line in log:
                if line.endswith(b"\n"):
                    self._read_to += len(line)
                    yield line.decode(errors="replace").rstrip()

    def obituary(self) -> str:
        return f"{self.program.name} ended with status {self.exit_status}\n{self.last_words()}"

    def last_words(self, lines: int = 12) -> str:
        """The end of what it logged since this start, and where the rest is."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, self._log.stat().st_size - _LAST_WORDS))
            tail = log.read().decode(errors="replace").splitlines()[-lines:]
        return "\n".join([*(f"  | {line}" for line in tail), f"  (more in {self._log})"])


def _tethered(program: Program, lock: Lock) -> list[str]:
    """The command that runs `program` and ends with this process.

    Raises:
        RuntimeError: Called outside the main thread, with whose end the program would end.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Start children from the main thread.")
    uid = gid = tether.NONE
    if program.account:
        uid, gid = program.account.uid, program.account.gid
    numbers = [os.getpid(), int(program.orphan_signal), uid, gid, lock]
    return [sys.executable, "-IS", tether.__file__, *map(str, numbers), *program.argv]


def _claim(program: Program, places: Places, say: Say) -> Lock:
    """Lock the child's file, stopping the leftover that holds it.

    Raises:
        StartFailed: The leftover would not end.
    """
    path = places.lock(program.name)
    lock = try_lock(path)
    for kind, patience in ((program.stop_signal, 30.0), (signal.SIGKILL, 10.0)):
        if lock is not None:
            break
        leftover = int(path.read_text() or 0)
        say(f"· stopping {program.name} left from an earlier run")
        if leftover:
            # its number may be somebody else's by now, while a child of its own holds the lock
            with suppress(ProcessLookupError, PermissionError):
                os.kill(leftover, kind)
        lock = _try_lock_for(path, patience)
    if lock is None:
        raise StartFailed(f"{program.name} of an earlier run does not end; see {path}.")
    os.ftruncate(lock, 0)
    return lock


def _try_lock_for(path: Path, patience: float) -> Lock | None:
    deadline = time.monotonic() + patience
    while (lock := try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
    return lock
