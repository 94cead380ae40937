"""What we rely on from an S3 server: all of it, on both servers, and nothing else of S3."""

import asyncio
import hashlib
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from pydantic import TypeAdapter

from tessera.kernel.settings import Settings
from tessera.storage import keys
from tessera.storage.errors import ObjectNotFound, ObjectTooLarge, StorageUnavailable
from tessera.storage.s3 import Access, Listed, Store
from tests.api.test_admin import admin
from tests.conftest import ORIGIN
from tests.objects import get_bytes, put_bytes

MEBIBYTE = 1024 * 1024
MINUTE = timedelta(minutes=1)
MANY = 1_005
DENIED = {400, 403}  # rclone says 400 to what is not signed or too late


def a_key() -> str:
    return keys.upload(uuid4(), uuid4())


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def an_object(store: Store, data: bytes = b"tessera") -> str:
    key = a_key()
    await put_bytes(store, key, data, content_type="application/octet-stream")
    return key


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 40])
async def test_what_was_put_is_what_comes_back(store: Store, tmp_path: Path, data: bytes) -> None:
    key = await an_object(store, data)
    fetched = await store.get_to_file(key, tmp_path / "copy", max_bytes=len(data))
    assert fetched == (hashlib.sha256(data).hexdigest(), len(data))
    assert (tmp_path / "copy").read_bytes() == await get_bytes(store, key, len(data)) == data


