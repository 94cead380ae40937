"""Large projects in the middle of their life, made by SQL: queues, gold, and earners with a past.

Of a project's tasks, the first are gold; then come the ordinary ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg

from tessera.accounts import tokens

WINDOW = 1_000
"""Tasks whose entries are shuffled among themselves, as `assignment.opening` does."""
GOLD_SHARE, LEAST_GOLD, GOLD_ROUNDS = 0.005, 50, 100
"""Tasks that are gold, at least so many, and how often each is queued."""

_PROJECT = """
INSERT INTO projects (id, organisation_id, name, instructions, kind, label_schema, slicing, quality,
  currency, price_micro, fee_micro, lease_seconds, state, reserved_micro, committed_micro,
  gold_places, launched_at)
VALUES ($1, $2, 'bench', '', 'box', $3, '{}', $4, 'EUR', 20000, 4000, 600, 'open',
  1000000000000000, 1000000000000000, 0, now())
"""
_SCHEMA = """{"multiple": false, "classes": [
  {"id": 1, "name": "coin", "colour": "#e6194b", "attributes": []},
  {"id": 2, "name": "cup", "colour": "#3cb44b", "attributes": []}]}"""
_QUALITY = '{"min_overlap": 3, "max_overlap": 5, "redo": 0, "gold_share": 0.1}'
_TILES = """
INSERT INTO tiles (id, project_id, image_id, number, core_left, core_top, core_right, core_bottom,
  window_left, window_top, window_right, window_bottom, key, content_type, bytes)
SELECT gen_random_uuid(), $1, $2, n, 0, 0, 512, 512, 0, 0, 512, 512,
  concat('tiles/', $1::uuid, '/', encode(sha256(int8send(n)), 'hex'), '.jpg'), 'image/jpeg', 1
FROM generate_series(1, $3::int) AS n
"""
_TASKS = """
INSERT INTO tasks (project_id, id, tile_id, state, is_gold, places, places_used, opened_at)
SELECT $1, task_id, tile_id, CASE WHEN n > $2::int THEN 'open' ELSE 'settled' END, n <= $2::int,
  places, places, now()
FROM numbered, LATERAL (SELECT CASE WHEN n > $2::int THEN $3::int ELSE $4::int END AS places) AS of
ORDER BY n
"""
_NUMBERED = """
CREATE TEMP TABLE numbered AS
SELECT number AS n, id AS tile_id, gen_random_uuid() AS task_id FROM tiles WHERE project_id = '{0}'
"""
# each veteran has taken a place of every ordinary task up to $3, and of every other gold task
_ENTRIES = f"""
INSERT INTO queue_entries (project_id, lane, position, task_id, place)
SELECT $1, 1, nextval('queue_positions'), task_id, place FROM (
  SELECT task_id, place FROM numbered, generate_series(1, $5::int) AS place
  WHERE n > $2::int AND (n > $3::int OR place > $4::int) ORDER BY (n - 1) / {WINDOW}, random()
) AS shuffled
"""  # noqa: S608 - made of constants
_GOLD_ENTRIES = """
INSERT INTO queue_entries (project_id, lane, position, task_id, place)
SELECT $1, 2, nextval('queue_positions'), task_id, place FROM (
  SELECT task_id, place FROM numbered, generate_series(1, $4::int) AS place
  WHERE n <= $2::int AND (n % 2 = 0 OR place > $3::int) ORDER BY place, random()
) AS rounds
"""
_LEASES = """
INSERT INTO leases (project_id, task_id, earner_id, lane, place, state, leased_at, expires_at)
SELECT $1, task_id, $2, CASE WHEN n > $4::int THEN 1 ELSE 2 END, $3, 'answered',
  now() - interval '1 day', now() - interval '1 day'
FROM numbered WHERE n <= $5::int AND (n > $4::int OR n % 2 = 1) ORDER BY n
"""
_ANSWERS = """
INSERT INTO answers (project_id, lease_id, task_id, earner_id, outcome, value, seconds, verdict)
SELECT $1, id, task_id, earner_id, 'answered',
  '{"objects": [{"class": 1, "box": [10.0, 10.0, 60.0, 60.0], "attributes": {}}]}', 5, 'accepted'
FROM leases WHERE project_id = $1
"""
_EARNINGS = """
INSERT INTO earnings (project_id, lease_id, task_id, earner_id, currency, amount_micro, fee_micro,
  state, decided_at)
