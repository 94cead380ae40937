"""Dataset export: annotations per second and peak memory of a real build.

    python -m bench.export [--sizes 100k,1m] [--coco 400k]

Fills a fresh PostgreSQL with a settled box project, lets a process of its own run the job (read,
assemble, merge seams, write three formats, hash, upload) and measures that process. Beside it, what
the obvious program does with the smallest size once it has all of it in one dict: `json.dumps`.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from bench import coco
from bench.coco import peak_mb
from bench.database import migrate
from bench.results import Aim, conclude, sizes_of
from deploy.embedded.stack import Servers, running
from deploy.embedded.supervisor import FRUGAL
from tessera.accounts.models import Organisation
from tessera.datasets.jobs import build
from tessera.datasets.models import Dataset, DatasetRun, RunKind
from tessera.datasets.options import Options
from tessera.kernel import db, jobs
from tessera.projects.models import Project
from tessera.storage.context import JobContext
from tessera.storage.keys import dataset
from tessera.storage.s3 import Access, Store
from workers.scratch import scratch

OUT = Path("var/bench/export.json")
MOST_MB = 100
"""Beyond what imports take."""
MOST_TIMES = 1.1
METHODS = ("build", "dumps")

# Four tiles of 512 with a margin of 32, the default: neighbours share 64 pixels
SIDE, OBJECTS, LAYOUTS = 960, 40, 200
WINDOWS = [(x, y, x + 512, y + 512) for y in (0, 448) for x in (0, 448)]
CORES = [(x, y, x + 480, y + 480) for y in (0, 480) for x in (0, 480)]
SCHEMA: dict[str, Any] = {
    "classes": [
        {"id": i, "name": f"class {i}", "colour": "#e6194b", "attributes": []} for i in range(1, 11)
    ],
    "multiple": False,
}

LAYOUT_TABLE = """
CREATE TEMP TABLE layouts
    (layout int, number int, core int[], shown int[], label jsonb)
"""
LAYOUT = """
INSERT INTO layouts VALUES (:layout, :number, :core, :window, CAST(:label AS jsonb))
"""
IMAGES = """
INSERT INTO images (id, project_id, name, state, content_type, sha256, width, height, ready_at)
SELECT gen_random_uuid(), :project, lpad(CAST(i AS text), 9, '0') || '.jpg', 'ready', 'image/jpeg',
    encode(sha256(int8send(i)), 'hex'), :side, :side, now()
FROM generate_series(1, :images) AS i
"""
TILES = """
INSERT INTO tiles (id, project_id, image_id, number, core_left, core_top, core_right, core_bottom,
    window_left, window_top, window_right, window_bottom, key, content_type, bytes)
SELECT gen_random_uuid(), :project, images.id, number, core[1], core[2], core[3], core[4],
    shown[1], shown[2], shown[3], shown[4], 'tiles/none', 'image/jpeg', 1
FROM images JOIN layouts ON layout = 0 WHERE project_id = :project
"""
TASKS = """
INSERT INTO tasks (project_id, tile_id, state, is_gold, places, places_used, label, confidence,
    settled_at, settled_by)
SELECT :project, tiles.id, 'settled', false, 5, 3, label, 0.97, now(), 'consensus'
FROM tiles JOIN images ON images.id = image_id
JOIN layouts ON layouts.number = tiles.number
    AND layout = CAST(left(images.name, 9) AS int) % :layouts
WHERE tiles.project_id = :project
"""
EARNINGS = """
INSERT INTO earnings (project_id, lease_id, task_id, earner_id, currency, amount_micro, fee_micro,
    state, decided_at)
