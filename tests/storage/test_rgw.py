import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.storage.conftest import WITHOUT, expect_debian


@pytest.mark.long
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_the_gateway_outlives_the_command_that_ran_it(end: signal.Signals) -> None:
    expect_debian()
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


def test_without_a_second_store_its_tests_fail_unless_that_is_said_to_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(WITHOUT, raising=False)
    with pytest.raises(pytest.fail.Exception, match=f"no apt-get. Set {WITHOUT}=1"):
        expect_debian()
    monkeypatch.setenv(WITHOUT, "1")
    with pytest.raises(pytest.skip.Exception, match="one store must do"):
        expect_debian()
