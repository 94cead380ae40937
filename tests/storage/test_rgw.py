import shutil
import signal
import subprocess
import sys

import psutil
import pytest


@pytest.mark.long
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="Ceph comes as Debian packages.")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_the_gateway_outlives_the_command_that_ran_it(end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.rgw"], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout
        while "access key" not in (line := command.stdout.readline()):
            assert line or command.poll() is None
        programs = psutil.Process(command.pid).children(recursive=True)
        assert sorted(p.name() for p in programs) == ["ceph-mon", "ceph-osd", "radosgw"]
        command.send_signal(end)
        _, alive = psutil.wait_procs(programs, timeout=10)
    assert not alive
