import http.client
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from deploy.embedded.places import Places
from tests.deploy.conftest import a_root, warmed
from tests.deploy.driving import Driven, allowed_origin, eventually, gone, names
from tests.deploy.supervised import API

UP = "Ctrl-C stops everything"
DEAF = "\nimport signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def supervised(root: Path, app: str = API, **env: str) -> Driven:
    return Driven([sys.executable, "-m", "tests.deploy.supervised", str(root), app], **env)


def process_of(root: Path, name: str) -> psutil.Process | None:
    pid = (root / "run" / f"{name}.lock").read_text()
    return psutil.Process(int(pid)) if pid and psutil.pid_exists(int(pid)) else None


def asked(url: str) -> int:
    """What the API answers when it is asked whether it is ready."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request("GET", "/readyz")
        return connection.getresponse().status


def ready(url: str) -> bool:
    try:
        return asked(url) == http.HTTPStatus.OK
    except OSError:
        return False


class Up(NamedTuple):
    it: Driven
    url: str
    root: Path

    @property
    def store(self) -> str:
        """Its address, as the apps are told."""
        (address,) = (e.split()[-1] for e in self.it.lines if "TESSERA_S3_ENDPOINT" in e)
        return address


@pytest.fixture(scope="module")
def up(used_root: Path) -> Iterator[Up]:
    """One for all who only look at it."""
    with a_root() as root, supervised(warmed(root, used_root)) as it:
        yield Up(it, it.wait_for(UP).split()[1], root)


@pytest.mark.parametrize(
    "asked_by",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_asked_to_stop_it_ends_the_api_then_the_workers_then_the_servers(
    warm_root: Path, asked_by: signal.Signals
) -> None:
    with supervised(warm_root) as it:
        url = it.wait_for(UP).split()[1]
        assert ready(url)
        family = it.family()
        it.process.send_signal(asked_by)
        assert it.end() == 0
        assert all(gone(process) for process in family)
    logs = [(warm_root / "log" / f"{name}.log").read_text() for name in ("api", "workers")]
    api, workers = (float(log.split("bye ")[-1]) for log in logs)
    assert api < workers
    server_log = (warm_root / "log" / "postgres.log").read_text()
    assert server_log.strip().endswith("database system is shut down")


def test_the_apps_get_the_servers_and_their_own_address(up: Up) -> None:
    seeds = (line.split() for line in up.it.lines if line.startswith("seed: TESSERA_"))
    seen = {name.removeprefix("TESSERA_"): value for _, name, value in seeds}
    words = "DATABASE_URL REDIS_URL S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY S3_BUCKET"
    assert set(seen) == {*words.split(), "API_HOST", "API_PORT", "DECISIONS_EVERY"}


def test_pages_from_the_address_of_the_api_and_no_others_may_call_the_store(up: Up) -> None:
    for origin in (up.url, "http://elsewhere.test"):
        assert allowed_origin(up.store, asking=origin) == up.url


def test_a_shell_gets_the_settings_from_a_file_for_its_owner_only(up: Up) -> None:
    file = up.root / "settings.sh"
    shown = subprocess.run(
        ["/bin/sh", "-c", f'. {file} && echo "$TESSERA_S3_ENDPOINT"'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.strip() == up.store
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_says_so_when_the_api_is_not_at_the_usual_port(warm_root: Path) -> None:
    notes = warm_root / "ports.json"
    port = Places.under(warm_root).port("elsewhere", 18917)
    notes.write_text(json.dumps({**json.loads(notes.read_text()), "api": port}))
    with supervised(warm_root) as it:
        it.wait_for(f"the API is at port {port}")
        assert it.wait_for(UP).split()[1].endswith(f":{port}")


def test_what_the_environment_says_about_the_api_wins(warm_root: Path) -> None:
    port = str(Places.under(warm_root).port("mine", 18917))
    with supervised(warm_root, TESSERA_API_PORT=port) as it:
        assert it.wait_for(UP).split()[1] == f"http://127.0.0.1:{port}"
        assert f"seed: TESSERA_API_PORT {port}" in it.lines


def test_a_port_that_the_environment_names_and_somebody_has_is_refused(warm_root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with supervised(warm_root, TESSERA_API_PORT=str(port)) as it:
            assert it.end() == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in it.lines[-1]


@pytest.mark.parametrize(
    ("host", "asked_at"),
    [
        pytest.param("127.0.0.2", "127.0.0.2", marks=pytest.mark.long),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("::1", "[::1]"),
    ],
)
def test_the_api_may_listen_on_any_address_of_this_machine(
    warm_root: Path, host: str, asked_at: str
) -> None:
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("This machine has no IPv6.")
    with supervised(warm_root, TESSERA_API_HOST=host) as it:
        url = it.wait_for(UP).split()[1]
        assert url.startswith(f"http://{asked_at}:")
        assert ready(url)


@pytest.mark.long
def test_workers_have_the_time_they_need_to_stop(warm_root: Path) -> None:
    """More than the ten seconds that others have; they say so themselves when they are done."""
    slow = "(time.sleep(11), print('api: bye', time.time(), flush=True), exit(0))"
    with supervised(
        warm_root, API.replace('(print("api: bye", time.time(), flush=True), exit(0))', slow)
    ) as it:
        it.wait_for(UP)
        it.process.send_signal(signal.SIGTERM)
        assert it.end() == 0
    assert "api: bye" in (warm_root / "log" / "api.log").read_text()


def test_two_that_start_at_once_have_an_api_each(warm_root: Path, private_root: Path) -> None:
    with supervised(warm_root) as one, supervised(private_root) as two:
        urls = [it.wait_for(UP).split()[1] for it in (one, two)]
        assert urls[0] != urls[1]
        one.process.kill()
        assert ready(urls[1])


def test_who_calls_while_the_api_starts_again_waits_and_is_answered(warm_root: Path) -> None:
    with supervised(warm_root) as it:
        url = it.wait_for(UP).split()[1]
        victim = process_of(warm_root, "api")
        assert victim is not None
        victim.kill()
        eventually(lambda: gone(victim))
        assert asked(url) in {http.HTTPStatus.OK, http.HTTPStatus.SERVICE_UNAVAILABLE}


def test_nothing_is_left_when_it_is_killed_even_if_an_app_ignores_signals(warm_root: Path) -> None:
    with supervised(warm_root, DEAF + API.replace("signal.signal", "(lambda *_: 0)")) as it:
        it.wait_for(UP)
        family = it.family()
        assert len(family) > 5
        it.process.kill()
        eventually(lambda: all(gone(process) for process in family))
    with supervised(warm_root) as it:
        it.wait_for(UP)


@pytest.mark.long
def test_nothing_is_left_when_it_is_killed_while_it_creates_the_database(root: Path) -> None:
    with supervised(root) as it:
        it.wait_for("creating the PostgreSQL data folder")
        eventually(lambda: "postgres" in names(it.family()))
        family = it.family()
        it.process.kill()
        eventually(lambda: all(gone(process) for process in family))
    with supervised(root) as it:
        it.wait_for(UP)


def test_an_app_or_a_server_that_is_killed_comes_back(warm_root: Path) -> None:
    with supervised(warm_root) as it:
        url = it.wait_for(UP).split()[1]
        for name in ("api", "workers", "postgres"):
            victim = process_of(warm_root, name)
            assert victim is not None
            victim.kill()
            it.wait_for(f"{name} ended with status -9")
            eventually(lambda: process_of(warm_root, name) not in (None, victim))  # noqa: B023
        eventually(lambda: ready(url))
        assert it.process.poll() is None


@pytest.mark.long
def test_an_app_that_does_not_come_up_stops_everything_and_says_why(warm_root: Path) -> None:
    with supervised(warm_root, "raise SystemExit('no such table')") as it:
        assert it.end() == 1
        assert "no such table" in it.lines[-2]
        assert "api.log" in it.lines[-1]
    for name in ("postgres", "valkey", "s3", "workers"):
        assert process_of(warm_root, name) is None


@pytest.mark.long
def test_while_it_waits_it_says_for_what(warm_root: Path) -> None:
    with supervised(warm_root, API.replace("> 0.5", "> 4")) as it:
        assert "503 warming up" in it.wait_for("waiting for the API")
        it.wait_for(UP)


def test_a_second_one_on_the_same_folder_is_refused_and_the_first_goes_on(warm_root: Path) -> None:
    with supervised(warm_root) as first:
        url = first.wait_for(UP).split()[1]
        ports = json.loads((warm_root / "ports.json").read_text())
        with supervised(warm_root) as second:
            assert second.end() == 1
            assert f"in use by process {first.process.pid}" in second.lines[-1]
        assert ready(url)
        assert json.loads((warm_root / "ports.json").read_text()) == ports


def test_servers_alone_print_lines_for_a_shell_and_end_with_the_make_that_runs_them(
    warm_root: Path,
) -> None:
    command = f"{sys.executable} -m deploy.embedded servers --root {warm_root}"
    (warm_root / "Makefile").write_text(f"servers:\n\t@exec {command}\n")
    with Driven(["make", "-f", str(warm_root / "Makefile")]) as it:
        it.wait_for("export TESSERA_S3_BUCKET=tessera")
        family = it.family()
        assert names(family) >= {"postgres", "valkey-server", "rclone"}
        it.process.kill()
        eventually(lambda: all(gone(process) for process in family))
    assert sum(line.startswith("export TESSERA_") for line in it.lines) == 6
