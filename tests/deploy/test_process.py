import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.embedded.places import Places
from deploy.embedded.process import Child, Program, StartFailed
from tests.deploy.driving import Driven, eventually, gone

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")
SLEEPER = "import time; time.sleep(600)"
DEAF_PARENT = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "{SLEEPER}"])
print("deaf", flush=True)
time.sleep(600)
"""


def python(code: str, *, orphan_signal: signal.Signals = signal.SIGTERM) -> Program:
    return Program("some", (sys.executable, "-c", code), orphan_signal=orphan_signal)


def quiet(_: str) -> None:
    pass


def test_a_child_that_cannot_start_says_why(root: Path) -> None:
    child = Child(python("raise SystemExit('no such mosaic')"), Places.under(root), say=quiet)
    with pytest.raises(StartFailed, match=r"(?s)status 1.*no such mosaic.*some\.log"):
        child.wait_until_ready(lambda: "not yet", patience=10)


def test_a_child_that_never_becomes_ready_is_given_up_with_the_last_reason(root: Path) -> None:
    child = Child(python(SLEEPER), Places.under(root), say=quiet)
    try:
        with pytest.raises(StartFailed, match="still asleep"):
            child.wait_until_ready(lambda: "still asleep", patience=0.1)
    finally:
        child.stop()


def test_a_child_deaf_to_its_signal_is_killed_with_all_its_children(root: Path) -> None:
    hasty = replace(python(DEAF_PARENT), patience=0.1)
    child = Child(hasty, Places.under(root), say=quiet)
    eventually(lambda: any("deaf" in line for line in child.read_on()))
    grandchildren = psutil.Process(child.pid).children()
    assert len(grandchildren) == 1
    child.stop()
    assert child.exit_status == -signal.SIGKILL
    eventually(lambda: gone(grandchildren[0]))


def test_the_children_of_a_child_that_crashed_do_not_outlive_it(root: Path) -> None:
    crashes = "import signal; signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)"
    child = Child(python(crashes + DEAF_PARENT), Places.under(root), say=quiet)
    eventually(lambda: any("deaf" in line for line in child.read_on()))
    grandchildren = psutil.Process(child.pid).children()
    assert len(grandchildren) == 1
    os.kill(child.pid, signal.SIGUSR1)
    with pytest.raises(StartFailed, match="ZeroDivisionError"):
        child.wait_until_done()
    eventually(lambda: gone(grandchildren[0]))


def test_what_an_earlier_run_left_behind_is_stopped_before_a_new_start(root: Path) -> None:
    # SIGCONT does nothing to it: as on systems that cannot tie a child to its parent.
    code = (
        "import time; from tests.deploy.test_process import *;"
        "program = python(SLEEPER, orphan_signal=signal.SIGCONT);"
        f"child = Child(program, Places.under(Path({str(root)!r})), say=quiet);"
        "print('pid', child.pid, flush=True); time.sleep(600)"
    )
    with Driven([sys.executable, "-c", code]) as parent:
        leftover = psutil.Process(int(parent.wait_for("pid").split()[1]))
        eventually(lambda: leftover.cmdline()[1:] == ["-c", SLEEPER])
        parent.process.kill()
        parent.process.wait()
    assert leftover.is_running()
    said: list[str] = []
    child = Child(python(SLEEPER), Places.under(root), say=said.append)
    try:
        assert gone(leftover)
        assert said == ["· stopping some left from an earlier run"]
    finally:
        child.stop()


def test_a_child_cannot_be_started_from_a_thread_with_which_it_would_die(root: Path) -> None:
    assert threading.current_thread() is threading.main_thread()
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(Child, python("pass"), Places.under(root), say=quiet).result()


def test_a_listener_keeps_its_port_from_run_to_run_and_takes_another_if_it_is_taken(
    root: Path,
) -> None:
    places, others = Places.under(root), Places.under(root / "others")
    with places.listener("api", "127.0.0.1", 0) as first:
        preferred = first.getsockname()[1]
        with others.listener("api", "127.0.0.1", preferred) as second:
            address = second.getsockname()
            assert address[1] != preferred
    with others.listener("api", "127.0.0.1", preferred) as again:
        assert again.getsockname() == address


@pytest.mark.skipif(not LENT.exists(), reason="this system does not say what it lends")
def test_ports_that_are_kept_are_none_that_an_outgoing_connection_may_have_meanwhile(
    root: Path,
) -> None:
    places, first_lent = Places.under(root), int(LENT.read_text().split()[0])
    with places.listener("api", "127.0.0.1", 18917) as taken:
        port = taken.getsockname()[1]
        assert places.port("s3", port) < first_lent
        with places.listener("another", "127.0.0.1", port) as another:
            assert another.getsockname()[1] < first_lent


def test_secrets_and_ports_are_remembered_and_survive_a_torn_write(root: Path) -> None:
    places = Places.under(root)
    secret, port = places.secret("a"), places.port("api", 18917)
    (root / "secrets.new").write_text("{ torn")
    again = Places.under(root)
    assert (again.secret("a"), again.port("api", 18918)) == (secret, port)
    assert again.secret("b") != secret
    assert set(json.loads((root / "secrets.json").read_text())) == {"a", "b"}
