"""The API as it is really run: a process of its own, on a socket, writing its log to a file."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import Client, ConnectError

from deploy.embedded.places import any_free_port
from tessera.kernel.settings import Settings
from tests.stories.processes import Module, environment


@dataclass(frozen=True)
class Served:
    url: str
    log: Path
    process: Module


@contextmanager
def serving(settings: Settings, log: Path, **more: str) -> Iterator[Served]:
    """`python -m api`, asked to stop at the end of the block.

    Args:
        more: To put into its environment.
    """
    port = any_free_port()
    env = {
        **os.environ,
        **environment(settings),
        "TESSERA_API_PORT": str(port),
        "TESSERA_RATE_LIMITS": "false",
        **more,
    }
    process = Module("api.__main__", env=env, out=log)
    try:
        _wait(f"http://127.0.0.1:{port}/readyz", process)
        yield Served(f"http://127.0.0.1:{port}", log, process)
    finally:
        process.stop()


def _wait(url: str, process: Module) -> None:
    with Client() as http:
        for _ in range(600):
            assert process.poll() is None, "the API did not start"
            try:
                if http.get(url).is_success:
                    return
            except ConnectError:
                pass
            time.sleep(0.05)
    raise TimeoutError(url)
