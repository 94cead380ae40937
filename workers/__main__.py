"""`python -m workers`: run jobs and sweeps until told to stop."""

import asyncio
from contextlib import ExitStack, closing
from functools import cache

from prometheus_client import start_http_server

from tessera.kernel import db
from tessera.kernel.logs import configure_logging, log
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from workers.registry import HANDLERS, LIMITS
from workers.runner import Pace, run, stop_on_signals
from workers.schedule import SWEEPS
from workers.scratch import scratch

PACE = Pace()


async def main() -> None:
    settings = Settings()
    configure_logging()
    server, _ = start_http_server(settings.metrics_port, settings.api_host)
    log.info("metrics served", port=server.server_port)
    engine = db.create_engine(
        str(settings.database_url),
        application_name="worker",
        pool_size=PACE.concurrency + len(SWEEPS),
    )
    with ExitStack() as opened:

        @cache
        def bucket(name: str) -> Store:
            return opened.enter_context(closing(store_of(settings, name)))

        store = bucket(settings.s3_bucket)
        context = JobContext(
            sessions=db.create_sessions(engine),
            store=store,
            bucket=bucket,
            scratch=opened.enter_context(scratch()),
            decisions_every=settings.decisions_every,
        )
        try:
            await store.ensure_bucket()
            await run(
                str(settings.database_url),
                HANDLERS,
                context,
                stop=stop_on_signals(),
                limits=LIMITS,
                sweeps=SWEEPS,
                pace=PACE,
            )
        finally:
            await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
