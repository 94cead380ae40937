"""Room on disk for one worker, given back however it ends."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PREFIX = "tessera-worker-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of our own; those that killed workers have left on this machine are removed.

    The kernel drops a lock with the process that holds it, so a folder without one is nobody's.
    """
    with ExitStack() as held:
        with _alone():
            for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
                with suppress(OSError), _locked(folder, fcntl.LOCK_NB):  # not ours, or in use
                    shutil.rmtree(folder)
            ours = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
            held.enter_context(_locked(ours))
        yield ours


@contextmanager
def _alone() -> Iterator[None]:
    """No other worker of this user removes folders, or has one that it has not locked yet."""
    gate = Path(tempfile.gettempdir()) / f"tessera-workers-{os.getuid()}.lock"
    gate.touch(mode=0o600)
    with _locked(gate):
        yield


@contextmanager
def _locked(path: Path, or_else: int = 0) -> Iterator[None]:
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | or_else)
        yield
    finally:
        os.close(lock)
