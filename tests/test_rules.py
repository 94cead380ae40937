"""House rules that no linter has a setting for."""

import ast
from pathlib import Path

import pytest

from workers.registry import HANDLERS

PRODUCT = ("tessera", "api", "workers", "deploy", "demo", "bench")
SOURCES = [path for folder in PRODUCT for path in sorted(Path(folder).rglob("*.py"))]
DOMAIN = [path for path in SOURCES if path.parts[0] in {"tessera", "api", "workers"}]
MAX_LINES = 400
KERNEL = Path("tessera/kernel/db.py")


def methods_called(path: Path) -> set[str]:
    calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    return {f.attr for f in calls if isinstance(f, ast.Attribute)}


@pytest.mark.parametrize("path", [*SOURCES, *sorted(Path("tests").rglob("*.py"))], ids=str)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in DOMAIN if path != KERNEL], ids=str)
def test_only_the_kernel_commits_and_locks_rows(path: Path) -> None:
    assert not methods_called(path) & {"commit", "rollback", "with_for_update"}


def test_every_job_that_is_enqueued_has_a_handler() -> None:
    enqueued = {
        call.args[1].value
        for path in DOMAIN
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).startswith("jobs.enqueue")
        and isinstance(call.args[1], ast.Constant)
    }
    assert enqueued
    assert enqueued == set(HANDLERS)
