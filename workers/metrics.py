"""What a worker shows to Prometheus: the queue's depth and age, and how jobs and sweeps end."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from pgqueuer.db import Driver
from prometheus_client import Counter, Gauge, Histogram

BUCKETS = (0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60, 300, 1200)

SETTLE = "quality.settle"
"""Enqueued with each answer. Whether it waits, runs or was given up on, nobody has looked yet; what
it has looked at and left pending (for another opinion, or as gold) is no lag."""

DEPTH = Gauge("tessera_jobs", "Jobs in the queue; failed ones are held.", ["name", "status"])
AGE = Gauge("tessera_job_oldest_seconds", "How long the oldest job has been due.", ["name"])
SETTLE_LAG = Gauge(
    "tessera_settle_lag_seconds", "How long the oldest answer has waited to be looked at."
)
JOBS = Histogram("tessera_job_seconds", "Attempts.", ["name", "outcome"], buckets=BUCKETS)
POISONOUS = Counter("tessera_jobs_poisonous", "Jobs held as their workers kept dying.", ["name"])
SWEEPS = Histogram("tessera_sweep_seconds", "Sweeps.", ["name", "outcome"], buckets=BUCKETS)


async def watch_queue(
    driver: Driver, *, stop: asyncio.Event, every: timedelta = timedelta(seconds=10)
) -> None:
    """Each worker shows the whole queue, as any of them may be gone: take the maximum."""
    while not stop.is_set():
        rows = await driver.fetch(_QUEUE)
        DEPTH.clear()
        AGE.clear()
        for row in rows:
            DEPTH.labels(row["name"], row["status"]).set(float(str(row["jobs"])))
            AGE.labels(row["name"]).set(0)
        for row in rows:
            if row["age"] is not None:
                AGE.labels(row["name"]).set(float(str(row["age"])))
        waiting = [float(str(row["since"])) for row in rows if row["name"] == SETTLE]
        SETTLE_LAG.set(max(waiting, default=0))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every.total_seconds())


_QUEUE = """
SELECT entrypoint AS name, status::text, count(*) AS jobs,
       extract(epoch FROM now() - min(created)) AS since,
       extract(epoch FROM now() - min(execute_after) FILTER (
           WHERE status = 'queued' AND execute_after <= now())) AS age
FROM pgqueuer GROUP BY entrypoint, status
"""
