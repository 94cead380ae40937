"""The API as it is really run: a process of its own, on a socket, writing its log to a file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import Client, ConnectError

from deploy.embedded.places import any_free_port
from tessera.kernel.settings import Settings


@dataclass(frozen=True)
class Served:
    url: str
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def serving(settings: Settings, log: Path, **more: str) -> Iterator[Served]:
    """`python -m api`, asked to stop at the end of the block.

    Args:
        more: To put into its environment.
    """
    port = any_free_port()
    env = {
        **os.environ,
        "TESSERA_DATABASE_URL": str(settings.database_url),
        "TESSERA_REDIS_URL": str(settings.redis_url),
        "TESSERA_S3_ENDPOINT": str(settings.s3_endpoint),
        "TESSERA_S3_ACCESS_KEY": settings.s3_access_key,
        "TESSERA_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "TESSERA_S3_BUCKET": settings.s3_bucket,
        "TESSERA_API_PORT": str(port),
        "TESSERA_RATE_LIMITS": "false",
        **more,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"], env=env, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            _wait(f"http://127.0.0.1:{port}/readyz", process)
            yield Served(f"http://127.0.0.1:{port}", log, process)
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
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
