"""The same bucket on two servers: the one we ship, and a complete one."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from deploy import rgw
from deploy.embedded.stack import Servers
from tessera.storage.s3 import Access, Store
from tests.conftest import ORIGIN

WITHOUT = "TESTS_WITHOUT_A_SECOND_STORE"


@pytest.fixture(scope="session")
def rclone(servers: Servers) -> Access:
    return Access(
        endpoint=servers.s3_endpoint,
        access_key=servers.s3_access_key,
        secret_key=servers.s3_secret_key,
        bucket=servers.s3_bucket,
    )


def expect_debian() -> None:
    """The second store comes from there.

    Not a silent skip: who runs the slow tests must know that they saw one store only.
    """
    if os.environ.get(WITHOUT):
        pytest.skip(f"{WITHOUT} is set: one store must do.")
    if shutil.which("apt-get") is None:
        pytest.fail(
            "The second store, Ceph, comes as Debian packages, and this machine has no apt-get. "
            f"Set {WITHOUT}=1 to do without.",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def ceph() -> Iterator[Access]:
    expect_debian()
    with rgw.running() as gateway:
        yield Access(
            endpoint=gateway.endpoint,
            access_key=gateway.access_key,
            secret_key=gateway.secret_key,
            bucket="tessera",
        )


@pytest.fixture(scope="session", params=["rclone", pytest.param("ceph", marks=pytest.mark.long)])
def access(request: pytest.FixtureRequest) -> Access:
    found: Access = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
async def store(access: Access) -> AsyncIterator[Store]:
    store = Store(access)
    await store.ensure_bucket()
    await store.allow_origin(ORIGIN)
    yield store
    store.close()


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """What holds a presigned URL and nothing else."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A file of 40 MiB, no two of whose parts are alike."""
    path = tmp_path / "noise"
    with path.open("wb") as file:
        for number in range(40):
            file.write(number.to_bytes(4, "big") * (256 * 1024))
    return path
