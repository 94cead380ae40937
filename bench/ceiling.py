"""The ceiling: the statements of a lease and of its answers, straight to Postgres by asyncpg.

No HTTP, no framework, no object mapper: what is left is what Postgres itself takes.
"""

import json
import random
import time
from typing import Any
from uuid import UUID

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from bench.tally import Tally
from tessera.accounts import tokens
from tessera.assignment.queries import CLAIM, LOCK_LEASES

_VALUE = json.dumps({"objects": [{"class": 1, "box": [10.0, 10.0, 60.0, 60.0], "attributes": {}}]})
_WHO = """
SELECT p.id, p.kind, m.organisation_id, m.role, o.is_platform
FROM people p JOIN sessions s ON s.person_id = p.id
LEFT JOIN memberships m ON m.person_id = p.id LEFT JOIN organisations o ON o.id = m.organisation_id
WHERE s.token_sha256 = $1 AND s.revoked_at IS NULL AND s.expires_at > now()
  AND p.disabled_at IS NULL
"""
_BEGIN = "SELECT now(), set_config('enable_seqscan', 'off', true)"
_HELD = """
SELECT count(*) FROM (
  SELECT id FROM leases WHERE earner_id = $1 AND state = 'open' LIMIT 50
) AS held
"""
_PROJECT = "SELECT * FROM projects WHERE id = $1"
_STANDING = """
SELECT * FROM standings WHERE project_id = $1 AND earner_id = $2 FOR NO KEY UPDATE
"""
_JOIN = """
INSERT INTO standings (project_id, earner_id, gold_chance, soon_position, normal_position,
  gold_position) VALUES ($1, $2, 0.5, 0, 0, 0) ON CONFLICT DO NOTHING
"""
_ANSWERED = "UPDATE leases SET state = 'answered' WHERE id = ANY($1)"
_ANSWER = """
INSERT INTO answers (project_id, lease_id, task_id, earner_id, outcome, value, seconds, verdict)
VALUES ($1, $2, $3, $4, 'answered', $5, 1.5, 'pending')
"""
_EARNING = """
INSERT INTO earnings (project_id, lease_id, task_id, earner_id, currency, amount_micro, fee_micro,
  state) VALUES ($1, $2, $3, $4, 'EUR', 20000, 4000, 'pending')
"""


def _prepared(statement: TextClause) -> tuple[str, list[str]]:
    """A statement with $1, $2, ... and the names of these, in order."""
    compiled = statement.compile(dialect=dialect.dialect())  # type: ignore[no-untyped-call]
    return str(compiled), list(compiled.positiontup or ())


_CLAIM_SQL, _CLAIM_NAMES = _prepared(CLAIM)
_LOCK_SQL, _LOCK_NAMES = _prepared(LOCK_LEASES)


async def work(
    pool: asyncpg.Pool, token: str, earner_id: UUID, project_id: UUID, *, batch: int, tally: Tally
) -> None:
    """Lease and answer until time is over."""
    async with pool.acquire() as connection:
        await connection.execute(_JOIN, project_id, earner_id)
    while not tally.over:
        began = time.perf_counter()
        async with pool.acquire() as connection, connection.transaction():
            leases = await _lease(connection, token, earner_id, project_id, batch)
        leased = time.perf_counter()
        if not leases:
            tally.add_nothing()
            continue
        async with pool.acquire() as connection, connection.transaction():
            await _answer(connection, token, earner_id, project_id, leases)
        tally.add(began, leased, time.perf_counter(), len(leases), 0)


async def _lease(
    connection: Any, token: str, earner_id: UUID, project_id: UUID, batch: int
) -> list[UUID]:
    await connection.fetch(_WHO, tokens.digest(token))
    await connection.fetch(_BEGIN)
    await connection.fetchval(_HELD, earner_id)
    project = await connection.fetchrow(_PROJECT, project_id)
    standing = await connection.fetchrow(_STANDING, project_id, earner_id)
    values = {
        "project_id": project_id,
        "earner_id": earner_id,
        "soon": standing["soon_position"],
        "normal": standing["normal_position"],
        "gold": standing["gold_position"],
        "strengths": standing["strengths"],
        "count": batch,
        "gold_count": sum(random.random() < standing["gold_chance"] for _ in range(batch)),
        "seconds": project["lease_seconds"],
        "again": False,
    }
    rows = await connection.fetch(_CLAIM_SQL, *(values[name] for name in _CLAIM_NAMES))
    return [row["id"] for row in rows if row["id"] is not None]


async def _answer(
    connection: Any, token: str, earner_id: UUID, project_id: UUID, lease_ids: list[UUID]
) -> None:
    await connection.fetch(_WHO, tokens.digest(token))
    await connection.fetch(_BEGIN)
    values = {"lease_ids": lease_ids, "earner_id": earner_id}
    held = await connection.fetch(_LOCK_SQL, *(values[name] for name in _LOCK_NAMES))
    await connection.fetchrow(_PROJECT, project_id)
    await connection.execute(_ANSWERED, lease_ids)
    keys = [(project_id, row["id"], row["task_id"], earner_id) for row in held]
    await connection.executemany(_ANSWER, [(*key, _VALUE) for key in keys])
    await connection.executemany(_EARNING, keys)
    payload = {"project_id": str(project_id), "task_ids": [str(row["task_id"]) for row in held]}
    driver = AsyncpgDriver(connection)
    await Queries(driver).enqueue("quality.settle", json.dumps(payload).encode())
