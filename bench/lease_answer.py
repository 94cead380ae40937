"""Leases and answers: tasks per second, latencies and CPU, at several project sizes.

    python -m bench.lease_answer [--sizes 10k,100k,1m] [--seconds 12]

For each size a fresh database (durable, as in production) with one project; four earners have
answered half of it each. They and twelve newcomers lease and answer over HTTP as fast as they
can, one task at a time and ten at a time, at one API process. Beside it, the same statements sent
straight to Postgres. No worker runs: judging the answers is not part of this.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil
from httpx2 import AsyncClient, Limits, TransportError

from bench import ceiling
from bench.crowded import Crowded, fill, with_tokens
from bench.tally import Cpu, Tally
from deploy.embedded.stack import Servers, running

RESULTS = Path("var/bench/lease_answer.json")
BATCHES = (1, 10)
VETERANS, NEWCOMERS = 4, 12
CONNECTIONS = 10
"""To Postgres, of the API's pool and of the ceiling's."""
WARM_UP = 2.0
ANSWER = {"boxes": [{"class": 1, "box": [10, 10, 60, 60]}]}
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


async def earn(
    http: AsyncClient, token: str, project_id: UUID, *, batch: int, tally: Tally
) -> None:
    """Lease and answer over HTTP until time is over."""
    headers = {"Authorization": f"Bearer {token}"}
    wanted = {"project_id": str(project_id), "count": batch}
    while not tally.over:
        began = time.perf_counter()
        response = await http.post("/v1/work/leases", json=wanted, headers=headers)
        leased = time.perf_counter()
        leases = response.raise_for_status().json()["leases"]
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
        sent = time.perf_counter()
        response = await http.post("/v1/work/answers", json={"answers": answers}, headers=headers)
        results = response.raise_for_status().json()["results"]
        refused = sum(not each["accepted"] for each in results)
        answered = leased + time.perf_counter() - sent
        tally.add(began, leased, answered, len(leases) - refused, refused)


@contextmanager
def api(servers: Servers, database_url: str) -> Iterator[tuple[str, int]]:
    """One API process at a database; its address and process id."""
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
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[AsyncClient]:
    """A client of an API that answers."""
    limits = Limits(max_connections=64, max_keepalive_connections=64)
    async with AsyncClient(base_url=url, limits=limits, timeout=30) as http:
        async with asyncio.timeout(60):
            while not await _answers(http):
                await asyncio.sleep(0.1)
        yield http


async def _answers(http: AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except TransportError:
        return False


class Size:
    """One database with one project, and those who work on it."""

    def __init__(self, connection: asyncpg.Connection, url: str, project: Crowded) -> None:
        self._connection = connection
        self._url = url
        self._project = project

    async def over_http(self, http: AsyncClient, api_pid: int, batch: int, seconds: float) -> Any:
        earner_ids = [*self._project.veterans, *(uuid4() for _ in range(NEWCOMERS))]
        held = await self._tokens(earner_ids)
        tally = _tally(seconds)
        working = asyncio.gather(
            *(earn(http, each, self._project.project_id, batch=batch, tally=tally) for each in held)
        )
        await asyncio.sleep(WARM_UP)
        cpu = Cpu(api=api_pid, postgres=await self._postmaster(), client=os.getpid())
        await asyncio.sleep(seconds)
        per_task = cpu.per_task(tally.tasks)
        await working
        return {"batch": batch, **tally.summary(), "cpu_ms_per_task": per_task}

    async def straight(self, batch: int, seconds: float) -> Any:
        earner_ids = [uuid4() for _ in range(CONNECTIONS)]
        held = await self._tokens(earner_ids)
        tally = _tally(seconds)
        async with asyncpg.create_pool(
            self._url, min_size=CONNECTIONS, max_size=CONNECTIONS
        ) as pool:
            working = asyncio.gather(
                *(
                    ceiling.work(
                        pool, token, id_, self._project.project_id, batch=batch, tally=tally
                    )
                    for token, id_ in zip(held, earner_ids, strict=True)
                )
            )
            await asyncio.sleep(WARM_UP)
            cpu = Cpu(postgres=await self._postmaster(), client=os.getpid())
            await asyncio.sleep(seconds)
            per_task = cpu.per_task(tally.tasks)
            await working
        return {"batch": batch, **tally.summary(), "cpu_ms_per_task": per_task}

    async def faults(self) -> dict[str, int]:
        return {name: int(await self._connection.fetchval(sql)) for name, sql in FAULTS.items()}

    async def _tokens(self, earner_ids: list[UUID]) -> list[str]:
        return await with_tokens(self._connection, earner_ids)

    async def _postmaster(self) -> int:
        backend = await self._connection.fetchval("SELECT pg_backend_pid()")
        return psutil.Process(backend).ppid()


def _tally(seconds: float) -> Tally:
    start = time.perf_counter() + WARM_UP
    return Tally(start, start + seconds)


async def measure(servers: Servers, tasks: int, seconds: float) -> dict[str, Any]:
    """All about one size, in a database that is made for it and dropped afterwards."""
    name = f"bench_{tasks}"
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute(f"CREATE DATABASE {name} OWNER tessera")
    url = f"{servers.database_url.rsplit('/', 1)[0]}/{name}"
    await asyncio.to_thread(_migrate, url)
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    project = await fill(connection, tasks=tasks, veterans=[uuid4() for _ in range(VETERANS)])
    await admin.execute("CHECKPOINT")
    print(f"· {tasks:,} tasks made in {time.perf_counter() - began:.0f} s; working")
    size = Size(connection, url, project)
    with api(servers, url) as (address, api_pid):
        async with client(address) as http:
            over_http = [await size.over_http(http, api_pid, batch, seconds) for batch in BATCHES]
    straight = [await size.straight(batch, seconds / 2) for batch in BATCHES]
    measured = {"tasks": tasks, "http": over_http, "postgres": straight, **await size.faults()}
    await connection.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
    return measured


def _migrate(url: str) -> None:
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(upgrade, check=True, env={**os.environ, "TESSERA_DATABASE_URL": url})


def table(results: dict[str, Any]) -> None:
    head = ("tasks/s", "lease p50", "p95", "p99", "answer p50", "p95", "p99", "API ms", "PG ms")
    print(f"\n{'tasks':>9} {'batch':>5} {'by':9}" + "".join(f"{word:>11}" for word in head))
    for size in results["sizes"]:
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
    faults = {name: sum(size[name] for size in results["sizes"]) for name in FAULTS}
    print("\n" + ", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in faults.items()))
    for growth in results["lease_p95_growth"]:
        print(
            f"lease p95 over HTTP, batch {growth['batch']}: at {growth['to']:,} tasks "
            f"{growth['ratio']} x that at {growth['from']:,}"
        )


def growth(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How the largest size compares with the smallest."""
    small, large = sizes[0], sizes[-1]
    pairs = zip(small["http"], large["http"], strict=True)
    return [
        {
            "batch": a["batch"],
            "from": small["tasks"],
            "to": large["tasks"],
            "ratio": round(b["lease_ms"]["p95"] / a["lease_ms"]["p95"], 2),
        }
        for a, b in pairs
    ]


def tasks_of(word: str) -> int:
    """`10k` is 10,000 and `1m` is 1,000,000."""
    units = {"k": 1_000, "m": 1_000_000}
    return int(float(word[:-1]) * units[word[-1]]) if word[-1] in units else int(word)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.lease_answer")
    parser.add_argument("--sizes", default="10k,100k,1m")
    parser.add_argument("--seconds", type=float, default=12)
    asked = parser.parse_args(arguments)
    sizes = sorted(tasks_of(word) for word in asked.sizes.lower().split(","))
    with tempfile.TemporaryDirectory(prefix="tessera-bench-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)  # PostgreSQL runs as `nobody` when we are root
        with running(Path(root), durable=True) as servers:
            measured = [asyncio.run(measure(servers, tasks, asked.seconds)) for tasks in sizes]
    results = {"sizes": measured, "lease_p95_growth": growth(measured)}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    table(results)
    return int(any(size[name] for size in measured for name in FAULTS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
