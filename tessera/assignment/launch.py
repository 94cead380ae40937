"""From images to tasks that people may take: making tasks, pricing them, paying for them up front.

A launch reserves the worst case in the ledger; opening tasks is then done in chunks by a job,
and `ck_projects_within_budget` keeps what is opened within what was reserved. So a lease never
has to look at money, and overspending is impossible by construction.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.errors import NothingToLaunch
from tessera.assignment.models import Task, TaskState
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning
from tessera.images.models import Tile
from tessera.kernel import db, jobs
from tessera.ledger import service as ledger
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import Reason
from tessera.projects import service as projects
from tessera.projects.cost import Cost, cost, gold_places
from tessera.projects.errors import WrongState
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality

CHUNK = 5_000
"""Tasks opened in one transaction; their entries are shuffled among themselves."""


@dataclass(frozen=True)
class Estimate:
    """What launching the tasks that wait would cost, and whether the money is there."""

    tasks: int
    gold_tasks: int
    cost: Cost
    available_micro: int
    """Of the organisation, in the project's currency."""


async def make_tasks(session: AsyncSession, *, project_id: UUID, image_id: UUID) -> None:
    """One waiting task for each tile of an image; doing it again adds none."""
    tiles = select(Tile.project_id, Tile.id, text("'waiting'"), text("false"), text("0"), text("0"))
    await session.execute(
        insert(Task)
        .from_select(
            ["project_id", "tile_id", "state", "is_gold", "places", "places_used"],
            tiles.where(Tile.image_id == image_id, Tile.project_id == project_id),
            include_defaults=False,
        )
        .on_conflict_do_nothing(index_elements=[Task.project_id, Task.tile_id])
    )


