"""`make up` as a newcomer meets it: the real plan, in a folder where nothing is yet."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from httpx2 import AsyncClient

from deploy.embedded.stack import running
from deploy.embedded.supervisor import settings
from tessera.tables import metadata
from tests.client import As
from tests.deploy.driving import Driven, gone, names

pytestmark = pytest.mark.long
UP = "Ctrl-C stops everything"
SERVERS = {"postgres", "valkey-server", "rclone"}
Leased = dict[str, Any]
# The checkout and the interpreter may be closed to nobody: it may read all, and write its own.
RIGHTS = "-all,+dac_read_search"
AS_NOBODY = (
    "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs",
    f"--inh-caps={RIGHTS}", f"--ambient-caps={RIGHTS}", f"--bounding-set={RIGHTS}",
)  # fmt: skip


@pytest.fixture(params=["without rights", "as root"])
def account(request: pytest.FixtureRequest, root: Path) -> Sequence[str]:
    """What the command begins with, and an owner for the folder."""
    is_root = os.geteuid() == 0
    if request.param == "as root":
        return () if is_root else pytest.skip("We are not root.")
    if not is_root:
        return ()
    try:
        subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], check=True)
    except (OSError, subprocess.CalledProcessError) as refusal:
        pytest.skip(f"We are root, and this machine does not let us be anybody else: {refusal}")
    shutil.chown(root, "nobody", "nogroup")
    return AS_NOBODY


async def test_everything_comes_up_for_the_printed_logins(
    root: Path, account: Sequence[str]
) -> None:
    with up(root, account) as it:
        await visit(said(it))
        runs_as_the_owner_of(root, it)
        stops(it)


async def test_what_was_there_is_found_again(root: Path, account: Sequence[str]) -> None:
    with up(root, account) as it:
        first = said(it)
        lease = await visit(first)
        rows = await count(it)
        stops(it)
    with up(root, account) as it:
        assert said(it) == first
        assert await count(it) == rows
        await answer(first, lease)
        stops(it)


async def test_servers_that_are_given_are_used_and_left_running(
    root: Path, warm_root: Path
) -> None:
    with running(warm_root, given={}, say=lambda _: None) as servers:
        theirs = psutil.Process().children()
        assert names(theirs) >= SERVERS
        given = {name.removeprefix("TESSERA_"): value for name, value in settings(servers).items()}
        with up(root, (), **given) as it:
            first = said(it)
            lease = await visit(first)
            assert not names(it.family()) & SERVERS
            assert lease["picture"]["url"].startswith(servers.s3_endpoint)
            rows = await count(it)
            stops(it)
        with up(root, (), **given) as it:
            assert said(it) == first
            assert await count(it) == rows
            await answer(first, lease)
            stops(it)
        assert not any(gone(process) for process in theirs)


def up(root: Path, account: Sequence[str], **given: str) -> Driven:
    command = [sys.executable, "-m", "deploy.embedded", "up", "--root", str(root / "var")]
    return Driven([*account, *command], **given)


def said(it: Driven) -> dict[str, list[str]]:
    """What the newcomer reads at the end, by its first word."""
    it.wait_for(UP, patience=120)
    lines = [line.split() for line in it.lines if line.startswith("  ")]
    return {words[0]: [word.rstrip(",") for word in words[1:]] for words in lines}


def runs_as_the_owner_of(root: Path, it: Driven) -> None:
    """All but PostgreSQL, which never runs as root."""
    uid = root.stat().st_uid
    family = [psutil.Process(it.process.pid), *it.family()]
    assert names(family) >= SERVERS
    assert len(family) > 6
    for process in family:
        theirs = process.uids().effective
        assert theirs != 0 if process.name() == "postgres" else theirs == uid


async def visit(printed: dict[str, list[str]]) -> Leased:
    """Log in as everybody, and see what each should; returns a lease that is left open."""
    async with AsyncClient(base_url=api_of(printed)) as http:
        assert (await http.get("/docs")).is_success
        people = {
            role: [await login(http, printed, email) for email in printed[role]]
            for role in ("operator", "finance", "earners")
        }
        assert [len(each) for each in people.values()] == [1, 2, 3]
        (operator,) = people["operator"]
        assert [each["id"] for each in await operator.get("/v1/organisations")] == printed[
            "organisation"
        ]
        (project_id,) = printed["project"]
        tasks = (await operator.get(f"/v1/projects/{project_id}/progress"))["tasks"]
        assert tasks["open"] > 0
        assert tasks["gold"] > 0
        assert tasks["waiting"] == 0, "all of it was launched"
        for finance in people["finance"]:
            await finance.get("/v1/finance/payout-batches")
        leased = await people["earners"][0].post("/v1/work/leases", {"count": 1})
        lease: Leased = leased["leases"][0]
    async with AsyncClient() as browser:
        assert (await browser.get(leased["leases"][0]["picture"]["url"])).is_success
    return lease


async def answer(printed: dict[str, list[str]], lease: Leased) -> None:
    """What was leased before the end can be answered after it."""
    async with AsyncClient(base_url=api_of(printed)) as http:
        earner = await login(http, printed, printed["earners"][0])
        empty = {"outcome": "answered", "answer": {"objects": []}}
        body = {"lease_id": lease["lease_id"], "fence": lease["fence"], **empty}
        (result,) = (await earner.post("/v1/work/answers", {"answers": [body]}))["results"]
        assert result["accepted"]


async def login(http: AsyncClient, printed: dict[str, list[str]], email: str) -> As:
    password = " ".join(printed["password"]).partition(" (")[0]
    made = await As(http).post("/v1/sessions", {"email": email, "password": password})
    return As(http, made["token"])


def api_of(printed: dict[str, list[str]]) -> str:
    return printed["API"][0].removesuffix("/docs")


async def count(it: Driven) -> dict[str, int]:
    """Rows by table, but the logins; all in a PostgreSQL 18."""
    api = next(process for process in it.family() if process.cmdline()[1:] == ["-m", "api"])
    database = await asyncpg.connect(api.environ()["TESSERA_DATABASE_URL"])
    assert (
        await database.fetchval("SELECT current_setting('server_version_num')::int / 10000") == 18
    )
    kept = [table.name for table in metadata.sorted_tables if table.name != "sessions"]
    rows = {name: await database.fetchval(f"SELECT count(*) FROM {name}") for name in kept}
    await database.close()
    return rows


def stops(it: Driven) -> None:
    """Ctrl-C, and nothing of it is left."""
    family = it.family()
    it.process.send_signal(signal.SIGINT)
    assert it.end() == 0
    assert all(gone(process) for process in family)
