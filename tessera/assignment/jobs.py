"""Work on the queue that nobody waits for."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from tessera.assignment import joining, launch, opening, queue, stages
from tessera.assignment import release as releasing
from tessera.earnings.models import Earning
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.ledger.models import Account, AccountKind
from tessera.projects import chains
from tessera.projects.models import Project, ProjectState
from tessera.storage.context import JobContext

GRACE_SECONDS = 30
"""After a lease runs out, its place stays its earner's so long: the answer may be on its way, from
a phone without a net. The sweep comes every two seconds and gives the task to others."""
CHUNK = 500


async def release_kept(context: JobContext) -> None:
    """Hard tasks that strong people have not taken in time are anybody's."""
    moved = CHUNK
    while moved == CHUNK:
        async with db.transaction(context.sessions) as session:
            moved = await queue.release_kept(session, limit=CHUNK)


async def make_tasks(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await launch.make_tasks(
            session,
            project_id=UUID(run.payload["project_id"]),
            image_id=UUID(run.payload["image_id"]),
        )


async def open_tasks(context: JobContext, run: Run) -> None:
    """Open a launched project's tasks chunk by chunk; if killed, the next run goes on.

    What is known of gold then is told to the stages that follow.
    """
    project_id, more = UUID(run.payload["project_id"]), True
    while more:
        async with db.transaction(context.sessions) as session:
            more = await opening.open_tasks(session, project_id=project_id)
    async with db.transaction(context.sessions) as session:
        await stages.all_settled(session, project_id)


async def pass_on(context: JobContext, run: Run) -> None:
    """Ask in the stages that follow about tasks that were settled; without ids, about all."""
    earlier_id, ids = UUID(run.payload["project_id"]), run.payload.get("task_ids")
    task_ids = None if ids is None else [UUID(id_) for id_ in ids]
    async with db.reading(context.sessions) as reader:
        later = {each.id: each.kind for each in await chains.followers(reader, earlier_id)}
    for later_id, kind in later.items():
        if kind == "join":
            await _join(context, earlier_id, later_id, task_ids)
        more = kind != "join"
        while more:
            async with db.transaction(context.sessions) as session:
                more = await stages.pass_on(
                    session, earlier_id=earlier_id, later_id=later_id, task_ids=task_ids
                )


async def _join(
    context: JobContext, earlier_id: UUID, later_id: UUID, task_ids: Sequence[UUID] | None
) -> None:
    """Ask about the seams of images all of whose tiles are settled, image by image."""
    async with db.reading(context.sessions) as reader:
        images = await joining.whole_images(reader, earlier_id, task_ids=task_ids)
    for image_id in images:
        async with db.transaction(context.sessions) as session:
            await joining.ask(session, earlier_id, later_id, image_id)


async def send_back(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await stages.send_back(
            session,
            project_id=UUID(run.payload["project_id"]),
            task_id=UUID(run.payload["task_id"]),
        )


async def release(context: JobContext, run: Run) -> None:
    """Empty a completed project's queue, and give back what it did not need.

    While leases are open this cannot be done; the sweep enqueues it again.
    """
    project_id = UUID(run.payload["project_id"])
    cleared = CHUNK
    while cleared:  # less than a chunk, if some were just being taken
        async with db.transaction(context.sessions) as session:
            cleared = await queue.clear(session, project_id, limit=CHUNK)
    approved = CHUNK
    while approved == CHUNK:
        async with db.transaction(context.sessions) as session:
            approved = await releasing.approve_waiting(session, project_id=project_id, limit=CHUNK)
    async with db.transaction(context.sessions) as session:
        await releasing.release(session, project_id=project_id)


async def expire_leases(context: JobContext) -> None:
    closed = CHUNK
    while closed == CHUNK:
        async with db.transaction(context.sessions) as session:
            closed = await queue.expire_leases(session, grace_seconds=GRACE_SECONDS, limit=CHUNK)


async def release_completed(context: JobContext) -> None:
    """Enqueue the release of every completed project that has more money in escrow than it must."""
    aside = (
        select(func.coalesce(func.sum(Earning.amount_micro + Earning.fee_micro), 0))
        .where(Earning.project_id == Project.id, Earning.contestable_until > func.now())
        .scalar_subquery()
    )
    async with db.transaction(context.sessions) as session:
        left = await session.scalars(
            select(Project.id)
            .join(Account, (Account.kind == AccountKind.ESCROW) & (Account.owner_id == Project.id))
            .where(Project.state == ProjectState.COMPLETED, Account.balance_micro > 0)
            .where(Account.balance_micro > aside)
        )
        for project_id in left.all():
            await jobs.enqueue(
                session,
                "assignment.release",
                payload={"project_id": str(project_id)},
                key=str(project_id),
            )
