"""From images to tasks that people may take: making tasks, pricing them, paying for them up front.

A launch reserves the worst case in the ledger; a job then opens the tasks, chunk by chunk, and
`ck_projects_within_budget` keeps what is open within what was reserved. So a lease never has to
look at money, and overspending is impossible by construction.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import stages
from tessera.assignment import training as trainings
from tessera.assignment.errors import NothingToLaunch
from tessera.assignment.models import TASK_IS_WAITING, Task
from tessera.assignment.training_models import Training
from tessera.images.models import Tile
from tessera.kernel import jobs
from tessera.kinds import NOT_ABOUT
from tessera.ledger import service as ledger
from tessera.ledger.errors import InsufficientFunds
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import Reason
from tessera.projects import service as projects
from tessera.projects.cost import Cost, cost, gold_places
from tessera.projects.errors import WrongState
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality

TILES_AT_ONCE = 20_000
"""Made tasks of by one statement: a slow disk must not bring it near its time limit."""


@dataclass(frozen=True)
class Estimate:
    """What launching the tasks that wait would cost, and whether the money is there.

    Of a later stage of a chain, also those that are still to come from the stages before it.
    """

    tasks: int
    gold_tasks: int
    cost: Cost
    available_micro: int
    """Of the organisation, in the project's currency."""
    training: Training | None
    """Of a first launch, what it will fix."""


async def make_tasks(session: AsyncSession, *, project_id: UUID, image_id: UUID) -> None:
    """One waiting task for each tile of an image; doing it again adds none.

    Tasks about existing annotations are made of those, when they come.
    """
    project = await session.get_one(Project, project_id)
    if project.kind in NOT_ABOUT:
        return
    of_image = (Tile.image_id == image_id) & (Tile.project_id == project_id)
    last = await session.scalar(select(func.max(Tile.number)).where(of_image))
    tiles = select(Tile.project_id, Tile.id, text("'waiting'"), text("false"), text("0"), text("0"))
    for start in range(0, 0 if last is None else last + 1, TILES_AT_ONCE):
        await session.execute(
            insert(Task)
            .from_select(
                ["project_id", "tile_id", "state", "is_gold", "places", "places_used"],
                tiles.where(of_image, Tile.number.between(start, start + TILES_AT_ONCE - 1)),
                include_defaults=False,
            )
            .on_conflict_do_nothing(index_elements=[Task.project_id, Task.tile_id, Task.pair])
        )


async def estimate(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Estimate:
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    return await _estimate(session, project)


async def launch(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Project:
    """Reserve the worst case of the tasks that wait, and have them opened.

    May be called again when images or known answers were added, and while tasks of an earlier
    launch still wait to be opened; a paused project stays paused.

    Raises:
        NothingToLaunch: No task waits: the images are not sliced yet, or all are launched.
        InsufficientFunds: The organisation cannot pay for the worst case; nothing has changed.
        WrongState: The project is completed.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.SPEND, lock=True)
    if project.state is ProjectState.COMPLETED:
        raise WrongState("A completed project cannot be launched.", state=project.state)
    planned = await _estimate(session, project)
    first = project.launched_at is None
    if planned.tasks == 0 and (first or planned.gold_tasks == 0):
        raise NothingToLaunch(
            "No task waits to be launched: the images are not sliced yet, or all are launched."
        )
    # what an earlier launch reserved and has not opened yet is already paid for
    needed = planned.cost.worst_micro - (project.reserved_micro - project.committed_micro)
    if needed > planned.available_micro:  # of launches at once, the ledger lets through what it can
        raise InsufficientFunds(
            "The organisation has less than the worst case costs.",
            needed_micro=needed,
            available_micro=planned.available_micro,
            currency=project.currency,
        )
    if needed > 0:
        await ledger.move(
            session,
            ledger.organisation(project.organisation_id),
            ledger.escrow(project.id),
            amount_micro=needed,
            currency=project.currency,
            reason=Reason(Event.RESERVE, f"launch:{project.id}:{uuid4()}", caller.person_id),
        )
        project.reserved_micro += needed
    if project.gold_places == 0:
        project.gold_places = gold_places(
            planned.tasks, planned.gold_tasks, Quality(**project.quality)
        )
    if planned.training is not None:
        session.add(planned.training)
        project.committed_micro += planned.cost.training_micro
    if first:
        project.launched_at = func.now()
        project.state = ProjectState.OPEN
    await session.flush()
    await session.refresh(project)
    await jobs.enqueue(session, "assignment.open_tasks", payload={"project_id": str(project.id)})
    if project.follows_id is not None:
        await stages.all_settled(session, project.follows_id)
    return project


async def _estimate(session: AsyncSession, project: Project) -> Estimate:
    rows = await session.execute(
        select(Task.is_gold, func.count())
        .where(Task.project_id == project.id, TASK_IS_WAITING)
        .group_by(Task.is_gold)
    )
    counts = dict(rows.all())
    tasks = counts.get(False, 0) + await stages.expected(session, project)
    gold_tasks = counts.get(True, 0)
    unit = project.price_micro + project.fee_micro
    quality = Quality(**project.quality)
    money = await ledger.balances(session, AccountKind.ORGANISATION, project.organisation_id)
    training = await trainings.planned(session, project)
    return Estimate(
        tasks=tasks,
        gold_tasks=gold_tasks,
        cost=cost(
            tasks,
            gold_tasks,
            quality,
            unit_micro=unit,
            places_per_gold=project.gold_places or None,
            trained=training.places if training else 0,
            questions=training.questions if training else 0,
        ),
        available_micro=money.get(project.currency, 0),
        training=training,
    )
