import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
    """With a folder in use; killed at the end of the block at the latest."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
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


def test_a_worker_removes_nothing_of_those_that_live_or_begin_at_the_same_moment() -> None:
    with ExitStack() as others:
        used = [others.enter_context(another_worker())[0] for _ in range(3)]
        with ThreadPoolExecutor(8) as pool:
            entering = [pool.submit(others.enter_context, scratch()) for _ in range(8)]
            rooms = [each.result() for each in entering]
        assert all((folder / "half a file").exists() for folder in used)
        assert all(folder.exists() for folder in rooms)
    assert not any(folder.exists() for folder in rooms)
