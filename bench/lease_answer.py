"""Leases and answers: tasks per second, latencies and CPU, at several project sizes.

    python -m bench.lease_answer [--sizes 10k,100k,1m] [--seconds 12] [--rounds 4]

For each size a database of its own (durable, as in production) with one project; four earners have
answered half of it each. They and twelve newcomers lease and answer over HTTP as fast as they
can, one task at a time and ten at a time, at one API process. Beside it, the same statements sent
straight to Postgres. No worker runs: judging the answers is not part of this.

The sizes take turns, a few seconds each, so that a machine that is slower for a while is so to all.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil
from httpx2 import AsyncClient, TransportError

from bench import ceiling
from bench.crowded import Crowded, fill, with_tokens
from bench.database import database
from bench.results import Aim, conclude, sizes_of
from bench.tally import Tally
from bench.wire import Wire
from deploy.embedded.stack import Servers, running

OUT = Path("var/bench/lease_answer.json")
MOST_GROWTH = 1.3
"""Of the lease's p95, from the smallest size to the largest."""
BATCHES = (1, 10)
VETERANS, NEWCOMERS = 4, 12
CONNECTIONS = 10
"""To Postgres, of the API's pool and of the ceiling's."""
WARM_UP = 0.7
ANSWER = {"objects": [{"class": 1, "box": [10, 10, 60, 60]}]}
FAULTS = {
    "duplicates": """
        SELECT count(*) FROM (
          SELECT FROM leases GROUP BY project_id, task_id, earner_id HAVING count(*) > 1
        ) AS twice
    """,
    "over_assigned": """
        SELECT count(*) FROM (
          SELECT FROM leases l JOIN tasks t ON (t.project_id, t.id) = (l.project_id, l.task_id)
          WHERE l.state IN ('open', 'answered')
          GROUP BY t.project_id, t.id, t.places HAVING count(*) > t.places
        ) AS over
    """,
    "places_lost_or_doubled": """
        SELECT sum(abs(t.places_used - taken)) FROM tasks t, LATERAL (
          SELECT (SELECT count(*) FROM leases l WHERE (l.project_id, l.task_id) =
                  (t.project_id, t.id) AND l.state IN ('open', 'answered'))
               + (SELECT count(*) FROM queue_entries e WHERE (e.project_id, e.task_id) =
                  (t.project_id, t.id)) AS taken
        ) AS places
    """,
}


async def earn(wire: Wire, project_id: UUID, *, batch: int, tally: Tally) -> None:
    """Lease and answer over HTTP until time is over."""
    wanted = {"project_id": str(project_id), "count": batch}
    while not tally.over:
        began = time.perf_counter()
        leases = (await wire.post("/v1/work/leases", wanted))["leases"]
        leased = time.perf_counter()
        if not leases:
            tally.add_nothing()
            await asyncio.sleep(0.05)
            continue
        answers = [
            {
                "lease_id": lease["lease_id"],
                "fence": lease["fence"],
                "outcome": "answered",
                "answer": ANSWER,
                "seconds": 1.5,
            }
            for lease in leases
        ]
        results = (await wire.post("/v1/work/answers", {"answers": answers}))["results"]
        refused = sum(not each["accepted"] for each in results)
        tally.add(began, leased, time.perf_counter(), len(leases) - refused, refused)


