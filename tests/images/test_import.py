"""Bringing in many images at once: from a zip, and from a bucket."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api import admin
from deploy.embedded.stack import Servers
from tessera.images import archive
from tessera.images.imports import CHUNK
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Access, Store
from tests.images.ingesting import JPEG, Desk, desk, fates, put
from tests.images.pictures import png
from tests.objects import put_bytes
from tests.stories.processes import eventually, running, worker
from tests.world import World, photograph

BUCKET = "their-photographs"
OURS = "tessera"


def tiny(number: int) -> bytes:
    """A PNG of a few bytes; each number its own."""
    return png(2, 2, rows=[number.to_bytes(2, "big"), b"\3\4"])


def zipped(files: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()


async def import_zip(here: Desk, data: bytes | None) -> dict[str, Any]:
    """Send a zip and wait until it is dealt with; None: promise one and send nothing."""
    made = await begun(here, data)
    await here.world.work.jobs()
    done: dict[str, Any] = await here.operator.get(f"/v1/imports/{made}")
    return done


def skips(done: Mapping[str, Any]) -> dict[str, str]:
    """Codes of what an import has skipped, by name; all is told."""
    assert len(done["skipped_files"]) == done["skipped"]
    assert all(each["problem"]["detail"] for each in done["skipped_files"])
    return {each["name"]: each["problem"]["code"] for each in done["skipped_files"]}


async def begun(here: Desk, data: bytes | None) -> str:
    """A zip that was sent and waits; the id of its import."""
    path = f"/v1/projects/{here.project_id}/imports"
    made = await here.operator.post(path, {"source": "zip"}, status=201)
    if data is not None:
        await put(made["put_url"], data, "application/zip")
    await here.operator.post(f"/v1/imports/{made['id']}/uploaded", status=202)
    return str(made["id"])


async def test_a_zip_declared_done_by_many_at_once_is_unpacked_by_one_job(world: World) -> None:
    here = await desk(world)
    path = f"/v1/projects/{here.project_id}/imports"
    made = await here.operator.post(path, {"source": "zip"}, status=201)
    await put(made["put_url"], zipped({"a.jpg": JPEG}), "application/zip")
    done = f"/v1/imports/{made['id']}/uploaded"
    told = await asyncio.gather(*(here.operator.post(done, status=202) for _ in range(8)))
    assert {each["state"] for each in told} == {"running"}
    async with db.reading(world.sessions) as reader:
        waiting = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'images.import'"
        assert (await reader.execute(text(waiting))).scalar_one() == 1
    await here.world.work.jobs()
    assert fates(await here.images()) == {"a.jpg": "ready"}


async def test_the_files_of_a_zip_become_images_wherever_in_it_they_lie(world: World) -> None:
    here = await desk(world)
    junk = {"__MACOSX/._a.jpg": b"x", ".DS_Store": b"x", "deep/.hidden/b.jpg": JPEG}
    files = {"a.jpg": JPEG, "deep/": b"", "deep/er/": b"", "deep/er/b.jpg": photograph()}
    done = await import_zip(here, zipped({**files, **junk, "deep/notes.txt": b"some words"}))
    assert (done["state"], done["found"], done["skipped"]) == ("done", 3, 1)
    assert skips(done) == {"deep/.hidden/b.jpg": "hidden"}, "what a Mac adds is nothing to tell"
    images = await here.images()
    assert fates(images) == {
        "a.jpg": "ready",
        "deep/er/b.jpg": "ready",
        "deep/notes.txt": "not-an-image",
    }
    assert {image["import_id"] for image in images.values()} == {done["id"]}
    of_import = await here.pages("images", import_id=done["id"])
    assert {image["name"] for image in of_import} == set(images)
    assert await is_without_zips(world, here), "the zip itself is not kept"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "missing"),
        (b"", "not-a-zip"),
        (b"no zip at all" * 100, "not-a-zip"),
        (zipped({"a.jpg": JPEG})[:-30], "not-a-zip"),
    ],
    ids=["never uploaded", "empty", "text", "cut off"],
)
async def test_what_is_no_zip_is_refused_as_a_whole(
    data: bytes | None, code: str, world: World
) -> None:
    here = await desk(world)
    done = await import_zip(here, data)
    assert (done["state"], done["problem"]["code"]) == ("refused", code)
    assert (done["problem"]["status"], bool(done["problem"]["detail"])) == (422, True)
    assert await here.images() == {}


async def test_a_zip_that_claims_too_much_is_not_unpacked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await desk(world)
    bomb = zipped({f"{number}.jpg": b"\0" * 10**6 for number in range(3)})
    monkeypatch.setattr(archive, "MOST_BYTES", 2 * 10**6)
    assert (await import_zip(here, bomb))["problem"]["code"] == "too-many-bytes"
    monkeypatch.setattr(archive, "MOST_ENTRIES", 2)
    assert (await import_zip(here, bomb))["problem"]["code"] == "too-many-entries"
    monkeypatch.setattr(archive, "MOST_DIRECTORY_BYTES", 100)
    assert (await import_zip(here, bomb))["problem"]["code"] == "not-a-zip"
    assert await here.images() == {}


@pytest.mark.long
async def test_a_zip_of_more_files_than_a_chunk_comes_in_whole(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    here = await desk(world)
    made = await begun(here, zipped({f"{number:03}.png": tiny(number) for number in range(230)}))
    with running(worker(settings, tmp_path, names=["images.import"])):
        assert (await ended(here, made))["found"] == 230
    uploads = [each.key async for each in world.store.list(f"uploads/{here.project_id}/")]
    assert len(uploads) == len(await here.pages("images", state="checking")) == 230


async def test_a_zip_comes_in_once_though_the_worker_is_killed_and_is_not_kept(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    here = await desk(world)
    names = [f"{number:03}.png" for number in range(430)]
    data = zipped({name: tiny(number) for number, name in enumerate(names)})
    made = await begun(here, data)
    importer = worker(settings, tmp_path, names=["images.import"])
    with running(importer):
        await eventually(lambda: is_past_a_chunk(world))
        importer.kill()
        assert (await here.operator.get(f"/v1/imports/{made}"))["state"] == "running"
        assert len(await checks(world)) < len(names), "killed in the middle"
        importer.start()
        done = await ended(here, made)
        await eventually(lambda: is_without_zips(world, here))
    assert (done["state"], done["found"], done["skipped"]) == ("done", len(names), 0)
    images = await here.pages("images", state="checking")
    assert sorted(image["name"] for image in images) == names
    ids = sorted(image["id"] for image in images)
    assert sorted(await checks(world)) == ids, "each is checked, and once"
    uploads = world.store.list(f"uploads/{here.project_id}/")
    assert sorted([each.key.rsplit("/", 1)[1] async for each in uploads]) == ids


@pytest.mark.parametrize("state", ["done", "refused"])
async def test_a_zip_whose_worker_died_before_it_removed_it_is_removed_by_the_next(
    state: str, world: World
) -> None:
    here = await desk(world)
    made = await begun(here, zipped({"a.jpg": JPEG}))
    async with db.transaction(world.sessions) as session:
        await session.execute(text("UPDATE imports SET state = :state"), {"state": state})
    assert not await is_without_zips(world, here)
    await world.work.jobs()
    assert await is_without_zips(world, here)
    assert (await here.operator.get(f"/v1/imports/{made}"))["state"] == state
    assert await here.images() == {}, "what has ended is not begun again"


@pytest.fixture
async def bucket(servers: Servers) -> AsyncIterator[Store]:
    """A bucket on the same server that is not ours."""
    store = Store(
        Access(
            endpoint=servers.s3_endpoint,
            access_key=servers.s3_access_key,
            secret_key=servers.s3_secret_key,
            bucket=BUCKET,
        )
    )
    await store.ensure_bucket()
    yield store
    await store.delete_many([each.key async for each in store.list("")])
    store.close()


async def may_import(world: World, here: Desk, name: str = BUCKET) -> None:
    project = await here.operator.get(f"/v1/projects/{here.project_id}")
    async with db.transaction(world.sessions) as session:
        await admin.set_bucket(
            session, organisation_id=project["organisation_id"], bucket=name, ours=OURS
        )


async def test_nobody_may_be_given_the_bucket_with_everybodys_images(world: World) -> None:
    here = await desk(world)
    with pytest.raises(admin.OurBucket):
        await may_import(world, here, OURS)


async def import_prefix(here: Desk, prefix: str) -> str:
    path = f"/v1/projects/{here.project_id}/imports"
    made = await here.operator.post(path, {"source": "prefix", "prefix": prefix}, status=201)
    assert made["put_url"] is None
    return str(made["id"])


async def test_a_prefix_of_a_bucket_comes_in_and_the_bucket_is_left_as_it_is(
    world: World, bucket: Store
) -> None:
    here = await desk(world)
    files = {"coins/a.jpg": JPEG, "coins/deep/b.jpg": photograph(), "cups/c.jpg": photograph()}
    files["coins/read me.txt"] = b"some words"
    for key, data in files.items():
        await put_bytes(bucket, key, data, content_type="image/jpeg")
    await may_import(world, here)
    made = await import_prefix(here, "coins/")
    await world.work.jobs()
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["found"], done["skipped"]) == ("done", 3, 0)
    assert fates(await here.images()) == {
        "a.jpg": "ready",
        "deep/b.jpg": "ready",
        "read me.txt": "not-an-image",
    }
    assert {each.key async for each in bucket.list("")} == set(files)


@pytest.mark.long
async def test_more_than_a_thousand_keys_come_in_once_each_though_the_worker_is_killed(
    world: World, bucket: Store, settings: Settings, tmp_path: Path
) -> None:
    here = await desk(world)
    many = {f"many/{number:04}.png": tiny(number) for number in range(1_003)}
    await asyncio.gather(
        *(put_bytes(bucket, *one, content_type="image/png") for one in many.items())
    )
    await may_import(world, here)
    made = await import_prefix(here, "many/")
    importer = worker(settings, tmp_path, names=["images.import"])
    with running(importer):
        await eventually(lambda: has_images(world, 200))
        importer.kill()
        assert (await here.operator.get(f"/v1/imports/{made}"))["state"] == "running"
        importer.start()
        done = await ended(here, made)
    assert (done["state"], done["found"], done["skipped"]) == ("done", 1_003, 0)
    images = await here.pages("images", state="checking")
    assert sorted(f"many/{image['name']}" for image in images) == sorted(many)
    assert sorted(await checks(world)) == sorted(image["id"] for image in images), "each, and once"


async def checks(world: World) -> list[str]:
    """Ids of the images that wait to be checked, once for each time they do."""
    async with db.reading(world.sessions) as reader:
        jobs = await reader.scalars(
            text("SELECT payload FROM pgqueuer WHERE entrypoint = 'images.ingest'")
        )
        return [json.loads(payload)["image_id"] for payload in jobs]


async def is_past_a_chunk(world: World) -> bool:
    return len(await checks(world)) >= CHUNK


async def is_without_zips(world: World, here: Desk) -> bool:
    return not [each async for each in world.store.list(f"imports/{here.project_id}/")]


async def has_images(world: World, least: int) -> bool:
    async with db.reading(world.sessions) as reader:
        images = (await reader.execute(text("SELECT count(*) FROM images"))).scalar_one()
        return bool(images >= least)


async def ended(here: Desk, import_id: str) -> dict[str, Any]:
    """An import that another process works on, once it is done or refused."""

    async def is_over() -> bool:
        return (await here.operator.get(path))["state"] in {"done", "refused"}

    path = f"/v1/imports/{import_id}"
    await eventually(is_over)
    over: dict[str, Any] = await here.operator.get(path)
    return over


async def test_without_a_bucket_there_is_no_import_from_one(world: World) -> None:
    here = await desk(world)
    path = f"/v1/projects/{here.project_id}/imports"
    problem = await here.operator.post(path, {"source": "prefix"}, status=409)
    assert problem["code"] == "no-import-bucket"


async def test_a_bucket_that_is_not_there_refuses_the_import_with_a_reason(world: World) -> None:
    here = await desk(world)
    await may_import(world, here, "no-such-bucket")
    made = await import_prefix(here, "")
    await world.work.jobs()
    done = await here.operator.get(f"/v1/imports/{made}")
    assert (done["state"], done["problem"]["code"]) == ("refused", "bucket-unreachable")


async def test_strangers_neither_see_nor_start_imports(world: World) -> None:
    here = await desk(world)
    path = f"/v1/projects/{here.project_id}/imports"
    made = await here.operator.post(path, {"source": "zip"})
    stranger, _ = await world.operator()
    await stranger.post(path, {"source": "zip"}, status=404)
    await stranger.get(f"/v1/imports/{made['id']}", status=404)
    await stranger.post(f"/v1/imports/{made['id']}/uploaded", status=404)
    assert (await here.operator.get(f"/v1/imports/{made['id']}"))["state"] == "registered"
