"""A private Ceph RADOS Gateway: a second, complete S3 server to hold the storage code against.

`python -m deploy.rgw` runs one until Ctrl-C. Debian packages are downloaded and unpacked below
`var/ceph`; nothing is installed and no root is needed. One monitor, one OSD that keeps its
objects in memory, one gateway: for conformance tests, never for data.
"""

import http.client
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from deploy.embedded.places import Places, any_free_port
from deploy.embedded.process import Child, Program, StartFailed

FOLDER = Path("var/ceph")
_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
_PATIENCE = 120.0
_DAY = 86_400.0
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
keyring = {home}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
paxos propose interval = 0.05
mon allow pool size one = true
mon max pg per osd = 2000
run dir = {home}
admin socket =
log file =
mon cluster log file =
osd class update on start = false
osd crush update on start = false
mon data = {home}/mon
osd data = {home}/osd
rgw data = {home}/rgw
plugin dir = {libraries}/ceph
osd class dir = {libraries}/rados-classes
erasure code dir = {libraries}/ceph/erasure-code
rgw frontends = beast endpoint={gateway}
"""


@dataclass(frozen=True)
class Gateway:
    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


@contextmanager
def running(root: Path = FOLDER) -> Iterator[Gateway]:
    """An empty cluster for as long as the block lasts; its programs die with this process.

    Args:
        root: Keeps the unpacked packages (250 MB) from one run to the next.

    Raises:
        StartFailed: A program failed or took too long; the detail ends with what it said.
    """
    unpacked = _unpacked(root.resolve())
    _sweep(root)
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="cluster-", dir=root.resolve()))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        yield _start(_Cluster(unpacked, Places.under(home), stack))


class _Cluster:
    """The unpacked programs and the one configuration they share."""

    def __init__(self, unpacked: Path, places: Places, stack: ExitStack) -> None:
        self.places = places
        self.libraries = next((unpacked / "usr/lib").glob("*-linux-gnu"))
        self._programs = unpacked / "usr/bin"
        self._stack = stack
        self._children: list[Child] = []
        folders = (self.libraries, self.libraries / "ceph", unpacked / "lib" / self.libraries.name)
        self._environment = os.environ | {
            "LD_LIBRARY_PATH": ":".join(map(str, folders)),
            "CEPH_CONF": str(places.root / "ceph.conf"),
        }

    def run(self, program: str, *arguments: str) -> None:
        _run(str(self._programs / program), *arguments, environment=self._environment)

    def keep_running(self, program: str, *arguments: str) -> None:
        what = Program(
            program,
            (str(self._programs / program), *arguments),
            env=self._environment,
            stop_signal=signal.SIGKILL,  # all its data is in memory: there is nothing to save
            orphan_signal=signal.SIGKILL,
        )
        child = Child(what, self.places, say=print)
        self._stack.callback(child.stop)
        self._children.append(child)

    def wait_for(self, address: str) -> None:
        """Wait until the program started last answers; the others must stay alive."""

        def why_not() -> str | None:
            for child in self._children:
                if child.exit_status is not None:
                    raise StartFailed(child.obituary())
            return _why_not_ready(address)

        self._children[-1].wait_until_ready(why_not, _PATIENCE)


def _start(cluster: _Cluster) -> Gateway:
    # No usual ones: of two clusters that start at once, one would talk to the other's half.
    monitor = f"[v1:127.0.0.1:{any_free_port()}]"
    address = f"127.0.0.1:{any_free_port()}"
    _configure(cluster, monitor, address)
    cluster.keep_running("ceph-mon", "-f", "-i", "a")
    cluster.run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", str(uuid4()))
    cluster.keep_running("ceph-osd", "-f", "-i", "0")
    cluster.keep_running("radosgw", "-f", "-n", "client.rgw")
    cluster.wait_for(address)
    gateway = Gateway(f"http://{address}", secrets.token_hex(10), secrets.token_hex(20))
    keys = (f"--access-key={gateway.access_key}", f"--secret={gateway.secret_key}")
    cluster.run("radosgw-admin", "user", "create", "--uid=tessera", "--display-name=T", *keys)
    return gateway


def _configure(cluster: _Cluster, monitor: str, gateway: str) -> None:
    home, fsid = cluster.places.root, str(uuid4())
    for folder in ("mon", "osd", "rgw"):
        (home / folder).mkdir()
    text = _CONFIGURATION.format(
        fsid=fsid, home=home, libraries=cluster.libraries, monitor=monitor, gateway=gateway
    )
    (home / "ceph.conf").write_text(text)
    monmap, osdmap, keyring = (str(home / name) for name in ("monmap", "osdmap", "keyring"))
    all_rights = ("--gen-key", "--cap", "mon", "allow *", "--cap", "osd", "allow *")
    cluster.run("monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, monmap)
    cluster.run("ceph-authtool", "--create-keyring", keyring, "-n", "mon.", *all_rights)
    cluster.run("ceph-authtool", keyring, "-n", "client.admin", *all_rights)
    cluster.run("osdmaptool", "--createsimple", "1", osdmap)
    made = ("--monmap", monmap, "--osdmap", osdmap, "--keyring", keyring)
    cluster.run("ceph-mon", "--mkfs", "-i", "a", *made)


def _sweep(root: Path) -> None:
    """Remove what runs that were killed have left; a day is longer than any run."""
    for home in root.glob("cluster-*"):
        if time.time() - home.stat().st_mtime > _DAY:
            shutil.rmtree(home, ignore_errors=True)


def _unpacked(root: Path) -> Path:
    """The folder with Ceph's programs; fetched once."""
    unpacked = root / "root"
    if unpacked.exists():
        return unpacked
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=root) as scratch:
        folder = Path(scratch)
        for package in _downloaded(folder):
            _run("dpkg", "-x", str(package), str(folder / "root"))
        try:
            (folder / "root").rename(unpacked)  # whole or not at all
        except OSError:
            if not unpacked.exists():  # else another process was faster: its copy is as good
                raise
    return unpacked


def _downloaded(folder: Path) -> list[Path]:
    """Ceph's packages and what they need that this machine has not: some 64, 69 MB."""
    (folder / "lists/partial").mkdir(parents=True)
    apt = (
        "apt-get",
        "-oAPT::Sandbox::User=",  # as root it would change to a user who may not write here
        f"-oDir::State::lists={folder / 'lists'}",  # our own index: the machine's may be empty
        f"-oDir::Cache={folder / 'cache'}",
    )
    _run(*apt, "update", cwd=folder)
    plan = _run(*apt, "--simulate", "--no-install-recommends", "install", *_PACKAGES, cwd=folder)
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    _run(*apt, "download", *names, cwd=folder)
    return sorted(folder.glob("*.deb"))


def _run(
    *command: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """What the command printed."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr[-1000:]
        raise StartFailed(f"{command[0]} failed: {error.returncode}\n{said}") from None
    except subprocess.TimeoutExpired:
        raise StartFailed(f"{command[0]} did not end in time.") from None
    return done.stdout


def _why_not_ready(address: str) -> str | None:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/")
        status = connection.getresponse().status
    except OSError as error:
        return str(error)
    finally:
        connection.close()
    return None if status == http.client.OK else f"HTTP {status}"


if __name__ == "__main__":
    with running() as up:
        print(f"{up.endpoint}  access key {up.access_key}  secret key {up.secret_key}", flush=True)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