async def test_a_large_file_goes_up_and_comes_back_in_flat_memory(
    store: Store, tmp_path: Path, noise: Path
) -> None:
    key = a_key()
    tracemalloc.start()
    await store.put_file(key, noise, content_type="image/tiff")
    fetched = await store.get_to_file(key, tmp_path / "copy", max_bytes=100 * MEBIBYTE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * MEBIBYTE
    assert fetched.size == 40 * MEBIBYTE
    assert fetched.sha256 == sha256_of(noise)


async def test_an_object_longer_than_allowed_is_refused_and_leaves_no_file(
    store: Store, tmp_path: Path
) -> None:
    key = await an_object(store, b"x" * 101)
    with pytest.raises(ObjectTooLarge) as refusal:
        await store.get_to_file(key, tmp_path / "copy", max_bytes=100)
    assert refusal.value.facts == {"size": 101, "max_bytes": 100}
    assert not (tmp_path / "copy").exists()
    with pytest.raises(ObjectTooLarge):
        await get_bytes(store, key, 100)


async def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    key = a_key()
    with pytest.raises(ObjectNotFound):
        await get_bytes(store, key, 1)
    with pytest.raises(ObjectNotFound):
        await store.get_to_file(key, tmp_path / "copy", max_bytes=1)
    assert not (tmp_path / "copy").exists()


async def test_many_puts_at_once_all_arrive(store: Store) -> None:
    contents = [f"tile {number}".encode() for number in range(100)]
    written = await asyncio.gather(*(an_object(store, data) for data in contents))
    read = await asyncio.gather(*(get_bytes(store, key, 100) for key in written))
    assert read == contents


async def test_the_same_bytes_put_again_under_their_hash_change_nothing(store: Store) -> None:
    data = b"the same tile, cut again after a crash" * 1000
    key = keys.tile(uuid4(), hashlib.sha256(data).hexdigest(), "webp")
    put = (put_bytes(store, key, data, content_type="image/webp") for _ in range(8))
    await asyncio.gather(*put)
    assert await get_bytes(store, key, len(data)) == data
    assert [found async for found in store.list(key)] == [Listed(key, len(data))]


@pytest.mark.long
async def test_more_objects_than_a_page_holds_are_listed_and_deleted(store: Store) -> None:
    project = uuid4()
    below = [keys.upload(project, uuid4()) for _ in range(MANY)]
    beside = await an_object(store)
    put = (put_bytes(store, key, b"x" * 7, content_type="image/jpeg") for key in below)
    await asyncio.gather(*put)
    listed = [found async for found in store.list(f"uploads/{project}/")]
    assert listed == [Listed(key, 7) for key in sorted(below)]
    await store.delete_many([*below, a_key()])
    assert [found async for found in store.list(f"uploads/{project}/")] == []
    assert await get_bytes(store, beside, 100) == b"tessera"


async def test_a_browser_puts_what_was_agreed_and_nothing_else(
    store: Store, browser: httpx2.AsyncClient
) -> None:
    key = a_key()
    url = store.presign_put(key, content_type="image/png", size=5, expires=MINUTE)
    other_type = await browser.put(url, content=b"12345", headers={"content-type": "text/html"})
    no_type = await browser.put(url, content=b"12345")
    longer = await browser.put(url, content=b"123456", headers={"content-type": "image/png"})
    assert [r.status_code for r in (other_type, no_type, longer)] == [403, 403, 403]
    assert [found async for found in store.list(key)] == []
    agreed = await browser.put(url, content=b"12345", headers={"content-type": "image/png"})
    assert agreed.status_code == 200
    assert await get_bytes(store, key, 5) == b"12345"


async def test_the_size_of_a_put_without_agreed_size_shows_afterwards(
    store: Store, browser: httpx2.AsyncClient
) -> None:
    key = a_key()
    url = store.presign_put(key, content_type="image/png", expires=MINUTE)
    await browser.put(url, content=b"x" * 70_000, headers={"content-type": "image/png"})
    assert [found async for found in store.list(key)] == [Listed(key, 70_000)]


async def test_a_download_has_the_type_and_the_name_it_was_signed_with(
    store: Store, browser: httpx2.AsyncClient
) -> None:
    key = await an_object(store, b"{}")
    shown = await browser.get(store.presign_get(key, content_type="image/webp", expires=MINUTE))
    assert shown.content == b"{}"
    assert shown.headers["content-type"] == "image/webp"
    assert "content-disposition" not in shown.headers
    name = 'Münzen "v2".json'
    saved = await browser.get(
        store.presign_get(key, content_type="application/json", file_name=name, expires=MINUTE)
    )
    assert saved.headers["content-type"] == "application/json"
    assert saved.headers["content-disposition"] == (
        "attachment; filename=\"M_nzen _v2_.json\"; filename*=UTF-8''M%C3%BCnzen%20%22v2%22.json"
    )


async def test_a_url_is_good_for_one_object_one_method_and_its_time(
    store: Store, browser: httpx2.AsyncClient
) -> None:
    mine, other = await an_object(store), await an_object(store)
    url = store.presign_get(mine, content_type="text/plain", expires=MINUTE)
    brief = store.presign_get(mine, content_type="text/plain", expires=timedelta(seconds=1))
    assert (await browser.get(url)).status_code == 200
    assert (await browser.put(url, content=b"x")).status_code in DENIED
    unsigned, _, _ = url.partition("?")
    for forged in (url.replace(mine, other), url.replace("plain", "html"), unsigned):
        assert (await browser.get(forged)).status_code in DENIED
    await asyncio.sleep(2.1)
    assert (await browser.get(brief)).status_code in DENIED


async def test_presigned_urls_work_at_the_public_address(
    store: Store, access: Access, browser: httpx2.AsyncClient
) -> None:
    public = access.endpoint.replace("127.0.0.1", "localhost") + "/"
    elsewhere = Store(replace(access, public_endpoint=public))
    url = elsewhere.presign_get(await an_object(store), content_type="text/plain", expires=MINUTE)
    elsewhere.close()
    assert url.startswith(f"{public}{access.bucket}/")
    assert (await browser.get(url)).content == b"tessera"


async def test_pages_of_the_app_may_use_presigned_urls_and_others_may_not(
    store: Store, browser: httpx2.AsyncClient
) -> None:
    url = store.presign_put(a_key(), content_type="image/png", expires=MINUTE)
    ask = {"access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
    ours = await browser.options(url, headers={"origin": ORIGIN, **ask})
    assert ours.status_code in {200, 204}
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in ours.headers["access-control-allow-methods"]
    assert "content-type" in ours.headers["access-control-allow-headers"].lower()
    answer = await browser.put(
        url, content=b"x", headers={"origin": ORIGIN, "content-type": "image/png"}
    )
    assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}
    strange = await browser.options(url, headers={"origin": "http://evil.test", **ask})
    assert strange.headers.get("access-control-allow-origin") not in {"*", "http://evil.test"}


async def test_whoever_runs_the_servers_can_allow_an_origin_before_anything_else_runs(
    access: Access, settings: Settings, browser: httpx2.AsyncClient
) -> None:
    mine = replace(access, bucket=f"made-{uuid4()}")
    of_store = {
        f"s3_{name}": getattr(mine, name)
        for name in ("endpoint", "access_key", "secret_key", "bucket")
    }
    there = TypeAdapter(Settings).validate_python({**settings.model_dump(), **of_store})
    await admin(there, "allow-origin", ORIGIN)
    store = Store(mine)
    url = store.presign_put(a_key(), content_type="image/png", expires=MINUTE)
    store.close()
    ask = {"access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
    ours = await browser.options(url, headers={"origin": ORIGIN, **ask})
    assert ours.headers["access-control-allow-origin"] == ORIGIN


async def test_the_bucket_is_made_once_however_many_ask(access: Access) -> None:
    store = Store(replace(access, bucket=f"made-{uuid4()}"))
    await asyncio.gather(*(store.ensure_bucket() for _ in range(4)))
    await store.ensure_bucket()
    assert await get_bytes(store, await an_object(store), 100) == b"tessera"
    store.close()


@pytest.mark.parametrize(
    "wrong",
    [{"secret_key": "wrong"}, {"access_key": "nobody"}, {"bucket": f"absent-{uuid4()}"}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_store_that_refuses_us_is_unavailable(
    access: Access, wrong: dict[str, str]
) -> None:
    store = Store(replace(access, **wrong))
    for call in (get_bytes(store, a_key(), 1), an_object(store), store.delete_many([a_key()])):
        with pytest.raises(StorageUnavailable) as failure:
            await call
        assert access.secret_key not in str(failure.value)
    store.close()
