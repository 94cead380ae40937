"""Nobody else's slowness may hold our locks: the store is never called inside a transaction."""

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tessera.kernel import db
from tessera.storage.s3 import Store
from tests.images.ingesting import JPEG, Desk, desk, fates
from tests.images.test_import import import_zip, zipped
from tests.world import World, answers, coco, photograph

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
    assert {"put_file", "put_bytes", "get_to_file", "get_bytes", "list", "copy"} < set(TALKING)


async def test_every_one_of_them_refuses_to_inside_a_transaction(
    sessions: db.Sessions, store: Store
) -> None:
    for begin in (db.transaction, db.reading):
        async with begin(sessions):
            for name in TALKING:
                with pytest.raises(db.NetworkCallInTransaction):
                    await call(store, name)


async def test_links_are_signed_without_the_network(sessions: db.Sessions, store: Store) -> None:
    async with db.transaction(sessions):
        hour = timedelta(hours=1)
        assert store.presign_get("a", content_type="image/png", expires=hour)
        assert store.presign_put("a", content_type="image/png", expires=hour)


async def test_no_job_of_the_whole_way_calls_the_store_inside_a_transaction(world: World) -> None:
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
            await earner.post("/v1/work/answers", answers(handed["leases"], {"boxes": []}))
        await world.work.jobs()
    await world.work.sweep("post-earnings")
    built = await run(here, f"/v1/projects/{here.project_id}/datasets")
    checked = await run(here, f"/v1/datasets/{built['dataset_id']}/verify")
    assert (built["state"], checked["state"], checked["findings"]) == ("done", "done", [])
    async with db.reading(world.sessions) as reader:
        failures = await reader.scalars(
            text("SELECT traceback FROM pgqueuer_log WHERE traceback IS NOT NULL")
        )
        assert list(failures) == []


async def project(here: Desk) -> dict[str, Any]:
    found: dict[str, Any] = await here.operator.get(f"/v1/projects/{here.project_id}")
    return found


async def run(here: Desk, path: str) -> dict[str, Any]:
    asked = await here.operator.post(path)
    await here.world.work.jobs()
    ended: dict[str, Any] = await here.operator.get(f"/v1/dataset-runs/{asked['id']}")
    return ended
