import json
import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import psutil
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.embedded.places import AlreadyRunning, Places
from deploy.embedded.process import StartFailed
from deploy.embedded.stack import HalfGiven, Servers, Stack, running
from deploy.embedded.valkey import Valkey
from tests.deploy.driving import NOTHING_GIVEN, Driven, allowed_origin, eventually, gone, names

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as nobody")


ORIGIN = "http://127.0.0.1:8000"


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Path, Servers]]:
    """One set of servers for the tests that neither stop nor break them, and its root."""
    with tempfile.TemporaryDirectory(prefix="tessera-test-", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with running(
            root, durable=False, allow_origin=ORIGIN, given=NOTHING_GIVEN, say=quiet
        ) as servers:
            yield root, servers


def started_in(root: Path) -> list[psutil.Process]:
    """The servers of this root folder; the whole test run has others of its own."""
    pids = [int(path.read_text()) for path in (root / "run").glob("*.lock") if path.read_text()]
    return [psutil.Process(pid) for pid in pids if pid != os.getpid() and psutil.pid_exists(pid)]


def s3_of(servers: Servers, *, secret_key: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=servers.s3_endpoint,
        aws_access_key_id=servers.s3_access_key,
        aws_secret_access_key=secret_key or servers.s3_secret_key,
        region_name="us-east-1",
        config=Config(response_checksum_validation="when_required"),
    )


async def write(servers: Servers, word: str) -> None:
    database = await asyncpg.connect(servers.database_url)
    await database.execute("CREATE TABLE IF NOT EXISTS words (word text)")
    await database.execute("INSERT INTO words VALUES ($1)", word)
    await database.close()
    with redis.Redis.from_url(servers.redis_url) as valkey:
        valkey.set(word, word)
    s3 = s3_of(servers)
    s3.put_object(Bucket=servers.s3_bucket, Key=f"words/{word}", Body=word.encode())
    s3.close()


async def read(servers: Servers) -> tuple[set[str], set[str], set[str]]:
    """The words in PostgreSQL, in Valkey and in S3."""
    database = await asyncpg.connect(servers.database_url)
    rows = {row["word"] for row in await database.fetch("SELECT word FROM words")}
    await database.close()
    with redis.Redis.from_url(servers.redis_url) as valkey:
        keys = {key.decode() for key in valkey.scan_iter()}
    s3 = s3_of(servers)
    listed = s3.list_objects_v2(Bucket=servers.s3_bucket).get("Contents", [])
    bodies = {
        s3.get_object(Bucket=servers.s3_bucket, Key=entry["Key"])["Body"].read().decode()
        for entry in listed
    }
    s3.close()
    return rows, keys, bodies


async def test_data_and_addresses_are_the_same_after_stop_and_start(warm_root: Path) -> None:
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as before:
        await write(before, "tessera")
    assert started_in(warm_root) == []
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as after:
        assert after == before
        assert await read(after) == ({"tessera"}, {"tessera"}, {"tessera"})


def test_taken_ports_are_replaced_by_free_ones_that_are_kept(warm_root: Path) -> None:
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as first:
        pass
    with ExitStack() as taken:
        for url in (first.database_url, first.redis_url, first.s3_endpoint):
            port = int(url.rpartition(":")[2].split("/")[0])
            listener = taken.enter_context(socket.create_server(("127.0.0.1", port)))
            assert listener
        with running(warm_root, given=NOTHING_GIVEN, say=quiet) as second:
            assert second.database_url != first.database_url
            assert second.redis_url != first.redis_url
            assert second.s3_endpoint != first.s3_endpoint
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as third:
        assert third == second


@pytest.mark.parametrize("given_back", [False, True])
def test_a_port_lost_between_choosing_and_binding_is_replaced(
    root: Path, *, given_back: bool
) -> None:
    class Robbed(Valkey):
        thief: socket.socket | None = None

        def why_not_ready(self) -> str | None:
            reason = super().why_not_ready()
            if given_back and self.thief and self._started().exit_status is not None:
                self.thief.close()
            return reason

        def program(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            if self.thief is None:
                self.thief = socket.create_server(("127.0.0.1", self.port))
            return super().program()

    server = Robbed(Places.under(root), say=quiet)
    server.prepare()
    server.start()
    lost = server.port
    try:
        server.wait()
        assert server.thief is not None
        assert given_back or server.port != lost
        assert server.why_not_ready() is None
    finally:
        server.stop()
        assert server.thief is not None
        server.thief.close()


async def test_killing_the_parent_leaves_no_process_and_loses_nothing(warm_root: Path) -> None:
    with Driven([sys.executable, "-m", "tests.deploy.holding", str(warm_root)]) as parent:
        servers = Servers(**json.loads(parent.wait_for("up ").removeprefix("up ")))
        await write(servers, "kept")
        family = parent.family()
        assert names(family) >= {"postgres", "valkey-server", "rclone"}
        parent.process.kill()
        eventually(lambda: all(gone(process) for process in family))
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as again:
        assert await read(again) == ({"kept"}, {"kept"}, {"kept"})


async def test_a_killed_server_comes_back_at_its_address_with_all_it_had_acknowledged(
    warm_root: Path,
) -> None:
    places, said = Places.under(warm_root), list[str]()
    stack = Stack(places, durable=True, allow_origin=None, given=NOTHING_GIVEN, say=said.append)
    try:
        servers = stack.start()
        await write(servers, "acknowledged")
        victims = started_in(warm_root)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        eventually(lambda: all(gone(victim) for victim in victims))

        def all_came_back() -> (
            bool
        ):  # a dead process with threads takes a moment until it has ended
            stack.revive()
            return sum("ended with status -9" in line for line in said) == len(victims) == 3

        eventually(all_came_back)
        words = await read(servers)
    finally:
        stack.stop()
    assert words == ({"acknowledged"}, {"acknowledged"}, {"acknowledged"})


def test_a_server_that_does_not_stay_up_is_given_up(root: Path) -> None:
    server = Valkey(Places.under(root), say=quiet)
    server.prepare()
    server.start()

    def stays_up() -> bool:
        for victim in started_in(root):
            victim.kill()
        server.revive()  # a dead process with threads takes a moment until it has ended
        return False

    try:
        server.wait()
        with pytest.raises(StartFailed, match="valkey ended with status -9"):
            eventually(stays_up)
    finally:
        server.stop()


async def test_the_application_owns_its_database_and_is_no_superuser(
    shared: tuple[Path, Servers],
) -> None:
    _, servers = shared
    database = await asyncpg.connect(servers.database_url)
    role = await database.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    owner = await database.fetchval(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("CREATE ROLE another")
    await database.close()
    admin = await asyncpg.connect(servers.admin_database_url)
    assert await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await admin.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.database_url.replace("tessera:", "tessera:x"))
    assert role is not None
    assert owner == role["rolname"] == "tessera"
    powers = ("rolsuper", "rolcreatedb", "rolcreaterole", "rolreplication", "rolbypassrls")
    assert not any(role[power] for power in powers)


async def test_real_data_is_synced_to_disk_and_only_throwaway_data_is_not(
    warm_root: Path, shared: tuple[Path, Servers]
) -> None:
    with running(warm_root, given=NOTHING_GIVEN, say=quiet) as durable:
        for servers, expected in ((durable, "on"), (shared[1], "off")):
            database = await asyncpg.connect(servers.database_url)
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert await database.fetchval(f"SHOW {setting}") == expected
            assert await database.fetchval("SHOW data_checksums") == "on"
            await database.close()
        with redis.Redis.from_url(durable.redis_url) as valkey:
            assert valkey.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert valkey.config_get("appendonly") == {"appendonly": "yes"}


async def test_text_is_utf8_and_lower_case_works_beyond_ascii(
    shared: tuple[Path, Servers],
) -> None:
    database = await asyncpg.connect(shared[1].database_url)
    assert await database.fetchval("SELECT lower('ÅSA ЖЕНЯ')") == "åsa женя"
    await database.close()


def test_s3_refuses_a_wrong_key_and_lets_only_the_given_origin_call(
    shared: tuple[Path, Servers],
) -> None:
    _, servers = shared
    stranger = s3_of(servers, secret_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.put_object(Bucket=servers.s3_bucket, Key="x", Body=b"x")
    stranger.close()
    assert allowed_origin(servers.s3_endpoint, asking="http://elsewhere.test") == ORIGIN


def test_an_object_lies_in_its_folder_as_soon_as_it_is_acknowledged(
    shared: tuple[Path, Servers],
) -> None:
    root, servers = shared
    s3 = s3_of(servers)
    s3.put_object(Bucket=servers.s3_bucket, Key="words/kept", Body=b"kept")
    assert (root / "s3" / servers.s3_bucket / "words" / "kept").read_bytes() == b"kept"
    s3.close()


def test_secrets_are_in_no_command_line_and_in_files_for_their_owner_only(
    shared: tuple[Path, Servers],
) -> None:
    root, _ = shared
    secrets = json.loads((root / "secrets.json").read_text())
    lines = [" ".join(process.cmdline()) for process in started_in(root)]
    assert len(lines) == 3
    assert not [line for line in lines for word in secrets.values() if word in line]
    holders = [root / "secrets.json", root / "valkey" / "valkey.conf"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in holders] == [0o600, 0o600]


def test_servers_named_in_the_environment_are_used_and_not_started(root: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://me@there/db",
        "REDIS_URL": "redis://there",
        "S3_ENDPOINT": "http://there",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "b",
        "S3_BUCKET": "c",
    }
    with running(root, given=given, say=quiet) as servers:
        assert started_in(root) == []
    database, cache, *s3 = given.values()
    assert servers == Servers(database, database, cache, *s3)


async def test_one_server_may_be_given_and_the_others_are_ours(
    root: Path, shared: tuple[Path, Servers]
) -> None:
    _, theirs = shared
    with running(root, given={"REDIS_URL": theirs.redis_url}, say=quiet) as ours:
        await write(ours, "shared")
        assert names(started_in(root)) == {"postgres", "rclone"}
    assert ours.redis_url == theirs.redis_url
    with redis.Redis.from_url(theirs.redis_url) as valkey:
        assert valkey.get("shared") == b"shared"


def test_an_s3_server_given_in_part_is_refused(root: Path) -> None:
    given = {"S3_ENDPOINT": "http://there", "S3_BUCKET": "c"}
    with (
        pytest.raises(HalfGiven, match="S3_ENDPOINT, S3_BUCKET"),
        running(root, given=given, say=quiet),
    ):
        pass


def test_a_second_process_cannot_use_the_same_folder(root: Path) -> None:
    with (
        Places.under(root).alone(),
        pytest.raises(AlreadyRunning, match=str(os.getpid())),
        running(root, given=NOTHING_GIVEN, say=quiet),
    ):
        pass


@as_root
def test_root_runs_postgres_as_nobody(shared: tuple[Path, Servers]) -> None:
    postmaster = next(p for p in started_in(shared[0]) if p.name() == "postgres")
    assert {p.username() for p in (postmaster, *postmaster.children())} == {"nobody"}
