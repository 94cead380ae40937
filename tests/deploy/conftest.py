import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.embedded.places import any_free_port
from deploy.embedded.stack import running


@contextmanager
def a_root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tessera-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def root() -> Iterator[Path]:
    """A root folder that anybody may enter; pytest's own are closed to `nobody`."""
    with a_root() as folder:
        yield folder


@pytest.fixture(scope="session")
def used_root() -> Iterator[Path]:
    """A root folder in which the servers have run once."""
    with a_root() as folder:
        with running(folder, given={}, say=lambda _: None):
            pass
        yield folder


@pytest.fixture
def warm_root(root: Path, used_root: Path) -> Path:
    """A copy of it: no test has to wait until PostgreSQL has created its data."""
    return warmed(root, used_root)


def warmed(root: Path, used_root: Path) -> Path:
    subprocess.run(["/bin/cp", "-a", f"{used_root}/.", root], check=True)
    shutil.rmtree(root / "run")  # process ids that others may have by now
    # of its own: others who start meanwhile take the usual ones while a server is down
    ports = {name: any_free_port() for name in ("postgres", "valkey", "s3")}
    (root / "ports.json").write_text(json.dumps(ports))
    return root


@pytest.fixture
def private_root() -> Iterator[Path]:
    """A root folder that only its owner may enter, as under /root."""
    with tempfile.TemporaryDirectory(prefix="tessera-test-", dir="/tmp") as folder:
        yield Path(folder) / "var"
        link = Path(folder) / "var" / "postgres"
        if link.is_symlink():
            shutil.rmtree(link.resolve())
