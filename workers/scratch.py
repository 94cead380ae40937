"""Room on disk for one worker, given back however it ends."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "tessera-worker-"
_JUST_MADE_SECONDS = 60
"""So young a folder may be without its lock only because its worker has not come to that yet."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of our own; those that killed workers have left on this machine are removed.

    The kernel drops a lock with the process that holds it, so a folder without one is nobody's.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, in use, or gone already
            _remove_if_left(folder)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def _remove_if_left(folder: Path) -> None:
    if time.time() - folder.stat().st_mtime < _JUST_MADE_SECONDS:
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
