"""House rules that no linter has a setting for."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from workers.registry import HANDLERS

PRODUCT = ("tessera", "api", "workers", "deploy", "demo", "bench")
SOURCES = [path for folder in PRODUCT for path in sorted(Path(folder).rglob("*.py"))]
DOMAIN = [path for path in SOURCES if path.parts[0] in {"tessera", "api", "workers"}]
MAX_LINES = 400
KERNEL = Path("tessera/kernel/db.py")
OF_THE_KERNEL = {"begin_nested", "commit", "rollback", "with_for_update"}
COMMITS = re.compile(r"^\s*(BEGIN|START\s+TRANSACTION|SAVEPOINT|COMMIT|ROLLBACK)\b", re.IGNORECASE)
LOCKS = re.compile(
    r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(KEY\s+)?SHARE\b|\bLOCK\s+TABLE\b|\bpg_\w*advisory",
    re.IGNORECASE,
)
MOVES_MONEY = re.compile(r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+ledger_", re.IGNORECASE)
LEDGER = Path("tessera/ledger")
LOCKING_SQL = {
    "tessera/assignment/opening.py": "tasks, by id",
    "tessera/assignment/queries.py": (
        "one advisory lock for each earner who leases, before all others; "
        "queue entries, SKIP LOCKED; leases, by id"
    ),
    "tessera/assignment/queue.py": "tasks, by id; queue entries, by task and place",
    "tessera/kernel/jobs.py": "the waiting run of a job, SKIP LOCKED",
    "workers/guard.py": "runs that have gone silent, SKIP LOCKED",
    "workers/sweeps.py": "one advisory lock for each sweep, never waited for",
}
"""Who locks in SQL of their own, and what; the order is what keeps two of them from a deadlock."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def is_of_the_kernel(call: ast.Call) -> bool:
    """`session.begin()` opens a transaction; `db.transaction(sessions)` asks the kernel to."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name in OF_THE_KERNEL or (name in {"begin", "transaction"} and not call.args)


def strings(path: Path) -> Iterator[str]:
    """All but docstrings, and what else stands alone as a statement."""
    prose = {id(n.value) for n in ast.walk(tree(path)) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


@pytest.mark.parametrize("path", [*SOURCES, *sorted(Path("tests").rglob("*.py"))], ids=str)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in DOMAIN if path != KERNEL], ids=str)
def test_only_the_kernel_begins_and_commits(path: Path) -> None:
    assert not [ast.unparse(call) for call in calls(path) if is_of_the_kernel(call)]
    assert not [sql for sql in strings(path) if COMMITS.search(sql)]


def test_rows_are_locked_by_the_kernel_and_in_the_sql_of_these_files() -> None:
    locking = {str(path) for path in DOMAIN if any(LOCKS.search(sql) for sql in strings(path))}
    assert locking == set(LOCKING_SQL)


@pytest.mark.parametrize("path", [path for path in DOMAIN if path.parent != LEDGER], ids=str)
def test_only_the_ledger_moves_money(path: Path) -> None:
    imports = (node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom))
    of_the_ledger = [each for each in imports if each.module == "tessera.ledger.models"]
    assert not {name.name for each in of_the_ledger for name in each.names} & {"Entry", "Transfer"}
    assert not [sql for sql in strings(path) if MOVES_MONEY.search(sql)]


def test_every_job_that_is_enqueued_has_a_handler() -> None:
    enqueued = {
        call.args[1].value
        for path in DOMAIN
        for call in calls(path)
        if ast.unparse(call.func).startswith("jobs.enqueue")
        and isinstance(call.args[1], ast.Constant)
    }
    assert enqueued
    assert enqueued == set(HANDLERS)
