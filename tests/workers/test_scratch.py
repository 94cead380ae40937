import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.scratch import scratch

HOLD = """
import time
from workers.scratch import scratch
with scratch() as folder:
    (folder / "half a file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


@contextmanager
def another_worker() -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """With a folder in use for an hour; killed at the end of the block at the latest."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    os.utime(folder, (0, 0))
    try:
        yield folder, process
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_worker_gives_its_room_back() -> None:
    with scratch() as folder:
        (folder / "a file").touch()
    assert not folder.exists()


def test_what_a_killed_worker_leaves_on_disk_is_removed_by_the_next() -> None:
    with another_worker() as (left, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
        with scratch() as folder:
            assert not left.exists()
            assert folder.exists()


def test_a_worker_removes_nothing_of_one_that_lives_or_has_just_begun() -> None:
    with (
        another_worker() as (used, _),
        tempfile.TemporaryDirectory(prefix="tessera-worker-") as new,
        scratch(),
    ):
        assert (used / "half a file").exists()
        assert Path(new).exists()
