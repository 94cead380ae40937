"""Projects whose images exist in the database only, earners at service level, and an audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text

from tessera.accounts.models import Organisation
from tessera.assignment import answer as answering
from tessera.assignment import lease as leasing
from tessera.assignment import opening, queue
from tessera.assignment.answer import Given, Result
from tessera.assignment.jobs import GRACE_SECONDS
from tessera.assignment.launch import make_tasks
from tessera.assignment.leased import Leased
from tessera.assignment.models import Answer, Outcome, Verdict
from tessera.images.models import Image, ImageState
from tessera.kernel import db
from tessera.projects.cost import cost, gold_places
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality
from tessera.quality.settle import settle

SCHEMA = {
    "classes": [
        {"id": 1, "name": "cat", "colour": "#e6194b"},
        {"id": 2, "name": "dog", "colour": "#3cb44b"},
    ]
}
RIGHT = {"classes": [1]}
WRONG = {"classes": [2]}

_TILES = text(
    """
    INSERT INTO tiles (id, project_id, image_id, number, core_left, core_top, core_right,
      core_bottom, window_left, window_top, window_right, window_bottom, key, content_type, bytes)
    SELECT gen_random_uuid(), :project, :image, n, 0, 0, 64, 64, 0, 0, 64, 64,
      'tiles/' || encode(sha256(CAST(CAST(n AS text) AS bytea)), 'hex') || '.jpg', 'image/jpeg', 1
    FROM generate_series(1, CAST(:count AS int)) n
    """
)
_GOLD = text(
    """
    WITH known AS (
      UPDATE tasks SET is_gold = true, label = :label, confidence = 1
      WHERE project_id = :project AND id IN (
        SELECT id FROM tasks WHERE project_id = :project AND state = 'waiting' LIMIT :count
      ) RETURNING id
    )
    INSERT INTO gold (project_id, task_id, expected, source)
    SELECT :project, id, :label, 'import' FROM known
    """
)


async def a_project(
    sessions: db.Sessions,
    *,
    tasks: int,
    gold: int = 0,
    kind: str = "classify",
    opened: bool = True,
    **quality: Any,
) -> UUID:
    """A project that was launched, and paid for in everything but the ledger."""
    policy = Quality(**{"min_overlap": 1, "max_overlap": 3, "redo": 1, **quality})
    places = gold_places(tasks, gold, policy)
    worst = cost(tasks, gold, policy, unit_micro=24_000, places_per_gold=places).worst_micro
    async with db.transaction(sessions) as session:
        organisation = Organisation(name="Mosaic Ltd")
        session.add(organisation)
        await session.flush()
        project = Project(
            organisation_id=organisation.id,
            name="Cats and dogs",
            instructions="",
            kind=kind,
            label_schema=SCHEMA,
            slicing={},
            quality=policy.model_dump(),
            currency="USD",
            price_micro=20_000,
            fee_micro=4_000,
            lease_seconds=600,
            state=ProjectState.OPEN,
            reserved_micro=worst,
            gold_places=places,
        )
        session.add(project)
        await session.flush()
    await with_tasks(sessions, project.id, tasks=tasks + gold, gold=gold)
    if opened:
        await open_all(sessions, project.id)
    return project.id


async def with_tasks(sessions: db.Sessions, project_id: UUID, *, tasks: int, gold: int = 0) -> None:
    """Another image with so many tiles, and a waiting task for each; the first ones are gold."""
    async with db.transaction(sessions) as session:
        image = Image(project_id=project_id, name=f"{uuid4()}.jpg", state=ImageState.READY)
        session.add(image)
        await session.flush()
        ids = {"project": project_id, "image": image.id}
        await session.execute(_TILES, {**ids, "count": tasks})
        await make_tasks(session, project_id=project_id, image_id=image.id)
        label = '{"classes": [1]}'
        await session.execute(_GOLD, {"project": project_id, "label": label, "count": gold})


async def open_all(sessions: db.Sessions, project_id: UUID) -> None:
    more = True
    while more:
        async with db.transaction(sessions) as session:
            more = await opening.open_tasks(session, project_id=project_id)


@dataclass
class Earner:
    """Somebody who leases and answers, one transaction per call, as the API does it."""

    sessions: db.Sessions
    id: UUID = field(default_factory=uuid4)

    async def lease(self, project_id: UUID | None = None, count: int = 10) -> list[Leased]:
        handed = await self.ask(project_id, count)
        return list(handed.leases)

    async def ask(self, project_id: UUID | None = None, count: int = 10) -> leasing.Handed:
        async with db.transaction(self.sessions) as session:
            return await leasing.lease(
                session, earner_id=self.id, project_id=project_id, count=count
            )

    async def answer(
        self,
        leases: Sequence[Leased],
        value: dict[str, Any] | None = None,
        outcome: Outcome = Outcome.ANSWERED,
    ) -> Sequence[Result]:
        said = (value or RIGHT) if outcome is Outcome.ANSWERED else None
        given = [Given(lease.id, lease.fence, outcome, said, 1.5) for lease in leases]
        async with db.transaction(self.sessions) as session:
            return await answering.answer(session, earner_id=self.id, given=given)

    async def give_back(self, leases: Sequence[Leased]) -> None:
        async with db.transaction(self.sessions) as session:
            await queue.return_leases(
                session,
                earner_id=self.id,
                lease_ids=[lease.id for lease in leases],
                reason="skip",
            )

    async def extend(self, leases: Sequence[Leased], *, most_times: int = 4) -> None:
        async with db.transaction(self.sessions) as session:
            await queue.extend_leases(
                session,
                earner_id=self.id,
                lease_ids=[lease.id for lease in leases],
                most_times=most_times,
            )


async def expire(sessions: db.Sessions, *, share: float = 1.0) -> None:
    """Let open leases run out, and the sweep come by."""
    async with db.transaction(sessions) as session:
        await session.execute(
            text(
                """
                UPDATE leases SET expires_at = now() - interval '1 minute' WHERE id IN (
                  SELECT id FROM leases WHERE state = 'open' AND random() < :share
                  ORDER BY id FOR UPDATE SKIP LOCKED)
                """
            ),
            {"share": share},
        )
    async with db.transaction(sessions) as session:
        await queue.expire_leases(session, grace_seconds=GRACE_SECONDS, limit=500)


async def settle_all(sessions: db.Sessions, project_id: UUID) -> None:
    """Judge every task with an answer that nobody judged, as the jobs would."""
    async with db.transaction(sessions) as session:
        answered = await session.scalars(
            select(Answer.task_id)
            .where(Answer.project_id == project_id, Answer.verdict == Verdict.PENDING)
            .distinct()
        )
        await settle(session, project_id=project_id, task_ids=answered.all())


AUDIT = {
    "two live leases in one place": """
        SELECT 1 FROM leases WHERE state IN ('open', 'answered')
        GROUP BY project_id, task_id, place HAVING count(*) > 1
    """,
    "a task leased to one earner twice": """
        SELECT 1 FROM leases GROUP BY project_id, task_id, earner_id HAVING count(*) > 1
    """,
    "more answers and leases than places": """
        SELECT 1 FROM tasks t JOIN leases l ON (l.project_id, l.task_id) = (t.project_id, t.id)
        WHERE l.state IN ('open', 'answered')
        GROUP BY t.project_id, t.id, t.places HAVING count(*) > t.places
    """,
    "a place that is neither queued, nor leased, nor answered, or two of these": """
        SELECT 1 FROM tasks t, generate_series(1, t.places_used) number
        WHERE (t.settled_at IS NULL AND t.state <> 'review' OR t.is_gold) AND 1 <> (
          SELECT count(*) FROM queue_entries e
          WHERE (e.project_id, e.task_id, e.place) = (t.project_id, t.id, number)
        ) + (
          SELECT count(*) FROM leases l
          WHERE (l.project_id, l.task_id, l.place) = (t.project_id, t.id, number)
            AND l.state IN ('open', 'answered')
        )
    """,
    "an entry of a task that needs none": """
        SELECT 1 FROM queue_entries e JOIN tasks t ON (t.project_id, t.id) = (e.project_id, task_id)
        WHERE (t.settled_at IS NOT NULL AND NOT t.is_gold) OR e.place > t.places_used
          OR (e.lane = 2) <> t.is_gold
    """,
    "an answered lease without its answer, or an answer without its lease": """
        SELECT 1 FROM answers a
        FULL JOIN (SELECT * FROM leases WHERE state = 'answered') l
          ON (l.project_id, l.id) = (a.project_id, a.lease_id)
        WHERE l.id IS NULL OR a.lease_id IS NULL
    """,
    "an answer without its earning, or an earning without its answer": """
        SELECT 1 FROM answers a FULL JOIN earnings e USING (project_id, lease_id)
        WHERE a.task_id IS NULL OR e.task_id IS NULL
    """,
    "more committed than reserved": """
        SELECT 1 FROM projects p JOIN (
          SELECT project_id, sum(places) AS places FROM tasks GROUP BY project_id
        ) t ON t.project_id = p.id
        WHERE places * (price_micro + fee_micro) > committed_micro
          OR committed_micro > reserved_micro
    """,
}


async def audit(sessions: db.Sessions) -> None:
    """Every place is accounted for, whatever has happened."""
    async with db.reading(sessions) as reader:
        for what, rows in AUDIT.items():
            found = await reader.scalar(text(f"SELECT count(*) FROM ({rows}) AS broken"))
            assert found == 0, f"{found} times: {what}"


async def number(sessions: db.Sessions, sql: str, **values: Any) -> Any:
    """One value, straight from the database."""
    async with db.reading(sessions) as reader:
        return await reader.scalar(text(sql), values)
