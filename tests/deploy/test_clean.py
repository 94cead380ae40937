import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.clean import discard_outside
from deploy.embedded.pghome import NOTE
from deploy.embedded.places import AlreadyRunning, Places
from deploy.embedded.stack import running
from tests.deploy.driving import NOTHING_GIVEN


def outside(root: Path, folder: Path) -> Path:
    """A database outside its root folder, as root has it under a closed checkout."""
    Places.under(root)
    folder.mkdir()
    (folder / NOTE).write_text(str(root.resolve()))
    (root / "postgres").symlink_to(folder)
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hides its folders from nobody")
def test_a_database_that_had_to_lie_outside_the_root_folder_goes_with_it(
    private_root: Path,
) -> None:
    with running(private_root, given=NOTHING_GIVEN, say=lambda _: None):
        home = (private_root / "postgres").resolve()
    assert home.parent == Path("/var/lib")
    discard_outside(private_root, say=lambda _: None)
    assert not home.exists()
    (private_root / "postgres").unlink()


def test_those_of_root_folders_inside_go_as_well(tmp_path: Path) -> None:
    var = Places.under(tmp_path / "var").root
    homes = [outside(var / name, tmp_path / name) for name in ("demo", "bench")]
    discard_outside(var, say=lambda _: None)
    assert not [home for home in homes if home.exists()]


def test_the_database_of_another_root_folder_stays(tmp_path: Path) -> None:
    home = outside(tmp_path / "original", tmp_path / "home")
    copy = Places.under(tmp_path / "copy").root
    (copy / "postgres").symlink_to(home)
    said: list[str] = []
    discard_outside(copy, say=said.append)
    assert home.exists()
    assert "left in place" in said[0]
    assert str(home) in said[0]


def test_while_a_root_folder_is_in_use_nothing_is_removed(tmp_path: Path) -> None:
    var = Places.under(tmp_path / "var").root
    homes = [outside(var / name, tmp_path / name) for name in ("bench", "demo")]
    with Places(var).alone(), pytest.raises(AlreadyRunning):
        discard_outside(var, say=lambda _: None)
    with Places(var / "demo").alone(), pytest.raises(AlreadyRunning):
        discard_outside(var, say=lambda _: None)
    assert all(home.exists() for home in homes)


def test_it_runs_when_no_package_is_installed() -> None:
    subprocess.run([sys.executable, "-S", "-c", "import deploy.embedded.clean"], check=True)