async def estimate(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Estimate:
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    return await _estimate(session, project)


async def launch(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Project:
    """Reserve the worst case of the tasks that wait, and have them opened.

    May be called again when images were added; a paused project stays paused.

    Raises:
        NothingToLaunch: No task waits: the images are not sliced yet, or all are launched.
        InsufficientFunds: The organisation cannot pay for the worst case; nothing has changed.
        WrongState: The project is completed.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.SPEND, lock=True)
    if project.state is ProjectState.COMPLETED:
        raise WrongState("A completed project cannot be launched.", state=project.state)
    planned = await _estimate(session, project)
    # what an earlier launch reserved and has not opened yet is already paid for
    needed = planned.cost.worst_micro - (project.reserved_micro - project.committed_micro)
    if planned.tasks == 0 or needed <= 0:
        raise NothingToLaunch(
            "No task waits to be launched: the images are not sliced yet, or all are launched."
        )
    await ledger.move(
        session,
        ledger.organisation(project.organisation_id),
        ledger.escrow(project.id),
        amount_micro=needed,
        currency=project.currency,
        reason=Reason(Event.RESERVE, f"launch:{project.id}:{uuid4()}", caller.person_id),
    )
    project.reserved_micro += needed
    quality = Quality(**project.quality)
    if project.launched_at is None:
        project.launched_at = func.now()
        project.state = ProjectState.OPEN
        project.gold_places = gold_places(planned.tasks, planned.gold_tasks, quality)
    await session.flush()
    await session.refresh(project)
    await jobs.enqueue(session, "assignment.open_tasks", payload={"project_id": str(project.id)})
    return project


async def open_tasks(session: AsyncSession, *, project_id: UUID) -> bool:
    """Open one chunk of waiting tasks that the reserve covers; whether there may be more."""
    project: Project | None = await session.scalar(
        db.locking(select(Project).where(Project.id == project_id))
    )
    if project is None or project.state is ProjectState.COMPLETED:
        return False
    quality = Quality(**project.quality)
    waiting = db.locking(
        select(Task)
        .where(Task.project_id == project_id, Task.state == TaskState.WAITING)
        .limit(CHUNK),
        skip_locked=True,
    )
    unit = project.price_micro + project.fee_micro
    gold: list[UUID] = []
    normal: list[UUID] = []
    for task in (await session.scalars(waiting)).all():
        places = project.gold_places if task.is_gold else quality.places
        if project.committed_micro + places * unit > project.reserved_micro:
            continue
        project.committed_micro += places * unit
        (gold if task.is_gold else normal).append(task.id)
    await _open(session, project, normal, places=quality.places, queued=quality.min_overlap)
    await _open_gold(session, project, gold)
    return bool(gold or normal)


async def _open(
    session: AsyncSession, project: Project, task_ids: list[UUID], *, places: int, queued: int
) -> None:
    if not task_ids:
        return
    await session.execute(
        update(Task)
        .where(Task.project_id == project.id, Task.id.in_(task_ids))
        .values(state=TaskState.OPEN, places=places, places_used=queued, opened_at=func.now())
        .execution_options(synchronize_session=False)
    )
    # shuffled within the chunk: neighbours go to different people, yet the answers to one task
    # come close enough together that it settles soon
    await session.execute(
        _QUEUE.bindparams(project_id=project.id, task_ids=task_ids, lane=1, places=queued)
    )


async def _open_gold(session: AsyncSession, project: Project, task_ids: list[UUID]) -> None:
    if not task_ids:
        return
    await session.execute(
        update(Task)
        .where(Task.project_id == project.id, Task.id.in_(task_ids))
        .values(
            state=TaskState.SETTLED,
            places=project.gold_places,
            places_used=project.gold_places,
            opened_at=func.now(),
            settled_at=func.now(),
            settled_by="gold",
        )
        .execution_options(synchronize_session=False)
    )
    # in rounds: each gold task once, shuffled, before any comes again
    await session.execute(
        _QUEUE_ROUNDS.bindparams(
            project_id=project.id, task_ids=task_ids, lane=2, places=project.gold_places
        )
    )


# positions come from a sequence, drawn after the sort: the order of rows is the order to serve
_QUEUE = text(
    """
    INSERT INTO queue_entries (project_id, lane, position, task_id, place)
    SELECT :project_id, :lane, nextval('queue_positions'), task_id, place
    FROM (
      SELECT task_id, place
      FROM unnest(CAST(:task_ids AS uuid[])) task_id, generate_series(1, :places) place
      ORDER BY random()
    ) shuffled
    """
)
_QUEUE_ROUNDS = text(_QUEUE.text.replace("ORDER BY random()", "ORDER BY place, random()"))


async def _estimate(session: AsyncSession, project: Project) -> Estimate:
    rows = await session.execute(
        select(Task.is_gold, func.count())
        .where(Task.project_id == project.id, Task.state == TaskState.WAITING)
        .group_by(Task.is_gold)
    )
    counts = dict(rows.all())
    tasks, gold_tasks = counts.get(False, 0), counts.get(True, 0)
    unit = project.price_micro + project.fee_micro
    quality = Quality(**project.quality)
    money = await ledger.balances(session, AccountKind.ORGANISATION, project.organisation_id)
    return Estimate(
        tasks=tasks,
        gold_tasks=gold_tasks,
        cost=cost(
            tasks,
            gold_tasks,
            quality,
            unit_micro=unit,
            places_per_gold=project.gold_places or None,
        ),
        available_micro=money.get(project.currency, 0),
    )


async def release(session: AsyncSession, *, project_id: UUID) -> bool:
    """Give a completed project's unspent reserve back, once nothing can be earned in it any more.

    Returns:
        Whether it is done; if not, a lease or a decision is still open.
    """
    project: Project | None = await session.scalar(
        db.locking(select(Project).where(Project.id == project_id))
    )
    if project is None or project.state is not ProjectState.COMPLETED:
        return True
    await session.execute(
        text("DELETE FROM queue_entries WHERE project_id = :project_id"),
        {"project_id": project_id},
    )
    if (await session.execute(_HELD, {"project_id": project_id})).scalar_one():
        return False
    # whoever stops waiting for an answer's fate pays for it
    await earnings.approve(session, Earning.project_id == project_id)
    if (await session.execute(_UNPOSTED, {"project_id": project_id})).scalar_one():
        return False
    money = await ledger.balances(session, AccountKind.ESCROW, project_id)
    left = money.get(project.currency, 0)
    if left > 0:
        await ledger.move(
            session,
            ledger.escrow(project_id),
            ledger.organisation(project.organisation_id),
            amount_micro=left,
            currency=project.currency,
            reason=Reason(Event.RELEASE, f"release:{project_id}:{uuid4()}"),
        )
    return True


_HELD = text(
    "SELECT EXISTS (SELECT 1 FROM leases WHERE project_id = :project_id AND state = 'open')"
)
_UNPOSTED = text(
    "SELECT EXISTS (SELECT 1 FROM earnings WHERE project_id = :project_id AND state = 'approved')"
)