@contextmanager
def api(servers: Servers, database_url: str) -> Iterator[tuple[int, int]]:
    """One API process at a database; its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        "TESSERA_DATABASE_URL": database_url,
        "TESSERA_DATABASE_POOL_SIZE": str(CONNECTIONS),
        "TESSERA_REDIS_URL": servers.redis_url,
        "TESSERA_S3_ENDPOINT": servers.s3_endpoint,
        "TESSERA_S3_ACCESS_KEY": servers.s3_access_key,
        "TESSERA_S3_SECRET_KEY": servers.s3_secret_key,
        "TESSERA_S3_BUCKET": servers.s3_bucket,
        "TESSERA_API_PORT": str(port),
        "TESSERA_RATE_LIMITS": "false",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "api"], env={**os.environ, **env}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield port, process.pid
        finally:
            process.terminate()


async def ready(port: int) -> None:
    async with asyncio.timeout(60), AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        while True:
            try:
                if (await http.get("/readyz")).is_success:
                    return
            except TransportError:
                pass
            await asyncio.sleep(0.1)


@dataclass
class Size:
    """One database with one project, an API at it, and what was measured there."""

    tasks: int
    url: str
    project: Crowded
    connection: asyncpg.Connection
    postmaster: int
    api_port: int
    api_pid: int
    http: dict[int, Tally] = field(default_factory=lambda: {batch: Tally() for batch in BATCHES})
    """By batch; so `postgres`."""
    postgres: dict[int, Tally] = field(
        default_factory=lambda: {batch: Tally() for batch in BATCHES}
    )

    async def round(self, batch: int, seconds: float) -> None:
        await self._over_http(self.http[batch], batch, seconds)
        await self._straight(self.postgres[batch], batch, seconds / 4)

    async def _over_http(self, tally: Tally, batch: int, seconds: float) -> None:
        earner_ids = [*self.project.veterans, *(uuid4() for _ in range(NEWCOMERS))]
        tokens = await with_tokens(self.connection, earner_ids)
        project_id = self.project.project_id
        async with AsyncExitStack() as opened:
            wires = [Wire("127.0.0.1", self.api_port, token) for token in tokens]
            for wire in wires:
                await opened.enter_async_context(wire)
            await _measured(
                tally,
                [partial(earn, wire, project_id, batch=batch, tally=tally) for wire in wires],
                seconds,
                api=self.api_pid,
                postgres=self.postmaster,
            )

    async def _straight(self, tally: Tally, batch: int, seconds: float) -> None:
        earner_ids = [uuid4() for _ in range(CONNECTIONS)]
        tokens = await with_tokens(self.connection, earner_ids)
        project_id = self.project.project_id
        async with asyncpg.create_pool(
            self.url, min_size=CONNECTIONS, max_size=CONNECTIONS
        ) as pool:
            await _measured(
                tally,
                [
                    partial(ceiling.work, pool, token, id_, project_id, batch=batch, tally=tally)
                    for token, id_ in zip(tokens, earner_ids, strict=True)
                ],
                seconds,
                postgres=self.postmaster,
            )

    async def summary(self) -> dict[str, Any]:
        faults = {name: int(await self.connection.fetchval(sql)) for name, sql in FAULTS.items()}
        return {
            "tasks": self.tasks,
            "http": [{"batch": batch, **each.summary()} for batch, each in self.http.items()],
            "postgres": [
                {"batch": batch, **each.summary()} for batch, each in self.postgres.items()
            ],
            **faults,
        }


async def _measured(
    tally: Tally,
    earners: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    seconds: float,
    **roots: int,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        with tally.working():
            for each in earners:
                tasks.create_task(each())
            await asyncio.sleep(WARM_UP)
            with tally.measuring(**roots):
                await asyncio.sleep(seconds)


@asynccontextmanager
async def prepared(servers: Servers, tasks: int) -> AsyncIterator[Size]:
    """A database that is made for one size, and dropped afterwards."""
    async with database(servers, f"bench_{tasks}") as url:
        connection = await asyncpg.connect(url)
        began = time.perf_counter()
        project = await fill(connection, tasks=tasks, veterans=[uuid4() for _ in range(VETERANS)])
        await _checkpoint(servers)
        print(f"· {tasks:,} tasks made in {time.perf_counter() - began:.0f} s")
        postmaster = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).ppid()
        with api(servers, url) as (port, pid):
            await ready(port)
            yield Size(tasks, url, project, connection, postmaster, port, pid)
        await connection.close()


async def _checkpoint(servers: Servers) -> None:
    """What was filled is on disk before anything is measured."""
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute("CHECKPOINT")
    await admin.close()


async def measure(
    servers: Servers, sizes: Sequence[int], *, seconds: float, rounds: int
) -> list[dict[str, Any]]:
    async with AsyncExitStack() as made:
        all_sizes = [await made.enter_async_context(prepared(servers, each)) for each in sizes]
        for number in range(rounds):
            print(f"· round {number + 1} of {rounds}")
            for batch in BATCHES:
                # there and back: nobody is always the first
                for size in all_sizes[:: 1 if number % 2 else -1]:
                    await size.round(batch, seconds / rounds)
        return [await size.summary() for size in all_sizes]


def table(sizes: list[dict[str, Any]]) -> None:
    head = ("tasks/s", "lease p50", "p95", "p99", "answer p50", "p95", "p99", "API ms", "PG ms")
    print(f"\n{'tasks':>9} {'batch':>5} {'by':9}" + "".join(f"{word:>11}" for word in head))
    for size in sizes:
        for by in ("http", "postgres"):
            for row in size[by]:
                cpu = row["cpu_ms_per_task"]
                figures = [
                    row["tasks_per_second"],
                    *row["lease_ms"].values(),
                    *row["answer_ms"].values(),
                    cpu.get("api", "-"),
                    cpu["postgres"],
                ]
                print(
                    f"{size['tasks']:>9,} {row['batch']:>5} {by:9}"
                    + "".join(f"{figure:>11}" for figure in figures)
                )
    faults = {name: sum(size[name] for size in sizes) for name in FAULTS}
    print("\n" + ", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in faults.items()))


def aims(sizes: list[dict[str, Any]]) -> list[Aim]:
    """How the largest size compares with the smallest."""
    small, large = sizes[0], sizes[-1]
    ratios = {
        a["batch"]: round(b["lease_ms"]["p95"] / a["lease_ms"]["p95"], 2)
        for a, b in zip(small["http"], large["http"], strict=True)
    }
    return [
        Aim(
            f"lease p95 over HTTP, batches of {batch}, at {large['tasks']:,} tasks "
            f"as a multiple of that at {small['tasks']:,}",
            ratio,
            f"{MOST_GROWTH} at most",
            ratio <= MOST_GROWTH,
        )
        for batch, ratio in ratios.items()
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.lease_answer")
    parser.add_argument("--sizes", default="10k,100k,1m")
    parser.add_argument("--seconds", type=float, default=12, help="per size and batch")
    parser.add_argument("--rounds", type=int, default=4, help="that the seconds are spread over")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    sizes = sizes_of(asked.sizes)
    with tempfile.TemporaryDirectory(prefix="tessera-bench-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)  # PostgreSQL runs as `nobody` when we are root
        with running(Path(root), durable=True) as servers:
            measured = asyncio.run(
                measure(servers, sizes, seconds=asked.seconds, rounds=asked.rounds)
            )
    table(measured)
    conclude({"sizes": measured}, aims(measured), asked.out)
    return int(any(size[name] for size in measured for name in FAULTS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
