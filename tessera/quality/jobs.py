"""Judging as jobs; each is one transaction over stored answers, and may run again."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.stages import is_followed
from tessera.kernel import db, jobs
from tessera.kernel.jobs import Run
from tessera.kinds.choice import Choice
from tessera.projects.models import Project, ProjectState
from tessera.quality import (
    answered,
    breaker,
    estimating,
    estimating_drawings,
    gold_wrong,
    judge,
    strong,
    task_sample,
)
from tessera.quality import reconsider as reconsidering
from tessera.quality import settle as settling
from tessera.storage.context import JobContext

CHUNK = 200
"""Earners rated, or noted, in one transaction."""
TOGETHER = 50
"""Tasks judged again in one transaction."""


async def settle(context: JobContext, run: Run) -> None:
    new = run.payload.get("lease_ids")  # a job from before an upgrade has none
    async with db.transaction(context.sessions) as session:
        await settling.settle(
            session,
            project_id=UUID(run.payload["project_id"]),
            task_ids=[UUID(task_id) for task_id in run.payload["task_ids"]],
            lease_ids=None if new is None else [UUID(lease_id) for lease_id in new],
        )


async def ask_others(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await judge.ask_others(
            session,
            project_id=UUID(run.payload["project_id"]),
            earner_id=UUID(run.payload["earner_id"]),
        )


async def rate_again(context: JobContext, run: Run) -> None:
    """After a policy was edited; if killed, the next run begins anew and changes nothing twice."""
    project_id, after, more = UUID(run.payload["project_id"]), None, True
    while more:
        async with db.transaction(context.sessions) as session:
            after = await judge.rate_again(session, project_id=project_id, after=after, limit=CHUNK)
        more = after is not None


async def decide_again(context: JobContext, run: Run) -> None:
    """After a policy was edited; if killed, the next run begins anew and changes nothing twice."""
    project_id, after, more = UUID(run.payload["project_id"]), None, True
    while more:
        async with db.transaction(context.sessions) as session:
            after = await settling.decide_again(
                session, project_id=project_id, after=after, limit=TOGETHER
            )
        more = after is not None


async def check_broken(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await breaker.check(session, UUID(run.payload["project_id"]))


async def doubt_gold(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        task_ids = [UUID(each) for each in run.payload["task_ids"]]
        await gold_wrong.doubt(session, UUID(run.payload["project_id"]), task_ids)


async def pull_gold(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await gold_wrong.pull_as(
            session,
            UUID(run.payload["project_id"]),
            UUID(run.payload["task_id"]),
            reason=run.payload["reason"],
        )


async def estimate_due(context: JobContext) -> None:
    """Have projects estimated anew in which enough was answered since the last time."""
    async with db.reading(context.sessions) as reader:
        due = await estimating.due(reader)
    async with db.transaction(context.sessions) as session:
        for project_id in due:
            payload = {"project_id": str(project_id)}
            await jobs.enqueue(session, "quality.estimate", payload=payload, key=str(project_id))


async def estimate(context: JobContext, run: Run) -> None:
    """Estimate a project anew; if killed, the next run begins anew and changes nothing twice."""
    project_id = UUID(run.payload["project_id"])
    async with db.reading(context.sessions) as reader:
        project = await reader.get_one(Project, project_id)
        answers = await estimating.counted(reader, project)
    if answers is None:
        return
    if project.kind in estimating.DRAWN:
        await _estimate_drawings(context, project, answers)
    elif (asks := estimating.choices_of(project)) is not None:
        await _estimate(context, project, asks, answers)
    else:
        await _count(context, project, answers)


async def _estimate(
    context: JobContext, project: Project, asks: tuple[Choice, Sequence[int]], answers: int
) -> None:
    project_id = project.id
    async with db.reading(context.sessions) as reader:
        found = await answered.answered(reader, project, *asks)
    if not len(found.votes):
        return
    anew = await estimating.estimated(found)
    rows = estimating.counts_of(anew)
    for start in range(0, len(rows), CHUNK):
        async with db.transaction(context.sessions) as session:
            await estimating.keep_earners(session, project_id, rows[start : start + CHUNK])
    async with db.reading(context.sessions) as reader:
        tasks = await answered.asked(reader, project, found, asks[1])
        settled_too = await _is_decided_here(reader, project)
    again = estimating.doubtful(anew, tasks, project, settled_too=settled_too)
    task_ids = [str(each) for each in found.task_ids(again)]
    async with db.transaction(context.sessions) as session:
        await estimating.keep(session, project, anew, answers=answers)
        await _watch(session, project_id)
        payload = {"project_id": str(project_id)}
        await jobs.enqueue(session, "quality.note_strong", payload=payload, key=str(project_id))
        await _judge_again(session, project_id, task_ids)


async def _estimate_drawings(context: JobContext, project: Project, answers: int) -> None:
    beside: estimating_drawings.Beside = {}
    async with db.reading(context.sessions) as reader:
        sampled = await task_sample.sample(reader, project.id, start=uuid4())
    parts = [sampled[start : start + TOGETHER] for start in range(0, len(sampled), TOGETHER)]
    for part in parts:
        async with db.reading(context.sessions) as reader:
            await estimating_drawings.learn(reader, project, part, beside)
    # ascending: locks are taken so
    rows = sorted((earner_id, [round(e, 4) for e in of]) for earner_id, of in beside.items())
    for start in range(0, len(rows), CHUNK):
        async with db.transaction(context.sessions) as session:
            await estimating.keep_earners(
                session, project.id, rows[start : start + CHUNK], column="others"
            )
    again: list[str] = []
    for part in parts:
        async with db.reading(context.sessions) as reader:
            settled_too = await _is_decided_here(reader, project)
            found = await estimating_drawings.doubtful(
                reader, project, part, settled_too=settled_too
            )
        again += map(str, found)
    async with db.transaction(context.sessions) as session:
        await estimating.keep_count(session, project.id, answers=answers)
        await _watch(session, project.id)
        await _judge_again(session, project.id, again)


async def _count(context: JobContext, project: Project, answers: int) -> None:
    """Where nothing is learnt of all together, it is looked at all the same how people answer."""
    async with db.transaction(context.sessions) as session:
        await estimating.keep_count(session, project.id, answers=answers)
        await _watch(session, project.id)


async def _watch(session: AsyncSession, project_id: UUID) -> None:
    payload = {"project_id": str(project_id)}
    await jobs.enqueue(session, "conduct.watch", payload=payload, key=str(project_id))


async def _is_decided_here(session: AsyncSession, project: Project) -> bool:
    """Whether what is settled may change: what was passed on is looked at by the later stage."""
    is_over = project.state is ProjectState.COMPLETED
    return not is_over and not await is_followed(session, project.id)


async def _judge_again(session: AsyncSession, project_id: UUID, task_ids: Sequence[str]) -> None:
    await jobs.enqueue_many(
        session,
        "quality.reconsider",
        [
            {"project_id": str(project_id), "task_ids": task_ids[start : start + TOGETHER]}
            for start in range(0, len(task_ids), TOGETHER)
        ],
    )


async def note_strong(context: JobContext, run: Run) -> None:
    """After an estimate; if killed, the next run begins anew and changes nothing twice."""
    project_id, after, more = UUID(run.payload["project_id"]), None, True
    while more:
        async with db.transaction(context.sessions) as session:
            after = await strong.note(session, project_id, after=after, limit=CHUNK)
        more = after is not None


async def reconsider(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await reconsidering.reconsider(
            session,
            project_id=UUID(run.payload["project_id"]),
            task_ids=[UUID(task_id) for task_id in run.payload["task_ids"]],
        )
