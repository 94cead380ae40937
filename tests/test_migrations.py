"""Migrations go both ways, match the models, and lock nothing that people wait for."""

import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from deploy.embedded.stack import Servers

MIGRATIONS = {
    script.revision: script
    for script in ScriptDirectory.from_config(Config("alembic.ini")).walk_revisions()
}
EVERYWHERE = {
    "require-lock-timeout": "migrations/env.py sets it for each, as the last test here shows",
    "require-statement-timeout": "so too",
}
FINE: Mapping[str, Mapping[str, str]] = {
    "first_tables": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
        "prefer-bigint-over-int": "places of a task, sizes in pixels: never near 2^31",
        "prefer-bigint-over-smallint": "lanes and formats: a handful of numbers",
    },
    "job_engine": {
        "prefer-bigint-over-int": "the engine's own tables, as it makes them",
        "prefer-identity": "so too",
    },
    "invitations": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
        "require-concurrent-index-creation": "organisations are few",
    },
    "stages": {
        "constraint-missing-not-valid": "projects are few, and the new columns empty",
        "adding-foreign-key-constraint": "so too",
        "require-concurrent-index-creation": "so too",
        "disallowed-unique-constraint": "there is no release yet, and nowhere are tasks many",
        "ban-drop-constraint": "a wider one takes its place",
        "prefer-bigint-over-int": "tasks about one tile: a handful",
    },
    "annotation_imports": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
    },
    "decisions": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
        "prefer-bigint-over-smallint": "steps of a response: four",
        "require-concurrent-index-creation": "there is no release yet; all is null at first",
    },
    "gold_exposure": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
        "require-concurrent-index-creation": "gold is little, and nothing is in the index yet",
    },
    "audits": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
        "require-concurrent-index-creation": "there is no release yet, and nowhere are tasks many",
    },
    "training": {
        "prefer-text-field": "words of an enumeration, at most 32 characters for ever",
    },
    "routing": {
        "require-concurrent-index-creation": "there is no release yet; both are empty at first",
    },
}
"""What squawk says of a migration that is right as it is, and why."""


def sql(script: Script) -> str:
    """What an upgrade sends to PostgreSQL."""
    out = io.StringIO()
    offline = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out}
    )
    with Operations.context(offline):
        script.module.upgrade()
    return out.getvalue()


def complaints(statements: str, fine: Mapping[str, str]) -> str:
    squawk = str(Path(sys.executable).with_name("squawk"))
    options = ["--pg-version=18.0", "--assume-in-transaction", "--reporter=gcc"]
    options.append(f"--exclude={','.join((*EVERYWHERE, *fine))}")
    done = subprocess.run(
        [squawk, *options], input=statements, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def alembic(database_url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        env={**os.environ, "TESSERA_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute("CREATE DATABASE migrations OWNER tessera")
    yield servers.database_url.rsplit("/", 1)[0] + "/migrations"
    await admin.execute("DROP DATABASE migrations WITH (FORCE)")
    await admin.close()


@pytest.mark.parametrize("revision", MIGRATIONS)
def test_a_migration_locks_no_table_for_long(revision: str) -> None:
    assert not complaints(sql(MIGRATIONS[revision]), FINE.get(revision, {}))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE tasks ADD CONSTRAINT places CHECK (places > 0)",
        "CREATE INDEX ix_tasks_places ON tasks (places)",
        "ALTER TABLE tasks ALTER COLUMN places TYPE bigint",
        "ALTER TABLE tasks RENAME COLUMN places TO seats",
        "CREATE TABLE more (id int)",
    ],
)
def test_one_that_would_fails_the_check(statement: str) -> None:
    assert complaints(statement, {})


@pytest.mark.parametrize("revision", MIGRATIONS)
def test_a_migration_says_its_locks_and_its_deploy_order(revision: str) -> None:
    said = MIGRATIONS[revision].module.__doc__ or ""
    for heading in ("Locks:", "Deploy order:"):
        assert said.partition(heading)[2].split("\n")[0].strip()


def test_migrations_go_up_and_down_and_up_again_and_match_the_models(
    empty_database_url: str,
) -> None:
    for step in (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"], ["check"]):
        done = alembic(empty_database_url, *step)
        assert done.returncode == 0, done.stderr


async def test_a_migration_that_does_not_get_its_lock_gives_up_and_changes_nothing(
    empty_database_url: str,
) -> None:
    assert alembic(empty_database_url, "upgrade", "head").returncode == 0
    somebody = await asyncpg.connect(empty_database_url)
    async with somebody.transaction():
        await somebody.execute("LOCK TABLE alembic_version IN SHARE MODE")
        assert "lock timeout" in alembic(empty_database_url, "downgrade", "-1").stderr
    assert alembic(empty_database_url, "check").returncode == 0
    await somebody.close()