SELECT :project, gen_random_uuid(), id, gen_random_uuid(), 'EUR', 40000, 8000, 'approved', now()
FROM tasks CROSS JOIN generate_series(1, 3) WHERE project_id = :project
"""


def layouts() -> list[dict[str, Any]]:
    """Images full of random objects, as four careful people would label their tiles."""
    rng = random.Random(1)
    rows = []
    for layout in range(LAYOUTS):
        objects = [_an_object(rng) for _ in range(OBJECTS)]
        for number, (core, window) in enumerate(zip(CORES, WINDOWS, strict=True)):
            label = {"objects": [seen for each in objects if (seen := _seen(each, window))]}
            place = {"layout": layout, "number": number, "core": core, "window": window}
            rows.append({**place, "label": json.dumps(label)})
    return rows


def _an_object(rng: random.Random) -> dict[str, Any]:
    width, height = rng.uniform(8, 90), rng.uniform(8, 90)
    left, top = rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height)
    box = [round(edge, 2) for edge in (left, top, left + width, top + height)]
    return {"class": rng.randint(1, 10), "box": box, "confidence": rng.uniform(0.8, 1)}


def _seen(found: dict[str, Any], window: tuple[int, ...]) -> dict[str, Any] | None:
    """An object in tile pixels; none if the window shows less than 3 pixels of it."""
    left, top, right, bottom = window
    edges = [max(found["box"][0], left), max(found["box"][1], top)]
    edges += [min(found["box"][2], right), min(found["box"][3], bottom)]
    if edges[2] - edges[0] < 3 or edges[3] - edges[1] < 3:
        return None
    box = [round(edge - (left, top)[i % 2], 2) for i, edge in enumerate(edges)]
    return {**found, "box": box, "attributes": {}}


async def fill(url: str, annotations: int) -> UUID:
    """A completed project with so many objects; returns the run that shall build it."""
    engine = db.create_engine(
        url, application_name="bench", pool_size=1, statement_timeout=timedelta(minutes=10)
    )
    async with db.transaction(db.create_sessions(engine)) as session:
        organisation = Organisation(name="bench")
        session.add(organisation)
        await session.flush()
        project = _project(organisation.id)
        session.add(project)
        await session.flush()
        await session.execute(text(LAYOUT_TABLE))
        await session.execute(text(LAYOUT), layouts())
        sizes = {"images": annotations // OBJECTS, "side": SIDE, "layouts": LAYOUTS}
        for statement in (IMAGES, TILES, TASKS, EARNINGS, "ANALYZE images, tiles, tasks, earnings"):
            await session.execute(text(statement), {"project": project.id, **sizes})
        run = DatasetRun(project_id=project.id, kind=RunKind.BUILD, options=Options().as_json())
        session.add(run)
    await engine.dispose()
    return run.id


def _project(organisation_id: UUID) -> Project:
    return Project(
        organisation_id=organisation_id,
        name="bench",
        instructions="",
        kind="box",
        label_schema=SCHEMA,
        slicing={},
        quality={},
        currency="EUR",
        price_micro=40_000,
        fee_micro=8_000,
        lease_seconds=600,
    )


class TimedStore(Store):
    seconds = 0.0

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        started = time.perf_counter()
        await super().put_file(key, path, content_type=content_type)
        self.seconds += time.perf_counter() - started


def a_store(servers: Servers) -> TimedStore:
    return TimedStore(
        Access(
            endpoint=servers.s3_endpoint,
            access_key=servers.s3_access_key,
            secret_key=servers.s3_secret_key,
            bucket=servers.s3_bucket,
        )
    )


async def build_and_measure(servers: Servers, run_id: UUID) -> dict[str, Any]:
    engine = db.create_engine(servers.database_url, application_name="bench", pool_size=2)
    sessions, store = db.create_sessions(engine), a_store(servers)
    before = peak_mb()
    started, cpu = time.perf_counter(), time.process_time()
    with scratch() as folder:
        context = JobContext(
            sessions=sessions,
            store=store,
            bucket=lambda _: store,
            scratch=folder,
            decisions_every=timedelta(),
        )
        await build(context, jobs.Run(1, "datasets.build", {"run_id": str(run_id)}, 1, None))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    async with db.reading(sessions) as reader:
        run = await reader.get_one(DatasetRun, run_id)
        version = await reader.get_one(Dataset, run.dataset_id)
    await engine.dispose()
    store.close()
    objects = version.manifest["counts"]["objects"]
    return {
        "annotations": objects,
        "images": version.manifest["counts"]["images"],
        "seconds": round(seconds, 2),
        "upload_seconds": round(store.seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "annotations_per_second": round(objects / seconds),
        "imports_mb": before,
        "peak_mb": peak_mb(),
        "megabytes": {f["path"]: round(f["bytes"] / 1e6, 1) for f in version.manifest["files"]},
        "project_id": str(version.project_id),
        "coco_sha256": version.manifest["files"][0]["sha256"],
    }


async def dumps_and_measure(servers: Servers, project_id: UUID, sha256: str) -> dict[str, Any]:
    store = a_store(servers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coco.json"
        key = dataset(project_id, sha256, "coco.json")
        await store.get_to_file(key, path, max_bytes=1 << 32)
        coco = orjson.loads(path.read_bytes())
        started = time.perf_counter()
        path.write_text(json.dumps(coco))
        seconds = time.perf_counter() - started
    store.close()
    count = len(coco["annotations"])
    return {
        "annotations": count,
        "seconds": round(seconds, 2),
        "annotations_per_second": round(count / seconds),
        "peak_mb": peak_mb(),
    }


def in_child(servers: Servers, *arguments: str) -> dict[str, Any]:
    """Run one measurement in a process of its own, so that its memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.export", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        env={**FRUGAL, **os.environ, "BENCH_SERVERS": orjson.dumps(servers).decode()},
    )
    measured: dict[str, Any] = orjson.loads(done.stdout)
    return measured


