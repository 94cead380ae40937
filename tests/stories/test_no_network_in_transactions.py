"""Nobody else's slowness may hold our locks: nothing is called inside a transaction."""

import ast
import asyncio
import inspect
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from structlog.testing import capture_logs

from api.app import create_app
from api.deps import Read
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.images.ingesting import JPEG, Desk, desk, fates
from tests.images.test_import import import_zip, zipped
from tests.kernel.working import until_held, working
from tests.objects import get_bytes
from tests.world import World, answers, coco, photograph
from workers.schedule import SWEEPS

SOURCES = sorted(path for top in ("tessera", "api", "workers") for path in Path(top).rglob("*.py"))
NETWORK = {
    *("aiohttp", "asyncpg", "boto3", "botocore", "http.client", "httpx", "httpx2"),
    *("limits", "redis", "requests", "smtplib", "socket", "urllib.request", "uvicorn"),
}
TALKING = sorted(
    name
    for name, method in inspect.getmembers(Store)
    if not name.startswith("_")
    and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
)
ARGUMENTS: dict[str, Any] = {
    "data": b"",
    "key": "a",
    "source": "a",
    "target": "b",
    "keys": ["a"],
    "path": Path("/nowhere"),
    "content_type": "text/plain",
    "max_bytes": 1,
    "prefix": "",
    "origin": "http://app.test",
}


async def call(store: Store, name: str) -> None:
    method = getattr(store, name)
    wanted = inspect.signature(method).parameters
    made = method(**{each: ARGUMENTS[each] for each in wanted})
    if inspect.isasyncgen(made):
        await anext(made, None)
    else:
        await made


def test_these_methods_of_the_store_talk_to_the_network() -> None:
    assert {"put_file", "get_to_file", "list"} < set(TALKING)


async def test_every_one_of_them_refuses_to_inside_a_transaction(
    sessions: db.Sessions, store: Store
) -> None:
    for begin in (db.transaction, db.reading):
        async with begin(sessions):
            for name in TALKING:
                with pytest.raises(db.NetworkCallInTransaction):
                    await call(store, name)


def test_only_these_files_can_talk_to_the_network() -> None:
    """Each asks `db.forbid_in_transaction` first, or talks to Postgres."""
    assert {str(path): found for path in SOURCES if (found := ways_out(path))} == {
        "api/__main__.py": {"socket", "uvicorn"},
        "api/limits.py": {"limits", "redis"},
        "tessera/images/decoder/strips.py": {"socket"},  # a pair, in a process of its own
        "tessera/storage/client.py": {"boto3", "botocore"},
        "tessera/storage/s3.py": {"boto3", "botocore"},
        "workers/runner.py": {"asyncpg"},
        "workers/sweeps.py": {"asyncpg"},
    }


def ways_out(path: Path) -> set[str]:
    imported = {
        part
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for part in (name, name.split(".")[0])
    }
    return imported & NETWORK


async def test_whoever_connects_inside_a_transaction_is_found_out(
    sessions: db.Sessions, settings: Settings
) -> None:
    host, port = settings.s3_endpoint.host, settings.s3_endpoint.port

    def connect() -> None:
        with socket.socket() as plain:
            plain.connect((host, port))

    async with db.transaction(sessions):
        with pytest.raises(db.NetworkCallInTransaction):
            await asyncio.open_connection(host, port)
        with pytest.raises(db.NetworkCallInTransaction):
            await asyncio.to_thread(connect)
        connection = await asyncpg.connect(str(settings.database_url))
        await connection.close()
    connect()


async def test_a_job_that_calls_inside_a_transaction_is_told_by_name(
    sessions: db.Sessions, store: Store, database_url: str
) -> None:
    async def call_inside(_context: None, _run: Run) -> None:
        async with db.transaction(sessions):
            await get_bytes(store, "a", 1)

    async with db.transaction(sessions) as session:
        await jobs.enqueue(session, "call", payload={})
    async with working(database_url, {"call": call_inside}):
        (held,) = await until_held(sessions)
    assert held.error == "NetworkCallInTransaction"


async def test_a_route_that_calls_inside_a_transaction_answers_500(
    settings: Settings, sessions: db.Sessions, store: Store
) -> None:
    """So each test that asks a route for what it is there for would tell."""
    app = create_app(settings, sessions, store)

    @app.get("/call")
    async def call_inside(_session: Read) -> None:
        await get_bytes(store, "a", 1)

    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as http:
        with capture_logs() as lines:
            assert (await http.get("/call")).status_code == 500
    told = [line["error"] for line in lines if line["event"] == "unexpected error"]
    assert told == ["NetworkCallInTransaction"]


async def test_links_are_signed_without_the_network(sessions: db.Sessions, store: Store) -> None:
    async with db.transaction(sessions):
        hour = timedelta(hours=1)
        assert store.presign_get("a", content_type="image/png", expires=hour)
        assert store.presign_put("a", content_type="image/png", expires=hour)


async def test_neither_a_job_nor_a_sweep_of_the_whole_way_calls_the_store_inside_a_transaction(
    world: World,
) -> None:
    here = await desk(world, kind="box")
    await world.deposit((await project(here))["organisation_id"], 10**9)
    await here.bring({"a.jpg": JPEG, "again.jpg": JPEG, "empty.jpg": b"", "never sent.jpg": None})
    await import_zip(here, zipped({"b.jpg": photograph(), "text.jpg": b"text"}))
    assert sorted(fates(await here.images()).values()).count("ready") == 2
    known = coco(["b.jpg"])
    await here.operator.post(f"/v1/projects/{here.project_id}/gold", {"coco": known})
    await here.operator.post(f"/v1/projects/{here.project_id}/launch")
    await world.work.jobs()
    for earner in [await world.earner() for _ in range(3)]:
        handed = await earner.post("/v1/work/leases", {})
        if handed["leases"]:
            await earner.post("/v1/work/answers", answers(handed["leases"], {"objects": []}))
        await world.work.jobs()
    for sweep in SWEEPS:
        await world.work.sweep(sweep.name)
    built = await run(here, f"/v1/projects/{here.project_id}/datasets")
    checked = await run(here, f"/v1/datasets/{built['dataset_id']}/verify")
    assert (built["state"], checked["state"], checked["findings"]) == ("done", "done", [])
    async with db.reading(world.sessions) as reader:
        failures = await reader.scalars(
            text("SELECT traceback::text FROM pgqueuer_log WHERE traceback IS NOT NULL")
        )
        ours = db.NetworkCallInTransaction.__name__
        assert [each for each in failures if ours in each] == []


async def project(here: Desk) -> dict[str, Any]:
    found: dict[str, Any] = await here.operator.get(f"/v1/projects/{here.project_id}")
    return found


async def run(here: Desk, path: str) -> dict[str, Any]:
    asked = await here.operator.post(path)
    await here.world.work.jobs()
    ended: dict[str, Any] = await here.operator.get(f"/v1/dataset-runs/{asked['id']}")
    return ended