SELECT $1, id, task_id, earner_id, 'EUR', 20000, 4000, 'approved', now()
FROM leases WHERE project_id = $1
"""
_STANDINGS = """
INSERT INTO standings (project_id, earner_id, gold_chance, soon_position, normal_position,
  gold_position)
SELECT $1, $2, 0.1, 0, min(position) - 1, 0
FROM queue_entries JOIN numbered USING (task_id) WHERE project_id = $1 AND n > $3::int AND lane = 1
"""
TABLES = ("tiles", "tasks", "queue_entries", "leases", "answers", "earnings", "standings")


@dataclass(frozen=True)
class Crowded:
    """A project half of whose tasks were answered by each veteran; each wants one more."""

    project_id: UUID
    veterans: Sequence[UUID]


async def fill(connection: asyncpg.Connection, *, tasks: int, veterans: Sequence[UUID]) -> Crowded:
    """Fill an otherwise empty database; indexes are dropped for it and built again."""
    project_id, gold, places = uuid4(), max(int(tasks * GOLD_SHARE), LEAST_GOLD), len(veterans) + 1
    done = gold + tasks // 2
    await connection.execute("SET synchronous_commit = off")
    await connection.execute("SET maintenance_work_mem = '256MB'; SET work_mem = '256MB'")
    organisation = await connection.fetchval(
        "INSERT INTO organisations (name, is_platform) VALUES ('bench', false) RETURNING id"
    )
    await connection.execute(_PROJECT, project_id, organisation, _SCHEMA, _QUALITY)
    image = await connection.fetchval(
        "INSERT INTO images (project_id, name, state) VALUES ($1, 'x', 'ready') RETURNING id",
        project_id,
    )
    rebuild = await _without_indexes(connection)
    await connection.execute(_TILES, project_id, image, gold + tasks)
    await connection.execute(_NUMBERED.format(project_id))
    await connection.execute(_TASKS, project_id, gold, places, GOLD_ROUNDS)
    await connection.execute(_ENTRIES, project_id, gold, done, len(veterans), places)
    await connection.execute(_GOLD_ENTRIES, project_id, gold, len(veterans), GOLD_ROUNDS)
    for place, veteran in enumerate(veterans, start=1):
        await connection.execute(_LEASES, project_id, veteran, place, gold, done)
        await connection.execute(_STANDINGS, project_id, veteran, done)
    await connection.execute(_ANSWERS, project_id)
    await connection.execute(_EARNINGS, project_id)
    for statement in rebuild:
        await connection.execute(statement)
    await connection.execute("DROP TABLE numbered")
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}, projects")
    return Crowded(project_id, veterans)


async def with_tokens(connection: asyncpg.Connection, earner_ids: Sequence[UUID]) -> list[str]:
    """Have these earners be there and logged in; returns a token for each."""
    held = [tokens.new(tokens.SESSION) for _ in earner_ids]
    await connection.executemany(
        "INSERT INTO people (id, email, password_hash, name, kind)"
        " VALUES ($1, $2, '', '', 'earner') ON CONFLICT DO NOTHING",
        [(id_, f"{id_}@example.org") for id_ in earner_ids],
    )
    await connection.executemany(
        "INSERT INTO sessions (token_sha256, person_id, expires_at)"
        " VALUES ($1, $2, now() + interval '1 day')",
        [(tokens.digest(token), id_) for token, id_ in zip(held, earner_ids, strict=True)],
    )
    return held


async def _without_indexes(connection: asyncpg.Connection) -> list[str]:
    """Drop constraints and indexes of the tables; returns what builds them again."""
    constraints = await connection.fetch(
        """
        SELECT conrelid::regclass::text AS of, quote_ident(conname) AS name,
               pg_get_constraintdef(oid) AS is
        FROM pg_constraint WHERE conrelid = ANY($1::regclass[]) AND contype IN ('p', 'u', 'f')
        ORDER BY contype = 'f'
        """,
        TABLES,
    )
    for each in reversed(constraints):
        await connection.execute(f"ALTER TABLE {each['of']} DROP CONSTRAINT {each['name']}")
    indexes = await connection.fetch(
        "SELECT indexname AS name, indexdef AS is FROM pg_indexes WHERE tablename = ANY($1)", TABLES
    )
    for each in indexes:
        await connection.execute(f"DROP INDEX {each['name']}")
    return [
        *(each["is"] for each in indexes),
        *(f"ALTER TABLE {c['of']} ADD CONSTRAINT {c['name']} {c['is']}" for c in constraints),
    ]