def measure(servers: Servers, sizes: list[int], of_coco: int) -> dict[str, Any]:
    migrate(servers.database_url)
    builds = []
    for size in sizes:
        print(f"· filling the database with {size:,} annotations")
        run_id = asyncio.run(fill(servers.database_url, size))
        print("· building the dataset")
        builds.append(in_child(servers, "build", str(run_id)))
    first = builds[0]
    dumps = in_child(servers, "dumps", first["project_id"], first["coco_sha256"])
    print("· writing COCO files, and Datumaro too")
    return {
        "builds": builds,
        "json_dumps_of_one_dict": dumps,
        "coco": coco.beside_datumaro(of_coco),
    }


def table(results: dict[str, Any]) -> None:
    print(f"\n{'':28}{'annotations':>12}{'seconds':>9}{'per second':>12}{'peak MB':>9}")
    rows = [("build, all formats, uploaded", each) for each in results["builds"]]
    rows += [("json.dumps, COCO only", results["json_dumps_of_one_dict"])]
    rows += [(f"COCO of {row['kind']}, {row['by']}", row) for row in results["coco"]]
    for name, each in rows:
        rate = each["annotations_per_second"]
        print(
            f"{name:28}{each['annotations']:>12,}{each['seconds']:>9}{rate:>12,}{each['peak_mb']:>9}"
        )


def aims(builds: list[dict[str, Any]]) -> list[Aim]:
    smallest, largest = builds[0], builds[-1]
    grown = largest["peak_mb"] - largest["imports_mb"]
    times = grown / (smallest["peak_mb"] - smallest["imports_mb"])
    what = f"peak of building {largest['annotations']:,} annotations"
    return [
        Aim(f"{what}, without imports, in MB", grown, f"below {MOST_MB}", grown < MOST_MB),
        Aim(
            f"{what}, to that of {smallest['annotations']:,}",
            round(times, 2),
            f"<= {MOST_TIMES}",
            times <= MOST_TIMES,
        ),
    ]


class WithoutPandas(MetaPathFinder):
    """Which came with a peer, and which pyarrow imports wherever it is: 40 MB that no build has."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def one(method: str, *arguments: str) -> dict[str, Any]:
    """A measurement, in the process that was started for it."""
    servers = Servers(**orjson.loads(os.environ["BENCH_SERVERS"]))
    if method == "build":
        sys.meta_path.insert(0, WithoutPandas())
        return asyncio.run(build_and_measure(servers, UUID(arguments[0])))
    return asyncio.run(dumps_and_measure(servers, UUID(arguments[0]), arguments[1]))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.export")
    parser.add_argument("--sizes", default="100k,1m", help="in annotations")
    # half as many as COCO's own training set has
    parser.add_argument("--coco", default="400k", help="annotations of what Datumaro writes too")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tessera-bench-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)  # PostgreSQL runs as `nobody` when we are root
        with running(Path(root), durable=False) as servers:
            (of_coco,) = sizes_of(asked.coco)
            results = measure(servers, sizes_of(asked.sizes), of_coco)
    table(results)
    conclude(results, aims(results["builds"]) + coco.aims(results["coco"]), asked.out)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in METHODS:
        print(json.dumps(one(*sys.argv[1:])))
    else:
        main(sys.argv[1:])
