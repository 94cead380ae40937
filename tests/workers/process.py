"""`python -m workers` in a process of its own, and what it shows to Prometheus."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import AsyncClient, ConnectError
from prometheus_client.parser import text_string_to_metric_families

from deploy.embedded.places import any_free_port
from tessera.kernel.settings import Settings
from tests.stories.processes import eventually

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Worker:
    process: subprocess.Popen[bytes]
    metrics_url: str
    log: Path

    async def metrics(self) -> dict[Sample, float]:
        """Values by name and labels; empty while it does not answer."""
        async with AsyncClient() as http:
            try:
                got = await http.get(self.metrics_url)
            except ConnectError:
                return {}
        return samples(got.text)

    async def until_it_shows(self, name: str, /, **labels: str) -> float:
        """The value of a metric, once there is one."""
        found: dict[Sample, float] = {}

        async def shown() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            found.update(await self.metrics())
            return sample(name, **labels) in found

        await eventually(shown)
        return found[sample(name, **labels)]


def sample(name: str, /, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def samples(text: str) -> dict[Sample, float]:
    return {
        sample(each.name, **each.labels): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


@contextmanager
def a_worker(settings: Settings, log: Path, **more: str) -> Iterator[Worker]:
    """Started here, and asked to stop at the end of the block."""
    port = any_free_port()
    env = {**os.environ, **environment(settings), "TESSERA_METRICS_PORT": str(port), **more}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers"], env=env, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield Worker(process, f"http://127.0.0.1:{port}/metrics", log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def environment(settings: Settings) -> dict[str, str]:
    return {
        "TESSERA_DATABASE_URL": str(settings.database_url),
        "TESSERA_REDIS_URL": str(settings.redis_url),
        "TESSERA_S3_ENDPOINT": str(settings.s3_endpoint),
        "TESSERA_S3_ACCESS_KEY": settings.s3_access_key,
        "TESSERA_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "TESSERA_S3_BUCKET": settings.s3_bucket,
    }
