"""Where things lie under the root folder, and the small facts kept from run to run."""

import errno
import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType, TypeVar

from tessera.kernel.errors import Conflict

T = TypeVar("T")
Say = Callable[[str], None]
Lock = NewType("Lock", int)
"""An open file that is locked. The kernel frees it when the last process that holds it ends."""
_LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


class AlreadyRunning(Conflict):
    code = "embedded-already-running"


@dataclass(frozen=True)
class Places:
    """The folder that holds everything: data by server, `log/`, `run/`, ports and secrets."""

    root: Path

    @classmethod
    def under(cls, root: Path) -> "Places":
        places = cls(root.resolve())
        places.root.mkdir(parents=True, exist_ok=True)
        for name in ("log", "run"):
            (places.root / name).mkdir(mode=0o700, exist_ok=True)
        return places

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"

    def lock(self, name: str) -> Path:
        return self.root / "run" / f"{name}.lock"

    def secret(self, name: str) -> str:
        """The same random word in every run; readable by its owner only."""
        return _remembered(self.root / "secrets.json", name, lambda: secrets.token_hex(24))

    def keep(self, name: str, content: str) -> None:
        """A file for its owner only."""
        file = os.open(self.root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(content)

    def port(self, name: str, preferred: int) -> int:
        """The port of the last run if it is free, else the preferred one, else any free one.

        It may be taken again before the server binds it; whoever starts the server retries.
        """
        notes = self.root / "ports.json"
        last = _read(notes).get(name, preferred)
        port: int = next(filter(is_free, (last, preferred, *_lasting_ports())))
        _write(notes, name, port)
        return port

    def listener(self, name: str, host: str, preferred: int) -> socket.socket:
        """Listen at the port of the last run, else at the preferred one, else at any.

        For a server that takes a socket: nobody else can get the port before it does.

        Raises:
            OSError: The host is not ours.
        """
        notes = self.root / "ports.json"
        last = _read(notes).get(name, preferred)
        tried = (_try_listen(host, port) for port in (last, preferred, *_lasting_ports()))
        listening = next(filter(None, tried))
        _write(notes, name, listening.getsockname()[1])
        return listening

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the root folder for this process.

        Raises:
            AlreadyRunning: Another process uses it.
        """
        path = self.lock("stack")
        lock = try_lock(path)
        if lock is None:
            raise AlreadyRunning(f"{self.root} is in use by process {path.read_text().strip()}.")
        try:
            sign(lock, os.getpid())
            yield
        finally:
            os.close(lock)


def try_lock(path: Path) -> Lock | None:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return Lock(file)


def sign(lock: Lock, pid: int) -> None:
    """Write into a lock's file who holds it."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
        OSError: The port is taken, or the host is not ours.
    """
    is_v6 = ":" in host
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=is_v6)


def _try_listen(host: str, port: int) -> socket.socket | None:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    return next(filter(is_free, _lasting_ports()))


def _lasting_ports() -> list[int]:
    """Ports to try, none of which the system lends to an outgoing connection.

    It might do so while the server that remembers the port is down, which then finds it taken.
    """
    lent_from = int(_LENT.read_text().split()[0]) if _LENT.exists() else 32_768
    ports = range(20_000, min(lent_from, 32_000)) or range(20_000, 32_000)
    return random.choices(ports, k=100)  # noqa: S311


def _remembered(path: Path, name: str, make: Callable[[], str]) -> str:
    known = _read(path)
    return known[name] if name in known else _write(path, name, make())


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, name: str, value: T) -> T:
    draft = path.with_suffix(".new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as stream:
        json.dump({**_read(path), name: value}, stream, indent=1)
        stream.flush()
        os.fsync(file)
    draft.replace(path)  # a kill in between leaves the old file whole
    return value
