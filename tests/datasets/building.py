"""A build in a process of its own, which dies after so many uploads.

python -m tests.datasets.building RUN_ID UPLOADS, where -1 is all
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import orjson

from deploy.embedded.stack import Servers
from tessera.datasets.jobs import build
from tessera.kernel import db, jobs
from tessera.storage.context import JobContext
from tessera.storage.s3 import Access, Store
from tests.datasets.world import World
from workers.scratch import scratch


async def in_another_process(
    servers: Servers,
    world: World,
    *,
    uploads: int = -1,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(world.run_id), str(uploads)),
        env={**os.environ, **environment, "SERVERS": orjson.dumps(servers).decode()},
    )
    return await process.wait()


class DyingStore(Store):
    """Kills its process, as the kernel would, in place of one more upload."""

    uploads_left: int

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        if self.uploads_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.uploads_left -= 1
        await super().put_file(key, path, content_type=content_type)


async def main(run_id: str, uploads: int) -> None:
    servers = Servers(**orjson.loads(os.environ["SERVERS"]))
    store = DyingStore(
        Access(
            endpoint=servers.s3_endpoint,
            access_key=servers.s3_access_key,
            secret_key=servers.s3_secret_key,
            bucket=servers.s3_bucket,
        )
    )
    store.uploads_left = uploads
    engine = db.create_engine(servers.database_url, application_name="building", pool_size=1)
    with scratch() as folder:
        context = JobContext(
            sessions=db.create_sessions(engine),
            store=store,
            bucket=lambda _: store,
            scratch=folder,
            decisions_every=timedelta(),
        )
        await build(context, jobs.Run(1, "datasets.build", {"run_id": run_id}, 1, None))
    await engine.dispose()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
